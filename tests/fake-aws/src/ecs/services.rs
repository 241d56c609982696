//! Services: made, listed, deleted.

use serde_json::{Value, json};

use super::{Controller, Kind, Service};
use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, over};
use crate::world::World;

/// Members of a service that calls set and descriptions give back.
pub(super) const KEYS: [&str; 14] = [
    "loadBalancers",
    "serviceRegistries",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "deploymentConfiguration",
    "placementConstraints",
    "placementStrategy",
    "networkConfiguration",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "deploymentController",
    "enableExecuteCommand",
    "tags",
];

impl World {
    pub(super) fn create_service(&mut self, input: &Value) -> Answer {
        let cluster = self.cluster(input)?;
        let name = input.need("serviceName")?.to_owned();
        if let Some(arn) = self.made_before("CreateService", input)? {
            return Ok(json!({ "service": self.describe_service(&arn) }));
        }
        if self.find_service(&cluster, &name).is_some_and(|arn| self.ecs.services[&arn].status == "ACTIVE") {
            return Err(AwsError::invalid("Creation of service was not idempotent."));
        }
        let controller = match input.get("deploymentController").and_then(|one| one.text("type")) {
            None | Some("ECS") => Controller::Ecs,
            Some("CODE_DEPLOY") => Controller::CodeDeploy,
            Some("EXTERNAL") => Controller::External,
            Some(other) => return Err(AwsError::invalid(format!("Unknown deployment controller {other}"))),
        };
        let definition = match input.text("taskDefinition") {
            Some(_) if controller == Controller::External => {
                return Err(AwsError::invalid(
                    "TaskDefinition cannot be specified for a service with an EXTERNAL deployment controller.",
                ));
            }
            Some(name) => Some(self.active_definition(name)?.arn.clone()),
            None if controller == Controller::External => None,
            None => return Err(AwsError::invalid("TaskDefinition can not be blank.")),
        };
        let mut spec = json!({
            "loadBalancers": [], "serviceRegistries": [], "launchType": "FARGATE", "placementConstraints": [],
            "placementStrategy": [], "schedulingStrategy": "REPLICA", "enableExecuteCommand": false,
            "deploymentConfiguration": {
                "maximumPercent": 200, "minimumHealthyPercent": 100, "strategy": "ROLLING",
                "deploymentCircuitBreaker": { "enable": false, "rollback": false },
            },
        });
        merge(&mut spec, input);
        let strategy = spec["deploymentConfiguration"]["strategy"].clone();
        if controller != Controller::Ecs && strategy != "ROLLING" {
            return Err(AwsError::invalid("Deployment strategy is only supported with the ECS deployment controller."));
        }
        self.check_native(&spec)?;
        let balanced = match &definition {
            Some(definition) => self.balanced(&spec, definition)?,
            None => Vec::new(),
        };
        if controller == Controller::CodeDeploy && balanced.is_empty() {
            return Err(AwsError::invalid(
                "Load balancers must be specified for a service with a CODE_DEPLOY deployment controller.",
            ));
        }
        let arn = self.arn("ecs", &format!("service/{cluster}/{name}"));
        self.ecs.services.remove(&arn);
        let desired = input.int("desiredCount").unwrap_or(0);
        let service = Service {
            name,
            cluster,
            controller,
            status: "ACTIVE",
            desired,
            definition: definition.clone(),
            spec,
            created: self.now,
            events: Vec::new(),
            completed: None,
        };
        self.ecs.services.insert(arn.clone(), service);
        self.keep_token("CreateService", input, &arn);
        if let Some(definition) = definition {
            self.first_set(&arn, controller, &definition, balanced, desired);
        }
        Ok(json!({ "service": self.describe_service(&arn) }))
    }

    fn first_set(
        &mut self,
        arn: &str,
        controller: Controller,
        definition: &str,
        balanced: Vec<super::Balanced>,
        desired: i64,
    ) {
        let kind = if controller == Controller::Ecs { Kind::Deployment } else { Kind::TaskSet };
        let set = self.add_set(kind, arn, definition, balanced, desired);
        if let Some(set) = self.ecs.sets.get_mut(&set) {
            set.status = "PRIMARY";
        }
        if controller == Controller::Ecs {
            self.begin_deployment(arn, None, &set);
        } else if let Some(set) = self.ecs.sets.get_mut(&set) {
            set.started_by = Some("ecs-svc".to_owned());
        }
    }

    pub(super) fn describe_services(&self, input: &Value) -> Answer {
        let cluster = self.cluster(input)?;
        let names = input.texts("services");
        if names.is_empty() {
            return Err(AwsError::invalid("Services cannot be empty."));
        }
        if names.len() > 10 {
            return Err(AwsError::invalid("At most 10 services can be described at once."));
        }
        let (mut services, mut failures) = (Vec::new(), Vec::new());
        for name in names {
            match self.find_service(&cluster, &name) {
                Some(arn) => services.push(self.describe_service(&arn)),
                None => {
                    let arn = self.arn("ecs", &format!("service/{cluster}/{}", super::tail(&name)));
                    failures.push(json!({ "arn": arn, "reason": "MISSING" }));
                }
            }
        }
        Ok(json!({ "services": services, "failures": failures }))
    }

    pub(super) fn list_services(&self, input: &Value) -> Answer {
        let cluster = self.cluster(input)?;
        let mine = |service: &Service| service.cluster == cluster && service.status != "INACTIVE";
        let arns: Vec<_> = self.ecs.services.iter().filter(|(_, one)| mine(one)).map(|(arn, _)| arn).collect();
        Ok(json!({ "serviceArns": arns }))
    }

    pub(super) fn delete_service(&mut self, input: &Value) -> Answer {
        let arn = self.service_arn(input)?;
        let is_forced = input.flag("force").unwrap_or(false);
        let desired = self.ecs.services.get(&arn).map_or(0, |service| service.desired);
        if desired > 0 && !is_forced {
            return Err(AwsError::invalid("The service cannot be stopped while it is scaled above 0."));
        }
        if self.deploys.is_busy_with(&arn) {
            return refuse(
                "InvalidParameterException",
                "Unable to delete service while CodeDeploy has an active deployment.",
            );
        }
        for set in self.sets_of(&arn) {
            self.set_desired(&set, 0);
        }
        if let Some(service) = self.ecs.services.get_mut(&arn) {
            (service.status, service.desired) = ("DRAINING", 0);
        }
        Ok(json!({ "service": self.describe_service(&arn) }))
    }
}

/// Puts a call's members over those that stand; of the deployment configuration, member by member.
pub(super) fn merge(spec: &mut Value, input: &Value) {
    let config = spec.get("deploymentConfiguration").cloned();
    over(spec, input, &KEYS);
    if let (Some(mut config), Some(given)) = (config, input.get("deploymentConfiguration").and_then(Value::as_object)) {
        let keys: Vec<_> = given.keys().map(String::as_str).collect();
        over(&mut config, &Value::Object(given.clone()), &keys);
        spec["deploymentConfiguration"] = config;
    }
}
