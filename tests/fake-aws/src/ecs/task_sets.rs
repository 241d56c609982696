//! Task sets: for services that CodeDeploy or somebody else deploys.

use serde_json::{Value, json};

use super::tasks::needs_network;
use super::update::share;
use super::{Controller, Kind, tail};
use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, over};
use crate::world::World;

/// A service has at most so many task sets.
const TASK_SETS_MAX: usize = 5;
/// Characters of a token: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateTaskSet.html>.
const TOKEN_MAX: usize = 36;
/// Members of a task set that are its own and not the service's.
const OWN: [&str; 9] = [
    "externalId",
    "networkConfiguration",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "serviceRegistries",
    "tags",
    "loadBalancers",
    "taskDefinition",
];

impl World {
    pub(super) fn create_task_set(&mut self, input: &Value) -> Answer {
        let service = self.service_arn(input)?;
        let known = self.ecs.services[&service].clone();
        if known.controller != Controller::External {
            let message = format!(
                "Amazon ECS only supports the creation of task sets on services with an EXTERNAL deployment controller; this one has {}.",
                known.controller.name()
            );
            return Err(AwsError::invalid(message));
        }
        if let Some(id) = self.made_before("CreateTaskSet", input)? {
            return Ok(json!({ "taskSet": self.describe_task_set(&id) }));
        }
        if self.sets_of(&service).len() >= TASK_SETS_MAX {
            return refuse("LimitExceededException", "The limit of task sets for this service has been reached.");
        }
        let definition = self.active_definition(input.need("taskDefinition")?)?.clone();
        check_new(input, &definition.spec)?;
        let definition = definition.arn;
        let balanced = self.balanced(input, &definition)?;
        let scale = scale(input)?.unwrap_or(0.0);
        let id = self.add_set(Kind::TaskSet, &service, &definition, balanced, share(known.desired, scale));
        if let Some(set) = self.ecs.sets.get_mut(&id) {
            set.scale = scale;
            // What the service says of these is of no task set.
            if let Some(spec) = set.spec.as_object_mut() {
                spec.retain(|key, _| !OWN.contains(&key.as_str()));
            }
            over(&mut set.spec, input, &OWN);
        }
        self.keep_token("CreateTaskSet", input, &id);
        Ok(json!({ "taskSet": self.describe_task_set(&id) }))
    }

    /// The task set of a service that a call means, by id or ARN.
    fn task_set(&self, service: &str, name: &str) -> Result<String, AwsError> {
        let found = self.sets_of(service).into_iter().find(|id| tail(id) == tail(name));
        found.ok_or_else(|| AwsError::new("TaskSetNotFoundException", "The specified task set wasn't found."))
    }

    pub(super) fn update_task_set(&mut self, input: &Value) -> Answer {
        let service = self.service_arn(input)?;
        let id = self.task_set(&service, input.need("taskSet")?)?;
        let percent = scale(input)?.ok_or_else(|| AwsError::invalid("scale is missing"))?;
        if self.ecs.sets.get(&id).is_some_and(|set| set.status == "DRAINING") {
            return Err(AwsError::invalid("The task set is being deleted."));
        }
        if let Some(set) = self.ecs.sets.get_mut(&id) {
            set.scale = percent;
        }
        self.scale_task_sets(&service);
        Ok(json!({ "taskSet": self.describe_task_set(&id) }))
    }

    pub(super) fn describe_task_sets(&self, input: &Value) -> Answer {
        let service = self.service_arn(input)?;
        let wanted = input.texts("taskSets");
        let with_tags = input.texts("include").iter().any(|what| what == "TAGS");
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        if wanted.is_empty() {
            found.extend(self.sets_of(&service).iter().map(|id| self.describe_task_set(id)));
        }
        for name in wanted {
            match self.task_set(&service, &name) {
                Ok(id) => found.push(self.describe_task_set(&id)),
                Err(_) => failures.push(json!({ "arn": name, "reason": "MISSING" })),
            }
        }
        for one in found.iter_mut().filter(|_| !with_tags) {
            one["tags"] = json!([]);
        }
        Ok(json!({ "taskSets": found, "failures": failures }))
    }

