//! Matchers over scripts of lines, and the rules of matcher files.

use super::{MatcherSet, strip_colours};

fn set(json: &str) -> MatcherSet {
    let mut set = MatcherSet::new();
    assert_eq!(set.add(json.as_bytes()).unwrap(), []);
    set
}

/// Each line with the annotation that it gives: `level file:line:column code message`.
fn check(set: &mut MatcherSet, script: &[(&str, &str)]) {
    for (line, expect) in script {
        let found = set.feed(line).map_or(String::new(), |matched| {
            let annotation = matched.annotation;
            let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
            format!(
                "{} {}:{}:{} {} {}",
                annotation.level.name(),
                annotation.file.as_deref().unwrap_or("-"),
                number(annotation.line),
                number(annotation.column),
                annotation.code.as_deref().unwrap_or("-"),
                annotation.message
            )
        });
        assert_eq!(found, *expect, "line {line:?}");
    }
}

#[test]
fn single_line() {
    let mut set = set(r#"{"problemMatcher": [{"owner": "gcc", "fromPath": "a/b/p.proj", "pattern": [{
            "regexp": "^(.*?):(\\d+):(\\S*): (\\w*): (.*?)(?: \\[(.+)\\])?$",
            "file": 1, "line": 2, "column": "3", "severity": 4, "message": 5, "code": 6}]}]}"#);
    check(
        &mut set,
        &[
            ("plain", ""),
            ("a.c:1:2: warning: unused [-Wunused]", "warning a/b/a.c:1:2 -Wunused unused"),
            ("/abs.c:1:2: ERROR: boom", "error /abs.c:1:2 - boom"),
            ("a.c:1:x: : boom", "error a/b/a.c:1:- - boom"),
            ("a.c:1:2: hint: boom", ""),
            ("a.c:1:2: error:  ", ""),
            ("\u{1b}[1;31ma.c\u{1b}[0m:1:2: notice: \u{1b}[Kx", "notice a/b/a.c:1:2 - Kx"),
            ("a.c:99999999999:2: error: x", "error a/b/a.c:-:2 - x"),
        ],
    );
    assert_eq!(set.feed("\u{1b}[31ma.c:1:2: error: x\u{1b}[m").unwrap().shown, "a.c:1:2: error: x");
    assert_eq!(strip_colours("a\u{1b}[\u{1b}[3;4mb"), "ab");
}

const ESLINT: &str = r#"{"problemMatcher": [{"owner": "eslint-stylish", "severity": "warning", "pattern": [
    {"regexp": "^([^\\s].*)$", "file": 1},
    {"regexp": "^\\s+(\\d+):(\\d+)\\s+(error|warning|info)?\\s+(.*)\\s\\s+(.*)$",
     "line": 1, "column": 2, "severity": 3, "message": 4, "code": 5, "loop": true}]}]}"#;

#[test]
fn many_lines_with_loop() {
    check(
        &mut set(ESLINT),
        &[
            ("  1:2  error  first  rule-a", ""),
            ("src/a.js", ""),
            ("  1:2  error  first  rule-a", "error src/a.js:1:2 rule-a first"),
            ("  3:4         second  rule-b", "warning src/a.js:3:4 rule-b second"),
            ("", ""),
            ("  5:6  error  lost  rule-c", ""),
            ("src/b.js", ""),
            ("src/c.js", ""),
            ("  7:8  error  third  rule-d", "error src/c.js:7:8 rule-d third"),
        ],
    );
}

#[test]
fn many_lines_without_loop() {
    let mut set = set(r#"{"problemMatcher": [{"owner": "x", "pattern": [
            {"regexp": "^FILE (.+)$", "file": 1}, {"regexp": "^LINE (\\d+)$", "line": 1}, {"regexp": "^(ERROR .+)$", "message": 1}]}]}"#);
    check(
        &mut set,
        &[
            ("FILE a", ""),
            ("LINE 1", ""),
            ("ERROR one", "error a:1:- - ERROR one"),
            ("ERROR two", ""),
            ("FILE b", ""),
            ("LINE 2", ""),
            ("other", ""),
            ("ERROR three", ""),
            ("FILE c", ""),
            ("FILE d", ""),
            ("LINE 3", ""),
            ("ERROR four", "error d:3:- - ERROR four"),
        ],
    );
    check(&mut set, &[("FILE e", ""), ("LINE 5", "")]);
    set.reset();
    check(&mut set, &[("ERROR forgotten", "")]);
}

