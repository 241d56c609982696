//! ECS: task definitions, services and tasks, as far as a rollout moves them.

mod native;
mod pauses;
mod rolling;
mod task_sets;

use std::time::SystemTime;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{
    DesiredStatus, Service as SdkService, ServiceField, SortOrder, TaskDefinitionField, TaskDefinitionStatus,
};

pub use native::{
    NativeDeployment, NativeRevision, NativeService, NativeSide, NativeStatus, NativeStrategy, NativeWish,
};
pub use pauses::{NativePause, PauseAt};
pub use rolling::{RollingService, RollingWish, TaskFacts};
pub use task_sets::{TaskSetFacts, TaskSetStatus, TaskSetWish};

use crate::cloud::Service;
use crate::patience::{changing, reading};
use crate::problem::Asked;
use crate::{Cloud, Fault, Problem, TaskDefinition};

/// Revisions of a family that are looked at for one with a tag: the last ones.
const REVISIONS_MAX: i32 = 10;
/// Tasks that are described at once, and ECS takes no more.
const TASKS_MAX: usize = 100;
/// Events of a service that are shown.
const EVENTS_MAX: usize = 5;

/// The containers of one cluster.
#[derive(Debug, Clone)]
pub struct Ecs {
    client: Client,
    cluster: String,
    region: String,
}

/// A registered task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its ARN, revision and all.
    pub arn: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// When it was registered.
    pub at: Option<SystemTime>,
    /// The image of each container.
    pub images: Vec<(String, String)>,
}

impl Registered {
    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// Who decides how a service's tasks are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// ECS.
    Ecs,
    /// CodeDeploy.
    CodeDeploy,
    /// Whoever makes its task sets.
    External,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Its name.
    pub name: String,
    /// ARN of its task definition; of one with task sets that of the primary one.
    pub task_definition: String,
    /// Tasks that should run.
    pub desired: u32,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that start.
    pub pending: u32,
    /// Who replaces them.
    pub controller: Controller,
    /// Target groups that its tasks are in.
    pub target_groups: Vec<String>,
    /// Tasks of the deployment that goes on that failed.
    pub failed: u32,
    /// Whether one deployment is there alone and has all of its tasks.
    pub is_steady: bool,
    /// Why ECS gave its deployment up, if it did.
    pub given_up: Option<String>,
    /// What ECS said of it last, newest first.
    pub events: Vec<String>,
    /// Its task sets; none of a service that ECS deploys.
    pub task_sets: Vec<TaskSetFacts>,
}

/// A task that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Its id.
    pub task: String,
    /// ARN of its task definition.
    pub task_definition: String,
    /// When it was made.
    pub at: Option<SystemTime>,
    /// ECS's word for why.
    pub stopped: String,
    /// Each container with its exit code, if it ran, and a reason.
    pub containers: Vec<(String, Option<i32>, String)>,
}

impl Cloud {
    /// The containers of a cluster, by its name or ARN.
    #[must_use]
    pub fn ecs(&self, cluster: &str) -> Ecs {
        let client = Client::new(&self.config(Service::Ecs));
        Ecs { client, cluster: cluster.to_owned(), region: self.region().to_owned() }
    }
}

