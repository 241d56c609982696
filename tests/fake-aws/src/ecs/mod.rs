//! ECS: what there is, and which operation is where. Sets are what tasks belong to: a deployment of a service that ECS
//! deploys, or a task set of one that CodeDeploy or somebody else does.

mod definitions;
mod deployments;
mod describe;
mod lives;
mod native;
mod native_hooks;
mod rolling;
mod services;
mod set;
mod task_sets;
mod tasks;
mod update;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, Time};
use crate::world::World;

pub(crate) use definitions::Definition;
pub(crate) use deployments::{HookState, ServiceDeployment};
pub(crate) use lives::Launch;
pub(crate) use set::{Balanced, Kind, Set};
pub(crate) use tasks::{Task, TaskState};

/// Everything of ECS.
#[derive(Debug, Default)]
pub(crate) struct Ecs {
    /// Names of clusters.
    clusters: BTreeMap<String, Time>,
    pub(crate) definitions: Vec<Definition>,
    /// By ARN.
    pub(crate) services: BTreeMap<String, Service>,
    /// By id.
    pub(crate) sets: BTreeMap<String, Set>,
    /// By ARN.
    pub(crate) tasks: BTreeMap<String, Task>,
    /// By ARN.
    pub(crate) deployments: BTreeMap<String, ServiceDeployment>,
    /// What calls with a token have made: by operation and token, the call and the ARN.
    tokens: BTreeMap<(String, String), (Value, String)>,
    /// Service revisions as they are described, by ARN; also of those that are gone.
    revisions: BTreeMap<String, Value>,
    /// Addresses given out in worlds without containers.
    addresses: u32,
}

/// Who deploys a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    Ecs,
    CodeDeploy,
    External,
}

impl Controller {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ecs => "ECS",
            Self::CodeDeploy => "CODE_DEPLOY",
            Self::External => "EXTERNAL",
        }
    }
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) controller: Controller,
    /// `ACTIVE`, `DRAINING`, `INACTIVE`.
    pub(crate) status: &'static str,
    pub(crate) desired: i64,
    /// The ARN of its definition; none with an external controller.
    pub(crate) definition: Option<String>,
    /// What it was made with, and updated with.
    pub(crate) spec: Value,
    pub(crate) created: Time,
    /// Newest first.
    pub(crate) events: Vec<(String, Time, String)>,
    /// The set that last completed: what a circuit breaker goes back to.
    pub(crate) completed: Option<String>,
}

impl Service {
    /// `ROLLING`, `BLUE_GREEN`, `CANARY` or `LINEAR`.
    pub(crate) fn strategy(&self) -> &str {
        self.config("strategy").and_then(Value::as_str).unwrap_or("ROLLING")
    }

    /// A member of its deployment configuration.
    pub(crate) fn config(&self, key: &str) -> Option<&Value> {
        self.spec.get("deploymentConfiguration")?.get(key)
    }
}

impl World {
    /// Answers ECS.
    pub(crate) fn ecs(&mut self, operation: &str, input: &Value) -> Answer {
        match operation {
            "CreateCluster" => {
                let name = input.text("clusterName").unwrap_or("default").to_owned();
                self.ecs.clusters.entry(name.clone()).or_insert(self.now);
                Ok(json!({ "cluster": self.describe_cluster(&name) }))
            }
            "DescribeClusters" => self.describe_clusters(input),
            "DeleteCluster" => self.delete_cluster(input),
            "RegisterTaskDefinition" => self.register_definition(input),
            "DescribeTaskDefinition" => self.describe_definition(input),
            "DeregisterTaskDefinition" => self.deregister_definition(input),
            "ListTaskDefinitions" => self.list_definitions(input),
            "CreateService" => self.create_service(input),
            "UpdateService" => self.update_service(input),
            "DescribeServices" => self.describe_services(input),
            "ListServices" => self.list_services(input),
            "DeleteService" => self.delete_service(input),
            "CreateTaskSet" => self.create_task_set(input),
            "UpdateTaskSet" => self.update_task_set(input),
            "DescribeTaskSets" => self.describe_task_sets(input),
            "DeleteTaskSet" => self.delete_task_set(input),
            "UpdateServicePrimaryTaskSet" => self.update_primary(input),
            "RunTask" => self.run_task(input),
            "StopTask" => self.stop_task(input),
            "DescribeTasks" => self.describe_tasks(input),
            "ListTasks" => self.list_tasks(input),
            "ListServiceDeployments" => self.list_service_deployments(input),
            "DescribeServiceDeployments" => self.describe_service_deployments(input),
            "DescribeServiceRevisions" => self.describe_service_revisions(input),
            "StopServiceDeployment" => self.stop_service_deployment(input),
            "ContinueServiceDeployment" => self.continue_service_deployment(input),
            "ListTagsForResource" => Ok(json!({ "tags": [] })),
            "TagResource" | "UntagResource" => Ok(json!({})),
            other => Err(AwsError::unknown("ECS", other)),
        }
    }

