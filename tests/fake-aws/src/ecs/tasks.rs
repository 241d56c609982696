//! Tasks as calls see them: run, stopped, described, listed.

use serde_json::{Value, json};

use super::tail;
use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, Time, echo, stamp, stamp_if};
use crate::world::World;

/// How far a task is.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskState {
    Provisioning,
    Pending,
    Running,
    Deactivating,
    Stopping,
    Stopped,
}

impl TaskState {
    const fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// A task.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) cluster: String,
    pub(crate) set: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) definition: String,
    pub(crate) state: TaskState,
    /// It should run.
    pub(crate) is_wanted: bool,
    /// Somebody has been told to start it, or to stop it.
    pub(crate) is_handed: bool,
    pub(crate) address: Option<String>,
    pub(crate) created: Time,
    pub(crate) started: Option<Time>,
    pub(crate) stopping: Option<Time>,
    pub(crate) stopped: Option<Time>,
    /// When its targets have drained.
    pub(crate) stop_at: Time,
    pub(crate) stop_code: Option<&'static str>,
    pub(crate) stop_reason: Option<String>,
    pub(crate) exit_code: Option<i64>,
    /// What the container engine said.
    pub(crate) container_reason: Option<String>,
    /// Of images, as the engine resolved them.
    pub(crate) digests: Vec<String>,
    /// Group, overrides, tags and the like, as they were said.
    pub(crate) said: Value,
    attachment: String,
}

impl World {
    /// Adds a task that should run.
    pub(crate) fn add_task(
        &mut self,
        cluster: &str,
        definition: &str,
        set: Option<(&str, &str)>,
        said: Value,
    ) -> String {
        let arn = format!("{}/{}", self.arn("ecs", &format!("task/{cluster}")), self.ids.hex(32));
        let task = Task {
            cluster: cluster.to_owned(),
            set: set.map(|(set, _)| set.to_owned()),
            service: set.map(|(_, service)| service.to_owned()),
            definition: definition.to_owned(),
            state: TaskState::Provisioning,
            is_wanted: true,
            is_handed: false,
            address: None,
            created: self.now,
            started: None,
            stopping: None,
            stopped: None,
            stop_at: 0,
            stop_code: None,
            stop_reason: None,
            exit_code: None,
            container_reason: None,
            digests: Vec::new(),
            said,
            attachment: self.ids.uuid(),
        };
        self.ecs.tasks.insert(arn.clone(), task);
        arn
    }

    pub(super) fn run_task(&mut self, input: &Value) -> Answer {
        let cluster = self.cluster(input)?;
        if let Some(known) = self.made_before("RunTask", input)? {
            let arns: Vec<_> = known.split(' ').collect();
            return Ok(
                json!({ "tasks": arns.iter().map(|arn| self.describe_task(arn)).collect::<Vec<_>>(), "failures": [] }),
            );
        }
        let definition = self.active_definition(input.need("taskDefinition")?)?.clone();
        needs_network(&definition.spec, input)?;
        let count = input.int("count").unwrap_or(1);
        if !(1..=10).contains(&count) {
            return Err(AwsError::invalid("count must be between 1 and 10"));
        }
        let family = tail(&definition.arn).split(':').next().unwrap_or_default().to_owned();
        let mut said = Value::Object(echo(input, &["group", "overrides", "startedBy", "launchType", "tags"]));
        if said.text("group").is_none() {
            said["group"] = json!(format!("family:{family}"));
        }
        let arns: Vec<_> = (0..count).map(|_| self.add_task(&cluster, &definition.arn, None, said.clone())).collect();
        self.keep_token("RunTask", input, &arns.join(" "));
        Ok(json!({ "tasks": arns.iter().map(|arn| self.describe_task(arn)).collect::<Vec<_>>(), "failures": [] }))
    }

    fn find_task(&self, cluster: &str, name: &str) -> Option<String> {
        let found = self.ecs.tasks.iter().find(|(arn, task)| task.cluster == cluster && tail(arn) == tail(name));
        found.map(|(arn, _)| arn.clone())
    }

    pub(super) fn stop_task(&mut self, input: &Value) -> Answer {
        let cluster = self.cluster(input)?;
        let missing = || AwsError::invalid("The referenced task was not found.");
        let arn = self.find_task(&cluster, input.need("task")?).ok_or_else(missing)?;
        let reason = input.text("reason").unwrap_or("Task stopped by user").to_owned();
        self.end_task(&arn, "UserInitiated", &reason);
        Ok(json!({ "task": self.describe_task(&arn) }))
    }

