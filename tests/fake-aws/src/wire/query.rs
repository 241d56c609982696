//! The query protocol's forms: `Actions.member.1.Type=forward` becomes `{"Actions": [{"Type": "forward"}]}`.
//! <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Names deeper than this stay as they are.
const DEPTH_MAX: usize = 16;

#[derive(Default)]
struct Node {
    text: Option<String>,
    below: BTreeMap<String, Self>,
}

/// The members of a form. All leaves are texts.
pub(crate) fn read(body: &[u8]) -> Value {
    let mut root = Node::default();
    for (key, value) in form_urlencoded::parse(body) {
        let mut node = &mut root;
        for part in key.splitn(DEPTH_MAX, '.') {
            node = node.below.entry(part.to_owned()).or_default();
        }
        node.text = Some(value.into_owned());
    }
    let members = root.below.into_iter().map(|(key, node)| (key, value(node)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn value(node: Node) -> Value {
    if node.below.is_empty() {
        return json!(node.text.unwrap_or_default());
    }
    let mut below = node.below;
    if below.len() == 1 {
        for wrapper in ["member", "entry"] {
            if let Some(list) = below.remove(wrapper) {
                return if list.below.is_empty() { json!([]) } else { items(list.below) };
            }
        }
    }
    if below.keys().all(|key| key.parse::<usize>().is_ok()) {
        return items(below);
    }
    Value::Object(below.into_iter().map(|(key, node)| (key, value(node))).collect::<Map<_, _>>())
}

fn items(below: BTreeMap<String, Node>) -> Value {
    let mut numbered: Vec<_> = below.into_iter().collect();
    numbered.sort_by_key(|(key, _)| key.parse::<usize>().unwrap_or(usize::MAX));
    Value::Array(numbered.into_iter().map(|(_, node)| value(node)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_members() {
        let body = b"Action=ModifyRule&Actions.member.1.Type=forward&Actions.member.1.ForwardConfig.TargetGroups.member.2.Weight=10\
            &Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=90&Names.member.10=j&Names.member.9=i&Empty=";
        let expected = json!({
            "Action": "ModifyRule",
            "Actions": [{ "ForwardConfig": { "TargetGroups": [{ "Weight": "90" }, { "Weight": "10" }] }, "Type": "forward" }],
            "Empty": "",
            "Names": ["i", "j"],
        });
        assert_eq!(read(body), expected);
    }
}
