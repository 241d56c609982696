//! Which images of a repository may go: never one that somebody may go back to.
//!
//! An image that a rule's tags fit cannot be removed by a rule behind it
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html#lp_evaluation_rules>). So what is deployed
//! gets a tag of ours, and the first rule keeps all of those that can be gone back to.

use serde_json::{Value, json};

/// What tags of images begin with that are, or were, deployed.
pub const DEPLOYED_TAG: &str = "pipe-deployed-";

/// Rules that keep so many images, and beside them so many of those that were deployed.
#[must_use]
pub fn lifecycle_policy(keep: u32, keep_deployed: u32, untagged_days: u32) -> Value {
    let rule = |priority: u32, description: String, selection: Value| {
        json!({
            "rulePriority": priority, "description": description, "selection": selection, "action": { "type": "expire" },
        })
    };
    json!({ "rules": [
        rule(
            1,
            format!("pipe: the last {keep_deployed} that were deployed stay: somebody may go back to them"),
            json!({
                "tagStatus": "tagged", "tagPrefixList": [DEPLOYED_TAG],
                "countType": "imageCountMoreThan", "countNumber": keep_deployed,
            }),
        ),
        rule(
            2,
            format!("pipe: what has no tag goes after {untagged_days} days"),
            json!({
                "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": untagged_days,
            }),
        ),
        rule(
            3,
            format!("pipe: of the others the last {keep} stay"),
            json!({ "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": keep }),
        ),
    ] })
}

/// The tag of an image that is deployed: of the environment and the rollout.
#[must_use]
pub fn deployed_tag(environment: &str, rollout: u64) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() || "._-".contains(character) { character } else { '-' }
    };
    let environment: String = environment.chars().map(plain).take(64).collect();
    format!("{DEPLOYED_TAG}{environment}-{rollout}")
}

/// Whether two policies are the same, however they are written.
#[must_use]
pub fn is_same_policy(stands: &str, wanted: &Value) -> bool {
    serde_json::from_str::<Value>(stands).is_ok_and(|stands| stands == *wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deployed_is_kept_by_the_first_rule() {
        let policy = lifecycle_policy(10, 50, 14);
        let first = &policy["rules"][0];
        assert_eq!(
            (&first["rulePriority"], &first["selection"]["tagPrefixList"][0]),
            (&json!(1), &json!(DEPLOYED_TAG))
        );
        assert!(deployed_tag("Preview/7 ü", 12).starts_with(DEPLOYED_TAG));
        assert_eq!(deployed_tag("Preview/7 ü", 12), "pipe-deployed-Preview-7---12");
        assert!(is_same_policy(&format!("{policy:#}"), &policy) && !is_same_policy("{}", &policy));
        // AWS takes one rule for all images only as the last one.
        let any: Vec<_> =
            policy["rules"].as_array().unwrap().iter().map(|rule| &rule["selection"]["tagStatus"]).collect();
        assert_eq!(any.iter().rposition(|status| **status == "any"), Some(2));
    }
}
