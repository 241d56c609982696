//! Deployments in which ECS itself shifts requests (`BLUE_GREEN`, `CANARY`, `LINEAR`), with its pauses:
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-blue-green.html>.
//!
//! `UpdateService` knows no token; a deployment is known by the task definition of the revision that it leads to.

use aws_sdk_ecs::types::{
    CanaryConfiguration, DeploymentAlarms, DeploymentConfiguration, DeploymentLifecycleHookAction, DeploymentStrategy,
    LinearConfiguration, ServiceDeployment, ServiceDeploymentLifecycleStage, ServiceDeploymentStatus,
    ServiceRevisionSummary, StopServiceDeploymentStopType,
};

use super::Ecs;
use super::pauses::{self, NativePause, PauseAt};
use crate::patience::{changing, reading};
use crate::{Fault, Problem};

/// Deployments of a service that are looked through.
const DEPLOYMENTS_MAX: i32 = 10;
/// How ECS shifts requests; shares are in thousandths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NativeStrategy {
    /// All at once.
    BlueGreen,
    /// A part, so many minutes later the rest.
    Canary(u16, u32),
    /// Equal parts, so many minutes apart.
    Linear(u16, u32),
}

/// How a service is to be deployed.
#[derive(Debug, Clone, PartialEq)]
pub struct NativeWish {
    /// The service.
    pub service: String,
    /// What it runs then.
    pub task_definition: String,
    /// How users come to it.
    pub strategy: NativeStrategy,
    /// Minutes for which the old tasks stay when users have left them.
    pub bake_minutes: u32,
    /// Where it waits until it is told to go on, this many minutes at most; then it goes back.
    pub pauses: Vec<(PauseAt, u32)>,
    /// Alarms at which it goes back; empty: those that the service has.
    pub alarms: Vec<String>,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeDeployment {
    /// Its ARN.
    pub arn: String,
    /// How it stands.
    pub status: NativeStatus,
    /// Why it went back, or ended.
    pub reason: String,
    /// What it leads to.
    pub green: NativeSide,
    /// What was there.
    pub blue: Option<NativeSide>,
    /// The pause that waits to be told, if one does.
    pub waiting: Option<NativePause>,
    /// Whether users have left the old tasks, which are kept.
    pub is_baking: bool,
    /// Alarms that ended it.
    pub alarms: Vec<String>,
}

/// How a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeStatus {
    /// It goes on.
    InProgress,
    /// It is over and stands.
    Successful,
    /// It goes back.
    GoingBack,
    /// It has gone back.
    WentBack,
    /// It could not go back.
    Failed,
    /// It is over, and whatever there was is left.
    Stopped,
}

/// A revision of a service, as a deployment moves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NativeSide {
    /// ARN of the revision.
    pub revision: String,
    /// Tasks that should run.
    pub desired: u32,
    /// Tasks that run.
    pub running: u32,
    /// Its share of the users, in thousandths.
    pub weight: u16,
    /// Its share of the tests.
    pub test_weight: u16,
}

/// A revision of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeRevision {
    /// ARN of its task definition.
    pub task_definition: String,
    /// ARN of the target group that its tasks are in.
    pub group: String,
}

/// What of a service its deployments by ECS need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeService {
    /// ARN of the rule that ECS shifts; `None`: it has none, or no second target group, and ECS shifts nothing.
    pub rule: Option<String>,
    /// Whether tests reach the new tasks before users do.
    pub has_test_rule: bool,
    /// Alarms that it has.
    pub alarms: Vec<String>,
    /// Stages at which it has pauses of its own, as AWS calls them.
    pub pauses: Vec<String>,
}

impl NativeService {
    /// The stage of a pause of its own that could not be told from one that waits here.
    #[must_use]
    pub fn in_the_way(&self, at: PauseAt) -> Option<&str> {
        self.pauses.iter().map(String::as_str).find(|stage| pauses::is_alike(at, stage))
    }
}

