//! Deployments in which ECS replaces tasks one after another (`ROLLING`), with its circuit breaker and alarms:
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html>.
//!
//! What ECS writes down of them (deployments, revisions) is the same as of those that shift requests: see [`NativeDeployment`].
//!
//! [`NativeDeployment`]: super::NativeDeployment

use aws_sdk_ecs::types::{
    DeploymentAlarms, DeploymentCircuitBreaker, DeploymentConfiguration, DeploymentStrategy, DesiredStatus,
    HealthStatus, Task,
};

use super::Ecs;
use crate::Problem;
use crate::patience::{changing, reading};

/// Tasks that are described at once; ECS takes no more, and lists as many at once.
const PAGE: usize = 100;
/// Tasks of a service that are looked at: ECS runs no more of one.
const TASKS_MAX: usize = 5_000;

/// How a service is to be deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollingWish {
    /// The service.
    pub service: String,
    /// What it runs then.
    pub task_definition: String,
    /// How many tasks; `None`: as many as it has.
    pub tasks: Option<u32>,
    /// Percent of them that stay healthy meanwhile; `None`: as the service has it.
    pub healthy_min: Option<u32>,
    /// Percent of them that there are at most meanwhile; `None`: as the service has it.
    pub running_max: Option<u32>,
    /// Whether ECS goes back by itself when tasks fail. That it stops then is always so.
    pub breaker_goes_back: bool,
    /// Alarms at which it goes back. `None`: those that the service has; empty: none.
    pub alarms: Option<Vec<String>>,
}

/// What of a service its rolling deployments need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollingService {
    /// Percent of the tasks that stay healthy meanwhile.
    pub healthy_min: u32,
    /// Percent of the tasks that there are at most meanwhile.
    pub running_max: u32,
    /// Alarms that it has.
    pub alarms: Vec<String>,
}

/// A task that should run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFacts {
    /// Its id.
    pub task: String,
    /// ARN of its task definition.
    pub task_definition: String,
    /// Its address in its network, once it has one.
    pub address: Option<String>,
    /// Whether it runs.
    pub is_running: bool,
    /// Whether its own health check fails. One without such a check does not.
    pub is_sick: bool,
}

impl Ecs {
    /// What of the service its rolling deployments need.
    ///
    /// # Errors
    /// It does not exist, or AWS does not say.
    pub async fn rolling(&self, service: &str) -> Result<RollingService, Problem> {
        let found = self.described(service).await?;
        let config = found.deployment_configuration();
        let percent = |number: Option<i32>, usual: u32| number.and_then(|of| u32::try_from(of).ok()).unwrap_or(usual);
        let alarms = config.and_then(|config| config.alarms()).filter(|alarms| alarms.enable());
        Ok(RollingService {
            // What ECS takes where nobody says otherwise.
            healthy_min: percent(config.and_then(|config| config.minimum_healthy_percent()), 100),
            running_max: percent(config.and_then(|config| config.maximum_percent()), 200),
            alarms: alarms.map(|alarms| alarms.alarm_names().to_vec()).unwrap_or_default(),
        })
    }

