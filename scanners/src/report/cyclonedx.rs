//! CycloneDX 1.6: what is in the image, which vulnerabilities concern it, and what was said about them (VEX).
//!
//! It is a bill of materials and a report at once. Findings of other kinds than vulnerabilities of packages are not part
//! of the standard and are left to the other forms. Follows <https://cyclonedx.org/docs/1.6/json/>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::licence::{self, Licence};
use super::{Report, pretty, words};
use crate::finding::{Finding, Severity, SeveritySource};
use crate::package::{Ecosystem, Package};
use crate::policy::{Judgement, Reason};

/// The reference of the scanned thing itself.
const TARGET: &str = "target";

/// What a package is called in references.
type Name<'a> = (Ecosystem, &'a str, &'a str, &'a str);

pub(super) fn write(report: &Report<'_>) -> String {
    let inventory = report.inventory;
    let mut seen = BTreeSet::new();
    let mut references: BTreeMap<Name<'_>, String> = BTreeMap::new();
    let mut components = Vec::new();
    for package in &inventory.packages {
        let purl = package.purl(inventory.os.as_ref());
        let mut reference = purl.clone();
        while !seen.insert(reference.clone()) {
            reference.push('#');
        }
        components.push(component(package, &reference, &purl));
        references.insert((package.ecosystem, &package.name, &package.version, &package.architecture), reference);
    }
    if let Some(os) = &inventory.os {
        components.push(json!({
            "type": "operating-system", "bom-ref": "os", "name": os.id, "version": os.version,
        }));
    }
    let contained: Vec<Json> = components.iter().map(|component| component["bom-ref"].clone()).collect();
    let is_vulnerability = |index: &usize| report.findings[*index].package().is_some();
    let order = report.order();
    let vulnerabilities: Vec<Json> = order
        .into_iter()
        .filter(is_vulnerability)
        .enumerate()
        .map(|(number, index)| vulnerability(report, index, number + 1, &references))
        .collect();
    pretty(&json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", words::uuid(&words::identity(report))),
        "version": 1,
        "metadata": metadata(report),
        "components": components,
        "dependencies": [{ "ref": TARGET, "dependsOn": contained }],
        "vulnerabilities": vulnerabilities,
    }))
}

fn metadata(report: &Report<'_>) -> Json {
    let inventory = report.inventory;
    let is_image = !inventory.layers.is_empty() || inventory.image_id.is_some();
    let mut component = json!({
        "type": if is_image { "container" } else { "application" },
        "bom-ref": TARGET,
        "name": inventory.target,
    });
    let digest = inventory.repository_digests.first().and_then(|name| name.split_once('@')).map(|(_, digest)| digest);
    if let Some(version) = digest.or(inventory.image_id.as_deref()) {
        component["version"] = json!(version);
    }
    let mut properties = Vec::new();
    let mut property = |name: &str, value: &str| properties.push(json!({ "name": name, "value": value }));
    inventory.repository_digests.iter().for_each(|digest| property("pipe:repository-digest", digest));
    inventory.image_id.iter().for_each(|id| property("pipe:image-id", id));
    inventory.layers.iter().for_each(|layer| property("pipe:layer", &layer.diff_id));
    if let Some(verdict) = report.verdict {
        property("pipe:outcome", verdict.outcome.as_str());
        property("pipe:policy-digest", &verdict.policy_digest);
        verdict.advisories.iter().for_each(|advisories| property("pipe:advisories-digest", &advisories.digest));
    }
    if !properties.is_empty() {
        component["properties"] = json!(properties);
    }
    json!({
        "timestamp": words::seconds(report.made),
        "tools": { "components": [{ "type": "application", "name": "pipe", "version": report.version }] },
        "component": component,
    })
}

