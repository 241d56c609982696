//! Tokens evaluated against a scope of a few contexts.

use super::*;
use crate::expression::{Object, Scope, Status, Value};
use crate::schema::{Schema, WORKFLOW_ROOT};
use crate::source::{FileId, SourceFile};

struct Contexts;

impl Scope for Contexts {
    fn context(&self, name: &str) -> Option<Value> {
        let list = Value::from(vec![Value::from("x"), Value::from(2.0)]);
        match name {
            "github" => Some(Value::from(
                Object::new()
                    .with("ref", "main")
                    .with("list", list)
                    .with("map", Value::from(Object::new().with("K", "v").with("L", 1.0))),
            )),
            _ => Some(Value::Null),
        }
    }

    fn status(&self) -> Option<Status> {
        None
    }

    fn hash_files(&self, _patterns: &[String]) -> Result<String, String> {
        Ok(String::new())
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(_) | Value::Number(_) => value.to_display_string().to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::Object(object) => {
            let pairs = object.iter().map(|(name, value)| format!("{name}:{}", show(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(" "))
        }
    }
}

/// The token of the key after `runs-on` in a job.
fn token_of(text: &str) -> Token {
    let text = format!("on: push\njobs:\n  a:\n    runs-on: x\n    {text}\n");
    let mut errors = Vec::new();
    let mut budget = Budget::new(Limits::default());
    let reading = Reading {
        schema: Schema::workflow(),
        root: WORKFLOW_ROOT,
        budget: &mut budget,
        background_steps: BackgroundSteps::default(),
        repairs: None,
        errors: &mut errors,
    };
    let token = read(&SourceFile::new("w", text.as_str()), FileId(0), reading);
    assert!(errors.is_empty(), "{errors:?}");
    let job = token.as_ref().and_then(|token| token.get("jobs")?.get("a")).expect("a job");
    job.as_mapping().and_then(|pairs| pairs.get(1)).map(|(_, value)| value.clone()).expect("a second key")
}

#[test]
fn tokens_have_values() {
    for (text, expected) in [
        ("name: a-${{ github.ref }}", "\"a-main\""),
        ("strategy: {matrix: {a: ['${{ github.list }}', 3, [1]]}}", "{matrix:{a:[\"x\" 2 3 [1]]}}"),
        ("strategy: {matrix: {a: ['${{ github.map }}']}}", "{matrix:{a:[{K:\"v\" L:1}]}}"),
        ("strategy: {matrix: '${{ fromJSON(''{\"a\":[1]}'') }}'}", "{matrix:{a:[1]}}"),
        (
            "env: {A: 1, '${{ insert }}': '${{ github.map }}', '${{ github.ref }}': b}",
            "{A:\"1\" K:\"v\" L:1 main:\"b\"}",
        ),
        ("env: {'${{ insert }}': '${{ github.ref }}'}", "! Expected a mapping"),
        ("env: {k: 1, '${{ insert }}': '${{ github.map }}'}", "! 'K' is already defined"),
        ("env: {'${{ github.list }}': 1}", "! Expected a string"),
        ("env: {A: '${{ fromJSON(''x'') }}'}", "! Error parsing fromJson"),
        ("env: '${{ github.map }}'", "{K:\"v\" L:1}"),
    ] {
        let shown = match evaluate(&token_of(text), &Contexts) {
            Ok(value) => show(&value),
            Err(error) => format!("! {}", error.message),
        };
        assert!(shown == expected || expected.starts_with('!') && shown.starts_with(expected), "{text}: {shown}");
    }
}

#[test]
fn results_fit_the_schema() {
    let schema = Schema::workflow();
    for (definition, text, expected) in [
        ("container", "container: '${{ github.ref }}'", "\"main\""),
        ("container", "container: '${{ github.map }}'", "! Unexpected value 'K'"),
        ("runs-on", "name: >-\n      ${{ fromJSON('[1, \"a\"]') }}", "[\"1\" \"a\"]"),
        ("runs-on", "name: >-\n      ${{ fromJSON('[[1]]') }}", "! A sequence was not expected"),
        ("runs-on", "name: >-\n      ${{ fromJSON('{\"group\": true}') }}", "{group:\"true\"}"),
        ("environment", "name: >-\n      ${{ fromJSON('{\"url\": \"u\"}') }}", "! Required property is missing: name"),
        ("strategy", "strategy: {fail-fast: '${{ github.ref }}'}", "! Unexpected value 'main'"),
        ("steps-item", "name: >-\n      ${{ fromJSON('{\"name\": \"u\"}') }}", "! There's not enough info"),
    ] {
        let id = schema.find(definition).expect("a definition");
        let shown = match evaluate_as(&token_of(text), &Contexts, schema, id) {
            Ok(value) => show(&value),
            Err(error) => format!("! {}", error.message),
        };
        assert!(shown == expected || expected.starts_with('!') && shown.starts_with(expected), "{text}: {shown}");
    }
}

#[test]
fn results_are_bounded() {
    let token = token_of("env: {A: '${{ github.ref }}', B: '${{ github.ref }}'}");
    assert!(evaluate_within(&token, &Contexts, 1000).is_ok());
    let error = evaluate_within(&token, &Contexts, 200).expect_err("too large");
    assert_eq!(error.message, "Maximum object size exceeded");
}
