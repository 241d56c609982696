//! Whole files through the reader: tokens, and errors in GitHub's words and order.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::schema::{Schema, WORKFLOW_ROOT};
use crate::source::{FileId, SourceFile, SourceMap};

/// A file read under the name `w`.
struct Outcome {
    token: Option<Token>,
    errors: Vec<ReadError>,
    sources: SourceMap,
}

fn read_with(text: &str, limits: Limits) -> Outcome {
    let mut sources = SourceMap::default();
    let source = SourceFile::new("w", text);
    let file = sources.add(source.clone());
    let mut errors = Vec::new();
    let mut budget = Budget::new(limits);
    let reading = Reading {
        schema: Schema::workflow(),
        root: WORKFLOW_ROOT,
        budget: &mut budget,
        background_steps: BackgroundSteps::default(),
        repairs: None,
        errors: &mut errors,
    };
    let token = read(&source, file, reading);
    Outcome { token, errors, sources }
}

fn errors_of(text: &str) -> Vec<String> {
    let outcome = read_with(text, Limits::default());
    outcome.errors.iter().map(|error| error.github_text(&outcome.sources)).collect()
}

/// A token as JSON-like text; expressions stand between `<` and `>`.
fn show(token: &Token, out: &mut String) {
    match &token.kind {
        TokenKind::Null => out.push_str("null"),
        TokenKind::Boolean(value) => drop(write!(out, "{value}")),
        TokenKind::Number(value) => drop(write!(out, "{value}")),
        TokenKind::String(text) => drop(write!(out, "{text:?}")),
        TokenKind::Expression(expression) => drop(write!(out, "<{}>", expression.text())),
        TokenKind::Insert => out.push_str("<insert>"),
        TokenKind::Sequence(items) => {
            out.push('[');
            items.iter().for_each(|item| {
                show(item, out);
                out.push(' ');
            });
            out.push(']');
        }
        TokenKind::Mapping(pairs) => {
            out.push('{');
            for (key, value) in pairs {
                show(key, out);
                out.push_str(": ");
                show(value, out);
                out.push(' ');
            }
            out.push('}');
        }
    }
}

const JOB: &str = "on: push\njobs:\n  a:\n    runs-on: x\n";

#[test]
fn values_become_tokens() {
    for (text, expected) in [
        ("    name: 1.50", "\"1.5\""),
        ("    name: true", "\"true\""),
        ("    name: ${{ github.ref }}-x", "<format('{0}-x', github.ref)>"),
        ("    name: \"${{ 'lit' }}\"", "\"lit\""),
        ("    timeout-minutes: 0x10", "16"),
        ("    timeout-minutes: ${{ 5 }}", "<5>"),
        ("    env: {A: 1, B: , C: ${{ env.x }}}", "!"),
        (
            "    env:\n      A: 1\n      B: ~\n      ${{ insert }}: ${{ github.event }}",
            "{\"A\": \"1\" \"B\": \"\" <insert>: <github.event> }",
        ),
        (
            "    strategy: {matrix: {os: [a, 1, true, null], include: [{os: b, <<: {c: d}}]}}",
            "{\"matrix\": {\"os\": [\"a\" 1 true null ] \"include\": [{\"os\": \"b\" \"<<\": {\"c\": \"d\" } } ] } }",
        ),
        ("    strategy: {matrix: \"${{ fromJSON('[]') }}\"}", "{\"matrix\": <fromJSON('[]')> }"),
        ("    env: &x {A: 1}\n    container: {image: i, env: *x}", "{\"A\": \"1\" }"),
        ("    if: always() && github.ref", "\"always() && github.ref\""),
        ("    steps: [{run: \"echo ${{ matrix.os }} {}\"}]", "[{\"run\": <format('echo {0} {{}}', matrix.os)> } ]"),
    ] {
        let outcome = read_with(&format!("{JOB}{text}\n"), Limits::default());
        let job = outcome.token.as_ref().and_then(|token| token.get("jobs")?.get("a").cloned());
        let value = job.and_then(|job| job.as_mapping()?.get(1).map(|(_, value)| value.clone()));
        let mut shown = String::new();
        if let Some(value) = value.filter(|_| outcome.errors.is_empty()) {
            show(&value, &mut shown);
        } else {
            shown.push('!');
        }
        assert_eq!(shown, expected, "{text}: {:?}", outcome.errors);
    }
}

