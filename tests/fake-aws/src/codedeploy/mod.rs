//! CodeDeploy for ECS: applications, groups, configurations, and deployments that shift traffic.

mod appspec;
mod configs;
mod create;
mod describe;
mod groups;
mod progress;
mod steer;
mod traffic;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Answer, AwsError};
use crate::value::{Input as _, Time};
use crate::world::World;

use appspec::AppSpec;
use configs::Routing;

/// Everything of CodeDeploy.
#[derive(Debug, Default)]
pub(crate) struct CodeDeploy {
    /// By name: id and platform.
    applications: BTreeMap<String, (String, String, Time)>,
    /// By application and name.
    groups: BTreeMap<(String, String), Value>,
    /// Own configurations, by name.
    configs: BTreeMap<String, Value>,
    pub(crate) deployments: BTreeMap<String, Deployment>,
    /// In the order in which they were made.
    order: Vec<String>,
}

/// The events of a deployment, in their order. The first says whether a function may be called at it.
/// <https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html>
const EVENTS: [(bool, &str); 8] = [
    (true, "BeforeInstall"),
    (false, "Install"),
    (true, "AfterInstall"),
    (false, "AllowTestTraffic"),
    (true, "AfterAllowTestTraffic"),
    (true, "BeforeAllowTraffic"),
    (false, "AllowTraffic"),
    (true, "AfterAllowTraffic"),
];

/// Where a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Created,
    Queued,
    /// In that of its events.
    Event(usize),
    /// Waits before users' requests are shifted.
    Ready,
    /// Waits before the original tasks are ended.
    Termination,
    /// Puts everything back; only of a rollback.
    Back,
    Over,
}

/// One of its events.
#[derive(Debug, Clone)]
struct Happening {
    name: &'static str,
    status: &'static str,
    started: Option<Time>,
    ended: Option<Time>,
    message: Option<String>,
}

/// A function that has been called, and whose answer is awaited until then.
#[derive(Debug, Clone)]
struct Hook {
    id: String,
    expires: Time,
    /// What was said.
    answer: Option<bool>,
}

/// A deployment.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    id: String,
    application: String,
    group: String,
    config_name: String,
    routing: Routing,
    revision: Value,
    spec: AppSpec,
    input: Value,
    /// The group as it was when this began.
    settings: Value,
    service: String,
    step: Step,
    status: &'static str,
    entered: Time,
    created: Time,
    started: Option<Time>,
    completed: Option<Time>,
    creator: &'static str,
    error: Option<(&'static str, String)>,
    happenings: Vec<Happening>,
    hook: Option<Hook>,
    blue: Option<String>,
    green: Option<String>,
    shifted: i64,
    last_shift: Time,
    /// Somebody said to go on.
    goes_on: bool,
    /// Somebody said to stop, and whether to go back.
    stops: Option<Option<bool>>,
    /// The deployment that puts it back.
    rolled_back_by: Option<String>,
    /// The deployment that it puts back.
    puts_back: Option<String>,
}

impl Deployment {
    fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    /// `cluster:service`, as targets are named.
    fn target_id(&self) -> String {
        let tail = self.service.split_once(":service/").map_or("", |(_, tail)| tail);
        tail.replacen('/', ":", 1)
    }
}

impl CodeDeploy {
    /// Whether a deployment of the service is under way.
    pub(crate) fn is_busy_with(&self, service: &str) -> bool {
        self.deployments.values().any(|one| one.service == service && !one.is_over())
    }
}

impl World {
    /// Answers CodeDeploy.
    pub(crate) fn codedeploy(&mut self, operation: &str, input: &Value) -> Answer {
        match operation {
            "CreateApplication" => self.create_application(input),
            "GetApplication" => self.get_application(input),
            "ListApplications" => Ok(json!({ "applications": self.deploys.applications.keys().collect::<Vec<_>>() })),
            "DeleteApplication" => self.delete_application(input),
            "CreateDeploymentGroup" => self.create_deployment_group(input),
            "GetDeploymentGroup" => self.get_deployment_group(input),
            "UpdateDeploymentGroup" => self.update_deployment_group(input),
            "DeleteDeploymentGroup" => self.delete_deployment_group(input),
            "ListDeploymentGroups" => self.list_deployment_groups(input),
            "CreateDeploymentConfig" => self.create_deployment_config(input),
            "GetDeploymentConfig" => self.get_deployment_config(input),
            "ListDeploymentConfigs" => Ok(self.list_deployment_configs()),
            "DeleteDeploymentConfig" => {
                self.deploys.configs.remove(required(input, "deploymentConfigName")?);
                Ok(json!({}))
            }
            "RegisterApplicationRevision" => {
                self.application(input)?;
                Ok(json!({}))
            }
            "CreateDeployment" => self.create_deployment(input),
            "GetDeployment" => {
                let id = self.deployment_id(input)?;
                Ok(json!({ "deploymentInfo": self.describe_codedeploy(&id) }))
            }
            "BatchGetDeployments" => self.batch_get_deployments(input),
            "ListDeployments" => self.list_deployments(input),
            "ListDeploymentTargets" => self.list_deployment_targets(input),
            "GetDeploymentTarget" => self.get_deployment_target(input),
            "BatchGetDeploymentTargets" => self.batch_get_deployment_targets(input),
            "StopDeployment" => self.stop_deployment(input),
            "ContinueDeployment" => self.continue_deployment(input),
            "PutLifecycleEventHookExecutionStatus" => self.put_hook_status(input),
            other => Err(AwsError::unknown("CodeDeploy", other)),
        }
    }

    /// The deployment that a call means; it exists.
    fn deployment_id(&self, input: &Value) -> Result<String, AwsError> {
        let id = required(input, "deploymentId")?;
        if self.deploys.deployments.contains_key(id) {
            return Ok(id.to_owned());
        }
        let message = format!("The deployment {id} could not be found");
        Err(AwsError::new("DeploymentDoesNotExistException", message))
    }
}

/// A member that has to be there; each has an exception of its own.
fn required<'i>(input: &'i Value, key: &str) -> Result<&'i str, AwsError> {
    let missing = || {
        let mut name = key.to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        AwsError::new(&format!("{name}RequiredException"), format!("{key} must be specified"))
    };
    input.text(key).ok_or_else(missing)
}
