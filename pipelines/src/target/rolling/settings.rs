//! What of a plan only this target understands. It is in the plan's hash and is shown to people, so it holds no secrets.

use aws::RollingWish;
use rollout::Plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// The container that serves.
    pub container: String,
    /// The task definition that is registered, as JSON.
    pub task_definition: Value,
    /// Tasks; `None`: as many as the service has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// Percent of the tasks that stay healthy meanwhile; `None`: as the service has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_healthy_percent: Option<u32>,
    /// Percent of the tasks that there are at most meanwhile; `None`: as the service has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_percent: Option<u32>,
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

    /// What ECS is told. It goes back by itself for what the plan goes back for, and for nothing that somebody said not to.
    pub(super) fn wish(&self, plan: &Plan, task_definition: String, tasks: Option<u32>) -> RollingWish {
        let may_go_back = plan.irreversible.is_none();
        let hears = self.overrides_alarms && plan.rollback_on.alarm && may_go_back;
        RollingWish {
            service: self.service.clone(),
            task_definition,
            tasks,
            healthy_min: self.minimum_healthy_percent,
            running_max: self.maximum_percent,
            breaker_goes_back: plan.rollback_on.failure && may_go_back,
            alarms: hears.then(|| self.alarms.clone()),
        }
    }
}