#[test]
fn errors_are_githubs() {
    for (text, expected) in [
        ("", &["w: Expected document start parse event"][..]),
        ("on: push\njobs: {}\n---\n", &["w: Expected stream end parse event"]),
        ("on: push", &["w (Line: 1, Col: 1): Required property is missing: jobs"]),
        (
            "jobs:",
            &["w (Line: 1, Col: 6): Unexpected value ''", "w (Line: 1, Col: 1): Required property is missing: on"],
        ),
        ("[]", &["w (Line: 1, Col: 1): A sequence was not expected"]),
        ("hello", &["w (Line: 1, Col: 1): Unexpected value 'hello'"]),
        ("on: pusch\njobs: {}", &["w (Line: 1, Col: 5): Unexpected value 'pusch'"]),
        ("on: [push, 1]\njobs: {}", &["w (Line: 1, Col: 12): Unexpected value '1'"]),
        ("on:\n  push:\n    branchs: [main]\njobs: {}", &["w (Line: 3, Col: 5): Unexpected value 'branchs'"]),
        ("on: {pull_request: {types: [open]}}\njobs: {}", &["w (Line: 1, Col: 29): Unexpected value 'open'"]),
        ("on: push\nOn: x\njobs: {}", &["w (Line: 2, Col: 1): 'On' is already defined"]),
        ("On: push\njobs: {}", &["w (Line: 1, Col: 1): Unexpected value 'On'"]),
        (
            "on: push\njobs:\n  a:\n    steps:\n      - runn: x",
            &[
                "w (Line: 5, Col: 9): Unexpected value 'runn'",
                "w (Line: 5, Col: 9): There's not enough info to determine what you meant. Add one of these properties: parallel, run, shell, uses, with, working-directory",
                "w (Line: 4, Col: 5): Required property is missing: runs-on",
            ],
        ),
        (
            "on: push\njobs:\n  a:\n    runs-on: x\n    name: ${{ secrets.a }}\n    env:\n      x: ${{ githb.ref }}",
            &[
                "w (Line: 5, Col: 11): Unrecognized named-value: 'secrets'. Located at position 1 within expression: secrets.a",
                "w (Line: 7, Col: 10): Unrecognized named-value: 'githb'. Located at position 1 within expression: githb.ref",
            ],
        ),
        (
            "on: push\nname: ${{ 1 }}\njobs: {}",
            &["w (Line: 2, Col: 7): A template expression is not allowed in this context"],
        ),
        (
            "on: push\n? [a]\n: b",
            &["w (Line: 1, Col: 1): Required property is missing: jobs", "w: Expected mapping end"],
        ),
        (
            "on: push\nname: [\njobs: {}",
            &["w: (Line: 3, Col: 1, Idx: 17) - (Line: 3, Col: 1, Idx: 17): Invalid indentation."],
        ),
        ("on: push\nname: *x", &["w: Unknown anchor 'x'"]),
        (
            "on: push\nname: 😀\nenv: {😀: [], x: []}\njobs: {}",
            &["w (Line: 3, Col: 11): A sequence was not expected", "w (Line: 3, Col: 18): A sequence was not expected"],
        ),
        ("on: push\nname: ${{ insert }}\njobs: {}", &["w (Line: 2, Col: 7): Unexpected value '${{ insert }}'"]),
        ("on: push\npermissions: writeall\njobs: {}", &["w (Line: 2, Col: 14): Unexpected value 'writeall'"]),
        (
            "on: push\nrun-name: !!int x\njobs: {}",
            &["w: The value 'x' on line 2 and column 11 is invalid for the type 'tag:yaml.org,2002:int'"],
        ),
        (
            "on: push\nrun-name: !!int 'x'\njobs: {}",
            &[
                "w: The scalar style 'SingleQuoted' on line 2 and column 11 is not valid with the tag 'tag:yaml.org,2002:int'",
            ],
        ),
    ] {
        assert_eq!(errors_of(text), expected, "{text}");
    }
}

#[test]
fn places_are_precise() {
    let script = "    steps:\n      - run: |\n          echo 'it'\n          echo ${{ github.ref }} ${{ githb.x }}\n";
    for (text, expected) in [
        (script, "githb"),
        ("    name: 'it''s ${{ githb.x }}'", "githb"),
        ("    name: \"\\t${{ github.ref || githb }}\"", "githb"),
        ("    name: ${{ }}", " "),
        ("    name: a ${{ x", " x"),
        ("    name: \"${{ \\x67ithb }}\"", "${{"),
        ("    nam: a", ""),
    ] {
        let text = format!("{JOB}{text}");
        let outcome = read_with(&text, Limits::default());
        let precise = outcome.errors.first().and_then(|error| error.precise);
        let marked = precise.map_or("", |span| &text[span.start as usize..span.end as usize]);
        assert_eq!(marked, expected, "{text}: {:?}", outcome.errors);
    }
}

