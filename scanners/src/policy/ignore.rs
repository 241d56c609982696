//! Exceptions in a policy: each says what it is for, who answers for it and until when.
//!
//! One without a reason, an owner or a last day is refused, so that none is forgotten.

use super::model::Ignore;
use super::read::Reader;
use super::terms;
use crate::purl_pattern::PurlPattern;
use crate::yaml::{Node, Value};

const KEYS: [&str; 6] = ["id", "purl", "path", "reason", "expires", "owner"];

/// Reads the list below `ignore`.
pub(super) fn list(reader: &mut Reader<'_>, node: &Node) -> Vec<Ignore> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| one(reader, item)).collect(),
        Value::Null => Vec::new(),
        Value::Boolean(_) | Value::Number(..) | Value::Text(_) | Value::Map(_) => {
            let help = "write `- {id: CVE-…, reason: …, expires: 2027-01-31, owner: a@example.com}`";
            reader.helped(node.span, format!("`ignore` has to be a list and is {}", node.kind()), help);
            Vec::new()
        }
    }
}

fn one(reader: &mut Reader<'_>, node: &Node) -> Option<Ignore> {
    let before = reader.problems.len();
    let entries = reader.map(node, "an entry of `ignore`", &KEYS);
    if entries.is_empty() && reader.problems.len() > before {
        return None;
    }
    let get = |key: &str| entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.value);
    let id = get("id").and_then(|node| reader.text(node, "`id`"));
    let named =
        id.as_deref().map_or_else(|| "this entry of `ignore`".to_owned(), |id| format!("the exception for {id}"));
    for (key, why) in [
        ("id", "name the advisory or the rule: `id: CVE-2023-0286`"),
        ("reason", "say why it can be lived with: `reason: …`"),
        ("expires", "say until when: `expires: 2027-01-31`; nothing is ignored for ever"),
        ("owner", "say who answers for it: `owner: a@example.com`"),
    ] {
        if get(key).is_none() {
            reader.helped(node.span, format!("{named} has no {key}"), why);
        }
    }
    let purl = get("purl").and_then(|value| {
        let text = reader.text(value, "`purl`")?;
        if let Err(error) = PurlPattern::parse(&text) {
            reader.helped(value.span, format!("`{text}` is no package URL: {error}"), "write `pkg:deb/debian/zlib1g`");
        }
        Some(text)
    });
    let path = get("path").and_then(|node| reader.text(node, "`path`"));
    let reason = get("reason").and_then(|node| reader.text(node, "`reason`"));
    let expires = get("expires").and_then(|node| terms::date(reader, node, "`expires`"));
    let owner = get("owner").and_then(|node| reader.text(node, "`owner`"));
    let line = reader.line(node.span);
    Some(Ignore { id: id?, purl, path, reason: reason?, expires: expires?, owner: owner?, line })
}