fn component(package: &Package, reference: &str, purl: &str) -> Json {
    let mut component = Map::new();
    component.insert("type".to_owned(), json!("library"));
    component.insert("bom-ref".to_owned(), json!(reference));
    let (group, name) = match package.ecosystem {
        Ecosystem::Npm if package.name.starts_with('@') => package.name.split_once('/').unwrap_or(("", &package.name)),
        Ecosystem::Maven => package.name.split_once(':').unwrap_or(("", &package.name)),
        Ecosystem::Packagist => package.name.split_once('/').unwrap_or(("", &package.name)),
        Ecosystem::Debian
        | Ecosystem::Alpine
        | Ecosystem::Rpm
        | Ecosystem::Npm
        | Ecosystem::PyPi
        | Ecosystem::Go
        | Ecosystem::RubyGems
        | Ecosystem::Cargo => ("", package.name.as_str()),
    };
    if !group.is_empty() {
        component.insert("group".to_owned(), json!(group));
    }
    component.insert("name".to_owned(), json!(name));
    component.insert("version".to_owned(), json!(package.version));
    component.insert("purl".to_owned(), json!(purl));
    if let Some(licences) = licences(&package.licences) {
        component.insert("licenses".to_owned(), licences);
    }
    let mut properties: Vec<Json> = Vec::new();
    for location in &package.locations {
        let layer = location.layer.map_or(String::new(), |layer| format!(" (layer {})", layer + 1));
        properties.push(json!({ "name": "pipe:location", "value": format!("{}{layer}", location.path) }));
    }
    if let Some(source) = &package.source {
        let value = format!("{} {}", source.name, source.version);
        properties.push(json!({ "name": "pipe:source-package", "value": value }));
    }
    if !properties.is_empty() {
        component.insert("properties".to_owned(), json!(properties));
    }
    Json::Object(component)
}

/// One expression, or a list of licences: the standard has no mixture.
fn licences(stated: &[String]) -> Option<Json> {
    let stated: Vec<&str> = stated.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
    match stated[..] {
        [] => None,
        [only] if matches!(licence::read(only), Licence::Expression(_)) => Some(json!([{ "expression": only }])),
        _ => {
            let one = |text: &&str| match licence::read(text) {
                Licence::Id(id) => json!({ "license": { "id": id } }),
                Licence::Expression(name) | Licence::Name(name) => json!({ "license": { "name": name } }),
            };
            let mut all: Vec<Json> = stated.iter().map(one).collect();
            all.dedup();
            Some(json!(all))
        }
    }
}

fn vulnerability(report: &Report<'_>, index: usize, number: usize, references: &BTreeMap<Name<'_>, String>) -> Json {
    let finding = &report.findings[index];
    let mut entry = json!({
        "bom-ref": format!("vulnerability-{number}"),
        "id": finding.id,
        "source": { "name": source(&finding.id) },
        "ratings": ratings(finding, report.severity(index)),
        "description": finding.summary,
    });
    if let Some(package) = finding.package() {
        let name = (package.ecosystem, &*package.name, &*package.version, &*package.architecture);
        let reference = references.get(&name).map_or(TARGET, String::as_str);
        let versions = json!([{ "version": package.version, "status": status(report, index) }]);
        entry["affects"] = json!([{ "ref": reference, "versions": versions }]);
    }
    let aliases = finding.aliases.iter().map(|alias| json!({ "id": alias, "source": { "name": source(alias) } }));
    set(&mut entry, "references", aliases.collect());
    let advisories = finding.references.iter().filter(|address| words::is_address(address));
    set(&mut entry, "advisories", advisories.map(|address| json!({ "url": address })).collect());
    for (key, time) in [("published", finding.published), ("updated", finding.modified)] {
        if let Some(time) = time {
            entry[key] = json!(words::seconds(time));
        }
    }
    if let Some(fix) = report.judged(index).and_then(|judged| judged.fix.as_ref()) {
        entry["recommendation"] = json!(format!("Upgrade to {}: {}", fix.fixed, fix.command));
    }
    if let Some(analysis) = analysis(report, index) {
        entry["analysis"] = analysis;
    }
    set(&mut entry, "properties", properties(report, index));
    entry
}

fn set(entry: &mut Json, key: &str, items: Vec<Json>) {
    if !items.is_empty() {
        entry[key] = Json::Array(items);
    }
}

fn source(id: &str) -> &'static str {
    match id.split('-').next().unwrap_or_default() {
        "CVE" => "NVD",
        "GHSA" => "GitHub Advisory Database",
        "RUSTSEC" => "RustSec",
        "GO" => "Go Vulnerability Database",
        "PYSEC" => "Python Packaging Advisory Database",
        "DSA" | "DLA" | "DEBIAN" => "Debian Security Tracker",
        "ALPINE" => "Alpine SecDB",
        "ALSA" => "AlmaLinux",
        "USN" => "Ubuntu",
        "MAL" => "OpenSSF Malicious Packages",
        _ => "OSV",
    }
}

