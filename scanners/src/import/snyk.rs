//! Snyk's JSON (`snyk test --json`, `snyk container test --json`), one project or a list of them.
//! <https://docs.snyk.io/snyk-cli/commands/test>

use serde_json::Value as Json;

use super::{Named, Problem, about_package, fixed, list, rate, severity, text, texts, time};
use crate::finding::{Cvss, Finding, Severity, SeveritySource};

const TOOL: &str = "snyk";

pub(super) fn read(root: &Json) -> Result<Vec<Finding>, Problem> {
    let projects = root.as_array().map_or(std::slice::from_ref(root), Vec::as_slice);
    let mut findings: Vec<Finding> = Vec::new();
    for project in projects {
        if let Some(error) = text(project, "error") {
            return Err(Problem::Failed(error.to_owned()));
        }
        let path = text(project, "displayTargetFile").or_else(|| text(project, "targetFile")).unwrap_or_default();
        let manager = text(project, "packageManager").unwrap_or_default();
        for node in list(project, "vulnerabilities") {
            let found = finding(node, manager, path);
            // The same package by another way is the same finding.
            if !findings.iter().any(|known| known.id == found.id && known.subject == found.subject) {
                findings.push(found);
            }
        }
        // A container's own projects are below.
        for inner in list(project, "applications") {
            findings.extend(read(inner)?);
        }
    }
    Ok(findings)
}

fn finding(node: &Json, manager: &str, path: &str) -> Finding {
    let named = Named {
        name: text(node, "packageName")
            .or_else(|| text(node, "moduleName"))
            .or_else(|| text(node, "name"))
            .unwrap_or_default(),
        version: text(node, "version").unwrap_or_default(),
        purl: None,
        kind: text(node, "packageManager").unwrap_or(manager).split(':').next().unwrap_or_default(),
        path,
    };
    let id = text(node, "id").unwrap_or("unnamed");
    let rated = severity(text(node, "severity").unwrap_or_default());
    let mut finding = about_package(TOOL, id, text(node, "title").unwrap_or(id), &named, rated);
    if rated != Severity::Unknown {
        rate(&mut finding, SeveritySource::Vendor, rated, None);
    }
    if let (Some(vector), Some(score)) = (text(node, "CVSSv3"), node.get("cvssScore").and_then(Json::as_f64)) {
        let cvss = Cvss { vector: vector.to_owned(), score };
        rate(&mut finding, SeveritySource::Vendor, rated, Some(cvss));
    }
    let identifiers = node.get("identifiers").unwrap_or(&Json::Null);
    finding.aliases = texts(identifiers, "CVE").into_iter().chain(texts(identifiers, "GHSA")).collect();
    finding.aliases.sort_unstable();
    let versions = match texts(node, "fixedIn") {
        none if none.is_empty() => text(node, "nearestFixedInVersion").into_iter().map(str::to_owned).collect(),
        versions => versions,
    };
    fixed(&mut finding, versions);
    (finding.published, finding.modified) = (time(node, "publicationTime"), time(node, "modificationTime"));
    finding.references =
        list(node, "references").iter().filter_map(|one| text(one, "url")).map(str::to_owned).collect();
    finding
}
