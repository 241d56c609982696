//! The JSON forms in which expressions are asked and answered: `pipe eval` and GitHub's conformance cases.
//!
//! A request is a text and an object of contexts, which are also the only names allowed. An answer is
//! `{"kind":"Number","value":1}` or `{"error":{"kind":"parsing","message":"…"}}`. NaN and the infinities, which JSON
//! lacks, are the texts `"NaN"`, `"Infinity"`, `"-Infinity"`. What it does not do: read lines or print.

use serde_json::json;

use super::Expression;
use super::context::{Allowed, AllowedFunction, Function, Scope, Status};
use super::error::ExpressionError;
use super::memory::STANDALONE_BYTES_MAX;
use super::object::Object;
use super::value::Value;

/// Every function beyond the built-in ones, with the most liberal number of arguments.
const FUNCTIONS: &[AllowedFunction] = &[
    AllowedFunction::new(Function::Always, 0, 0),
    AllowedFunction::new(Function::Cancelled, 0, 0),
    AllowedFunction::new(Function::Failure, 0, usize::MAX),
    AllowedFunction::new(Function::Success, 0, usize::MAX),
    AllowedFunction::new(Function::HashFiles, 1, 255),
];

/// Contexts without a workspace, where nothing has failed.
struct Contexts(Object);

impl Scope for Contexts {
    fn context(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn status(&self) -> Option<Status> {
        Some(Status::Success)
    }

    fn hash_files(&self, _patterns: &[String]) -> Result<String, String> {
        Err("There is no workspace here.".to_owned())
    }
}

/// Parses and evaluates a text; the members of `contexts` (null: none) are the named values it may use.
pub fn evaluate(text: &str, contexts: &serde_json::Value) -> serde_json::Value {
    let contexts = match Value::from_json(contexts) {
        Value::Object(object) => Object::clone(&object),
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Object::new(),
    };
    let scope = Contexts(contexts);
    let names: Vec<&str> = scope.0.iter().map(|(name, _)| &**name).collect();
    let result = Expression::parse(text, &Allowed::new(&names, FUNCTIONS))
        .and_then(|expression| expression.evaluate_within(&scope, STANDALONE_BYTES_MAX));
    answer(&result)
}

/// An answer as JSON.
pub fn answer(result: &Result<Value, ExpressionError>) -> serde_json::Value {
    match result {
        Ok(value) => json!({ "kind": value.kind().name(), "value": value.to_json() }),
        Err(error) => json!({ "error": { "kind": error.kind.name(), "message": error.message } }),
    }
}
