//! Deployments and their targets as descriptions show them.

use serde_json::{Value, json};

use super::{Deployment, required};
use crate::error::{Answer, AwsError, refuse};
use crate::ids::sha256;
use crate::value::{Input as _, stamp, stamp_if};
use crate::world::World;

/// At most so many are described at once.
const BATCH_MAX: usize = 25;

impl World {
    pub(super) fn describe_codedeploy(&self, id: &str) -> Value {
        let Some(one) = self.deploys.deployments.get(id) else { return Value::Null };
        let settings = &one.settings;
        let mut revision = one.revision.clone();
        if let Some(content) = revision.get("appSpecContent").and_then(|spec| spec.text("content")).map(str::to_owned) {
            revision["appSpecContent"]["sha256"] = json!(sha256(content.as_bytes()));
        }
        let rollback = match (&one.rolled_back_by, &one.puts_back) {
            (Some(by), _) => json!({
                "rollbackDeploymentId": by, "rollbackTriggeringDeploymentId": one.id,
                "rollbackMessage": format!("Deployment {} was rolled back by deployment {by}", one.id),
            }),
            (None, Some(of)) => json!({
                "rollbackDeploymentId": one.id, "rollbackTriggeringDeploymentId": of,
                "rollbackMessage": format!("Deployment {} rolls back deployment {of}", one.id),
            }),
            (None, None) => Value::Null,
        };
        let count = |wanted: &str| i64::from(target_status(one) == wanted);
        let over = |key: &str| one.input.get(key).or_else(|| settings.get(key)).cloned().unwrap_or_default();
        json!({
            "applicationName": one.application, "deploymentGroupName": one.group, "deploymentConfigName": one.config_name,
            "deploymentId": one.id, "revision": revision, "status": one.status,
            "errorInformation": one.error.as_ref().map(|(code, message)| json!({ "code": code, "message": message })),
            "createTime": stamp(one.created), "startTime": stamp_if(one.started), "completeTime": stamp_if(one.completed),
            "deploymentOverview": {
                "Pending": count("Pending"), "InProgress": count("InProgress"), "Succeeded": count("Succeeded"),
                "Failed": count("Failed"), "Skipped": count("Skipped"), "Ready": count("Ready"),
            },
            "description": one.input.text("description"), "creator": one.creator, "ignoreApplicationStopFailures": false,
            "updateOutdatedInstancesOnly": false, "fileExistsBehavior": "DISALLOW",
            "autoRollbackConfiguration": over("autoRollbackConfiguration"), "rollbackInfo": rollback,
            "deploymentStyle": settings.get("deploymentStyle"),
            "instanceTerminationWaitTimeStarted": one.step == super::Step::Termination,
            "blueGreenDeploymentConfiguration": settings.get("blueGreenDeploymentConfiguration"),
            "loadBalancerInfo": settings.get("loadBalancerInfo"), "deploymentStatusMessages": [],
            "computePlatform": "ECS", "overrideAlarmConfiguration": one.input.get("overrideAlarmConfiguration"),
        })
    }

    pub(super) fn batch_get_deployments(&self, input: &Value) -> Answer {
        let ids = input.texts("deploymentIds");
        if ids.len() > BATCH_MAX {
            return refuse(
                "BatchLimitExceededException",
                format!("At most {BATCH_MAX} deployments can be described at once"),
            );
        }
        let all: Vec<_> = ids.iter().map(|id| self.describe_codedeploy(id)).filter(|one| !one.is_null()).collect();
        Ok(json!({ "deploymentsInfo": all }))
    }