    pub(super) fn describe_tasks(&self, input: &Value) -> Answer {
        let cluster = self.cluster(input)?;
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for name in input.texts("tasks") {
            match self.find_task(&cluster, &name) {
                Some(arn) => tasks.push(self.describe_task(&arn)),
                None => {
                    let arn = self.arn("ecs", &format!("task/{cluster}/{}", tail(&name)));
                    failures.push(json!({ "arn": arn, "reason": "MISSING" }));
                }
            }
        }
        Ok(json!({ "tasks": tasks, "failures": failures }))
    }

    pub(super) fn list_tasks(&self, input: &Value) -> Answer {
        let cluster = self.cluster(input)?;
        let service = match input.text("serviceName") {
            Some(name) => match self.find_service(&cluster, name) {
                Some(arn) => Some(arn),
                None => return refuse("ServiceNotFoundException", "Service not found."),
            },
            None => None,
        };
        let stopped = input.text("desiredStatus") == Some("STOPPED");
        let wanted = |task: &Task| {
            task.cluster == cluster
                && task.is_wanted != stopped
                && (service.is_none() || task.service == service)
                && input.text("startedBy").is_none_or(|by| task.said.text("startedBy") == Some(by))
                && input.text("family").is_none_or(|family| tail(&task.definition).split(':').next() == Some(family))
        };
        let arns: Vec<_> = self.ecs.tasks.iter().filter(|(_, task)| wanted(task)).map(|(arn, _)| arn).collect();
        Ok(json!({ "taskArns": arns }))
    }

    pub(super) fn describe_task(&self, arn: &str) -> Value {
        let Some(task) = self.ecs.tasks.get(arn) else { return Value::Null };
        let definition = self.definition(&task.definition).map(|found| found.spec.clone()).unwrap_or_default();
        let containers = definition.items("containerDefinitions").iter().enumerate().map(|(at, container)| {
            let status = match task.state {
                TaskState::Running | TaskState::Deactivating | TaskState::Stopping => "RUNNING",
                TaskState::Stopped => "STOPPED",
                TaskState::Provisioning | TaskState::Pending => "PENDING",
            };
            let interface = task.address.as_ref().map(|address| {
                json!([{ "attachmentId": task.attachment, "privateIpv4Address": address }])
            });
            json!({
                "containerArn": format!("{}/{at}", arn.replacen(":task/", ":container/", 1)), "taskArn": arn,
                "name": container.text("name"), "image": container.text("image"),
                "imageDigest": task.digests.get(at), "lastStatus": status, "exitCode": task.exit_code.filter(|_| at == 0),
                "reason": task.container_reason.clone().filter(|_| at == 0), "networkBindings": [],
                "networkInterfaces": interface.unwrap_or_else(|| json!([])), "healthStatus": "UNKNOWN",
            })
        });
        let attached = match task.state {
            TaskState::Running | TaskState::Deactivating => "ATTACHED",
            TaskState::Stopping | TaskState::Stopped => "DELETED",
            TaskState::Provisioning | TaskState::Pending => "PRECREATED",
        };
        let details = task.address.iter().map(|address| json!({ "name": "privateIPv4Address", "value": address }));
        json!({
            "taskArn": arn, "clusterArn": self.arn("ecs", &format!("cluster/{}", task.cluster)),
            "taskDefinitionArn": task.definition, "lastStatus": task.state.name(),
            "desiredStatus": if task.is_wanted { "RUNNING" } else { "STOPPED" },
            "attachments": [{
                "id": task.attachment, "type": "ElasticNetworkInterface", "status": attached,
                "details": details.collect::<Vec<_>>(),
            }],
            "containers": containers.collect::<Vec<_>>(), "createdAt": stamp(task.created),
            "startedAt": stamp_if(task.started), "stoppingAt": stamp_if(task.stopping), "stoppedAt": stamp_if(task.stopped),
            "stopCode": task.stop_code, "stoppedReason": task.stop_reason,
            "group": task.said.text("group"), "startedBy": task.said.text("startedBy"),
            "launchType": task.said.text("launchType").unwrap_or("FARGATE"), "cpu": definition.text("cpu"),
            "memory": definition.text("memory"), "overrides": task.said.get("overrides").cloned().unwrap_or_else(|| json!({})),
            "healthStatus": "UNKNOWN", "version": 1, "tags": task.said.get("tags").cloned().unwrap_or_else(|| json!([])),
        })
    }
}

/// Tasks with an address of their own are told in which subnets.
pub(super) fn needs_network(definition: &Value, input: &Value) -> Result<(), AwsError> {
    let is_vpc = definition.text("networkMode") == Some("awsvpc");
    if is_vpc && input.get("networkConfiguration").is_none_or(Value::is_null) {
        let message = "Network Configuration must be provided when networkMode 'awsvpc' is specified.";
        return Err(AwsError::invalid(message));
    }
    Ok(())
}
