//! OpenVEX: <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md>, version 0.2.0, and the names as texts of 0.0.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{Product, Statement, Status, VexError};

pub(super) fn read(file: &str, root: &Json) -> Result<Vec<Statement>, VexError> {
    let said_by_document = time(root);
    let empty = Vec::new();
    let statements = root.get("statements").and_then(Json::as_array).unwrap_or(&empty);
    let one = |(index, statement): (usize, &Json)| {
        let wrong = |reason: String| VexError::Statement { file: file.to_owned(), number: index + 1, reason };
        let names = names(statement.get("vulnerability").unwrap_or(&Json::Null));
        if names.is_empty() {
            return Err(wrong("it names no vulnerability".to_owned()));
        }
        let status = statement.get("status").and_then(Json::as_str).unwrap_or_default();
        let status = match status {
            "not_affected" => Status::NotAffected,
            "affected" => Status::Affected,
            "fixed" => Status::Fixed,
            "under_investigation" => Status::UnderInvestigation,
            "" => return Err(wrong("it has no status".to_owned())),
            other => return Err(wrong(format!("its status `{other}` is none of OpenVEX"))),
        };
        let text = |key: &str| statement.get(key).and_then(Json::as_str).map(str::to_owned);
        let (justification, impact) = (text("justification"), text("impact_statement"));
        if status == Status::NotAffected && justification.is_none() && impact.is_none() {
            return Err(wrong("not_affected needs a justification or an impact_statement".to_owned()));
        }
        let products = statement.get("products").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        Ok(Statement {
            file: file.to_owned(),
            number: index + 1,
            names,
            products: products.iter().map(product).collect(),
            status,
            justification,
            words: impact.or_else(|| text("action_statement")).or_else(|| text("status_notes")),
            said: time(statement).or(said_by_document),
        })
    };
    statements.iter().enumerate().map(one).collect()
}

fn time(node: &Json) -> Option<Timestamp> {
    let text = |key: &str| node.get(key).and_then(Json::as_str).and_then(|text| text.parse().ok());
    text("last_updated").or_else(|| text("timestamp"))
}

fn names(vulnerability: &Json) -> Vec<String> {
    if let Some(name) = vulnerability.as_str() {
        return vec![name.to_owned()];
    }
    let own = ["name", "@id"].into_iter().filter_map(|key| vulnerability.get(key)?.as_str());
    let aliases = vulnerability.get("aliases").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let all = own.chain(aliases.iter().filter_map(Json::as_str));
    // An `@id` may be the address of the vulnerability's page: its last part is the name.
    all.map(|name| name.trim_end_matches('/').rsplit('/').next().unwrap_or(name).to_owned()).collect()
}

fn product(node: &Json) -> Product {
    let parts = node.get("subcomponents").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    Product { names: identifiers(node), parts: parts.iter().flat_map(identifiers).collect() }
}

fn identifiers(node: &Json) -> Vec<String> {
    if let Some(name) = node.as_str() {
        return vec![name.to_owned()];
    }
    let id = node.get("@id").and_then(Json::as_str);
    let others = node.get("identifiers").and_then(Json::as_object);
    let others = others.into_iter().flat_map(|map| map.values()).filter_map(Json::as_str);
    let hashes = node.get("hashes").and_then(Json::as_object);
    let hash = hashes.and_then(|map| map.get("sha-256")).and_then(Json::as_str).map(|hex| format!("sha256:{hex}"));
    id.into_iter().chain(others).map(str::to_owned).chain(hash).collect()
}
