//! SARIF 2.1.0, which code scanning and editors read.
//!
//! Every finding is a result; what somebody vouches for is marked as suppressed and stays. Places are lines of the
//! Dockerfile or of a lock file. Follows <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html> and what
//! GitHub reads of it (<https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Report, pretty, words};
use crate::finding::{Finding, Kind, Severity};
use crate::policy::{Judged, Judgement, Outcome, Reason, fingerprint};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn write(report: &Report<'_>) -> String {
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, finding) in report.findings.iter().enumerate() {
        let worst = rules.entry(&finding.id).or_insert(index);
        if report.severity(index) > report.severity(*worst) {
            *worst = index;
        }
    }
    let positions: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(position, id)| (*id, position)).collect();
    let results: Vec<Json> = report.order().into_iter().map(|index| result(report, index, &positions)).collect();
    let rules: Vec<Json> = rules.values().map(|index| rule(report, *index)).collect();
    pretty(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "pipe scan", "version": report.version, "rules": rules } },
            "automationDetails": { "id": format!("pipe-scan/{}/", words::one_line(&report.inventory.target)) },
            "invocations": [invocation(report)],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

/// Whether the scan can be trusted, and what it warned of.
fn invocation(report: &Report<'_>) -> Json {
    let Some(verdict) = report.verdict else { return json!({ "executionSuccessful": true }) };
    let doubts = verdict.doubts.iter().map(|text| json!({ "level": "error", "message": { "text": text } }));
    let warnings = verdict.warnings.iter().map(|one| {
        let mut notification = json!({ "level": "warning", "message": { "text": one.message } });
        if let Some(file) = &one.file {
            notification["locations"] = json!([{ "physicalLocation": physical(file, one.line, None) }]);
        }
        notification
    });
    json!({
        "executionSuccessful": verdict.outcome != Outcome::Untrusted,
        "exitCode": verdict.outcome.exit_code(),
        "toolExecutionNotifications": doubts.chain(warnings).collect::<Vec<_>>(),
    })
}

fn rule(report: &Report<'_>, index: usize) -> Json {
    let finding = &report.findings[index];
    let mut rule = json!({
        "id": finding.id,
        "name": finding.id,
        "shortDescription": { "text": not_empty(words::summary(finding), &finding.id) },
        "fullDescription": { "text": not_empty(finding.summary.trim().to_owned(), &finding.id) },
        "defaultConfiguration": { "level": level_of(report.severity(index)) },
        "properties": {
            "security-severity": security_severity(finding, report.severity(index)),
            "tags": [kind(finding), "security", report.severity(index).as_str()],
        },
    });
    if let Some(address) = finding.references.iter().find(|address| words::is_address(address)) {
        rule["helpUri"] = json!(address);
    }
    rule
}

fn kind(finding: &Finding) -> &str {
    match &finding.kind {
        Kind::Vulnerability => "vulnerability",
        Kind::Secret => "secret",
        Kind::Misconfiguration => "misconfiguration",
        Kind::Code => "code",
        Kind::Coverage => "coverage",
        Kind::Service => "service",
        Kind::Imported { tool } => tool,
    }
}

fn not_empty(text: String, other: &str) -> String {
    if text.is_empty() { other.to_owned() } else { text }
}

/// From 0.0 to 10.0: what GitHub sorts by.
fn security_severity(finding: &Finding, severity: Severity) -> String {
    let score = finding.cvss.as_ref().map(|cvss| cvss.score).filter(|score| Severity::of_score(*score) == severity);
    let score = score.unwrap_or(match severity {
        Severity::Critical => 9.5,
        Severity::High => 8.0,
        Severity::Medium => 5.5,
        Severity::Low => 2.0,
        Severity::Unknown => 0.0,
    });
    format!("{score:.1}")
}

const fn level_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium | Severity::Unknown => "warning",
        Severity::Low => "note",
    }
}

fn result(report: &Report<'_>, index: usize, positions: &BTreeMap<&str, usize>) -> Json {
    let finding = &report.findings[index];
    let judged = report.judged(index);
    let level = match judged.map(|judged| &judged.judgement) {
        Some(Judgement::Failed { .. }) => "error",
        Some(Judgement::Warned { .. }) => "warning",
        Some(Judgement::PassedOver { .. } | Judgement::Reported) | None => level_of(report.severity(index)),
    };
    let mut result = json!({
        "ruleId": finding.id,
        "ruleIndex": positions.get(finding.id.as_str()),
        "level": level,
        "message": { "text": message(report, index) },
        "locations": [location(report, index)],
        "partialFingerprints": { "pipeFinding/v1": fingerprint(finding) },
    });
    if let Some(judged) = judged {
        if let Some(is_new) = judged.is_new {
            result["baselineState"] = json!(if is_new { "new" } else { "unchanged" });
        }
        result["suppressions"] = suppressions(judged);
        result["properties"] = json!({ "judgement": judged.judgement, "notes": judged.notes, "origin": judged.origin });
    }
    result
}

/// What somebody vouches for; a grace or a missing fix are no suppression but a state of the gate.
fn suppressions(judged: &Judged) -> Json {
    match &judged.judgement {
        Judgement::PassedOver { reason: reason @ (Reason::Vex { .. } | Reason::Ignored { .. }), .. } => {
            json!([{ "kind": "external", "status": "accepted", "justification": reason.words() }])
        }
        Judgement::PassedOver { .. } | Judgement::Failed { .. } | Judgement::Warned { .. } | Judgement::Reported => {
            json!([])
        }
    }
}

fn message(report: &Report<'_>, index: usize) -> String {
    let finding = &report.findings[index];
    let mut lines = vec![format!("{} {}", words::subject(finding), words::versions(report, index)).trim().to_owned()];
    lines.push(words::summary(finding));
    let origin = words::origin(report, index);
    if !origin.is_empty() {
        lines.push(format!("From: {origin}"));
    }
    if let Some(judged) = report.judged(index) {
        lines.extend(
            Some(judged.judgement.words()).filter(|words| !words.is_empty()).map(|words| format!("Gate: {words}")),
        );
        lines.extend(judged.fix.as_ref().map(|fix| format!("Fix: {}", fix.command)));
    }
    lines.join("\n")
}

fn location(report: &Report<'_>, index: usize) -> Json {
    let (file, line) = words::place(report, index).unwrap_or_else(|| (report.inventory.target.clone(), None));
    let finding = &report.findings[index];
    let place = finding.place().filter(|place| place.file == file);
    let mut location = json!({
        "physicalLocation": physical(&file, line, place.map(|place| (place.column, place.end_line))),
        "message": { "text": not_empty(words::origin(report, index), &file) },
    });
    if let Some(package) = finding.package() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": package.purl, "kind": "package" }]);
    }
    location
}

fn physical(file: &str, line: Option<u32>, more: Option<(Option<u32>, Option<u32>)>) -> Json {
    let mut region = json!({ "startLine": line.unwrap_or(1).max(1) });
    if let Some((column, end_line)) = more {
        if let Some(column) = column {
            region["startColumn"] = json!(column.max(1));
        }
        if let Some(end_line) = end_line.filter(|end| *end >= line.unwrap_or(1)) {
            region["endLine"] = json!(end_line);
        }
    }
    json!({ "artifactLocation": { "uri": path_uri(file) }, "region": region })
}

/// A path as a relative or `file:` reference.
fn path_uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
