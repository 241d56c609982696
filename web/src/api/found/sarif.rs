//! Findings as SARIF 2.1.0 for other tools. What is kept of a finding has no lines; the report of a scan itself has them.
//!
//! Follows <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{Overview, Shown};

/// The whole of it.
pub(super) fn report(overview: &Overview) -> Json {
    let names: BTreeSet<&str> = overview.findings.iter().map(|one| one.row.name.as_str()).collect();
    let rules: Vec<Json> = names.into_iter().map(|name| json!({ "id": name })).collect();
    let results: Vec<Json> = overview.findings.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "pipe", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results,
            "properties": { "repository": overview.repository, "ref": overview.git_ref },
        }],
    })
}

fn result(one: &Shown) -> Json {
    let row = &one.row;
    let level = match row.severity.as_str() {
        "critical" | "high" => "error",
        "medium" => "warning",
        _ => "note",
    };
    json!({
        "ruleId": row.name,
        "level": level,
        "message": { "text": format!("{} in {} of {} ({})", row.name, row.place, row.subject, row.severity) },
        "partialFingerprints": { "pipe/v1": row.fingerprint },
        "locations": [{ "logicalLocations": [
            { "fullyQualifiedName": format!("{}/{}", row.subject, row.place), "kind": "package" },
        ] }],
        "baselineState": match (row.fixed_run.is_some(), one.stands) {
            (true, _) => "absent",
            (false, Some(true)) => "unchanged",
            (false, Some(false) | None) => "new",
        },
        "properties": {
            "severity": row.severity, "fails": row.fails, "firstSeen": row.first_at, "lastSeen": row.last_at,
            "fixed": row.fixed_at,
        },
    })
}
