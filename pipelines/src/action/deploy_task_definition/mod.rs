//! `aws-actions/amazon-ecs-deploy-task-definition` natively, for workflows that name it: the controller of the service says how it is
//! deployed, by ECS task by task or by CodeDeploy, as `pipe/deploy-ecs` does both.
//!
//! What is more than there: it waits for the end, knows its deployment again after a crash, and goes back.

#[cfg(test)]
mod codedeploy_tests;
mod facts;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use aws::{Cloud, Controller, Group, TaskDefinition};
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use serde_json::json;

pub use self::facts::{INPUTS, OUTPUTS};

use super::aws_step::{cloud, failed, given, read_file, text};
use super::deploy::GRACE;
use super::deploy_ecs::{self, DeployEcs, names};
use super::plan_hash;
use crate::target::codedeploy::AppSpec;
use crate::target::keeping::pinned;

/// The action's name.
pub const NAME: &str = "aws-actions/amazon-ecs-deploy-task-definition";
/// Where its AppSpec is if nobody says otherwise.
const APPSPEC: &str = "appspec.yaml";
/// The tag of a task definition that was only registered, by which a step that runs again finds it.
const STEP_TAG: &str = "pipe:step";
/// How services of CodeDeploy are deployed.
const CODEDEPLOY: &str = "codedeploy";
/// Users are not watched any longer when ECS has completed a deployment.
const ROLLING_STEPS: &str = "[{ weight: 100 }]";

/// The action.
#[derive(Debug, Clone, Default)]
pub struct DeployTaskDefinition {
    /// Who deploys.
    pub deploys: DeployEcs,
}

#[async_trait]
impl BuiltInAction for DeployTaskDefinition {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let wrong = INPUTS.iter().flat_map(|input| facts::wrong(input.name, text(call, input.name)));
        let wrong: Vec<String> = wrong.map(|wrong| wrong.to_string()).collect();
        if !wrong.is_empty() {
            return Err(failed(wrong.join("\n")));
        }
        let path = text(call, "task-definition").to_owned();
        let read = read_file(call, "task-definition", &path).await?;
        let told = |flaws: Vec<aws::Flaw>| {
            failed(flaws.iter().map(|flaw| format!("{path}: {flaw}")).collect::<Vec<_>>().join("\n"))
        };
        let definition = TaskDefinition::parse(&read).map_err(told)?;
        let cloud = cloud(call)?;
        let Some(service) = given(call, "service").map(str::to_owned) else {
            return register(call, &cloud, definition).await;
        };
        let strategy = strategy(&cloud, text(call, "cluster"), &service).await?;
        let inputs = inputs(call, &cloud, &definition, strategy).await?;
        if strategy == CODEDEPLOY && given(call, "desired-count").is_some() {
            call.log.line("`desired-count` has no effect: CodeDeploy makes as many tasks as the service wants").await;
        }
        if text(call, "wait-for-service-stability") != "true" {
            call.log
                .line("It waits for the end, also without `wait-for-service-stability`, so that it can go back")
                .await;
        }
        let written = std::mem::take(&mut call.inputs);
        for facts in deploy_ecs::INPUTS {
            let value = inputs.iter().find(|(name, _)| *name == facts.name).map(|(_, value)| value.clone());
            call.inputs.insert(facts.name.to_owned(), value.unwrap_or_else(|| facts.default.to_owned()));
        }
        let deployed = self.deploys.run(call).await;
        call.inputs = written;
        deployed
    }
}

/// How the service is deployed, by who may do that.
async fn strategy(cloud: &Cloud, cluster: &str, service: &str) -> Result<&'static str, ActionError> {
    let found = cloud.ecs(cluster).services(&[service]).await.map_err(failed)?;
    let found = found.first().ok_or_else(|| {
        failed(format!(
            "there is no service `{service}` in cluster {cluster} of {}: check its name, or create it",
            cloud.region()
        ))
    })?;
    match found.controller {
        Controller::Ecs => Ok("rolling"),
        Controller::CodeDeploy => Ok(CODEDEPLOY),
        Controller::External => Err(failed(format!(
            "service {service} has the deployment controller EXTERNAL: neither the official action nor this one deploys such"
        ))),
    }
}