    fn describe_cluster(&self, name: &str) -> Value {
        let of = |status: TaskState| {
            self.ecs.tasks.values().filter(|task| task.cluster == name && task.state == status).count()
        };
        let services = self.ecs.services.values().filter(|one| one.cluster == name && one.status == "ACTIVE").count();
        json!({
            "clusterArn": self.arn("ecs", &format!("cluster/{name}")), "clusterName": name, "status": "ACTIVE",
            "registeredContainerInstancesCount": 0, "runningTasksCount": of(TaskState::Running),
            "pendingTasksCount": of(TaskState::Pending), "activeServicesCount": services,
        })
    }

    fn describe_clusters(&self, input: &Value) -> Answer {
        let mut wanted = input.texts("clusters");
        if wanted.is_empty() {
            wanted.push("default".to_owned());
        }
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for one in wanted {
            let name = tail(&one);
            if self.ecs.clusters.contains_key(name) {
                found.push(self.describe_cluster(name));
            } else {
                let arn = self.arn("ecs", &format!("cluster/{name}"));
                failures.push(json!({ "arn": arn, "reason": "MISSING" }));
            }
        }
        Ok(json!({ "clusters": found, "failures": failures }))
    }

    fn delete_cluster(&mut self, input: &Value) -> Answer {
        let name = self.cluster(input)?;
        if self.ecs.services.values().any(|one| one.cluster == name && one.status == "ACTIVE") {
            return refuse(
                "ClusterContainsServicesException",
                "The Cluster cannot be deleted while Services are active.",
            );
        }
        let described = self.describe_cluster(&name);
        self.ecs.clusters.remove(&name);
        Ok(json!({ "cluster": described }))
    }

    /// The name of the cluster that a call means; it exists.
    fn cluster(&self, input: &Value) -> Result<String, AwsError> {
        let name = tail(input.text("cluster").unwrap_or("default")).to_owned();
        if self.ecs.clusters.contains_key(&name) {
            return Ok(name);
        }
        refuse("ClusterNotFoundException", "Cluster not found.")
    }

    /// The ARN of the service that a call means; it exists and is not being deleted.
    fn service_arn(&self, input: &Value) -> Result<String, AwsError> {
        let cluster = self.cluster(input)?;
        let name = tail(input.need("service")?);
        let found = self.find_service(&cluster, name);
        let missing = || AwsError::new("ServiceNotFoundException", "Service not found.");
        let arn = found.ok_or_else(missing)?;
        match self.ecs.services.get(&arn) {
            Some(service) if service.status == "ACTIVE" => Ok(arn),
            Some(_) => refuse("ServiceNotActiveException", "Service was not ACTIVE."),
            None => Err(missing()),
        }
    }

    /// A service by names or ARNs; one that was deleted only if there is no other.
    pub(crate) fn find_service(&self, cluster: &str, name: &str) -> Option<String> {
        let (cluster, name) = (tail(cluster), tail(name));
        let all = || self.ecs.services.iter().filter(|(_, one)| one.cluster == cluster && one.name == name);
        all().find(|(_, one)| one.status == "ACTIVE").or_else(|| all().next()).map(|(arn, _)| arn.clone())
    }

    /// The same call with the same token a second time: what the first has made.
    ///
    /// # Errors
    /// The token was used with other parameters.
    fn made_before(&self, operation: &str, input: &Value) -> Result<Option<String>, AwsError> {
        let Some(token) = input.text("clientToken") else { return Ok(None) };
        match self.ecs.tokens.get(&(operation.to_owned(), token.to_owned())) {
            Some((known, arn)) if known == input => Ok(Some(arn.clone())),
            Some(_) => refuse(
                if operation == "RunTask" { "ConflictException" } else { "InvalidParameterException" },
                "The client token was already used with different parameters",
            ),
            None => Ok(None),
        }
    }

    fn keep_token(&mut self, operation: &str, input: &Value, made: &str) {
        if let Some(token) = input.text("clientToken") {
            self.ecs.tokens.insert((operation.to_owned(), token.to_owned()), (input.clone(), made.to_owned()));
        }
    }

    /// Notes something in a service's events, as people read them.
    pub(crate) fn service_event(&mut self, service: &str, text: &str) {
        let id = self.ids.uuid();
        let now = self.now;
        if let Some(service) = self.ecs.services.get_mut(service) {
            let text = format!("(service {}) {text}", service.name);
            if service.events.first().is_none_or(|(_, _, last)| *last != text) {
                service.events.insert(0, (id, now, text));
                service.events.truncate(100);
            }
        }
    }
}

/// The name at the end of an ARN.
pub(crate) fn tail(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