fn ratings(finding: &Finding, severity: Severity) -> Vec<Json> {
    let one = |source: Option<SeveritySource>, severity: Severity, cvss: Option<&crate::finding::Cvss>| {
        let mut rating = Map::new();
        let name = match source {
            Some(SeveritySource::Vendor) => Some("vendor"),
            Some(SeveritySource::Nvd) => Some("NVD"),
            Some(SeveritySource::Cvss | SeveritySource::Rule) | None => None,
        };
        if let Some(name) = name {
            rating.insert("source".to_owned(), json!({ "name": name }));
        }
        if let Some(cvss) = cvss {
            rating.insert("score".to_owned(), json!(cvss.score));
            rating.insert("method".to_owned(), json!(method(&cvss.vector)));
            rating.insert("vector".to_owned(), json!(cvss.vector));
        }
        rating.insert("severity".to_owned(), json!(severity.as_str()));
        Json::Object(rating)
    };
    if finding.ratings.is_empty() {
        return vec![one(finding.severity_source, severity, finding.cvss.as_ref())];
    }
    finding.ratings.iter().map(|rating| one(Some(rating.source), rating.severity, rating.cvss.as_ref())).collect()
}

fn method(vector: &str) -> &'static str {
    match vector.split('/').next().unwrap_or_default() {
        "CVSS:4.0" => "CVSSv4",
        "CVSS:3.1" => "CVSSv31",
        "CVSS:3.0" => "CVSSv3",
        _ => "CVSSv2",
    }
}

fn status(report: &Report<'_>, index: usize) -> &'static str {
    match report.judged(index).map(|judged| &judged.judgement) {
        Some(Judgement::PassedOver { reason: Reason::Vex { .. }, .. }) => "unaffected",
        Some(
            Judgement::PassedOver { .. } | Judgement::Failed { .. } | Judgement::Warned { .. } | Judgement::Reported,
        )
        | None => "affected",
    }
}

/// What somebody said about it, in this standard's words.
fn analysis(report: &Report<'_>, index: usize) -> Option<Json> {
    match &report.judged(index)?.judgement {
        Judgement::PassedOver { reason: reason @ Reason::Vex { status, justification, .. }, .. } => {
            let is_fixed = status == "fixed";
            let mut analysis =
                json!({ "state": if is_fixed { "resolved" } else { "not_affected" }, "detail": reason.words() });
            if let Some(justification) = justification.as_deref().and_then(own_word).filter(|_| !is_fixed) {
                analysis["justification"] = json!(justification);
            }
            Some(analysis)
        }
        Judgement::PassedOver { reason: reason @ Reason::Ignored { .. }, .. } => {
            Some(json!({ "state": "in_triage", "detail": reason.words() }))
        }
        Judgement::PassedOver { reason: reason @ Reason::NoFix { vendor_refuses: true }, .. } => {
            Some(json!({ "state": "in_triage", "response": ["will_not_fix"], "detail": reason.words() }))
        }
        Judgement::PassedOver { .. } | Judgement::Failed { .. } | Judgement::Warned { .. } | Judgement::Reported => {
            None
        }
    }
}

/// CycloneDX's word for a justification of `OpenVEX`, or of its own.
fn own_word(justification: &str) -> Option<&str> {
    match justification {
        "component_not_present" | "vulnerable_code_not_present" => Some("code_not_present"),
        "vulnerable_code_not_in_execute_path" => Some("code_not_reachable"),
        "vulnerable_code_cannot_be_controlled_by_adversary" => Some("requires_environment"),
        "inline_mitigations_already_exist" => Some("protected_by_mitigating_control"),
        own @ ("code_not_present"
        | "code_not_reachable"
        | "requires_configuration"
        | "requires_dependency"
        | "requires_environment"
        | "protected_by_compiler"
        | "protected_at_runtime"
        | "protected_at_perimeter"
        | "protected_by_mitigating_control") => Some(own),
        _ => None,
    }
}

fn properties(report: &Report<'_>, index: usize) -> Vec<Json> {
    let finding = &report.findings[index];
    let mut properties = Vec::new();
    let mut property = |name: &str, value: String| properties.push(json!({ "name": name, "value": value }));
    if finding.kev.is_some() {
        property("pipe:kev", "true".to_owned());
    }
    if let Some(epss) = finding.epss {
        property("pipe:epss", epss.score.to_string());
    }
    if let Some(judged) = report.judged(index) {
        let word = match &judged.judgement {
            Judgement::Failed { .. } => "failed",
            Judgement::PassedOver { .. } => "passed-over",
            Judgement::Warned { .. } => "warned",
            Judgement::Reported => "reported",
        };
        property("pipe:judgement", word.to_owned());
        Some(judged.judgement.words())
            .filter(|words| !words.is_empty())
            .into_iter()
            .for_each(|words| property("pipe:reason", words));
        property("pipe:origin", judged.origin.words());
    }
    properties
}
