//! Tables of expressions beyond the conformance cases: errors, spans, functions through the scope, names, hostile input.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// A scope with a few contexts and a settable status.
struct World {
    contexts: Object,
    status: Status,
}

impl World {
    fn new(status: Status) -> Self {
        let contexts = Value::parse_json(
            r#"{"github":{"ref":"main","event":{"labels":[{"name":"bug"},{"name":"help"},{}]}},
                "secrets":{"TOKEN":"t0"},"matrix":{"os":"TOKEN","list":[1,2,3],"deep":[[1,2],[3]]},"empty":null}"#,
        );
        let contexts = contexts.unwrap().as_object().unwrap().clone();
        Self { contexts, status }
    }
}

impl Scope for World {
    fn context(&self, name: &str) -> Option<Value> {
        self.contexts.get(name).cloned()
    }

    fn status(&self) -> Option<Status> {
        Some(self.status)
    }

    fn hash_files(&self, patterns: &[String]) -> Result<String, String> {
        if patterns.iter().any(|pattern| pattern == "bad'") {
            return Err("Fail to hash files under directory '/w'".to_owned());
        }
        Ok(patterns.join("+"))
    }
}

const ALLOWED: Allowed<'static> = Allowed::new(&["github", "secrets", "matrix", "empty"], Allowed::STEP_FUNCTIONS);

fn parse(text: &str) -> Expression {
    Expression::parse(text, &ALLOWED).unwrap()
}

fn evaluate(text: &str) -> Result<Value, ExpressionError> {
    Expression::parse(text, &ALLOWED)?.evaluate(&World::new(Status::Success))
}

