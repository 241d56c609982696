//! `CreateDeployment`, and the deployments that CodeDeploy itself makes to put others back.

use serde_json::{Value, json};

use super::{Deployment, EVENTS, Happening, Step, appspec};
use crate::ecs::Controller;
use crate::error::{Answer, AwsError, refuse};
use crate::value::Input as _;
use crate::world::World;

/// Longest description.
const DESCRIPTION_MAX: usize = 512;

impl World {
    pub(super) fn create_deployment(&mut self, input: &Value) -> Answer {
        let application = self.application(input)?;
        let (group, settings) = self.deployment_group(input)?;
        if input.text("description").is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
            let message = format!("The description is too long, maximum length is {DESCRIPTION_MAX}");
            return refuse("DescriptionTooLongException", message);
        }
        let Some(revision) = input.get("revision").filter(|one| !one.is_null()) else {
            return refuse("RevisionRequiredException", "Revision is required");
        };
        let spec = appspec::read(revision)?;
        let named = input.text("deploymentConfigName").or_else(|| settings.text("deploymentConfigName"));
        let config_name = named.unwrap_or("CodeDeployDefault.ECSAllAtOnce").to_owned();
        let routing = self.routing(&config_name)?;
        let service = self.deployed_service(&settings)?;
        if let Some(active) = self.active_in(&application, &group) {
            let message = format!("The Deployment Group '{group}' already has an active Deployment '{active}'");
            return refuse("DeploymentLimitExceededException", message);
        }
        let id = format!("d-{}", self.ids.capitals(9));
        let has_test = !super::traffic::listeners(&settings, "testTrafficRoute").is_empty();
        let deployment = Deployment {
            id: id.clone(),
            application,
            group,
            config_name,
            routing,
            revision: revision.clone(),
            spec,
            input: input.clone(),
            settings,
            service,
            step: Step::Created,
            status: "Created",
            entered: self.now,
            created: self.now,
            started: None,
            completed: None,
            creator: "user",
            error: None,
            happenings: happenings(has_test),
            hook: None,
            blue: None,
            green: None,
            shifted: 0,
            last_shift: self.now,
            goes_on: false,
            stops: None,
            rolled_back_by: None,
            puts_back: None,
        };
        self.keep_deployment(deployment);
        Ok(json!({ "deploymentId": id }))
    }

    fn keep_deployment(&mut self, deployment: Deployment) {
        self.deploys.order.push(deployment.id.clone());
        self.deploys.deployments.insert(deployment.id.clone(), deployment);
    }

    fn deployed_service(&self, settings: &Value) -> Result<String, AwsError> {
        let named = settings.items("ecsServices").first().cloned().unwrap_or_default();
        let found = self.find_service(
            named.text("clusterName").unwrap_or("default"),
            named.text("serviceName").unwrap_or_default(),
        );
        let service = found.as_ref().and_then(|arn| self.ecs.services.get(arn));
        match (found.clone(), service) {
            (Some(arn), Some(service))
                if service.controller == Controller::CodeDeploy && service.status == "ACTIVE" =>
            {
                Ok(arn)
            }
            (Some(_), Some(_)) => {
                refuse("InvalidECSServiceException", "The ECS service is not active or not of CodeDeploy")
            }
            _ => refuse("InvalidECSServiceException", "The ECS service cannot be found for the provided cluster"),
        }
    }

    fn active_in(&self, application: &str, group: &str) -> Option<String> {
        let mine = self
            .deploys
            .deployments
            .values()
            .find(|one| one.application == application && one.group == group && !one.is_over());
        mine.map(|one| one.id.clone())
    }

    /// Makes the deployment that puts `id` back.
    pub(super) fn put_back(&mut self, id: &str) {
        let Some(failed) = self.deploys.deployments.get(id).cloned() else { return };
        let new = format!("d-{}", self.ids.capitals(9));
        let before = |one: &&Deployment| {
            one.application == failed.application
                && one.group == failed.group
                && one.status == "Succeeded"
                && one.creator == "user"
        };
        let last = self.deploys.order.iter().rev().filter_map(|id| self.deploys.deployments.get(id)).find(before);
        let revision = last.map_or_else(|| failed.revision.clone(), |one| one.revision.clone());
        let deployment = Deployment {
            id: new.clone(),
            revision,
            step: Step::Created,
            status: "Created",
            entered: self.now,
            created: self.now,
            started: None,
            completed: None,
            creator: "codeDeployRollback",
            error: None,
            happenings: Vec::new(),
            hook: None,
            stops: None,
            rolled_back_by: None,
            puts_back: Some(id.to_owned()),
            input: json!({ "description": format!("CodeDeploy rollback of {id}") }),
            ..failed
        };
        self.keep_deployment(deployment);
        if let Some(failed) = self.deploys.deployments.get_mut(id) {
            failed.rolled_back_by = Some(new);
        }
    }
}

fn happenings(has_test: bool) -> Vec<Happening> {
    let wanted = |name: &str| has_test || !name.contains("TestTraffic");
    let new = |name| Happening { name, status: "Pending", started: None, ended: None, message: None };
    EVENTS.iter().filter(|(_, name)| wanted(name)).map(|(_, name)| new(name)).collect()
}