#[test]
fn matchers_replace_and_remove_each_other() {
    let one = |owner: &str, regexp: &str| {
        format!(
            r#"{{"problemMatcher": [{{"owner": "{owner}", "pattern": [{{"regexp": "{regexp}", "message": 1}}]}}]}}"#
        )
    };
    let mut set = set(&one("a", "^(A.*)"));
    set.add(one("b", "^A(.*)").as_bytes()).unwrap();
    check(&mut set, &[("Ax", "error -:-:- - x")]);
    set.add(one("B", "^B(.*)").as_bytes()).unwrap();
    check(&mut set, &[("Ax", "error -:-:- - Ax"), ("Bx", "error -:-:- - x")]);
    set.remove_owner("b");
    check(&mut set, &[("Bx", "")]);
    set.remove_file(one("A", "x()").as_bytes()).unwrap();
    assert!(set.is_empty() && set.feed("Ax").is_none());
    // A match of one matcher breaks what another has begun.
    set.add(ESLINT.as_bytes()).unwrap();
    set.add(one("a", "^(!.*)").as_bytes()).unwrap();
    check(&mut set, &[("a.js", ""), ("!x", "error -:-:- - !x"), ("  1:2  error  m  r", "")]);
}

#[test]
fn bad_files_are_refused() {
    let pattern = |patterns: &str| format!(r#"{{"problemMatcher": [{{"owner": "o", "pattern": [{patterns}]}}]}}"#);
    let valid = r#"{"owner": "o", "pattern": [{"regexp": "(.)", "message": 1}]}"#;
    for (json, expect) in [
        ("{", "the problem matcher file is not valid JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "the problem matcher file needs an object at 'problemMatcher'"),
        (
            r#"{"problemMatcher": 1}"#,
            "the problem matcher file needs a list of at most 100 objects at 'problemMatcher'",
        ),
        (r#"{"problemMatcher": [{}]}"#, "Owner must not be empty"),
        (r#"{"problemMatcher": [{"owner": "o"}]}"#, "Matcher 'o' does not contain any patterns"),
        (
            r#"{"problemMatcher": [{"owner": "o", "severity": "bad"}]}"#,
            "Matcher 'o' contains unexpected default severity 'bad'",
        ),
        (
            &format!(r#"{{"problemMatcher": [{valid}, {}]}}"#, valid.replace("\"o\"", "\"O\"")),
            "Duplicate owner name 'O'",
        ),
        (&pattern(r#"{"regexp": "(.)", "file": 1}"#), "At least one pattern must set 'message'"),
        (&pattern(r#"{"regexp": "(.)", "message": 2}"#), "The property 'message' is set to 2 which is out of range"),
        (&pattern(r#"{"regexp": "(.)", "message": -1}"#), "The property 'message' is set to -1 which is out of range"),
        (&pattern(r#"{"message": 0}, {"message": 0}"#), "The property 'message' is set twice"),
        (&pattern(r#"{"message": 0, "loop": true}"#), "Only the last pattern in a multiline matcher may set 'loop'"),
        (&pattern(r#"{"message": 0}, {"loop": true}"#), "The loop pattern must set 'message'"),
        (&pattern(r#"{"message": 1.5}"#), "the problem matcher file needs an integer at 'message'"),
    ] {
        assert_eq!(MatcherSet::new().add(json.as_bytes()).unwrap_err().to_string(), expect, "{json}");
    }
    assert_eq!(MatcherSet::new().add(b"{}"), Ok(vec![]));
}

#[test]
fn an_unsupported_expression_is_reported_by_owner() {
    let json = r#"{"problemMatcher": [{"owner": "o", "pattern": [{"regexp": "a(?!b)(.)", "message": 1}]}]}"#;
    let mut set = MatcherSet::new();
    let skipped = set.add(json.as_bytes()).unwrap();
    assert_eq!(
        skipped[0].to_string(),
        "problem matcher 'o' is ignored: look-ahead `(?!` is not supported in the regular expression 'a(?!b)(.)'"
    );
    assert!(set.is_empty());
}
