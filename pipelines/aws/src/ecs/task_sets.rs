//! Task sets of a service whose deployment controller is `EXTERNAL`: whoever deploys it makes, scales and ends them
//! (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-external.html>).

use std::time::SystemTime;

use aws_sdk_ecs::types::{
    LaunchType, LoadBalancer, Scale, ScaleUnit, StabilityStatus, TaskSet as SdkTaskSet, TaskSetField,
};

use super::Ecs;
use crate::patience::{changing, reading};
use crate::{Fault, Problem};

/// All of the service's desired tasks.
const WHOLE: f64 = 100.0;

/// How a task set stands to its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskSetStatus {
    /// It is the one that serves.
    Primary,
    /// It is another one.
    Active,
    /// It ends: its targets drain and its tasks stop.
    Draining,
}

/// A task set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSetFacts {
    /// Its id, `ecs-svc/…`.
    pub id: String,
    /// How it stands to its service.
    pub status: TaskSetStatus,
    /// ARN of its task definition.
    pub task_definition: String,
    /// Tasks that it should have: its percentage of the service's, rounded up. ECS's own figure comes a little later.
    pub desired: u32,
    /// Whether it should have all of the service's.
    pub is_whole: bool,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that start.
    pub pending: u32,
    /// Whether ECS calls it steady: as many tasks as it should have, all of them healthy.
    pub is_steady: bool,
    /// Target groups that its tasks are in, with the port of the container.
    pub groups: Vec<(String, Option<i32>)>,
    /// What whoever made it calls it; empty: nothing.
    pub external_id: String,
    /// When it was made.
    pub at: Option<SystemTime>,
}

/// A task set to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskSetWish {
    /// The service.
    pub service: String,
    /// Id of the task set whose network, launch type or capacity providers, platform, registries and tags it gets.
    pub like: String,
    /// What it runs.
    pub task_definition: String,
    /// ARN of the target group that its tasks come into.
    pub group: String,
    /// The container that serves there.
    pub container: String,
    /// What it is called outside of ECS.
    pub external_id: String,
    /// Makes a second call the first one: up to 36 characters of ASCII without blanks.
    pub token: String,
}

