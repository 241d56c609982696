//! `UpdateService`: what may be changed depends on who deploys the service; a change of what runs is a deployment.

use serde_json::{Value, json};

use super::{Controller, Kind, services};
use crate::error::{Answer, AwsError};
use crate::value::Input as _;
use crate::world::World;

impl World {
    pub(super) fn update_service(&mut self, input: &Value) -> Answer {
        let arn = self.service_arn(input)?;
        let service = self.ecs.services[&arn].clone();
        let is_forced = input.flag("forceNewDeployment").unwrap_or(false);
        refuse_foreign(service.controller, input, is_forced)?;
        let definition = match input.text("taskDefinition") {
            Some(name) => Some(self.active_definition(name)?.arn.clone()),
            None => service.definition.clone(),
        };
        let mut spec = service.spec.clone();
        services::merge(&mut spec, input);
        self.check_native(&spec)?;
        let desired = input.int("desiredCount").unwrap_or(service.desired);
        let deploys = is_forced
            || definition != service.definition
            || ["loadBalancers", "networkConfiguration", "platformVersion"]
                .iter()
                .any(|key| spec.get(*key) != service.spec.get(*key));
        let balanced = match &definition {
            Some(definition) if service.controller == Controller::Ecs => self.balanced(&spec, definition)?,
            Some(_) | None => Vec::new(),
        };
        if let Some(service) = self.ecs.services.get_mut(&arn) {
            (service.spec, service.desired, service.definition) = (spec, desired, definition.clone());
        }
        if service.controller != Controller::Ecs {
            self.scale_task_sets(&arn);
            return Ok(json!({ "service": self.describe_service(&arn) }));
        }
        if let (true, Some(definition)) = (deploys, definition) {
            self.deploy(&arn, &definition, balanced);
        } else if let Some(primary) = self.primary_set(&arn) {
            self.set_desired(&primary, desired);
        }
        Ok(json!({ "service": self.describe_service(&arn) }))
    }

    /// Begins a deployment of a service that ECS deploys. One that is under way gives way.
    fn deploy(&mut self, arn: &str, definition: &str, balanced: Vec<super::Balanced>) {
        self.supersede(arn);
        let service = self.ecs.services[arn].clone();
        let is_rolling = service.strategy() == "ROLLING";
        let source = Some(arn).filter(|_| is_rolling).and_then(|arn| self.last_completed(arn));
        let source = source.or_else(|| self.primary_set(arn));
        // A rolling one begins with nothing and grows; others begin when they are scaled up.
        let set = self.add_set(Kind::Deployment, arn, definition, balanced, 0);
        if is_rolling {
            for known in self.ecs.sets.values_mut().filter(|known| known.service == arn && known.status == "PRIMARY") {
                known.status = "ACTIVE";
            }
            if let Some(known) = self.ecs.sets.get_mut(&set) {
                known.status = "PRIMARY";
            }
        } else if let (Some(source), Some(known)) = (&source, self.ecs.sets.get(&set)) {
            let balanced = self.other_groups(arn, source, &known.balanced);
            if let Some(known) = self.ecs.sets.get_mut(&set) {
                known.balanced = balanced;
            }
        }
        self.begin_deployment(arn, source, &set);
        self.service_event(arn, "has begun a deployment.");
    }

    /// Task sets have their share of what the service should have.
    pub(super) fn scale_task_sets(&mut self, service: &str) {
        let Some(desired) = self.ecs.services.get(service).map(|service| service.desired) else { return };
        for id in self.sets_of(service) {
            let Some(set) = self.ecs.sets.get(&id) else { continue };
            if set.kind == Kind::TaskSet && set.status != "DRAINING" {
                let wanted = share(desired, set.scale);
                self.set_desired(&id, wanted);
            }
        }
    }
}

/// So many percent of a count, rounded up.
pub(super) fn share(desired: i64, percent: f64) -> i64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "counts of tasks are small")]
    let wanted = (desired as f64 * percent / 100.0).ceil() as i64;
    wanted
}

/// What only the controller of the service may change.
fn refuse_foreign(controller: Controller, input: &Value, is_forced: bool) -> Result<(), AwsError> {
    let what = [
        ("taskDefinition", "task definition"),
        ("networkConfiguration", "network configuration"),
        ("platformVersion", "platform version"),
        ("loadBalancers", "load balancers"),
    ];
    let instead = match controller {
        Controller::Ecs => return Ok(()),
        Controller::CodeDeploy => "Use AWS CodeDeploy to trigger a new deployment.",
        Controller::External => "Create a task set instead.",
    };
    let name = controller.name();
    if let Some((_, words)) = what.iter().find(|(key, _)| input.get(*key).is_some_and(|value| !value.is_null())) {
        let message = format!("Unable to update {words} on services with a {name} deployment controller. {instead}");
        return Err(AwsError::invalid(message));
    }
    if is_forced {
        let message =
            format!("Cannot force a new deployment on services with a {name} deployment controller. {instead}");
        return Err(AwsError::invalid(message));
    }
    Ok(())
}
