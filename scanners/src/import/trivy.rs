//! Trivy's JSON (schema version 2): vulnerabilities, misconfigurations, secrets.
//! <https://trivy.dev/latest/docs/configuration/reporting/#json>

use serde_json::Value as Json;

use super::{Named, Problem, about_package, fixed, imported, line, list, place, rate, severity, text, texts, time};
use crate::finding::{Cvss, Finding, Severity, SeveritySource, Status};

const TOOL: &str = "trivy";

pub(super) fn read(root: &Json) -> Result<Vec<Finding>, Problem> {
    let version = root.get("SchemaVersion").and_then(Json::as_u64).unwrap_or(1);
    if version != 2 {
        return Err(Problem::Form(format!("its SchemaVersion is {version}, and 2 is read")));
    }
    let mut findings = Vec::new();
    for result in list(root, "Results") {
        let target = text(result, "Target").unwrap_or_default();
        let kind = text(result, "Type").unwrap_or_default();
        findings.extend(list(result, "Vulnerabilities").iter().map(|one| vulnerability(one, kind, target)));
        let is_failed = |one: &&Json| text(one, "Status").is_none_or(|status| status == "FAIL");
        findings.extend(
            list(result, "Misconfigurations").iter().filter(is_failed).map(|one| misconfiguration(one, target)),
        );
        findings.extend(list(result, "Secrets").iter().map(|one| secret(one, target)));
    }
    Ok(findings)
}

fn vulnerability(node: &Json, kind: &str, target: &str) -> Finding {
    let named = Named {
        name: text(node, "PkgName").unwrap_or_default(),
        version: text(node, "InstalledVersion").unwrap_or_default(),
        purl: node.pointer("/PkgIdentifier/PURL").and_then(Json::as_str),
        kind,
        path: text(node, "PkgPath").unwrap_or(target),
    };
    let id = text(node, "VulnerabilityID").unwrap_or("unnamed");
    let summary = text(node, "Title").or_else(|| text(node, "Description")).unwrap_or(id);
    let mut finding = about_package(TOOL, id, summary, &named, severity(text(node, "Severity").unwrap_or_default()));
    if text(node, "SeveritySource") == Some("nvd") {
        finding.severity_source = Some(SeveritySource::Nvd);
    }
    // The severity in force comes first, under its source.
    let (source, in_force) = (finding.severity_source.unwrap_or(SeveritySource::Vendor), finding.severity);
    if in_force != Severity::Unknown {
        rate(&mut finding, source, in_force, None);
    }
    for (vendor, scores) in node.get("CVSS").and_then(Json::as_object).into_iter().flatten() {
        let source = if vendor == "nvd" { SeveritySource::Nvd } else { SeveritySource::Vendor };
        for (vector, score) in [("V2Vector", "V2Score"), ("V3Vector", "V3Score"), ("V40Vector", "V40Score")] {
            let score = scores.get(score).and_then(Json::as_f64);
            if let (Some(vector), Some(score)) = (text(scores, vector), score) {
                let cvss = Cvss { vector: vector.to_owned(), score };
                rate(&mut finding, source, Severity::of_score(score), Some(cvss));
            }
        }
    }
    let versions = text(node, "FixedVersion").map_or_else(Vec::new, |text| {
        text.split(',').map(str::trim).filter(|version| !version.is_empty()).map(str::to_owned).collect()
    });
    fixed(&mut finding, versions);
    if matches!(text(node, "Status"), Some("will_not_fix" | "end_of_life")) && finding.fixed_versions.is_empty() {
        finding.status = Status::WillNotFix;
    }
    (finding.published, finding.modified) = (time(node, "PublishedDate"), time(node, "LastModifiedDate"));
    finding.references =
        text(node, "PrimaryURL").into_iter().map(str::to_owned).chain(texts(node, "References")).collect();
    finding.references.dedup();
    finding
}

fn misconfiguration(node: &Json, target: &str) -> Finding {
    let cause = node.get("CauseMetadata").unwrap_or(&Json::Null);
    let subject = place(target, line(cause.get("StartLine")), line(cause.get("EndLine")), None);
    let id = text(node, "ID").or_else(|| text(node, "AVDID")).unwrap_or("unnamed");
    let summary = text(node, "Message").or_else(|| text(node, "Title")).unwrap_or(id).to_owned();
    let mut finding =
        Finding::of_rule(imported(TOOL), id, summary, subject, severity(text(node, "Severity").unwrap_or_default()));
    finding.aliases.extend(text(node, "AVDID").filter(|alias| *alias != id).map(str::to_owned));
    finding.references.extend(text(node, "PrimaryURL").map(str::to_owned));
    finding
}

/// Trivy hides the secret in `Match`, but the title is enough.
fn secret(node: &Json, target: &str) -> Finding {
    let subject = place(target, line(node.get("StartLine")), line(node.get("EndLine")), None);
    let id = text(node, "RuleID").unwrap_or("unnamed");
    let summary = text(node, "Title").unwrap_or(id).to_owned();
    Finding::of_rule(imported(TOOL), id, summary, subject, severity(text(node, "Severity").unwrap_or_default()))
}
