//! Task definitions.

use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, Time, over, stamp};
use crate::world::World;

/// A revision of a family.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) arn: String,
    family: String,
    revision: usize,
    pub(crate) spec: Value,
    is_active: bool,
    registered: Time,
    tags: Value,
}

/// What a definition gives back of what it was registered with.
const KEYS: [&str; 15] = [
    "containerDefinitions",
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
    "ephemeralStorage",
    "runtimePlatform",
];
/// What Fargate has, by CPU units: memory in MiB.
const FARGATE: [(i64, i64, i64); 7] = [
    (256, 512, 2_048),
    (512, 1_024, 4_096),
    (1_024, 2_048, 8_192),
    (2_048, 4_096, 16_384),
    (4_096, 8_192, 30_720),
    (8_192, 16_384, 61_440),
    (16_384, 32_768, 122_880),
];

impl World {
    pub(super) fn register_definition(&mut self, input: &Value) -> Answer {
        let family = input.need("family")?.to_owned();
        check(input)?;
        let revision = self.ecs.definitions.iter().filter(|known| known.family == family).count() + 1;
        let arn = self.arn("ecs", &format!("task-definition/{family}:{revision}"));
        let mut spec = json!({ "volumes": [], "placementConstraints": [], "networkMode": "bridge" });
        over(&mut spec, input, &KEYS);
        if let Some(containers) = spec.get_mut("containerDefinitions").and_then(Value::as_array_mut) {
            for container in containers {
                let mut whole = json!({
                    "cpu": 0, "essential": true, "environment": [], "portMappings": [], "mountPoints": [], "volumesFrom": [],
                    "systemControls": [],
                });
                let keys: Vec<_> = container.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
                over(&mut whole, container, &keys);
                *container = whole;
            }
        }
        let tags = input.get("tags").cloned().unwrap_or_else(|| json!([]));
        let definition =
            Definition { arn: arn.clone(), family, revision, spec, is_active: true, registered: self.now, tags };
        let described = describe(&definition);
        let tags = definition.tags.clone();
        self.ecs.definitions.push(definition);
        Ok(json!({ "taskDefinition": described, "tags": tags }))
    }

    /// By ARN, `family:revision`, or the family alone: its latest that is active.
    pub(crate) fn definition(&self, name: &str) -> Result<&Definition, AwsError> {
        let short = super::tail(name);
        let all = &self.ecs.definitions;
        let found = match short.split_once(':') {
            Some((family, revision)) => {
                all.iter().find(|known| known.family == family && known.revision.to_string() == revision)
            }
            None => all.iter().rev().find(|known| known.family == short && known.is_active),
        };
        found.ok_or_else(|| AwsError::new("ClientException", "Unable to describe task definition."))
    }

    /// One that tasks may be started from.
    pub(crate) fn active_definition(&self, name: &str) -> Result<&Definition, AwsError> {
        match self.definition(name) {
            Ok(found) if found.is_active => Ok(found),
            Ok(_) => Err(AwsError::new("ClientException", "TaskDefinition is inactive")),
            Err(_) => Err(AwsError::new("ClientException", "TaskDefinition not found.")),
        }
    }

    pub(super) fn describe_definition(&self, input: &Value) -> Answer {
        let found = self.definition(input.need("taskDefinition")?)?;
        let with_tags = input.texts("include").iter().any(|what| what == "TAGS");
        Ok(json!({ "taskDefinition": describe(found), "tags": if with_tags { found.tags.clone() } else { json!([]) } }))
    }

    pub(super) fn deregister_definition(&mut self, input: &Value) -> Answer {
        let name = input.need("taskDefinition")?;
        if !name.rsplit('/').next().unwrap_or_default().contains(':') {
            return refuse("ClientException", format!("Invalid revision number. Number: {name}"));
        }
        let arn = self.definition(name)?.arn.clone();
        let found = self.ecs.definitions.iter_mut().find(|known| known.arn == arn);
        let described = found.map(|found| {
            found.is_active = false;
            describe(found)
        });
        Ok(json!({ "taskDefinition": described }))
    }

