//! SPDX 2.3 as JSON: the packages, their licences and addresses. What is wrong with them is only linked, as the standard
//! has it. Follows <https://spdx.github.io/spdx-spec/v2.3/>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::licence::{self, Licence};
use super::{Report, pretty, words};
use crate::package::Package;

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const TARGET: &str = "SPDXRef-target";

pub(super) fn write(report: &Report<'_>) -> String {
    let inventory = report.inventory;
    let advisories = advisories(report);
    let mut extracted: BTreeMap<String, String> = BTreeMap::new();
    let mut packages = vec![target(report)];
    let mut relationships = vec![relationship(DOCUMENT, "DESCRIBES", TARGET)];
    for (number, package) in inventory.packages.iter().enumerate() {
        let id = format!("SPDXRef-package-{}", number + 1);
        let key = (package.ecosystem, package.name.as_str(), package.version.as_str());
        let links = advisories.get(&key);
        packages.push(entry(report, package, &id, links, &mut extracted));
        relationships.push(relationship(TARGET, "CONTAINS", &id));
    }
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": words::one_line(&inventory.target),
        "documentNamespace": format!("urn:uuid:{}", words::uuid(&words::identity(report))),
        "creationInfo": {
            "created": words::seconds(report.made),
            "creators": [format!("Tool: pipe-{}", report.version)],
        },
        "packages": packages,
        "relationships": relationships,
    });
    if !extracted.is_empty() {
        let one = |(id, text): (String, String)| json!({ "licenseId": id, "extractedText": text, "name": words::cut(&words::one_line(&text), 120) });
        document["hasExtractedLicensingInfos"] = Json::Array(extracted.into_iter().map(one).collect());
    }
    pretty(&document)
}

type Key<'a> = (crate::package::Ecosystem, &'a str, &'a str);

fn advisories<'a>(report: &'a Report<'_>) -> BTreeMap<Key<'a>, BTreeSet<&'a str>> {
    let mut links: BTreeMap<Key<'a>, BTreeSet<&'a str>> = BTreeMap::new();
    for finding in report.findings {
        let Some(package) = finding.package() else { continue };
        let Some(address) = finding.references.iter().find(|address| words::is_address(address)) else { continue };
        links.entry((package.ecosystem, &package.name, &package.version)).or_default().insert(address);
    }
    links
}

fn relationship(from: &str, kind: &str, to: &str) -> Json {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn target(report: &Report<'_>) -> Json {
    let inventory = report.inventory;
    let mut entry = json!({
        "SPDXID": TARGET,
        "name": words::one_line(&inventory.target),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": if inventory.layers.is_empty() { "APPLICATION" } else { "CONTAINER" },
    });
    if let Some((_, digest)) = inventory.repository_digests.first().and_then(|name| name.split_once('@')) {
        entry["versionInfo"] = json!(digest);
        if let Some(hex) = digest.strip_prefix("sha256:") {
            entry["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": hex }]);
        }
    }
    entry
}

fn entry(
    report: &Report<'_>,
    package: &Package,
    id: &str,
    links: Option<&BTreeSet<&str>>,
    extracted: &mut BTreeMap<String, String>,
) -> Json {
    let mut references = vec![json!({
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": package.purl(report.inventory.os.as_ref()),
    })];
    for link in links.into_iter().flatten() {
        references.push(json!({
            "referenceCategory": "SECURITY", "referenceType": "advisory", "referenceLocator": link,
        }));
    }
    let mut entry = json!({
        "SPDXID": id,
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": declared(&package.licences, extracted),
        "copyrightText": "NOASSERTION",
        "externalRefs": references,
    });
    if let Some(source) = &package.source {
        entry["sourceInfo"] = json!(format!("built from {} {}", source.name, source.version));
    }
    if let Some(location) = package.locations.first() {
        entry["comment"] = json!(format!("found at {}", location.path));
    }
    entry
}

/// All that is stated, joined; what SPDX does not know becomes a licence of the document.
fn declared(stated: &[String], extracted: &mut BTreeMap<String, String>) -> String {
    let mut parts = BTreeSet::new();
    for text in stated.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        parts.insert(match licence::read(text) {
            Licence::Id(id) => id.to_owned(),
            Licence::Expression(expression) => format!("({expression})"),
            Licence::Name(name) => {
                let id = format!("LicenseRef-{}", &crate::policy::digest(name.as_bytes())[7..23]);
                extracted.insert(id.clone(), name.to_owned());
                id
            }
        });
    }
    let parts: Vec<String> = parts.into_iter().collect();
    if parts.is_empty() { "NOASSERTION".to_owned() } else { parts.join(" AND ") }
}
