//! CodeDeploy, for services of ECS: deployments that AWS itself takes from weight to weight.
//!
//! `CreateDeployment` knows no token that would make it happen once. Whoever makes one marks it in its description, looks for
//! that before, and CodeDeploy refuses a second one of a group while one goes on.

mod facts;
mod group;
mod words;

use std::time::SystemTime;

use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::primitives::DateTime;
use aws_sdk_codedeploy::types::{
    Alarm, AlarmConfiguration, AppSpecContent, AutoRollbackConfiguration, AutoRollbackEvent, DeploymentStatus,
    DeploymentWaitType, RevisionLocation, RevisionLocationType, TimeRange,
};

pub use facts::{Deployment, DeploymentTarget, Event, SetFacts, Status};
pub use group::{Group, Routing};
pub use words::gave_up;

use crate::cloud::Service;
use crate::patience::{changing, reading};
use crate::problem::Asked;
use crate::{Cloud, Fault, Problem};

/// Longest description, in characters, that CodeDeploy documents:
/// <https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html>.
pub const DESCRIPTION_MAX: usize = 256;
/// Deployments that are looked through for one of ours.
const DEPLOYMENTS_MAX: usize = 20;

/// Deployments of a region.
#[derive(Debug, Clone)]
pub struct CodeDeploy {
    client: Client,
    region: String,
}

/// One that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeployment {
    /// Whose.
    pub application: String,
    /// What is deployed, and how.
    pub group: String,
    /// Another configuration than the group's.
    pub config: Option<String>,
    /// `AppSpec` as JSON or YAML.
    pub app_spec: String,
    /// At most [`DESCRIPTION_MAX`] characters; it names whoever asks.
    pub description: String,
    /// Alarms that end it, in place of the group's; empty: the group's.
    pub alarms: Vec<String>,
}

/// What a deployment waits for, until somebody says that it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Users' requests.
    Ready,
    /// The end of the old tasks.
    Termination,
}

impl Cloud {
    /// The deployments of the region.
    #[must_use]
    pub fn codedeploy(&self) -> CodeDeploy {
        let client = Client::new(&self.config(Service::CodeDeploy));
        CodeDeploy { client, region: self.region().to_owned() }
    }
}

