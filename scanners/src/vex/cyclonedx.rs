//! CycloneDX VEX: the `analysis` of `vulnerabilities`, in a bill of materials or in a document of its own.
//! <https://cyclonedx.org/docs/1.6/json/#vulnerabilities>

use std::collections::HashMap;

use serde_json::Value as Json;

use super::{Product, Statement, Status, VexError};

/// How deep components may nest.
const NESTING_MAX: usize = 32;

pub(super) fn read(file: &str, root: &Json) -> Result<Vec<Statement>, VexError> {
    let mut purls = HashMap::new();
    let metadata = root.pointer("/metadata/component");
    for component in metadata.into_iter().chain(list(root, "components")) {
        gather(component, &mut purls, 0);
    }
    let mut statements = Vec::new();
    for (index, vulnerability) in list(root, "vulnerabilities").iter().enumerate() {
        let Some(analysis) = vulnerability.get("analysis") else { continue };
        let wrong = |reason: String| VexError::Statement { file: file.to_owned(), number: index + 1, reason };
        let text = |node: &Json, key: &str| node.get(key).and_then(Json::as_str).map(str::to_owned);
        let status = match analysis.get("state").and_then(Json::as_str) {
            Some("not_affected" | "false_positive") => Status::NotAffected,
            Some("resolved" | "resolved_with_pedigree") => Status::Fixed,
            Some("exploitable") => Status::Affected,
            Some("in_triage") => Status::UnderInvestigation,
            Some(other) => return Err(wrong(format!("its state `{other}` is none of CycloneDX"))),
            None => continue,
        };
        let references = list(vulnerability, "references").iter().filter_map(|one| text(one, "id"));
        let names: Vec<_> = text(vulnerability, "id").into_iter().chain(references).collect();
        if names.is_empty() {
            return Err(wrong("it has no id".to_owned()));
        }
        let refs = list(vulnerability, "affects").iter().filter_map(|one| text(one, "ref"));
        let when = ["lastUpdated", "firstIssued"].into_iter().find_map(|key| text(analysis, key));
        let when = when.or_else(|| ["updated", "published"].into_iter().find_map(|key| text(vulnerability, key)));
        statements.push(Statement {
            file: file.to_owned(),
            number: index + 1,
            names,
            products: refs.map(|one| product(&one, &purls)).collect(),
            status,
            justification: text(analysis, "justification"),
            words: text(analysis, "detail"),
            said: when.and_then(|text| text.parse().ok()),
        });
    }
    Ok(statements)
}

fn list<'a>(node: &'a Json, key: &str) -> &'a [Json] {
    node.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The package URLs of components by their references.
fn gather(component: &Json, purls: &mut HashMap<String, String>, depth: usize) {
    let text = |key: &str| component.get(key).and_then(Json::as_str);
    if let (Some(reference), Some(purl)) = (text("bom-ref"), text("purl")) {
        purls.insert(reference.to_owned(), purl.to_owned());
    }
    if depth < NESTING_MAX {
        list(component, "components").iter().for_each(|inner| gather(inner, purls, depth + 1));
    }
}

/// A reference is that of a component here, a package URL, or a link into another document: `urn:cdx:serial/1#reference`.
fn product(reference: &str, purls: &HashMap<String, String>) -> Product {
    let linked = reference.starts_with("urn:cdx:").then(|| reference.split_once('#')).flatten();
    let inner = linked.map_or_else(|| reference.to_owned(), |(_, inner)| unescaped(inner));
    let name = purls.get(&inner).cloned().unwrap_or(inner);
    Product { names: vec![name], parts: Vec::new() }
}

/// A package URL in a fragment has its `%` and `?` encoded once more.
fn unescaped(text: &str) -> String {
    if text.starts_with("pkg:") {
        text.to_owned()
    } else {
        text.replace("%3A", ":").replace("%2F", "/").replace("%40", "@")
    }
}
