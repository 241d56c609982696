//! Grype's JSON. <https://github.com/anchore/grype#output-formats>

use serde_json::Value as Json;

use super::{Named, Problem, about_package, fixed, list, rate, severity, text, texts};
use crate::finding::{Cvss, Epss, Finding, Kev, Severity, SeveritySource, Status};

const TOOL: &str = "grype";

pub(super) fn read(root: &Json) -> Result<Vec<Finding>, Problem> {
    Ok(list(root, "matches").iter().map(finding).collect())
}

fn finding(node: &Json) -> Finding {
    let (vulnerability, artifact) = (&node["vulnerability"], &node["artifact"]);
    let named = Named {
        name: text(artifact, "name").unwrap_or_default(),
        version: text(artifact, "version").unwrap_or_default(),
        purl: text(artifact, "purl"),
        kind: text(artifact, "type").unwrap_or_default(),
        path: artifact.pointer("/locations/0/path").and_then(Json::as_str).unwrap_or_default(),
    };
    let id = text(vulnerability, "id").unwrap_or("unnamed");
    let summary = text(vulnerability, "description").unwrap_or(id);
    let rated = severity(text(vulnerability, "severity").unwrap_or_default());
    let mut finding = about_package(TOOL, id, summary, &named, rated);
    if rated != Severity::Unknown {
        rate(&mut finding, SeveritySource::Vendor, rated, None);
    }
    let related = list(node, "relatedVulnerabilities");
    for source in std::iter::once(vulnerability).chain(related) {
        let is_nvd = text(source, "namespace").is_some_and(|namespace| namespace.starts_with("nvd"));
        let by = if is_nvd { SeveritySource::Nvd } else { SeveritySource::Vendor };
        for one in list(source, "cvss") {
            let score = one.pointer("/metrics/baseScore").and_then(Json::as_f64);
            if let (Some(vector), Some(score)) = (text(one, "vector"), score) {
                let cvss = Cvss { vector: vector.to_owned(), score };
                rate(&mut finding, by, Severity::of_score(score), Some(cvss));
            }
        }
    }
    finding.aliases =
        related.iter().filter_map(|one| text(one, "id")).filter(|alias| *alias != id).map(str::to_owned).collect();
    finding.aliases.sort_unstable();
    finding.aliases.dedup();
    let fix = vulnerability.get("fix").unwrap_or(&Json::Null);
    fixed(&mut finding, texts(fix, "versions"));
    if text(fix, "state") == Some("wont-fix") {
        finding.status = Status::WillNotFix;
    }
    let listed = list(vulnerability, "knownExploited").first();
    finding.kev = listed.map(|one| Kev {
        added: text(one, "dateAdded").and_then(|date| date.parse().ok()),
        due: text(one, "dueDate").and_then(|date| date.parse().ok()),
        ransomware: text(one, "knownRansomwareCampaignUse").is_some_and(|word| word.eq_ignore_ascii_case("known")),
    });
    let epss = list(vulnerability, "epss").first();
    finding.epss = epss.and_then(|one| {
        Some(Epss { score: one.get("epss")?.as_f64()?, percentile: one.get("percentile").and_then(Json::as_f64)? })
    });
    finding.references =
        text(vulnerability, "dataSource").into_iter().map(str::to_owned).chain(texts(vulnerability, "urls")).collect();
    finding.references.dedup();
    finding
}