impl Ecs {
    /// Makes a task set for all of the service's desired tasks, beside one that is there. With the same token there is one,
    /// however often it is asked for.
    ///
    /// # Errors
    /// The one that it should be like is not there, or as AWS says; with [`Problem::is_uncertain`] the caller asks again.
    pub async fn create_task_set(&self, wish: &TaskSetWish) -> Result<String, Problem> {
        let like = self.task_set(&wish.service, &wish.like).await?;
        let asked = self.asked("ecs:CreateTaskSet", &wish.service);
        let port = like.load_balancers().first().and_then(LoadBalancer::container_port);
        let balancer = LoadBalancer::builder().target_group_arn(&wish.group).container_name(&wish.container);
        let balancer = balancer.set_container_port(port).build();
        let said = changing(|| async {
            let request = self.client.create_task_set().cluster(&self.cluster).service(&wish.service);
            let request = request.task_definition(&wish.task_definition).load_balancers(balancer.clone());
            let request = request.external_id(&wish.external_id).client_token(&wish.token).scale(percent(WHOLE));
            // Either says where tasks run, and AWS refuses both at once.
            let providers = Some(like.capacity_provider_strategy().to_vec()).filter(|all| !all.is_empty());
            let launch = like.launch_type().filter(|_| providers.is_none()).cloned();
            let is_fargate = providers.is_some() || launch == Some(LaunchType::Fargate);
            let platform = like.platform_version().filter(|version| is_fargate && !version.is_empty());
            let request = request.set_launch_type(launch).set_capacity_provider_strategy(providers);
            let request = request.set_platform_version(platform.map(str::to_owned));
            let request = request.set_network_configuration(like.network_configuration().cloned());
            let some = |length: usize| (length > 0).then_some(());
            let registries = some(like.service_registries().len()).map(|()| like.service_registries().to_vec());
            let tags = some(like.tags().len()).map(|()| like.tags().to_vec());
            let request = request.set_service_registries(registries).set_tags(tags);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let id = said.task_set().and_then(|set| set.id()).map(str::to_owned);
        id.ok_or_else(|| Problem::plain(Fault::Aws, "AWS made a task set and did not name it"))
    }

    /// A task set with all that it was made of.
    async fn task_set(&self, service: &str, id: &str) -> Result<SdkTaskSet, Problem> {
        let asked = self.asked("ecs:DescribeTaskSets", service);
        let said = reading(|| async {
            let request = self.client.describe_task_sets().cluster(&self.cluster).service(service);
            let request = request.task_sets(id).include(TaskSetField::Tags);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let missing = || Problem::plain(Fault::Request, format!("service {service} has no task set {id} any more"));
        said.await?.task_sets().first().cloned().ok_or_else(missing)
    }

    /// Lets a task set have all of the service's desired tasks.
    ///
    /// # Errors
    /// As AWS says; with [`Problem::is_uncertain`] the caller looks at it.
    pub async fn scale_task_set(&self, service: &str, id: &str) -> Result<(), Problem> {
        let asked = self.asked("ecs:UpdateTaskSet", id);
        let done = changing(|| async {
            let request = self.client.update_task_set().cluster(&self.cluster).service(service).task_set(id);
            request.scale(percent(WHOLE)).send().await.map_err(|error| Problem::of(&error, asked))
        });
        done.await.map(drop)
    }

    /// Makes a task set the one that serves.
    ///
    /// # Errors
    /// As AWS says; with [`Problem::is_uncertain`] the caller looks at it.
    pub async fn set_primary(&self, service: &str, id: &str) -> Result<(), Problem> {
        let asked = self.asked("ecs:UpdateServicePrimaryTaskSet", service);
        let done = changing(|| async {
            let request = self.client.update_service_primary_task_set().cluster(&self.cluster).service(service);
            request.primary_task_set(id).send().await.map_err(|error| Problem::of(&error, asked))
        });
        done.await.map(drop)
    }

    /// Ends a task set with all of its tasks: targets drain first, then tasks stop. It is seen as draining meanwhile.
    ///
    /// # Errors
    /// As AWS says; with [`Problem::is_uncertain`] the caller looks at it.
    pub async fn delete_task_set(&self, service: &str, id: &str) -> Result<(), Problem> {
        let asked = self.asked("ecs:DeleteTaskSet", id);
        let done = changing(|| async {
            let request = self.client.delete_task_set().cluster(&self.cluster).service(service).task_set(id);
            // Otherwise it would have to be scaled to nothing before.
            request.force(true).send().await.map_err(|error| Problem::of(&error, asked))
        });
        match done.await {
            // Somebody else has ended it already.
            Err(problem) if problem.is("TaskSetNotFoundException") => Ok(()),
            done => done.map(drop),
        }
    }
}

fn percent(value: f64) -> Scale {
    Scale::builder().value(value).unit(ScaleUnit::Percent).build()
}

/// A task set of a service that should have so many tasks.
pub(super) fn facts(of: &SdkTaskSet, desired: u32) -> TaskSetFacts {
    let count = |number: i32| u32::try_from(number).unwrap_or(0);
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let scale = of.scale().map_or(WHOLE, Scale::value);
    let group = |one: &LoadBalancer| Some((one.target_group_arn()?.to_owned(), one.container_port()));
    TaskSetFacts {
        id: text(of.id()),
        status: match of.status() {
            Some("PRIMARY") => TaskSetStatus::Primary,
            Some("DRAINING") => TaskSetStatus::Draining,
            Some(_) | None => TaskSetStatus::Active,
        },
        task_definition: text(of.task_definition()),
        desired: part(desired, scale),
        is_whole: scale >= WHOLE,
        running: count(of.running_count()),
        pending: count(of.pending_count()),
        is_steady: of.stability_status() == Some(&StabilityStatus::SteadyState),
        groups: of.load_balancers().iter().filter_map(group).collect(),
        external_id: text(of.external_id()),
        at: of.created_at().and_then(|at| SystemTime::try_from(*at).ok()),
    }
}

/// So many percent of a count, rounded up as ECS does.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of tasks, which are small")]
fn part(count: u32, percent: f64) -> u32 {
    (f64::from(count) * percent.clamp(0.0, WHOLE) / WHOLE).ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_tasks_is_rounded_up() {
        for (count, percent, expected) in [(4, 100.0, 4), (4, 50.0, 2), (3, 40.0, 2), (3, 0.0, 0), (0, 100.0, 0)] {
            assert_eq!(part(count, percent), expected, "{percent} % of {count}");
        }
    }
}