    pub(super) fn list_deployments(&self, input: &Value) -> Answer {
        let application = if input.text("applicationName").is_some() { Some(self.application(input)?) } else { None };
        let group = match input.text("deploymentGroupName") {
            Some(_) => Some(self.deployment_group(input)?.0),
            None if application.is_some() => {
                return refuse("DeploymentGroupNameRequiredException", "deploymentGroupName must be specified");
            }
            None => None,
        };
        let statuses = input.texts("includeOnlyStatuses");
        let range = input.get("createTimeRange").cloned().unwrap_or_default();
        let (from, to) = (range.time("start"), range.time("end"));
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return refuse("InvalidTimeRangeException", "The start of the range is after its end");
        }
        let wanted = |one: &&Deployment| {
            application.as_ref().is_none_or(|name| *name == one.application)
                && group.as_ref().is_none_or(|name| *name == one.group)
                && (statuses.is_empty() || statuses.iter().any(|status| status == one.status))
                && from.is_none_or(|at| one.created >= at)
                && to.is_none_or(|at| one.created <= at)
        };
        let all = self.deploys.order.iter().rev().filter_map(|id| self.deploys.deployments.get(id));
        let ids: Vec<_> = all.filter(wanted).map(|one| &one.id).collect();
        Ok(json!({ "deployments": ids }))
    }

    fn started(&self, input: &Value) -> Result<&Deployment, AwsError> {
        let id = self.deployment_id(input)?;
        let one = &self.deploys.deployments[&id];
        if one.started.is_none() && !one.is_over() {
            return refuse("DeploymentNotStartedException", format!("The deployment {id} has not started"));
        }
        Ok(one)
    }

    pub(super) fn list_deployment_targets(&self, input: &Value) -> Answer {
        let one = self.started(input)?;
        Ok(json!({ "targetIds": [one.target_id()] }))
    }

    pub(super) fn get_deployment_target(&self, input: &Value) -> Answer {
        let one = self.started(input)?;
        let id = required(input, "targetId")
            .map_err(|_| AwsError::new("DeploymentTargetIdRequiredException", "targetId must be specified"))?;
        if id != one.target_id() {
            return refuse("DeploymentTargetDoesNotExistException", format!("No target {id} in deployment {}", one.id));
        }
        Ok(json!({ "deploymentTarget": self.target(one) }))
    }

    pub(super) fn batch_get_deployment_targets(&self, input: &Value) -> Answer {
        let one = self.started(input)?;
        let ids = input.texts("targetIds");
        let all = ids.iter().filter(|id| **id == one.target_id()).map(|_| self.target(one));
        Ok(json!({ "deploymentTargets": all.collect::<Vec<_>>() }))
    }

    fn target(&self, one: &Deployment) -> Value {
        let events: Vec<_> = one
            .happenings
            .iter()
            .map(|happening| {
                let code = if happening.status == "Failed" { "UnknownError" } else { "Success" };
                let diagnostics = happening.ended.map(|_| json!({ "errorCode": code, "message": happening.message }));
                json!({
                    "lifecycleEventName": happening.name, "status": happening.status, "diagnostics": diagnostics,
                    "startTime": stamp_if(happening.started), "endTime": stamp_if(happening.ended),
                })
            })
            .collect();
        let listener =
            super::traffic::listeners(&one.settings, "prodTrafficRoute").into_iter().next().unwrap_or_default();
        let blue = one.blue.clone().or_else(|| self.primary_set(&one.service).filter(|_| !one.is_over()));
        let sets = [(blue, "Blue"), (one.green.clone(), "Green")];
        let sets: Vec<_> = sets
            .into_iter()
            .filter_map(|(id, label)| {
                let set = self.ecs.sets.get(&id?)?;
                let counts = self.counts(&set.id);
                let group = set.balanced.first().map(|one| one.group.clone()).unwrap_or_default();
                Some(json!({
                    "identifer": set.id, "desiredCount": set.desired, "pendingCount": counts.pending,
                    "runningCount": counts.running, "status": set.status, "taskSetLabel": label,
                    "trafficWeight": self.weight_of(&listener, &group), "targetGroup": { "name": self.group_name(&group) },
                }))
            })
            .collect();
        json!({ "deploymentTargetType": "ECSTarget", "ecsTarget": {
            "deploymentId": one.id, "targetId": one.target_id(), "targetArn": one.service, "lastUpdatedAt": stamp(self.now),
            "lifecycleEvents": events, "status": target_status(one), "taskSetsInfo": sets,
        }})
    }
}

/// A deployment's status as its only target's.
fn target_status(one: &Deployment) -> &'static str {
    match one.status {
        "Created" | "Queued" => "Pending",
        "Succeeded" => "Succeeded",
        "Failed" => "Failed",
        "Stopped" => "Skipped",
        "Ready" => "Ready",
        _ => "InProgress",
    }
}