impl Ecs {
    pub(super) async fn described(&self, service: &str) -> Result<aws_sdk_ecs::types::Service, Problem> {
        let asked = self.asked("ecs:DescribeServices", service);
        let said = reading(|| async {
            let request = self.client.describe_services().cluster(&self.cluster).services(service);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let missing = || Problem::plain(Fault::Request, format!("there is no service `{service}` in {}", self.region));
        said.await?.services().iter().find(|one| one.status() != Some("INACTIVE")).cloned().ok_or_else(missing)
    }

    /// What of the service its deployments by ECS need.
    ///
    /// # Errors
    /// It does not exist, or AWS does not say.
    pub async fn native(&self, service: &str) -> Result<NativeService, Problem> {
        let found = self.described(service).await?;
        let advanced = found.load_balancers().iter().filter_map(|one| one.advanced_configuration());
        let (mut rule, mut has_test_rule) = (None, false);
        for one in advanced.filter(|one| one.alternate_target_group_arn().is_some()) {
            rule = rule.or_else(|| one.production_listener_rule().map(str::to_owned));
            has_test_rule |= one.test_listener_rule().is_some();
        }
        let config = found.deployment_configuration();
        let alarms = config.and_then(|config| config.alarms()).filter(|alarms| alarms.enable());
        Ok(NativeService {
            rule,
            has_test_rule,
            alarms: alarms.map(|alarms| alarms.alarm_names().to_vec()).unwrap_or_default(),
            pauses: pauses::stages(config, false),
        })
    }

    /// Lets a service run another task definition, and ECS shift its requests.
    ///
    /// # Errors
    /// As AWS says; with [`Problem::is_uncertain`] the caller looks at the service's deployments.
    pub async fn deploy(&self, wish: &NativeWish) -> Result<(), Problem> {
        let found = self.described(&wish.service).await?;
        let config = config(found.deployment_configuration(), wish);
        let asked = self.asked("ecs:UpdateService", &wish.service);
        let done = changing(|| async {
            let request = self.client.update_service().cluster(&self.cluster).service(&wish.service);
            let request = request.task_definition(&wish.task_definition).deployment_configuration(config.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        done.await.map(drop)
    }

    /// Deployments of a service, newest first, each with the revision that it leads to.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn deployments(&self, service: &str) -> Result<Vec<NativeDeployment>, Problem> {
        let asked = self.asked("ecs:ListServiceDeployments", service);
        let said = reading(|| async {
            let request = self.client.list_service_deployments().cluster(&self.cluster).service(service);
            request.max_results(DEPLOYMENTS_MAX).send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let arns: Vec<String> = said
            .service_deployments()
            .iter()
            .filter_map(|one| one.service_deployment_arn())
            .map(str::to_owned)
            .collect();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let all = self.several(&arns).await?;
        Ok(arns.iter().filter_map(|arn| all.iter().find(|one| one.arn == *arn).cloned()).collect())
    }

    async fn several(&self, arns: &[String]) -> Result<Vec<NativeDeployment>, Problem> {
        let asked = self.asked("ecs:DescribeServiceDeployments", arns.first().map_or("", String::as_str));
        let said = reading(|| async {
            let request = self.client.describe_service_deployments();
            let request = request.set_service_deployment_arns(Some(arns.to_vec()));
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        Ok(said.await?.service_deployments().iter().map(deployment).collect())
    }

    /// A deployment by its ARN.
    ///
    /// # Errors
    /// It does not exist, or AWS does not say.
    pub async fn deployment(&self, arn: &str) -> Result<NativeDeployment, Problem> {
        let found = self.several(&[arn.to_owned()]).await?;
        let missing = || Problem::plain(Fault::Request, format!("there is no service deployment {arn}"));
        found.into_iter().next().ok_or_else(missing)
    }

    /// A revision of a service.
    ///
    /// # Errors
    /// It does not exist, or AWS does not say.
    pub async fn revision(&self, arn: &str) -> Result<NativeRevision, Problem> {
        let asked = self.asked("ecs:DescribeServiceRevisions", arn);
        let said = reading(|| async {
            let request = self.client.describe_service_revisions().service_revision_arns(arn);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let missing = || Problem::plain(Fault::Request, format!("there is no service revision {arn}"));
        let found = said.service_revisions().first().ok_or_else(missing)?;
        // Which of its two groups it got is what was resolved.
        let resolved = found.resolved_configuration().and_then(|one| one.load_balancers().first()?.target_group_arn());
        let written = found.load_balancers().first().and_then(|one| one.target_group_arn());
        Ok(NativeRevision {
            task_definition: found.task_definition().unwrap_or_default().to_owned(),
            group: resolved.or(written).unwrap_or_default().to_owned(),
        })
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// It waits no more, or as AWS says; the caller looks at the deployment then.
    pub async fn go_on(&self, deployment: &str, hook: &str) -> Result<(), Problem> {
        let asked = self.asked("ecs:ContinueServiceDeployment", deployment);
        let done = changing(|| async {
            let request = self.client.continue_service_deployment().service_deployment_arn(deployment).hook_id(hook);
            let request = request.action(DeploymentLifecycleHookAction::Continue);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        done.await.map(drop)
    }

    /// Lets a deployment go back.
    ///
    /// # Errors
    /// It is over, or as AWS says; the caller looks at it then.
    pub async fn stop(&self, deployment: &str) -> Result<(), Problem> {
        let asked = self.asked("ecs:StopServiceDeployment", deployment);
        let done = changing(|| async {
            let request = self.client.stop_service_deployment().service_deployment_arn(deployment);
            let request = request.stop_type(StopServiceDeploymentStopType::Rollback);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        done.await.map(drop)
    }
}

/// What the service has, with the wish in it. Its functions and its own pauses stay; those of an earlier wish go.
fn config(of: Option<&DeploymentConfiguration>, wish: &NativeWish) -> DeploymentConfiguration {
    let whole = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let percent = |thousandths: u16| f64::from(thousandths) / 10.0;
    let (strategy, canary, linear) = match wish.strategy {
        NativeStrategy::BlueGreen => (DeploymentStrategy::BlueGreen, None, None),
        NativeStrategy::Canary(part, minutes) => {
            let canary = CanaryConfiguration::builder().canary_percent(percent(part));
            (DeploymentStrategy::Canary, Some(canary.canary_bake_time_in_minutes(whole(minutes)).build()), None)
        }
        NativeStrategy::Linear(part, minutes) => {
            let linear = LinearConfiguration::builder().step_percent(percent(part));
            (DeploymentStrategy::Linear, None, Some(linear.step_bake_time_in_minutes(whole(minutes)).build()))
        }
    };
    let hooks = of.map(|of| of.lifecycle_hooks()).unwrap_or_default().iter();
    let hooks = hooks.filter(|hook| !pauses::is_ours(hook)).cloned();
    let hooks: Vec<_> = hooks.chain(wish.pauses.iter().map(|(at, minutes)| pauses::pause(*at, *minutes))).collect();
    let alarms = match wish.alarms.as_slice() {
        [] => of.and_then(|of| of.alarms().cloned()),
        names => {
            let alarms = DeploymentAlarms::builder().set_alarm_names(Some(names.to_vec()));
            alarms.enable(true).rollback(true).build().ok()
        }
    };
    DeploymentConfiguration::builder()
        .strategy(strategy)
        .set_canary_configuration(canary)
        .set_linear_configuration(linear)
        .bake_time_in_minutes(whole(wish.bake_minutes))
        .set_lifecycle_hooks(Some(hooks))
        .set_alarms(alarms)
        .set_maximum_percent(of.and_then(|of| of.maximum_percent()))
        .set_minimum_healthy_percent(of.and_then(|of| of.minimum_healthy_percent()))
        .set_deployment_circuit_breaker(of.and_then(|of| of.deployment_circuit_breaker().cloned()))
        .build()
}

fn deployment(of: &ServiceDeployment) -> NativeDeployment {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let status = match of.status() {
        Some(ServiceDeploymentStatus::Successful) => NativeStatus::Successful,
        Some(ServiceDeploymentStatus::Stopped) => NativeStatus::Stopped,
        Some(
            ServiceDeploymentStatus::RollbackRequested
            | ServiceDeploymentStatus::RollbackInProgress
            | ServiceDeploymentStatus::StopRequested,
        ) => NativeStatus::GoingBack,
        Some(ServiceDeploymentStatus::RollbackSuccessful) => NativeStatus::WentBack,
        Some(ServiceDeploymentStatus::RollbackFailed) => NativeStatus::Failed,
        Some(_) | None => NativeStatus::InProgress,
    };
    let back = of.rollback().and_then(|back| back.reason());
    NativeDeployment {
        arn: text(of.service_deployment_arn()),
        status,
        reason: text(back.or(of.status_reason())),
        green: of.target_service_revision().map(side).unwrap_or_default(),
        blue: of.source_service_revisions().first().map(side),
        waiting: pauses::waiting(of),
        is_baking: matches!(
            of.lifecycle_stage(),
            Some(ServiceDeploymentLifecycleStage::BakeTime | ServiceDeploymentLifecycleStage::CleanUp)
        ),
        alarms: of.alarms().map(|alarms| alarms.triggered_alarm_names().to_vec()).unwrap_or_default(),
    }
}

fn side(of: &ServiceRevisionSummary) -> NativeSide {
    let count = |number: i32| u32::try_from(number).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is cut at both ends")]
    let share = |percent: Option<f64>| (percent.unwrap_or(0.0) * 10.0).round().clamp(0.0, 1_000.0) as u16;
    NativeSide {
        revision: of.arn().unwrap_or_default().to_owned(),
        desired: count(of.requested_task_count()),
        running: count(of.running_task_count()),
        weight: share(of.requested_production_traffic_weight()),
        test_weight: share(of.requested_test_traffic_weight()),
    }
}
