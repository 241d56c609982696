//! Semgrep's JSON. <https://semgrep.dev/docs/semgrep-appsec-platform/json-and-sarif>

use serde_json::Value as Json;

use super::{Problem, imported, line, list, place, severity, text};
use crate::finding::Finding;

const TOOL: &str = "semgrep";

pub(super) fn read(root: &Json) -> Result<Vec<Finding>, Problem> {
    let is_fatal = |one: &&Json| text(one, "level") == Some("error");
    let is_failed = list(root, "results").is_empty() && root.pointer("/paths/scanned/0").is_none();
    if let Some(error) = list(root, "errors").iter().find(is_fatal).filter(|_| is_failed) {
        return Err(Problem::Failed(text(error, "message").unwrap_or("an error without words").to_owned()));
    }
    let is_open = |result: &&Json| result.pointer("/extra/is_ignored") != Some(&Json::Bool(true));
    Ok(list(root, "results").iter().filter(is_open).map(finding).collect())
}

fn finding(result: &Json) -> Finding {
    let extra = result.get("extra").unwrap_or(&Json::Null);
    let position = |end: &str, key: &str| line(result.pointer(&format!("/{end}/{key}")));
    let file = text(result, "path").unwrap_or_default();
    let subject = place(file, position("start", "line"), position("end", "line"), position("start", "col"));
    let id = text(result, "check_id").unwrap_or("unnamed");
    let summary = text(extra, "message").unwrap_or(id).to_owned();
    let rated = severity(text(extra, "severity").unwrap_or_default());
    let mut finding = Finding::of_rule(imported(TOOL), id, summary, subject, rated);
    // The last part of a rule's path is how people call it.
    finding.aliases.extend(id.rsplit('.').next().filter(|short| *short != id).map(str::to_owned));
    finding.references.extend(extra.pointer("/metadata/source").and_then(Json::as_str).map(str::to_owned));
    finding
}
