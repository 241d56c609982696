//! What of a plan only this target understands. It is in the plan's hash and is shown to people, so it holds no secrets.

use rollout::Plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rollout::CallError;

/// The tag of a task definition with the rollout that registered it.
pub(crate) const ROLLOUT_TAG: &str = "pipe:rollout";
/// What people want to know of it.
pub(crate) const VERSION_TAG: &str = "pipe:version";
/// Its commit.
pub(crate) const COMMIT_TAG: &str = "pipe:commit";

/// The target's own settings, [`rollout::Plan::settings`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// The account, 12 digits: no other one is touched.
    pub account: String,
    /// Where.
    pub region: String,
    /// The cluster's name or ARN.
    pub cluster: String,
    /// Who takes turns.
    #[serde(flatten)]
    pub turns: Turns,
    /// ARN of the listener's rule, or of the listener, that shares users between them.
    pub rule: String,
    /// ARN of that which leads tests to what comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_rule: Option<String>,
    /// The container that serves.
    pub container: String,
    /// The task definition that is registered, as JSON.
    pub task_definition: Value,
    /// Tasks of what comes; `None`: as many as what stands has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// Names of alarms of CloudWatch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
}

/// What has two places of which one has the users and the other one gets what comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "kebab-case")]
pub enum Turns {
    /// Two ECS services, each in a target group of its own.
    Services {
        /// Their names.
        services: [String; 2],
    },
    /// Task sets of one service whose controller is `EXTERNAL`.
    TaskSets {
        /// The service's name.
        task_sets_of: String,
        /// ARNs of the two target groups that they come into.
        target_groups: [String; 2],
    },
}

impl Settings {
    /// Those of a plan.
    ///
    /// # Errors
    /// They are of another target or of a later version.
    pub fn of(plan: &Plan) -> Result<Self, CallError> {
        serde_json::from_value(plan.settings.clone()).map_err(|error| {
            CallError::last(format!("the settings of target `{}` cannot be read: {error}", plan.target))
        })
    }

    /// `app/NAME/ID` of the load balancer, as its metrics have it, out of the rule's ARN.
    pub(super) fn balancer(&self) -> String {
        let resource = self.rule.splitn(6, ':').nth(5).unwrap_or_default();
        resource.split('/').skip(1).take(3).collect::<Vec<_>>().join("/")
    }
}

/// `targetgroup/NAME/ID`, as metrics have it, out of an ARN.
pub(crate) fn group_dimension(arn: &str) -> String {
    arn.splitn(6, ':').nth(5).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_ends_of_arns() {
        let settings = Settings {
            account: "123456789012".into(),
            region: "eu-central-1".into(),
            cluster: "shop".into(),
            turns: Turns::Services { services: ["orders-a".into(), "orders-b".into()] },
            rule: "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/shop/50dc/f2f7/9683".into(),
            test_rule: None,
            container: "app".into(),
            task_definition: Value::Null,
            tasks: Some(2),
            alarms: Vec::new(),
        };
        assert_eq!(settings.balancer(), "app/shop/50dc");
        let group = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/orders-a/73e2";
        assert_eq!(group_dimension(group), "targetgroup/orders-a/73e2");
        let json = serde_json::to_value(&settings).unwrap();
        assert_eq!(json["services"], serde_json::json!(["orders-a", "orders-b"]), "as plans have them that are kept");
        assert_eq!(serde_json::from_value::<Settings>(json).unwrap(), settings);
        let turns = Turns::TaskSets { task_sets_of: "orders".into(), target_groups: ["a".into(), "b".into()] };
        let settings = Settings { turns, ..settings };
        let json = serde_json::to_value(&settings).unwrap();
        assert_eq!((&json["task-sets-of"], &json["target-groups"][1]), (&"orders".into(), &"b".into()));
        assert_eq!(serde_json::from_value::<Settings>(json).unwrap(), settings);
    }
}
