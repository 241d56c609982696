//! Services as descriptions show them.

use serde_json::{Map, Value, json};

use super::services::KEYS;
use super::{Controller, Kind, Set};
use crate::value::{Input as _, echo, stamp};
use crate::world::World;

impl World {
    pub(super) fn describe_service(&self, arn: &str) -> Value {
        let Some(service) = self.ecs.services.get(arn) else { return Value::Null };
        let sets: Vec<_> = self.sets_of(arn);
        let counts: Vec<_> = sets.iter().map(|set| self.counts(set)).collect();
        let mut described: Map<String, Value> = echo(&service.spec, &KEYS);
        let events = service
            .events
            .iter()
            .map(|(id, at, text)| json!({ "id": id, "createdAt": stamp(*at), "message": text }))
            .collect::<Vec<_>>();
        let own = |kind: Kind| {
            // Newest first, as AWS lists them.
            let mine = sets.iter().rev().filter_map(|id| self.ecs.sets.get(id));
            mine.filter(move |set| set.kind == kind).collect::<Vec<_>>()
        };
        let deployments: Vec<_> = own(Kind::Deployment).into_iter().map(|set| self.describe_deployment(set)).collect();
        let task_sets: Vec<_> = own(Kind::TaskSet).into_iter().map(|set| self.describe_task_set(&set.id)).collect();
        let current = self.current_deployment(arn);
        let revisions: Vec<_> = own(Kind::Deployment).into_iter().map(|set| self.revision_summary(set)).collect();
        let is_native = service.controller == Controller::Ecs;
        let more = json!({
            "serviceArn": arn, "serviceName": service.name,
            "clusterArn": self.arn("ecs", &format!("cluster/{}", service.cluster)),
            "status": self.service_status(arn), "desiredCount": service.desired,
            "runningCount": counts.iter().map(|one| one.running).sum::<i64>(),
            "pendingCount": counts.iter().map(|one| one.pending).sum::<i64>(),
            "taskDefinition": service.definition, "deployments": deployments, "taskSets": task_sets,
            "events": events, "createdAt": stamp(service.created),
            "deploymentController": { "type": service.controller.name() },
            "currentServiceDeployment": current,
            "currentServiceRevisions": if is_native { json!(revisions) } else { Value::Null },
            "propagateTags": "NONE", "enableECSManagedTags": false,
        });
        if let Value::Object(more) = more {
            described.extend(more);
        }
        Value::Object(described)
    }

    /// A service that is deleted is gone once its last task is.
    fn service_status(&self, arn: &str) -> &'static str {
        let Some(service) = self.ecs.services.get(arn) else { return "INACTIVE" };
        let is_empty = self.sets_of(arn).iter().all(|set| self.counts(set) == super::set::Counts::default());
        if service.status == "DRAINING" && is_empty { "INACTIVE" } else { service.status }
    }

    fn describe_deployment(&self, set: &Set) -> Value {
        let counts = self.counts(&set.id);
        json!({
            "id": set.id, "status": set.status, "taskDefinition": set.definition, "desiredCount": set.desired,
            "pendingCount": counts.pending, "runningCount": counts.running, "failedTasks": set.failed,
            "createdAt": stamp(set.created), "updatedAt": stamp(set.updated),
            "launchType": set.spec.text("launchType"), "networkConfiguration": set.spec.get("networkConfiguration"),
            "rolloutState": set.rollout.0, "rolloutStateReason": set.rollout.1,
        })
    }

    pub(super) fn describe_task_set(&self, id: &str) -> Value {
        let Some(set) = self.ecs.sets.get(id) else { return Value::Null };
        let counts = self.counts(id);
        let balancers = set.balanced.iter().map(
            |one| json!({ "targetGroupArn": one.group, "containerName": one.container, "containerPort": one.port }),
        );
        let cluster = self.ecs.services.get(&set.service).map(|service| service.cluster.clone()).unwrap_or_default();
        json!({
            "id": set.id, "taskSetArn": self.task_set_arn(set), "serviceArn": set.service,
            "clusterArn": self.arn("ecs", &format!("cluster/{cluster}")), "startedBy": set.started_by,
            "externalId": set.spec.text("externalId"), "status": set.status, "taskDefinition": set.definition,
            "computedDesiredCount": set.desired, "pendingCount": counts.pending, "runningCount": counts.running,
            "createdAt": stamp(set.created), "updatedAt": stamp(set.updated),
            "launchType": launch_type(set), "capacityProviderStrategy": set.spec.items("capacityProviderStrategy"),
            "platformVersion": set.spec.text("platformVersion"),
            "networkConfiguration": set.spec.get("networkConfiguration"), "loadBalancers": balancers.collect::<Vec<_>>(),
            "serviceRegistries": set.spec.items("serviceRegistries"), "scale": { "value": set.scale, "unit": "PERCENT" },
            "stabilityStatus": if set.steady_since.is_some() { "STEADY_STATE" } else { "STABILIZING" },
            "stabilityStatusAt": stamp(set.steady_since.unwrap_or(set.updated)),
            "tags": set.spec.get("tags").cloned().unwrap_or_else(|| json!([])),
        })
    }

    pub(super) fn task_set_arn(&self, set: &Set) -> String {
        let tail = set.service.split_once(":service/").map_or("", |(_, tail)| tail);
        self.arn("ecs", &format!("task-set/{tail}/{}", set.id))
    }

    pub(super) fn revision_arn(&self, set: &Set) -> String {
        let tail = set.service.split_once(":service/").map_or("", |(_, tail)| tail);
        self.arn("ecs", &format!("service-revision/{tail}/{}", super::tail(&set.id)))
    }

    pub(super) fn revision_summary(&self, set: &Set) -> Value {
        let counts = self.counts(&set.id);
        json!({
            "arn": self.revision_arn(set), "requestedTaskCount": set.desired, "runningTaskCount": counts.running,
            "pendingTaskCount": counts.pending,
        })
    }
}

/// A task set with capacity providers has no launch type.
fn launch_type(set: &Set) -> Option<&str> {
    let is_free = set.spec.items("capacityProviderStrategy").is_empty();
    is_free.then(|| set.spec.text("launchType").unwrap_or("FARGATE"))
}
