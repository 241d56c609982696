//! What of a plan only this target understands. It is in the plan's hash and is shown to people, so it holds no secrets.

use aws::Routing;
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
    /// The cluster's name.
    pub cluster: String,
    /// The service, whose controller is `CODE_DEPLOY`.
    pub service: String,
    /// CodeDeploy's application.
    pub application: String,
    /// Its deployment group.
    pub group: String,
    /// The configuration that is used in place of the group's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// How it shifts, as the plan's steps have it.
    pub parts: Parts,
    /// The container that serves.
    pub container: String,
    /// The task definition that is registered, as JSON.
    pub task_definition: Value,
    /// The `AppSpec` into which the definition is put, as JSON.
    pub app_spec: Value,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Names of alarms of CloudWatch that are watched: the step's, else the group's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// Whether they take the place of the group's.
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

    /// As CodeDeploy names the only target of a deployment. The cluster may be written as its ARN.
    pub(super) fn target(&self) -> String {
        let cluster = self.cluster.rsplit('/').next().unwrap_or_default();
        format!("{cluster}:{}", self.service)
    }

    /// How the plan shifts, in CodeDeploy's words.
    pub(super) fn routing(&self) -> Routing {
        self.parts.routing()
    }
}