impl CodeDeploy {
    fn asked<'a>(&'a self, action: &'a str, resource: &'a str) -> Asked<'a> {
        Asked { action, resource, region: &self.region }
    }

    /// A deployment by its id.
    ///
    /// # Errors
    /// It does not exist, or AWS does not say.
    pub async fn deployment(&self, id: &str) -> Result<Deployment, Problem> {
        let asked = self.asked("codedeploy:GetDeployment", id);
        let said = reading(|| async {
            let request = self.client.get_deployment().deployment_id(id);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        said.deployment_info().map(facts::deployment).ok_or_else(|| unsaid("a deployment"))
    }

    /// Several deployments, in the order of their ids; one that does not exist is left out. CodeDeploy takes 25 at a time.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn several(&self, ids: &[String]) -> Result<Vec<Deployment>, Problem> {
        let asked = self.asked("codedeploy:BatchGetDeployments", ids.first().map_or("", String::as_str));
        let said = reading(|| async {
            let request = self.client.batch_get_deployments().set_deployment_ids(Some(ids.to_vec()));
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said: Vec<Deployment> = said.await?.deployments_info().iter().map(facts::deployment).collect();
        Ok(ids.iter().filter_map(|id| said.iter().find(|one| one.id == *id).cloned()).collect())
    }

    /// Events and task sets of a deployment of ECS, whose only target is named `CLUSTER:SERVICE`; `None` while it has not
    /// begun.
    ///
    /// # Errors
    /// It does not exist, or AWS does not say.
    pub async fn target(&self, id: &str, target: &str) -> Result<Option<DeploymentTarget>, Problem> {
        let asked = self.asked("codedeploy:GetDeploymentTarget", id);
        let said = reading(|| async {
            let request = self.client.get_deployment_target().deployment_id(id).target_id(target);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        match said.await {
            Err(problem) if problem.is("DeploymentNotStartedException") => Ok(None),
            Err(problem) => Err(problem),
            Ok(said) => Ok(said.deployment_target().and_then(|one| one.ecs_target()).map(facts::target)),
        }
    }

    /// Ids of a group's deployments, newest first, made since then; with `is_active` only those that go on.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn deployments(
        &self,
        application: &str,
        group: &str,
        since: Option<SystemTime>,
        is_active: bool,
    ) -> Result<Vec<String>, Problem> {
        let asked = self.asked("codedeploy:ListDeployments", group);
        let said = reading(|| async {
            let request = self.client.list_deployments().application_name(application).deployment_group_name(group);
            let statuses = is_active.then(|| {
                use DeploymentStatus::{Baking, Created, InProgress, Queued, Ready};
                vec![Created, Queued, InProgress, Baking, Ready]
            });
            let range = since.map(|since| TimeRange::builder().start(DateTime::from(since)).build());
            let request = request.set_include_only_statuses(statuses).set_create_time_range(range);
            request.send().await.map_err(|error| words::of_group(Problem::of(&error, asked), application, group))
        });
        let mut ids = said.await?.deployments().to_vec();
        ids.truncate(DEPLOYMENTS_MAX);
        Ok(ids)
    }

    /// Begins a deployment, which goes back by itself when it fails, is stopped, or an alarm is on. Gives its id.
    ///
    /// # Errors
    /// As AWS says; with [`Problem::is_uncertain`] the caller looks for it.
    pub async fn create(&self, new: &NewDeployment) -> Result<String, Problem> {
        use AutoRollbackEvent::{DeploymentFailure, DeploymentStopOnAlarm, DeploymentStopOnRequest};
        let asked = self.asked("codedeploy:CreateDeployment", &new.group);
        let spec = AppSpecContent::builder().content(&new.app_spec).build();
        let revision = RevisionLocation::builder().revision_type(RevisionLocationType::AppSpecContent);
        let revision = revision.app_spec_content(spec).build();
        let events = vec![DeploymentFailure, DeploymentStopOnAlarm, DeploymentStopOnRequest];
        let back = AutoRollbackConfiguration::builder().enabled(true).set_events(Some(events)).build();
        let alarms = new.alarms.iter().map(|name| Alarm::builder().name(name).build()).collect();
        let alarms = AlarmConfiguration::builder().enabled(true).set_alarms(Some(alarms)).build();
        let said = changing(|| async {
            let request = self.client.create_deployment().application_name(&new.application);
            let request = request.deployment_group_name(&new.group).description(&new.description);
            let request = request.revision(revision.clone()).auto_rollback_configuration(back.clone());
            let request = request.set_deployment_config_name(new.config.clone());
            let request = request.set_override_alarm_configuration((!new.alarms.is_empty()).then(|| alarms.clone()));
            let of_group = |problem| words::of_group(problem, &new.application, &new.group);
            request.send().await.map_err(|error| of_group(Problem::of(&error, asked)))
        });
        said.await?.deployment_id().map(str::to_owned).ok_or_else(|| unsaid("a deployment that it began"))
    }

    /// Lets one that waits go on.
    ///
    /// # Errors
    /// It does not wait for that, or as AWS says; the caller looks at it then.
    pub async fn go_on(&self, id: &str, wait: Wait) -> Result<(), Problem> {
        let asked = self.asked("codedeploy:ContinueDeployment", id);
        let wait = match wait {
            Wait::Ready => DeploymentWaitType::ReadyWait,
            Wait::Termination => DeploymentWaitType::TerminationWait,
        };
        let said = changing(|| async {
            let request = self.client.continue_deployment().deployment_id(id).deployment_wait_type(wait.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        said.await.map(drop)
    }

    /// Stops one and lets it go back, which is a deployment of its own ([`Deployment::goes_back_by`]). It stops some time
    /// after the answer.
    ///
    /// # Errors
    /// It is over already, or as AWS says; the caller looks at it then.
    pub async fn stop(&self, id: &str) -> Result<(), Problem> {
        let asked = self.asked("codedeploy:StopDeployment", id);
        let said = changing(|| async {
            let request = self.client.stop_deployment().deployment_id(id).auto_rollback_enabled(true);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        said.await.map(drop)
    }
}

fn unsaid(what: &str) -> Problem {
    Problem::plain(Fault::Aws, format!("AWS did not name {what}"))
}
