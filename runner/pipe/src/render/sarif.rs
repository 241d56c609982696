//! Diagnostics as SARIF 2.1.0, which code scanning and editors read.
//!
//! See <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use workflow::diagnostic::{Diagnostic, Severity};
use workflow::source::Span;

use super::{Finding, advice};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// One document for all files.
pub fn document(findings: &[Finding<'_>], title: &dyn Fn(&str) -> Option<String>) -> Json {
    let all = || findings.iter().flat_map(|finding| finding.diagnostics.iter().map(move |one| (finding, one)));
    let codes: BTreeSet<&str> = all().map(|(_, diagnostic)| diagnostic.code.0).collect();
    let rules: Vec<Json> = codes.iter().map(|code| rule(code, title(code))).collect();
    let results: Vec<Json> = all().map(|(finding, diagnostic)| result(finding, diagnostic)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "pipe", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &str, title: Option<String>) -> Json {
    match title {
        Some(title) => json!({ "id": code, "shortDescription": { "text": title } }),
        None => json!({ "id": code }),
    }
}

fn result(finding: &Finding<'_>, diagnostic: &Diagnostic) -> Json {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let text = match advice(diagnostic) {
        Some(help) => format!("{}\n{help}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    let related: Vec<Json> =
        diagnostic.related.iter().map(|(span, words)| location(finding, Some(*span), Some(words))).collect();
    let mut result = json!({
        "ruleId": diagnostic.code.0,
        "level": level,
        "message": { "text": text },
        "locations": [location(finding, diagnostic.span, None)],
    });
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    result
}

fn location(finding: &Finding<'_>, span: Option<Span>, words: Option<&str>) -> Json {
    let located = finding.locate(span);
    let file = located.as_ref().map_or(finding.file, |located| located.file);
    let mut physical = json!({ "artifactLocation": { "uri": uri(file) } });
    if let Some(at) = &located {
        physical["region"] = json!({
            "startLine": at.start.line, "startColumn": at.start.column,
            "endLine": at.end.line, "endColumn": at.end.column,
        });
    }
    match words {
        Some(words) => json!({ "physicalLocation": physical, "message": { "text": words } }),
        None => json!({ "physicalLocation": physical }),
    }
}

/// A path as a relative or `file:` reference.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_references() {
        for (path, expected) in [(".github/a b.yml", ".github/a%20b.yml"), ("/x/ü.yml", "file:///x/%C3%BC.yml")] {
            assert_eq!(uri(path), expected);
        }
    }
}
