//! Diagnostics as JSON: one object a file, for programs that check many files in one call.

use serde_json::{Map, Value as Json, json};
use workflow::diagnostic::Diagnostic;

use super::{Finding, advice, word};

/// `{"file","valid","diagnostics":[{"code","severity","message","line","col","end_line","end_col","help"}]}`. Places are
/// null for what concerns a file as a whole; a diagnostic in a called workflow has its own `file`.
pub fn file(finding: &Finding<'_>) -> Json {
    let valid = !finding.diagnostics.iter().any(Diagnostic::is_error);
    let diagnostics: Vec<Json> = finding.diagnostics.iter().map(|diagnostic| one(finding, diagnostic)).collect();
    json!({ "file": finding.file, "valid": valid, "diagnostics": diagnostics })
}

fn one(finding: &Finding<'_>, diagnostic: &Diagnostic) -> Json {
    let located = finding.locate(diagnostic.span);
    let mut json = Map::new();
    json.insert("code".into(), diagnostic.code.0.into());
    json.insert("severity".into(), word(diagnostic.severity).into());
    json.insert("message".into(), diagnostic.message.clone().into());
    json.insert("line".into(), located.as_ref().map(|located| located.start.line).into());
    json.insert("col".into(), located.as_ref().map(|located| located.start.column).into());
    json.insert("end_line".into(), located.as_ref().map(|located| located.end.line).into());
    json.insert("end_col".into(), located.as_ref().map(|located| located.end.column).into());
    json.insert("help".into(), advice(diagnostic).into());
    if let Some(label) = &diagnostic.label {
        json.insert("label".into(), label.clone().into());
    }
    let elsewhere = diagnostic.span.filter(|span| span.file.0 != 0).and(located);
    if let Some(located) = elsewhere {
        json.insert("file".into(), located.file.into());
    }
    Json::Object(json)
}