    /// Lets a service run another task definition, task by task.
    ///
    /// # Errors
    /// As AWS says; with [`Problem::is_uncertain`] the caller looks at the service's deployments.
    pub async fn roll(&self, wish: &RollingWish) -> Result<(), Problem> {
        let found = self.described(&wish.service).await?;
        let config = config(found.deployment_configuration(), wish);
        let count = wish.tasks.map(|tasks| i32::try_from(tasks).unwrap_or(i32::MAX));
        let asked = self.asked("ecs:UpdateService", &wish.service);
        let done = changing(|| async {
            let request = self.client.update_service().cluster(&self.cluster).service(&wish.service);
            let request = request.task_definition(&wish.task_definition).set_desired_count(count);
            let request = request.deployment_configuration(config.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        done.await.map(drop)
    }

    /// Lets a service run another task definition, and leaves all else as it is.
    ///
    /// # Errors
    /// As AWS says; with [`Problem::is_uncertain`] the caller looks at the service.
    pub async fn update_definition(&self, service: &str, task_definition: &str) -> Result<(), Problem> {
        let asked = self.asked("ecs:UpdateService", service);
        let done = changing(|| async {
            let request = self.client.update_service().cluster(&self.cluster).service(service);
            let request = request.task_definition(task_definition);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        done.await.map(drop)
    }

    /// The tasks of a service that should run.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn tasks(&self, service: &str) -> Result<Vec<TaskFacts>, Problem> {
        let asked = self.asked("ecs:ListTasks", service);
        let (mut all, mut next) = (Vec::new(), None::<String>);
        loop {
            let said = reading(|| async {
                let request = self.client.list_tasks().cluster(&self.cluster).service_name(service);
                let request = request.desired_status(DesiredStatus::Running).set_next_token(next.clone());
                request.send().await.map_err(|error| Problem::of(&error, asked))
            });
            let said = said.await?;
            all.extend(self.page(service, said.task_arns()).await?);
            next = said.next_token().map(str::to_owned);
            if next.is_none() || all.len() >= TASKS_MAX {
                return Ok(all);
            }
        }
    }

    async fn page(&self, service: &str, arns: &[String]) -> Result<Vec<TaskFacts>, Problem> {
        let asked = self.asked("ecs:DescribeTasks", service);
        let mut found = Vec::new();
        for arns in arns.chunks(PAGE) {
            let said = reading(|| async {
                let request = self.client.describe_tasks().cluster(&self.cluster).set_tasks(Some(arns.to_vec()));
                request.send().await.map_err(|error| Problem::of(&error, asked))
            });
            found.extend(said.await?.tasks().iter().map(task));
        }
        Ok(found)
    }
}

fn task(of: &Task) -> TaskFacts {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let mut interfaces = of.containers().iter().flat_map(|one| one.network_interfaces());
    TaskFacts {
        task: text(of.task_arn().and_then(|arn| arn.rsplit('/').next())),
        task_definition: text(of.task_definition_arn()),
        address: interfaces.find_map(|one| one.private_ipv4_address()).map(str::to_owned),
        is_running: of.last_status() == Some("RUNNING"),
        is_sick: of.health_status() == Some(&HealthStatus::Unhealthy),
    }
}

/// What the service has, with the wish in it.
fn config(of: Option<&DeploymentConfiguration>, wish: &RollingWish) -> DeploymentConfiguration {
    let whole = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let known = of.and_then(|of| of.deployment_circuit_breaker());
    let breaker = DeploymentCircuitBreaker::builder()
        .enable(true)
        .rollback(wish.breaker_goes_back)
        .set_reset_on_healthy_task(known.and_then(|known| known.reset_on_healthy_task()))
        .set_threshold_configuration(known.and_then(|known| known.threshold_configuration().cloned()));
    let alarms = match &wish.alarms {
        None => of.and_then(|of| of.alarms().cloned()),
        Some(names) => {
            let alarms = DeploymentAlarms::builder().set_alarm_names(Some(names.clone()));
            alarms.enable(!names.is_empty()).rollback(!names.is_empty()).build().ok()
        }
    };
    DeploymentConfiguration::builder()
        .strategy(DeploymentStrategy::Rolling)
        .set_minimum_healthy_percent(
            wish.healthy_min.map(whole).or_else(|| of.and_then(|of| of.minimum_healthy_percent())),
        )
        .set_maximum_percent(wish.running_max.map(whole).or_else(|| of.and_then(|of| of.maximum_percent())))
        .deployment_circuit_breaker(breaker.build())
        .set_alarms(alarms)
        .set_early_success_criteria(of.and_then(|of| of.early_success_criteria().cloned()))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_has_stays() {
        let has = DeploymentConfiguration::builder()
            .strategy(DeploymentStrategy::BlueGreen)
            .minimum_healthy_percent(50)
            .maximum_percent(150)
            .bake_time_in_minutes(5)
            .build();
        let made = config(Some(&has), &RollingWish { running_max: Some(120), ..RollingWish::default() });
        assert_eq!((made.minimum_healthy_percent(), made.maximum_percent()), (Some(50), Some(120)));
        assert_eq!((made.strategy(), made.bake_time_in_minutes()), (Some(&DeploymentStrategy::Rolling), None));
        let breaker = made.deployment_circuit_breaker().unwrap();
        assert!(breaker.enable() && !breaker.rollback() && made.alarms().is_none());
        let rings = RollingWish { alarms: Some(vec!["a".into()]), breaker_goes_back: true, ..RollingWish::default() };
        let made = config(None, &rings);
        assert!(made.alarms().is_some_and(|one| one.enable() && one.rollback()));
        assert!(made.deployment_circuit_breaker().unwrap().rollback());
        let none = config(Some(&made), &RollingWish { alarms: Some(Vec::new()), ..RollingWish::default() });
        assert!(none.alarms().is_some_and(|one| !one.enable()));
    }
}
