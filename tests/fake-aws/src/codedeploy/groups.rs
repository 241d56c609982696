//! Applications and deployment groups.

use serde_json::{Value, json};

use super::required;
use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, over, stamp};
use crate::world::World;

/// Members of a group that calls set.
const KEYS: [&str; 9] = [
    "deploymentConfigName",
    "serviceRoleArn",
    "triggerConfigurations",
    "alarmConfiguration",
    "autoRollbackConfiguration",
    "deploymentStyle",
    "blueGreenDeploymentConfiguration",
    "loadBalancerInfo",
    "ecsServices",
];

impl World {
    pub(super) fn create_application(&mut self, input: &Value) -> Answer {
        let name = required(input, "applicationName")?.to_owned();
        if self.deploys.applications.contains_key(&name) {
            return refuse("ApplicationAlreadyExistsException", format!("Application already exists: {name}"));
        }
        let (id, platform) = (self.ids.uuid(), input.text("computePlatform").unwrap_or("Server").to_owned());
        self.deploys.applications.insert(name, (id.clone(), platform, self.now));
        Ok(json!({ "applicationId": id }))
    }

    /// The application that a call means; it exists.
    pub(super) fn application(&self, input: &Value) -> Result<String, AwsError> {
        let name = required(input, "applicationName")?;
        if self.deploys.applications.contains_key(name) {
            return Ok(name.to_owned());
        }
        refuse("ApplicationDoesNotExistException", format!("No application found for name: {name}"))
    }

    pub(super) fn get_application(&self, input: &Value) -> Answer {
        let name = self.application(input)?;
        let (id, platform, created) = &self.deploys.applications[&name];
        Ok(json!({ "application": {
            "applicationId": id, "applicationName": name, "computePlatform": platform, "createTime": stamp(*created),
            "linkedToGitHub": false,
        }}))
    }

    pub(super) fn delete_application(&mut self, input: &Value) -> Answer {
        let name = required(input, "applicationName")?;
        self.deploys.applications.remove(name);
        self.deploys.groups.retain(|(application, _), _| application != name);
        Ok(json!({}))
    }

    /// The group that a call means, and its settings.
    pub(super) fn deployment_group(&self, input: &Value) -> Result<(String, Value), AwsError> {
        let application = self.application(input)?;
        let name = required(input, "deploymentGroupName")?;
        let found = self.deploys.groups.get(&(application, name.to_owned()));
        let missing = || {
            let message = format!("No Deployment Group found for name: {name}");
            AwsError::new("DeploymentGroupDoesNotExistException", message)
        };
        Ok((name.to_owned(), found.ok_or_else(missing)?.clone()))
    }

    pub(super) fn create_deployment_group(&mut self, input: &Value) -> Answer {
        let application = self.application(input)?;
        let name = required(input, "deploymentGroupName")?.to_owned();
        required(input, "serviceRoleArn")
            .map_err(|_| AwsError::new("RoleRequiredException", "serviceRoleArn must be specified"))?;
        if self.deploys.groups.contains_key(&(application.clone(), name.clone())) {
            let message = format!("Deployment group already exists: {name}");
            return refuse("DeploymentGroupAlreadyExistsException", message);
        }
        let id = self.ids.uuid();
        let mut group = json!({
            "applicationName": application, "deploymentGroupId": id, "deploymentGroupName": name,
            "deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce", "computePlatform": "ECS",
        });
        over(&mut group, input, &KEYS);
        self.check_group(&group)?;
        self.deploys.groups.insert((application, name), group);
        Ok(json!({ "deploymentGroupId": id }))
    }