#[test]
fn values() {
    for (text, expected) in [
        ("", "null"),
        (" \n ", "null"),
        ("'it''s'", r#""it's""#),
        ("!!'x' == true && 'y'", r#""y""#),
        ("github.event.labels.*.name", r#"["bug","help"]"#),
        ("github.event.labels.*.name[0]", "[]"),
        ("(github.event.labels.*).name", r#"["bug","help"]"#),
        ("case(true, github.event.labels.*, 1).name", r#"["bug","help"]"#),
        ("(false || github.event.labels.*).name", r#"["bug","help"]"#),
        ("fromJSON(toJSON(github.event.labels.*)).name", "null"),
        ("matrix.deep.*[0]", "[1,3]"),
        ("matrix.deep.*.*", "[1,2,3]"),
        ("matrix.list[1.9]", "2"),
        ("matrix.list[2147483648]", "null"),
        ("secrets[matrix.os]", r#""t0""#),
        ("matrix.list == matrix.list", "true"),
        ("matrix.list >= matrix.list", "true"),
        ("null >= null", "true"),
        ("null > null", "false"),
        ("null < 1", "true"),
        ("'a' < 'B'", "true"),
        ("'Z' < '_'", "true"),
        ("NaN != NaN", "true"),
        ("contains(github.event.labels.*.name, 'BUG')", "true"),
        ("contains(fromJSON('[]'), fromJSON('no json'))", "false"),
        ("false && fromJSON('no json')", "false"),
        ("case(true, 1, fromJSON('no json'), 2, 3)", "1"),
        ("join(fromJSON('[1]'), fromJSON('no json'))", r#""1""#),
        ("format('{0}{0}', 'a')", r#""aa""#),
        ("format('a')", r#""a""#),
        ("fromJSON('[''a'', ''b'',]')[1]", r#""b""#),
        ("toJSON(NaN)", r#""NaN""#),
        ("hashFiles('a', 'b')", r#""a+b""#),
        ("empty.a.b", "null"),
        ("empty.*.b", "[]"),
    ] {
        assert_eq!(evaluate(text).map(|value| value.to_json().to_string()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn errors_name_kind_message_and_span() {
    use ErrorKind::{Evaluation, Lexing, Parsing};
    for (text, kind, message, span) in [
        ("1 +2", Parsing, "Unexpected symbol: '+2'. Located at position 3 within expression: 1 +2", 2..4),
        ("'é' x", Parsing, "Unexpected symbol: 'x'. Located at position 5 within expression: 'é' x", 5..6),
        ("'😊' x", Parsing, "Unexpected symbol: 'x'. Located at position 6 within expression: '😊' x", 7..8),
        ("1.x", Lexing, "Unexpected symbol: '1.x'. Located at position 1 within expression: 1.x", 0..3),
        ("github..x", Parsing, "Unexpected symbol: '.'. Located at position 8 within expression: github..x", 7..8),
        ("'a'.x", Parsing, "Unexpected symbol: '.'. Located at position 4 within expression: 'a'.x", 3..4),
        ("(1]", Parsing, "Unexpected symbol: ']'. Located at position 3 within expression: (1]", 2..3),
        ("1)", Parsing, "Unexpected symbol: ')'. Located at position 2 within expression: 1)", 1..2),
        ("*", Parsing, "Unexpected symbol: '*'. Located at position 1 within expression: *", 0..1),
        ("a = 1", Parsing, "Unrecognized named-value: 'a'. Located at position 1 within expression: a = 1", 0..1),
        (
            "contains(1",
            Parsing,
            "Unexpected end of expression: '1'. Located at position 10 within expression: contains(1",
            9..10,
        ),
        (
            "join()",
            Parsing,
            "Too few parameters supplied: 'join'. Located at position 1 within expression: join()",
            0..4,
        ),
        (
            "1 == Join (1,2,3)",
            Parsing,
            "Too many parameters supplied: 'Join'. Located at position 6 within expression: 1 == Join (1,2,3)",
            5..9,
        ),
        (
            "success(1)",
            Parsing,
            "Too many parameters supplied: 'success'. Located at position 1 within expression: success(1)",
            0..7,
        ),
        ("0 || case('', 1, 2)", Evaluation, "case predicate must evaluate to a boolean value", 10..12),
        (
            "format('{1}', 1)",
            Evaluation,
            "The following format string references more arguments than were supplied: {1}",
            0..16,
        ),
        (
            "format('{0:x}', 1)",
            Evaluation,
            "The format specifiers 'x' are not valid for objects of type 'Number'",
            0..18,
        ),
        ("fromJSON('{')", Evaluation, "Error parsing fromJson: EOF while parsing an object at line 1 column 1", 0..13),
        ("hashFiles('bad''')", Evaluation, "hashFiles('bad''') failed. Fail to hash files under directory '/w'", 0..18),
    ] {
        let error = evaluate(text).unwrap_err();
        assert_eq!((error.kind, error.message.as_str(), error.span), (kind, message, span), "{text}");
    }
}

#[test]
fn unknown_names_are_told_as_data() {
    let cause = |text: &str| Expression::parse(text, &ALLOWED).unwrap_err().cause;
    assert_eq!(cause("githb.ref"), Cause::UnknownName("githb".to_owned()));
    assert_eq!(cause("contain(1)"), Cause::UnknownFunction("contain".to_owned()));
    let none = Allowed::new(&[], &[]);
    let error = Expression::parse("Success()", &none).unwrap_err();
    assert_eq!(error.cause, Cause::UnknownFunction("Success".to_owned()));
    assert!(!none.functions().any(Function::is_status));
    assert!(Expression::parse("any.thing(1)", &Allowed::ANYTHING).is_err());
    assert!(Expression::parse("any.thing[1]", &Allowed::ANYTHING).is_ok());
}

#[test]
fn status_functions_ask_the_scope() {
    use Status::{Cancelled, Failure, Success};
    for (text, holds_in) in [
        ("success()", &[Success][..]),
        ("FAILURE()", &[Failure]),
        ("cancelled()", &[Cancelled]),
        ("always()", &[Success, Failure, Cancelled]),
        ("!cancelled()", &[Success, Failure]),
        ("", &[Success]),
        ("github.ref == 'main'", &[Success]),
        ("github.ref == 'other'", &[]),
        ("false || failure()", &[Failure]),
    ] {
        let condition = parse(text).into_condition();
        for status in [Success, Failure, Cancelled] {
            let value = condition.evaluate(&World::new(status)).unwrap();
            assert_eq!(value.is_truthy(), holds_in.contains(&status), "{text} {status:?}");
        }
    }
    assert!(parse("1 == contains('a', always())").has_status_function());
    assert!(parse("toJson(1)").uses_function("toJSON"));
}

#[test]
fn names_are_listed_from_left_to_right() {
    let check = |text: &str, expected: &[&str]| {
        let expression = parse(text);
        let list = expression.names().map(|path| {
            let end = match path.end {
                PathEnd::Whole => "",
                PathEnd::Wildcard => ".*",
                PathEnd::Computed => "[]",
            };
            format!("{}{end} @{}", path.parts.join("."), &text[path.span])
        });
        assert_eq!(list.collect::<Vec<_>>(), expected, "{text}");
    };
    check("secrets.TOKEN", &["secrets.TOKEN @secrets.TOKEN"]);
    check("secrets['TOKEN']", &["secrets.TOKEN @secrets['TOKEN']"]);
    check("toJSON(secrets)", &["secrets @secrets"]);
    check("secrets[matrix.os].x", &["secrets[] @secrets", "matrix.os @matrix.os"]);
    check("github.event.*.name", &["github.event.* @github.event"]);
    check("github[0] || !empty && 'secrets.X'", &["github[] @github", "empty @empty"]);
    check("fromJSON(github.ref).a[matrix.os]", &["github.ref @github.ref", "matrix.os @matrix.os"]);
}

#[test]
fn the_end_is_found_outside_of_quotes() {
    for (text, from, expected) in [
        ("${{ a }}", 3, Some(6)),
        ("${{}}", 3, Some(3)),
        ("${{ '}}' }}", 3, Some(9)),
        ("${{ 'it''s }}' }}", 3, Some(15)),
        ("${{ a }}}", 3, Some(6)),
        ("${{ 'a }}", 3, None),
        ("${{ a }", 3, None),
        ("${{ é }} ${{ b }}", 11, Some(16)),
        ("", 3, None),
    ] {
        assert_eq!(find_end(text, from), expected, "{text}");
    }
}

#[test]
fn the_canonical_text_is_githubs() {
    for (text, expected) in [
        ("a&&b&&(c||d)", "(a && b && (c || d))"),
        ("a['b']['c d'].*[0]", "a.b['c d'].*[0]"),
        ("! ( a == 'x''y' ) ", "!(a == 'x''y')"),
        ("Format('{0}',0x10,null,TRUE[true])", "Format('{0}', 16, null, TRUE[true])"),
    ] {
        let expression = Expression::parse(text, &Allowed::ANYTHING).unwrap();
        assert_eq!(expression.root().to_string(), expected);
    }
}

#[test]
fn hostile_nesting_is_refused_quickly() {
    let deep = "Exceeded max expression depth 50";
    let long = "Exceeded max expression length 21000";
    let pair = |open: &str, close: &str, count: usize| format!("{}1{}", open.repeat(count), close.repeat(count));
    for (text, expected) in [
        (pair("(", ")", 100_000), Err(long)),
        ("[".repeat(100_000), Err(long)),
        (pair("(", ")", 10_000), Ok(())),
        (pair("(1&&", ")", 4_000), Ok(())),
        (format!("1{}", "&&1".repeat(6_900)), Ok(())),
        (format!("1{}", "==1".repeat(6_900)), Err(deep)),
        (pair("!", "", 20_000), Err(deep)),
        (pair("github[", "]", 2_500), Err(deep)),
        (pair("toJSON(", ")", 2_500), Err(deep)),
        (format!("github{}", ".a".repeat(10_000)), Err(deep)),
        (pair("toJSON(", ")", 49), Ok(())),
        (pair("toJSON(", ")", 50), Err(deep)),
    ] {
        let started = Instant::now();
        let result = Expression::parse(&text, &ALLOWED);
        // Far above what it takes without optimisation, far below what quadratic work would.
        assert!(started.elapsed() < Duration::from_secs(2), "{} took {:?}", &text[..20], started.elapsed());
        let result = result.map(|_| ()).map_err(|error| error.message);
        assert_eq!(result, expected.map_err(str::to_owned), "{}", &text[..20]);
    }
    let text = format!("{}1 = 1", "!".repeat(60));
    assert!(Expression::parse(&text, &ALLOWED).unwrap_err().message.starts_with("Unexpected symbol: '='"));
}

#[test]
fn amplification_meets_the_memory_limit() {
    let mut text = "'0123456789'".to_owned();
    for _ in 0..12 {
        text = format!("format('{{0}}{{0}}{{0}}{{0}}{{0}}{{0}}{{0}}{{0}}{{0}}{{0}}', {text})");
    }
    let error = evaluate(&text).unwrap_err();
    assert_eq!((error.kind, &error.cause), (ErrorKind::Evaluation, &Cause::TooLarge));
    let start = "The maximum allowed memory size was exceeded while evaluating the following expression: format('{0}";
    assert!(error.message.starts_with(start), "{}", error.message);
    let text = "toJSON(format('{0}{0}{0}{0}', github.event))";
    let expression = parse(text);
    assert!(expression.evaluate_within(&World::new(Status::Success), 100).is_err());
    assert!(expression.evaluate(&World::new(Status::Success)).is_ok());
}

/// Words that make many of the random texts well-formed.
fn word() -> impl Strategy<Value = String> {
    let words = [
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "*",
        "!",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "&&",
        "||",
        "=",
        "'a'",
        "'",
        "1",
        "-0xF",
        "1e3",
        "NaN",
        "null",
        "true",
        "github",
        "matrix",
        ".list",
        ".deep",
        "[*]",
        "[0]",
        "['os']",
        ".*",
        "format('{0}{1}', ",
        "contains(",
        "toJSON(",
        "fromJSON(",
        "join(",
        "case(true, ",
        "success()",
        "é",
        "😊",
    ];
    prop_oneof![8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #[test]
    fn any_text_parses_or_fails_with_a_span_inside(words in proptest::collection::vec(word(), 0..24), space in any::<bool>()) {
        let text = words.join(if space { " " } else { "" });
        let outcome = Expression::parse(&text, &ALLOWED);
        if let Ok(expression) = &outcome {
            for path in expression.names() {
                prop_assert!(text[path.span.clone()].contains(path.parts[0]));
            }
            for node in expression.root().walk() {
                prop_assert!(text.get(node.span.clone()).is_some());
            }
        }
        let world = World::new(Status::Failure);
        if let Err(error) = outcome.and_then(|expression| expression.into_condition().evaluate(&world)) {
            prop_assert!(text.get(error.span.clone()).is_some(), "{error:?}");
        }
    }

    #[test]
    fn json_survives_a_round_trip(text in "\\PC*", number in -1e15..1e15_f64) {
        let value = Value::from(Object::new().with("t", text.as_str()).with("n", vec![Value::Number(number.trunc())]));
        prop_assert_eq!(Value::parse_json(&value.to_pretty_json()), Ok(value));
    }

    #[test]
    fn any_text_is_json_or_fails(text in "[\\[\\]{}:,'\"\\\\/*u0-9a-f .é-]{0,40}") {
        let _ = Value::parse_json(&text);
    }

    #[test]
    fn the_end_is_a_boundary(text in "[^']*", from in 0..40_usize) {
        if let Some(end) = find_end(&text, from) {
            prop_assert!(text[end..].starts_with("}}"));
        }
    }
}
