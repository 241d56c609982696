//! What a person approves: a digest over all of a plan.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::plan::Plan;

impl Plan {
    /// `sha256:` and 64 hex digits over the plan's canonical JSON (keys sorted, no blanks). Another image, commit, step or setting gives
    /// another one; the same plan gives the same everywhere.
    #[must_use]
    pub fn hash(&self) -> String {
        let value = serde_json::to_value(self).expect("a plan has only keys that are texts");
        let mut text = String::new();
        canonical(&value, &mut text);
        let digest = Sha256::digest(text.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }
}

/// As in <https://www.rfc-editor.org/rfc/rfc8785>, for values that this program wrote.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                text.push(if index == 0 { '[' } else { ',' });
                canonical(item, text);
            }
            text.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| name.as_str());
            for (index, (name, field)) in fields.iter().enumerate() {
                text.push(if index == 0 { '{' } else { ',' });
                text.push_str(&Value::String((*name).clone()).to_string());
                text.push(':');
                canonical(field, text);
            }
            text.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Weight;
    use crate::tests::plan;

    #[test]
    fn whatever_changes_the_plan_changes_its_hash() {
        type Change = (&'static str, fn(&mut Plan));
        let changes: &[Change] = &[
            ("the image", |plan| plan.image = "shop@sha256:3333".to_owned()),
            ("the commit", |plan| plan.commit.push('0')),
            ("a weight", |plan| plan.schedule.steps[0].weight = Weight(110)),
            ("a pause", |plan| plan.schedule.steps[0].pause = true),
            ("the environment", |plan| plan.environment = "staging".to_owned()),
            ("a setting", |plan| plan.settings = json!({ "replicas": 3 })),
            ("a migration", |plan| plan.irreversible = Some("drops a column".to_owned())),
            ("what is taken back", |plan| plan.rollback_of = Some(1)),
        ];
        let first = plan().hash();
        assert_eq!(first.len(), "sha256:".len() + 64);
        for (name, change) in changes {
            let mut plan = plan();
            change(&mut plan);
            assert_ne!(plan.hash(), first, "{name}");
        }
        let mut plan = plan();
        plan.settings = json!({ "b": 1, "a": { "d": [], "c": {} } });
        let one = plan.hash();
        plan.settings = json!({ "a": { "c": {}, "d": [] }, "b": 1 });
        assert_eq!(plan.hash(), one, "the order of keys is nothing");
        let stored: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(stored.hash(), one, "nor is being stored");
    }
}