    fn check_group(&self, group: &Value) -> Result<(), AwsError> {
        self.routing(group.text("deploymentConfigName").unwrap_or_default())?;
        let [service] = group.items("ecsServices") else {
            return refuse("InvalidECSServiceException", "An ECS deployment group needs exactly one ECS service");
        };
        let (cluster, name) =
            (service.text("clusterName").unwrap_or("default"), service.text("serviceName").unwrap_or_default());
        let found = self.find_service(cluster, name).and_then(|arn| self.ecs.services.get(&arn));
        match found {
            None => {
                return refuse(
                    "InvalidECSServiceException",
                    format!("The ECS service cannot be found: {cluster}/{name}"),
                );
            }
            Some(service) if service.controller != crate::ecs::Controller::CodeDeploy => {
                let message = "The service does not have the CODE_DEPLOY deployment controller";
                return refuse("InvalidECSServiceException", message);
            }
            Some(_) => {}
        }
        let style = group.get("deploymentStyle").cloned().unwrap_or_default();
        if style.text("deploymentType") != Some("BLUE_GREEN")
            || style.text("deploymentOption") != Some("WITH_TRAFFIC_CONTROL")
        {
            let message = "For ECS deployment group, deploymentStyle must be BLUE_GREEN with WITH_TRAFFIC_CONTROL";
            return refuse("InvalidDeploymentStyleException", message);
        }
        let pair = group.get("loadBalancerInfo").map(|info| info.items("targetGroupPairInfoList")).unwrap_or_default();
        let [pair] = pair else {
            return refuse("InvalidLoadBalancerInfoException", "An ECS deployment group needs one targetGroupPairInfo");
        };
        if pair.items("targetGroups").len() != 2 {
            return refuse("InvalidLoadBalancerInfoException", "targetGroupPairInfo needs two target groups");
        }
        for one in pair.items("targetGroups") {
            let name = one.text("name").unwrap_or_default();
            if self.group_by_name(name).is_none() {
                return refuse("InvalidTargetGroupPairException", format!("The target group cannot be found: {name}"));
            }
        }
        let production = pair.get("prodTrafficRoute").map(|route| route.texts("listenerArns")).unwrap_or_default();
        let test = pair.get("testTrafficRoute").map(|route| route.texts("listenerArns")).unwrap_or_default();
        if production.len() != 1 {
            return refuse("InvalidLoadBalancerInfoException", "prodTrafficRoute needs one listener");
        }
        for listener in production.iter().chain(&test) {
            self.listener(listener)
                .map_err(|error| AwsError::new("InvalidLoadBalancerInfoException", error.message))?;
        }
        Ok(())
    }

    pub(super) fn get_deployment_group(&self, input: &Value) -> Answer {
        let (name, mut group) = self.deployment_group(input)?;
        let application = group.text("applicationName").unwrap_or_default().to_owned();
        let mine = |one: &&super::Deployment| one.application == application && one.group == name;
        let all = || self.deploys.order.iter().rev().filter_map(|id| self.deploys.deployments.get(id)).filter(mine);
        let brief = |one: &super::Deployment| {
            json!({
                "deploymentId": one.id, "status": one.status, "createTime": stamp(one.created),
                "endTime": crate::value::stamp_if(one.completed),
            })
        };
        group["lastAttemptedDeployment"] = all().next().map(brief).unwrap_or_default();
        group["lastSuccessfulDeployment"] = all().find(|one| one.status == "Succeeded").map(brief).unwrap_or_default();
        Ok(json!({ "deploymentGroupInfo": group }))
    }

    pub(super) fn update_deployment_group(&mut self, input: &Value) -> Answer {
        let named = json!({
            "applicationName": input.get("applicationName"), "deploymentGroupName": input.get("currentDeploymentGroupName"),
        });
        let (name, mut group) = self.deployment_group(&named)?;
        over(&mut group, input, &KEYS);
        self.check_group(&group)?;
        let application = self.application(input)?;
        self.deploys.groups.insert((application, name), group);
        Ok(json!({ "hooksNotCleanedUp": [] }))
    }

    pub(super) fn delete_deployment_group(&mut self, input: &Value) -> Answer {
        let key = (required(input, "applicationName")?.to_owned(), required(input, "deploymentGroupName")?.to_owned());
        self.deploys.groups.remove(&key);
        Ok(json!({ "hooksNotCleanedUp": [] }))
    }

    pub(super) fn list_deployment_groups(&self, input: &Value) -> Answer {
        let application = self.application(input)?;
        let names = self.deploys.groups.keys().filter(|(known, _)| *known == application).map(|(_, name)| name);
        Ok(json!({ "applicationName": application, "deploymentGroups": names.collect::<Vec<_>>() }))
    }
}