/// What `pipe/deploy-ecs` gets.
async fn inputs(
    call: &ActionCall<'_>,
    cloud: &Cloud,
    definition: &TaskDefinition,
    strategy: &str,
) -> Result<Vec<(&'static str, String)>, ActionError> {
    let appspec = if strategy == CODEDEPLOY { appspec(call).await? } else { None };
    let named = appspec.as_ref().and_then(|(_, spec)| spec.as_ref()?.container().map(str::to_owned));
    // What the AppSpec leads users to; one that is not there is told of where the file is read.
    let container = named.filter(|name| definition.image(name).is_some()).or_else(|| serving(definition));
    let container = container.ok_or_else(|| failed("the task definition has no containers"))?;
    let image = definition.image(&container).unwrap_or_default();
    let copied = |name: &'static str| (name, text(call, name).to_owned());
    let mut all: Vec<(&'static str, String)> = [
        "task-definition",
        "service",
        "cluster",
        "desired-count",
        "wait-for-minutes",
        "codedeploy-application",
        "codedeploy-deployment-group",
        "codedeploy-deployment-description",
        "codedeploy-deployment-config",
    ]
    .map(copied)
    .into();
    all.push(("strategy", strategy.to_owned()));
    all.push(("image", whole(cloud, image).await?));
    all.push(("container-name", container));
    // The official action knows no environments; what is deployed to a cluster is then known by that.
    let cluster = text(call, "cluster").rsplit('/').next().unwrap_or_default();
    all.push(("environment", call.run.environment.clone().unwrap_or_else(|| cluster.to_owned())));
    if strategy == "rolling" {
        all.retain(|(name, _)| !name.starts_with("codedeploy-"));
        all.push(("steps", ROLLING_STEPS.to_owned()));
        return Ok(all);
    }
    all.retain(|(name, _)| *name != "desired-count");
    if let Ok(minutes) = text(call, "wait-for-minutes").trim().parse() {
        let written = ["codedeploy-application", "codedeploy-deployment-group"].map(|name| text(call, name));
        let (application, group) = names(text(call, "cluster"), text(call, "service"), written);
        let group = cloud.codedeploy().group(&application, &group).await.map_err(failed)?;
        all.retain(|(name, _)| *name != "wait-for-minutes");
        all.push(("wait-for-minutes", waits(minutes, &group).to_string()));
    }
    all.extend(appspec.map(|(path, _)| ("codedeploy-appspec", path)));
    Ok(all)
}

/// The AppSpec's path, and the file if it is one.
async fn appspec(call: &ActionCall<'_>) -> Result<Option<(String, Option<AppSpec>)>, ActionError> {
    let (path, read) = match given(call, "codedeploy-appspec") {
        Some(path) => (path, read_file(call, "codedeploy-appspec", path).await?),
        None => match read_file(call, "codedeploy-appspec", APPSPEC).await {
            Ok(read) => (APPSPEC, read),
            Err(_) => return Ok(None),
        },
    };
    // What is wrong with it is told where it is used.
    Ok(Some((path.to_owned(), AppSpec::parse(&read).ok())))
}

/// How long it may take: to `wait-for-minutes` the official action adds the times for which the group waits before and behind users'
/// shift.
fn waits(minutes: u32, group: &Group) -> u32 {
    let more = group.waits.unwrap_or(0).saturating_add(group.keeps.unwrap_or(0));
    minutes.saturating_add(more).min(facts::MINUTES_MAX)
}

/// The image by its digest, as it is now.
async fn whole(cloud: &Cloud, image: &str) -> Result<String, ActionError> {
    if image.contains("@sha256:") {
        return Ok(image.to_owned());
    }
    pinned(cloud, image).await.map_err(failed)?.ok_or_else(|| {
        failed(format!(
            "image {image} is named by a tag, which may be another image now than when it was scanned, and its registry is not ECR, where \
             its digest could be looked up: write HOST/NAME@sha256:… in the task definition"
        ))
    })
}

/// The first container with a port, else the first one: a worker serves nobody.
fn serving(definition: &TaskDefinition) -> Option<String> {
    let all = definition.json()["containerDefinitions"].as_array()?;
    let has_port = |one: &&serde_json::Value| one["portMappings"].as_array().is_some_and(|ports| !ports.is_empty());
    all.iter().find(has_port).or_else(|| all.first())?["name"].as_str().map(str::to_owned)
}

/// Registers it and deploys nothing, once for the step.
async fn register(call: &mut ActionCall<'_>, cloud: &Cloud, mut definition: TaskDefinition) -> Result<(), ActionError> {
    let step = json!({ "run": call.run.id.to_string(), "job": call.run.job, "step": call.step });
    let mark: String = plan_hash(&step).chars().skip("sha256:".len()).take(32).collect();
    let ecs = cloud.ecs(text(call, "cluster"));
    let known = match call.again {
        true => ecs.registered_for(definition.family(), STEP_TAG, &mark).await.map_err(failed)?,
        false => None,
    };
    let arn = match known {
        Some(known) => known.arn,
        None => {
            definition.tag(STEP_TAG, &mark);
            ecs.register(&definition).await.map_err(failed)?
        }
    };
    call.log.line(&format!("Registered {arn}; no `service` is given, so nothing is deployed")).await;
    call.outputs.insert("task-definition-arn".to_owned(), arn);
    Ok(())
}
