//! What tasks belong to: how many there should be, where they are registered, and whether all is as it should be.

use serde_json::{Value, json};

use super::tasks::TaskState;
use crate::elb::groups::Group;
use crate::error::AwsError;
use crate::value::{Input as _, Time};
use crate::world::World;

/// Which tasks are registered where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Balanced {
    pub(crate) group: String,
    pub(crate) container: String,
    pub(crate) port: u16,
}

/// What kind of set it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of a service that ECS deploys.
    Deployment,
    /// Of one that another deploys.
    TaskSet,
}

/// A set of tasks of one definition.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    /// `ecs-svc/…`.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) service: String,
    pub(crate) definition: String,
    pub(crate) desired: i64,
    pub(crate) balanced: Vec<Balanced>,
    /// As it was said when it was made.
    pub(crate) spec: Value,
    pub(crate) created: Time,
    pub(crate) updated: Time,
    /// `PRIMARY`, `ACTIVE`, `DRAINING`.
    pub(crate) status: &'static str,
    /// In percent of the service's desired count; of task sets only.
    pub(crate) scale: f64,
    /// Tasks that ended although they should run.
    pub(crate) failed: i64,
    /// The most healthy tasks that it has had at once.
    pub(crate) most_healthy: i64,
    pub(crate) last_failure: Option<String>,
    /// No task is started before this.
    pub(crate) next_start: Time,
    /// Since when all is as it should be.
    pub(crate) steady_since: Option<Time>,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED`; with what people read.
    pub(crate) rollout: (&'static str, String),
    pub(crate) started_by: Option<String>,
}

/// How many tasks of a set are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) running: i64,
    pub(crate) pending: i64,
    /// Running and, where a balancer asks, healthy.
    pub(crate) healthy: i64,
    /// Not stopped yet, though they should be.
    pub(crate) ending: i64,
}

impl World {
    /// Reads where tasks are registered.
    pub(super) fn balanced(&self, spec: &Value, definition: &str) -> Result<Vec<Balanced>, AwsError> {
        let mut all = Vec::new();
        for one in spec.items("loadBalancers") {
            let group = one.need("targetGroupArn")?.to_owned();
            let Some(Group { .. }) = self.elb.groups.get(&group) else {
                let message = format!("The target group with targetGroupArn {group} does not exist.");
                return Err(AwsError::invalid(message));
            };
            if self.balancers_of_group(&group).is_empty() && spec.get("deploymentController").is_some() {
                let message =
                    format!("The target group with targetGroupArn {group} does not have an associated load balancer.");
                return Err(AwsError::invalid(message));
            }
            let container = one.need("containerName")?.to_owned();
            let port = one.int("containerPort").unwrap_or_default();
            let known = self.definition(definition)?.spec.items("containerDefinitions");
            let found = known.iter().find(|known| known.text("name") == Some(&container));
            let Some(found) = found else {
                return Err(AwsError::invalid(format!(
                    "The container {container} does not exist in the task definition."
                )));
            };
            if !found.items("portMappings").iter().any(|mapping| mapping.int("containerPort") == Some(port)) {
                let message = format!("The container {container} did not have a container port {port} defined.");
                return Err(AwsError::invalid(message));
            }
            all.push(Balanced { group, container, port: u16::try_from(port).unwrap_or_default() });
        }
        Ok(all)
    }

    /// Adds a set. `desired` is how many tasks it has at once.
    pub(crate) fn add_set(
        &mut self,
        kind: Kind,
        service: &str,
        definition: &str,
        balanced: Vec<Balanced>,
        desired: i64,
    ) -> String {
        let id = format!("ecs-svc/{}", self.ids.digits(19));
        let now = self.now;
        let set = Set {
            id: id.clone(),
            kind,
            service: service.to_owned(),
            definition: definition.to_owned(),
            desired,
            balanced,
            spec: self.ecs.services.get(service).map_or_else(|| json!({}), |service| service.spec.clone()),
            created: now,
            updated: now,
            status: "ACTIVE",
            scale: 100.0,
            failed: 0,
            most_healthy: 0,
            last_failure: None,
            next_start: now,
            steady_since: None,
            rollout: ("IN_PROGRESS", format!("ECS deployment {id} in progress.")),
            started_by: None,
        };
        self.ecs.sets.insert(id.clone(), set);
        id
    }

    pub(crate) fn counts(&self, set: &str) -> Counts {
        let mut counts = Counts::default();
        let Some(known) = self.ecs.sets.get(set) else { return counts };
        for task in self.ecs.tasks.values().filter(|task| task.set.as_deref() == Some(set)) {
            match task.state {
                TaskState::Running if task.is_wanted => {
                    counts.running += 1;
                    let address = task.address.as_deref().unwrap_or_default();
                    let is_healthy = known.balanced.iter().all(|one| {
                        !self.is_used(&one.group)
                            || self.health_of(&one.group, address, one.port) == Some(crate::elb::Health::Healthy)
                    });
                    counts.healthy += i64::from(is_healthy);
                }
                TaskState::Provisioning | TaskState::Pending if task.is_wanted => counts.pending += 1,
                TaskState::Stopped => {}
                TaskState::Provisioning
                | TaskState::Pending
                | TaskState::Running
                | TaskState::Deactivating
                | TaskState::Stopping => counts.ending += 1,
            }
        }
        counts
    }

    /// As many tasks as there should be, all healthy, none left over.
    pub(crate) fn is_steady(&self, set: &str) -> bool {
        let counts = self.counts(set);
        let desired = self.ecs.sets.get(set).map_or(0, |set| set.desired);
        counts.running == desired && counts.healthy == desired && counts.pending == 0 && counts.ending == 0
    }

    /// As many healthy tasks as there should be, whatever else still ends.
    pub(crate) fn is_up(&self, set: &str) -> bool {
        self.ecs.sets.get(set).is_some_and(|known| self.counts(set).healthy >= known.desired)
    }

    pub(crate) fn set_desired(&mut self, set: &str, desired: i64) {
        let now = self.now;
        if let Some(set) = self.ecs.sets.get_mut(set)
            && set.desired != desired
        {
            (set.desired, set.updated) = (desired, now);
        }
    }

    /// Sets of a service, oldest first.
    pub(crate) fn sets_of(&self, service: &str) -> Vec<String> {
        let mut all: Vec<_> = self.ecs.sets.values().filter(|set| set.service == service).collect();
        all.sort_by_key(|set| (set.created, set.id.clone()));
        all.into_iter().map(|set| set.id.clone()).collect()
    }

    pub(crate) fn primary_set(&self, service: &str) -> Option<String> {
        self.ecs.sets.values().find(|set| set.service == service && set.status == "PRIMARY").map(|set| set.id.clone())
    }
}