    pub(super) fn list_definitions(&self, input: &Value) -> Answer {
        let family = input.text("familyPrefix");
        let active = input.text("status").unwrap_or("ACTIVE") == "ACTIVE";
        let mut all: Vec<_> = self
            .ecs
            .definitions
            .iter()
            .filter(|known| known.is_active == active && family.is_none_or(|family| known.family == family))
            .collect();
        all.sort_by_key(|known| (known.family.clone(), known.revision));
        if input.text("sort") == Some("DESC") {
            all.reverse();
        }
        Ok(json!({ "taskDefinitionArns": all.iter().map(|known| &known.arn).collect::<Vec<_>>() }))
    }
}

/// What AWS refuses at registration.
fn check(input: &Value) -> Result<(), AwsError> {
    let client = |message: String| Err(AwsError::new("ClientException", message));
    let containers = input.items("containerDefinitions");
    if containers.is_empty() {
        return client("Container list cannot be empty.".to_owned());
    }
    let is_fargate = input.texts("requiresCompatibilities").iter().any(|kind| kind == "FARGATE");
    let mut names = Vec::new();
    for container in containers {
        let name = container.text("name").unwrap_or_default();
        if name.is_empty() {
            return client("Container.name should not be null or empty.".to_owned());
        }
        if names.contains(&name) {
            return client(format!("Container names must be unique within a task definition: {name}"));
        }
        names.push(name);
        if container.text("image").is_none() {
            return client("Container.image should not be null or empty.".to_owned());
        }
        let has_memory = input.text("memory").is_some()
            || container.int("memory").is_some()
            || container.int("memoryReservation").is_some();
        if !has_memory {
            let message = format!(
                "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
            );
            return client(message);
        }
    }
    if !containers.iter().any(|container| container.flag("essential").unwrap_or(true)) {
        return client(
            "All containers in the task definition are non-essential; at least one must be essential.".to_owned(),
        );
    }
    if is_fargate {
        fargate(input)?;
    }
    Ok(())
}

fn fargate(input: &Value) -> Result<(), AwsError> {
    let client = |message: &str| Err(AwsError::new("ClientException", message));
    if input.text("networkMode") != Some("awsvpc") {
        return client("Fargate only supports network mode ‘awsvpc’.");
    }
    let (Some(cpu), Some(memory)) = (input.int("cpu"), input.int("memory")) else {
        return client("Fargate requires that 'cpu' be defined at the task level.");
    };
    let fits = FARGATE.iter().any(|(units, low, high)| *units == cpu && (*low..=*high).contains(&memory));
    if !fits {
        return client("No Fargate configuration exists for given values.");
    }
    let uses_logs = input.items("containerDefinitions").iter().any(|container| {
        container.get("logConfiguration").is_some_and(|log| log.text("logDriver") == Some("awslogs"))
            || !container.items("secrets").is_empty()
    });
    if uses_logs && input.text("executionRoleArn").is_none() {
        return client("Fargate requires task definition to have execution role ARN to support log driver awslogs.");
    }
    Ok(())
}

fn describe(definition: &Definition) -> Value {
    let mut described = definition.spec.clone();
    let is_fargate = definition.spec.texts("requiresCompatibilities").iter().any(|kind| kind == "FARGATE");
    let more = json!({
        "taskDefinitionArn": definition.arn, "family": definition.family, "revision": definition.revision,
        "status": if definition.is_active { "ACTIVE" } else { "INACTIVE" }, "registeredAt": stamp(definition.registered),
        "compatibilities": if is_fargate { json!(["EC2", "FARGATE"]) } else { json!(["EC2"]) },
    });
    if let (Some(described), Value::Object(more)) = (described.as_object_mut(), more) {
        described.extend(more);
    }
    described
}