    pub(super) fn delete_task_set(&mut self, input: &Value) -> Answer {
        let service = self.service_arn(input)?;
        let id = self.task_set(&service, input.need("taskSet")?)?;
        let set = self.ecs.sets[&id].clone();
        let is_forced = input.flag("force").unwrap_or(false);
        if set.status == "PRIMARY" && !is_forced {
            return Err(AwsError::invalid("Cannot delete the primary task set."));
        }
        if set.desired > 0 && !is_forced {
            return Err(AwsError::invalid(
                "The task set cannot be deleted while it is scaled above 0; scale it to 0 or use force.",
            ));
        }
        self.remove_set(&id);
        Ok(json!({ "taskSet": self.describe_task_set(&id) }))
    }

    /// A set has no tasks any more; it is forgotten once the last has ended.
    pub(crate) fn remove_set(&mut self, id: &str) {
        self.set_desired(id, 0);
        if let Some(set) = self.ecs.sets.get_mut(id) {
            set.status = "DRAINING";
        }
    }

    /// Forgets sets that are empty and were removed.
    pub(super) fn forget_removed(&mut self) {
        let gone: Vec<_> = self
            .ecs
            .sets
            .values()
            .filter(|set| set.status == "DRAINING" && self.counts(&set.id) == super::set::Counts::default())
            .map(|set| set.id.clone())
            .collect();
        for id in gone {
            self.ecs.sets.remove(&id);
        }
    }

    pub(super) fn update_primary(&mut self, input: &Value) -> Answer {
        let service = self.service_arn(input)?;
        let id = self.task_set(&service, input.need("primaryTaskSet")?)?;
        self.make_primary(&service, &id);
        Ok(json!({ "taskSet": self.describe_task_set(&id) }))
    }

    /// From now on this set is the service's own.
    pub(crate) fn make_primary(&mut self, service: &str, id: &str) {
        for set in self.ecs.sets.values_mut().filter(|set| set.service == service && set.status == "PRIMARY") {
            set.status = "ACTIVE";
        }
        let Some(set) = self.ecs.sets.get_mut(id) else { return };
        set.status = "PRIMARY";
        let (definition, balancers) = (set.definition.clone(), set.balanced.clone());
        if let Some(service) = self.ecs.services.get_mut(service) {
            service.definition = Some(definition);
            let described = balancers.iter().map(
                |one| json!({ "targetGroupArn": one.group, "containerName": one.container, "containerPort": one.port }),
            );
            if service.controller != Controller::Ecs {
                service.spec["loadBalancers"] = described.collect();
            }
        }
    }
}

/// What of a new task set AWS refuses by itself.
fn check_new(input: &Value, definition: &Value) -> Result<(), AwsError> {
    let is_token = |token: &str| token.len() <= TOKEN_MAX && token.bytes().all(|byte| (33..=126).contains(&byte));
    if input.text("clientToken").is_some_and(|token| !is_token(token)) {
        return Err(AwsError::invalid("clientToken must be up to 36 ASCII characters in the range of 33-126."));
    }
    if input.text("launchType").is_some() && !input.items("capacityProviderStrategy").is_empty() {
        return Err(AwsError::invalid(
            "The request is invalid because both launchType and capacityProviderStrategy were specified.",
        ));
    }
    needs_network(definition, input)
}

fn scale(input: &Value) -> Result<Option<f64>, AwsError> {
    let Some(scale) = input.get("scale") else { return Ok(None) };
    let value = scale.number("value").unwrap_or(100.0);
    if !(0.0..=100.0).contains(&value) {
        return Err(AwsError::invalid("scale.value must be between 0 and 100"));
    }
    Ok(Some(value))
}