#[test]
fn pieces_of_expressions_are_found_again() {
    for (text, piece, expected) in [
        ("name: ${{ github.ref }}", "github", "10..16"),
        ("name: a ${{ 1 }} ${{ github.ref }} b", "github.ref", "21..31"),
        ("name: 'a ${{ github }}''s'", "github", "13..19"),
        ("name: \"${{ \\x67ithub }}-\"", "github", "7..10"),
    ] {
        let text = format!("run-{text}\non: push\njobs: {{}}");
        let outcome = read_with(&text, Limits::default());
        let token = outcome.token.as_ref().and_then(|token| token.get("run-name")).expect("read");
        let expression = token.as_expression().expect("an expression");
        let at = expression.text().find(piece).expect("there");
        let span = locate(&text, token.span, expression, at..at + piece.len());
        assert_eq!(format!("{}..{}", span.start - 4, span.end - 4), expected, "{text}");
    }
}

#[test]
fn budgets_end_a_reading() {
    let mut bomb = String::from("on: push\nenv:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "  a{level}: &a{level} [{aliases}]").expect("strings take all");
    }
    let limits = Limits::default();
    for (text, limits, expected) in [
        (bomb, limits, "w: Maximum YAML nodes exceeded"),
        (format!("on: {}", "[".repeat(100_000)), limits, "w: Maximum object depth exceeded"),
        (format!("{JOB}    strategy: {{matrix: {{a: {}x", "- ".repeat(60)), limits, "w: "),
        (
            "on: push".to_owned(),
            Limits { file_chars_max: 7, ..limits },
            "w: The maximum file size of 7 characters has been exceeded",
        ),
        ("on: push\nname: x".to_owned(), Limits { result_bytes_max: 100, ..limits }, "w: Maximum object size exceeded"),
        ("on: push\nname: x".to_owned(), Limits { events_max: 2, ..limits }, "w: Maximum events exceeded while"),
    ] {
        let outcome = read_with(&text, limits);
        let last = outcome.errors.last().map(|error| error.github_text(&outcome.sources)).unwrap_or_default();
        assert!(last.starts_with(expected), "{last}");
    }
}

#[test]
fn causes_have_candidates() {
    let outcome = read_with(
        "on: push\njobs:\n  a:\n    run-on: x\n    runs-on: y\n    permissions: {contents: reed}",
        Limits::default(),
    );
    let causes: Vec<_> = outcome.errors.iter().map(|error| &error.cause).collect();
    assert!(
        matches!(causes[0], Cause::UnexpectedKey { key, candidates, .. } if key == "run-on" && candidates.contains(&"runs-on"))
    );
    assert!(
        matches!(causes[1], Cause::UnexpectedValue { value, candidates } if value == "reed" && *candidates == ["read", "write", "none"])
    );
}

/// What the reader finds in GitHub's own cases is among what is expected there; the rest is found later.
#[test]
fn conformance_cases_agree() {
    let folder = std::env::var_os("PIPE_CONFORMANCE").map_or_else(
        || std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        std::path::PathBuf::from,
    );
    let Ok(cases) = std::fs::read_to_string(folder.join("workflow-reader/cases.jsonl")) else { return };
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = case["workflow"].as_str().unwrap_or_default();
        let name = format!(".github/workflows/{}", case["file"].as_str().unwrap_or_default());
        let expected: Vec<&str> = case["expected"]["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|error| error["Message"].as_str())
            .collect();
        let outcome = read_with(text, Limits::default());
        let mut sources = SourceMap::default();
        sources.add(SourceFile::new(name, text));
        for error in &outcome.errors {
            let actual = error.github_text(&sources);
            assert!(expected.contains(&actual.as_str()), "{}: {actual}\nexpected {expected:?}", case["file"]);
        }
        let by_reader = |message: &str| {
            [
                "Unexpected value",
                "Required property",
                "was not expected",
                "already defined",
                "enough info",
                "expression",
                "Unexpected tag",
                "on line",
            ]
            .iter()
            .any(|part| message.contains(part))
        };
        let missing = expected.iter().filter(|message| by_reader(message)).count();
        assert_eq!(missing, outcome.errors.len(), "{}: {expected:?}", case["file"]);
    }
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(on: push\njobs:\n  a:\n    runs-on: x\n)?[-a:?&*!|>'\"\\[\\]{}$,# \nif0runseno]{0,80}") {
        let source = SourceFile::new("w", text.as_str());
        let outcome = read_with(source.text(), Limits { events_max: 10_000, ..Limits::default() });
        for error in &outcome.errors {
            let _ = error.github_text(&outcome.sources);
            if let Some(span) = error.precise {
                prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
            }
        }
        if let Some(token) = outcome.token {
            token.each_expression(&mut |expression, span| {
                let _ = locate(&text, span, expression, 0..expression.text().len());
            });
        }
        let _ = FileId(0);
    }
}
