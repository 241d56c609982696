//! What of a plan only this target understands. It is in the plan's hash and is shown to people, so it holds no secrets.

use aws::{NativeStrategy, PauseAt};
use rollout::Plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::paced::Parts;
use crate::rollout::CallError;

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
    /// The service.
    pub service: String,
    /// ARN of the rule that ECS shifts.
    pub rule: String,
    /// Whether tests reach what comes before users do.
    #[serde(default)]
    pub has_tests: bool,
    /// How it shifts, as the plan's steps have it.
    pub parts: Parts,
    /// Minutes for which the old tasks stay: `bake` and `keep-blue` together.
    pub bake_minutes: u32,
    /// Minutes for which it may wait before the first user, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<u32>,
    /// Minutes for which it may wait once green has all users, if it does: scripts may need longer than old tasks stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<u32>,
    /// The container that serves.
    pub container: String,
    /// The task definition that is registered, as JSON.
    pub task_definition: Value,
    /// Names of alarms of CloudWatch that are watched: the step's, else the service's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// Whether they take the place of the service's.
    #[serde(default)]
    pub overrides_alarms: bool,
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

    /// As ECS calls it.
    pub(super) const fn strategy(&self) -> NativeStrategy {
        match self.parts {
            Parts::One => NativeStrategy::BlueGreen,
            Parts::Two(part, minutes) => NativeStrategy::Canary(part, minutes),
            Parts::Equal(part, minutes) => NativeStrategy::Linear(part, minutes),
        }
    }

    /// Where ECS waits for scripts and people.
    pub(super) fn pauses(&self) -> Vec<(PauseAt, u32)> {
        let before = if self.has_tests { PauseAt::Tests } else { PauseAt::Tasks };
        let pauses = [(before, self.waits), (PauseAt::Users, self.holds)];
        pauses.into_iter().filter_map(|(at, minutes)| Some((at, minutes?))).collect()
    }

    /// `app/NAME/ID` of the load balancer, as its metrics have it, out of the rule's ARN.
    pub(super) fn balancer(&self) -> String {
        let resource = self.rule.splitn(6, ':').nth(5).unwrap_or_default();
        resource.split('/').skip(1).take(3).collect::<Vec<_>>().join("/")
    }
}