impl Ecs {
    fn asked<'a>(&'a self, action: &'a str, resource: &'a str) -> Asked<'a> {
        Asked { action, resource, region: &self.region }
    }

    /// A task definition by its ARN or family; of a family the last revision.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn task_definition(&self, name: &str) -> Result<Registered, Problem> {
        let asked = self.asked("ecs:DescribeTaskDefinition", name);
        let said = reading(|| async {
            let request = self.client.describe_task_definition().task_definition(name);
            let request = request.include(TaskDefinitionField::Tags);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let of = said.task_definition();
        let pair = |tag: &aws_sdk_ecs::types::Tag| {
            (tag.key().unwrap_or_default().to_owned(), tag.value().unwrap_or_default().to_owned())
        };
        let image = |one: &aws_sdk_ecs::types::ContainerDefinition| {
            (one.name().unwrap_or_default().to_owned(), one.image().unwrap_or_default().to_owned())
        };
        Ok(Registered {
            arn: of.and_then(|of| of.task_definition_arn()).unwrap_or_default().to_owned(),
            tags: said.tags().iter().map(pair).collect(),
            at: of.and_then(|of| of.registered_at()).and_then(|at| SystemTime::try_from(*at).ok()),
            images: of.map(|of| of.container_definitions().iter().map(image).collect()).unwrap_or_default(),
        })
    }

    /// The newest revision of a family that has this tag: what was registered for a rollout before a crash.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn registered_for(&self, family: &str, key: &str, value: &str) -> Result<Option<Registered>, Problem> {
        let asked = self.asked("ecs:ListTaskDefinitions", family);
        let said = reading(|| async {
            let request = self.client.list_task_definitions().family_prefix(family).max_results(REVISIONS_MAX);
            let request = request.status(TaskDefinitionStatus::Active).sort(SortOrder::Desc);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        for arn in said.await?.task_definition_arns() {
            let found = self.task_definition(arn).await?;
            if found.tag(key) == Some(value) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Registers a revision: the file as it is, whatever members this program's SDK knows. Whether one was made when nobody
    /// heard the answer is found out by [`Self::registered_for`].
    ///
    /// # Errors
    /// As AWS says.
    pub async fn register(&self, definition: &TaskDefinition) -> Result<String, Problem> {
        let asked = self.asked("ecs:RegisterTaskDefinition", definition.family());
        let body = definition.json().to_string();
        let said = changing(|| async {
            let body = body.clone();
            let request = self.client.register_task_definition().family(definition.family());
            let request = request.set_container_definitions(Some(Vec::new()));
            let sent = request.customize().mutate_request(move |request| {
                request.headers_mut().insert("content-length", body.len().to_string());
                *request.body_mut() = body.clone().into();
            });
            sent.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let arn = said.task_definition().and_then(|of| of.task_definition_arn()).map(str::to_owned);
        arn.ok_or_else(|| Problem::plain(Fault::Aws, "AWS registered a task definition and did not name it"))
    }

    /// Services by name; one that is not there, or was deleted, is left out.
    ///
    /// # Errors
    /// The cluster does not exist, or AWS does not say.
    pub async fn services(&self, names: &[&str]) -> Result<Vec<ServiceFacts>, Problem> {
        let asked = self.asked("ecs:DescribeServices", &self.cluster);
        let said = reading(|| async {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let request = self.client.describe_services().cluster(&self.cluster).set_services(Some(names));
            let request = request.include(ServiceField::Tags);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let there = said.services().iter().filter(|one| one.status() != Some("INACTIVE"));
        Ok(there.map(facts).collect())
    }

    /// Lets a service run so many tasks of a definition. Setting what is set already changes nothing at AWS.
    ///
    /// # Errors
    /// As AWS says; with [`Problem::is_uncertain`] the caller looks at the service.
    pub async fn update(&self, service: &str, task_definition: Option<&str>, tasks: u32) -> Result<(), Problem> {
        let asked = self.asked("ecs:UpdateService", service);
        let count = i32::try_from(tasks).unwrap_or(i32::MAX);
        let done = changing(|| async {
            let request = self.client.update_service().cluster(&self.cluster).service(service).desired_count(count);
            let request = request.set_task_definition(task_definition.map(str::to_owned));
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        done.await.map(drop)
    }

    /// Tasks of a service that ended lately: ECS knows them for an hour.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn ended(&self, service: &str) -> Result<Vec<Ended>, Problem> {
        let asked = self.asked("ecs:ListTasks", service);
        let said = reading(|| async {
            let request = self.client.list_tasks().cluster(&self.cluster).service_name(service);
            let request = request.desired_status(DesiredStatus::Stopped);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let mut arns = said.await?.task_arns().to_vec();
        arns.truncate(TASKS_MAX);
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let asked = self.asked("ecs:DescribeTasks", service);
        let said = reading(|| async {
            let request = self.client.describe_tasks().cluster(&self.cluster).set_tasks(Some(arns.clone()));
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        Ok(said.await?.tasks().iter().map(ended).collect())
    }
}

fn facts(of: &SdkService) -> ServiceFacts {
    use aws_sdk_ecs::types::{DeploymentControllerType, DeploymentRolloutState};
    let count = |number: i32| u32::try_from(number).unwrap_or(0);
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let primary = of.deployments().iter().find(|one| one.status() == Some("PRIMARY"));
    let stands =
        of.task_sets().iter().find(|set| set.status() == Some("PRIMARY")).and_then(|set| set.task_definition());
    let given_up = primary.filter(|one| one.rollout_state() == Some(&DeploymentRolloutState::Failed));
    let controller = of.deployment_controller().map(|controller| controller.r#type().clone());
    ServiceFacts {
        name: text(of.service_name()),
        task_definition: text(stands.or(of.task_definition())),
        desired: count(of.desired_count()),
        running: count(of.running_count()),
        pending: count(of.pending_count()),
        controller: match controller {
            Some(DeploymentControllerType::CodeDeploy) => Controller::CodeDeploy,
            Some(DeploymentControllerType::External) => Controller::External,
            Some(_) | None => Controller::Ecs,
        },
        target_groups: of.load_balancers().iter().filter_map(|one| one.target_group_arn()).map(str::to_owned).collect(),
        failed: primary.map_or(0, |one| count(one.failed_tasks())),
        is_steady: of.deployments().len() == 1 && of.running_count() == of.desired_count(),
        given_up: given_up.map(|one| text(one.rollout_state_reason())),
        events: of.events().iter().take(EVENTS_MAX).map(|event| text(event.message())).collect(),
        task_sets: of.task_sets().iter().map(|set| task_sets::facts(set, count(of.desired_count()))).collect(),
    }
}

fn ended(of: &aws_sdk_ecs::types::Task) -> Ended {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let container = |one: &aws_sdk_ecs::types::Container| (text(one.name()), one.exit_code(), text(one.reason()));
    Ended {
        task: text(of.task_arn().and_then(|arn| arn.rsplit('/').next())),
        task_definition: text(of.task_definition_arn()),
        at: of.created_at().and_then(|at| SystemTime::try_from(*at).ok()),
        stopped: text(of.stopped_reason()),
        containers: of.containers().iter().map(container).collect(),
    }
}
