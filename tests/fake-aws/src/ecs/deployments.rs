//! Service deployments as records, and the calls about them.

use serde_json::{Value, json};

use super::{Controller, Set};
use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, Time, stamp, stamp_if};
use crate::world::World;

/// A hook of a deployment.
#[derive(Debug, Clone)]
pub(crate) struct HookState {
    pub(crate) id: String,
    pub(crate) is_pause: bool,
    pub(crate) function: Option<String>,
    pub(crate) stage: String,
    /// Of which share, where the stage comes for each.
    pub(crate) step: u32,
    /// As AWS names it.
    pub(crate) status: &'static str,
    pub(crate) expires: Time,
    /// What happens when nobody answers.
    pub(crate) action: String,
}

/// A deployment of a service.
#[derive(Debug, Clone)]
pub(crate) struct ServiceDeployment {
    pub(crate) arn: String,
    pub(crate) service: String,
    pub(crate) created: Time,
    pub(crate) updated: Time,
    pub(crate) finished: Option<Time>,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) target: String,
    source_revision: Option<String>,
    target_revision: String,
    pub(crate) config: Value,
    /// Which of the stages it is in; of those that shift traffic.
    pub(crate) stage: usize,
    pub(crate) entered: Time,
    pub(crate) hooks: Vec<HookState>,
    /// Why it goes back, since when.
    pub(crate) rollback: Option<(String, Time)>,
    /// Percent of requests of users that the target gets.
    pub(crate) production: f64,
    /// And of tests.
    pub(crate) test: f64,
    pub(crate) last_step: Time,
    /// Which share comes, from 0, and how many have been given.
    pub(crate) step: u32,
    pub(crate) given: u32,
    pub(crate) alarms: Vec<String>,
    /// One of its alarms rang when it began, so it listens to none of them; of rolling ones only.
    pub(crate) is_deaf: bool,
    /// Since when a rolling one has all of its tasks and only listens to alarms.
    pub(crate) baking: Option<Time>,
}

impl ServiceDeployment {
    /// Nothing more will happen to it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.status, "SUCCESSFUL" | "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED")
    }

    pub(crate) fn is_rolling(&self) -> bool {
        self.config.text("strategy").unwrap_or("ROLLING") == "ROLLING"
    }
}

impl World {
    /// Writes a deployment down. `source` is the set that serves now.
    pub(super) fn begin_deployment(&mut self, service: &str, source: Option<String>, target: &str) {
        let tail = service.split_once(":service/").map_or("", |(_, tail)| tail);
        let id = self.ids.hex(17);
        let arn = self.arn("ecs", &format!("service-deployment/{tail}/{id}"));
        let revision = |id: &str| self.ecs.sets.get(id).map(|set| self.revision_arn(set));
        let (now, config) = (self.now, self.ecs.services[service].spec["deploymentConfiguration"].clone());
        let deployment = ServiceDeployment {
            arn: arn.clone(),
            service: service.to_owned(),
            created: now,
            updated: now,
            finished: None,
            status: "IN_PROGRESS",
            reason: None,
            source_revision: source.as_deref().and_then(revision),
            target_revision: revision(target).unwrap_or_default(),
            source,
            target: target.to_owned(),
            config,
            stage: 0,
            entered: now,
            hooks: Vec::new(),
            rollback: None,
            production: 0.0,
            test: 0.0,
            last_step: now,
            step: 0,
            given: 0,
            alarms: Vec::new(),
            is_deaf: false,
            baking: None,
        };
        let is_deaf = deployment.is_rolling() && self.begins_under_alarm(&deployment.config);
        let deployment = ServiceDeployment { is_deaf, ..deployment };
        if let Some(set) = self.ecs.sets.get(target) {
            let described = self.describe_revision(set);
            self.ecs.revisions.insert(deployment.target_revision.clone(), described);
        }
        self.ecs.deployments.insert(arn, deployment);
    }

    /// Ends a deployment.
    pub(super) fn finish(&mut self, arn: &str, status: &'static str, reason: Option<String>) {
        let now = self.now;
        if let Some(deployment) = self.ecs.deployments.get_mut(arn) {
            (deployment.status, deployment.finished, deployment.updated) = (status, Some(now), now);
            deployment.reason = reason.or_else(|| deployment.reason.take());
        }
    }

    /// The one that is under way.
    pub(super) fn current_deployment(&self, service: &str) -> Option<String> {
        let mine = self.ecs.deployments.values().filter(|one| one.service == service && !one.is_over());
        mine.max_by_key(|one| one.created).map(|one| one.arn.clone())
    }

    fn found(&self, arn: &str) -> Result<&ServiceDeployment, AwsError> {
        let missing = || AwsError::new("ServiceDeploymentNotFoundException", "The service deployment was not found.");
        self.ecs.deployments.get(arn).ok_or_else(missing)
    }

    pub(super) fn list_service_deployments(&self, input: &Value) -> Answer {
        let service = self.service_arn(input)?;
        let statuses = input.texts("status");
        let (before, after) =
            input.get("createdAt").map_or((None, None), |range| (range.time("before"), range.time("after")));
        let wanted = |one: &&ServiceDeployment| {
            one.service == service
                && (statuses.is_empty() || statuses.iter().any(|status| status == one.status))
                && before.is_none_or(|at| one.created <= at)
                && after.is_none_or(|at| one.created >= at)
        };
        let mut found: Vec<_> = self.ecs.deployments.values().filter(wanted).collect();
        found.sort_by_key(|one| std::cmp::Reverse(one.created));
        let cluster = self.ecs.services[&service].cluster.clone();
        let brief = |one: &ServiceDeployment| {
            json!({
                "serviceDeploymentArn": one.arn, "serviceArn": one.service,
                "clusterArn": self.arn("ecs", &format!("cluster/{cluster}")), "createdAt": stamp(one.created),
                "startedAt": stamp(one.created), "finishedAt": stamp_if(one.finished),
                "targetServiceRevisionArn": one.target_revision, "status": one.status, "statusReason": one.reason,
            })
        };
        Ok(json!({ "serviceDeployments": found.into_iter().map(brief).collect::<Vec<_>>() }))
    }

    pub(super) fn describe_service_deployments(&self, input: &Value) -> Answer {
        let (mut all, mut failures) = (Vec::new(), Vec::new());
        for arn in input.texts("serviceDeploymentArns") {
            match self.ecs.deployments.get(&arn) {
                Some(one) => all.push(self.describe_service_deployment(one)),
                None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
            }
        }
        Ok(json!({ "serviceDeployments": all, "failures": failures }))
    }

    fn describe_service_deployment(&self, one: &ServiceDeployment) -> Value {
        let summary = |id: &str, arn: &str, production: f64, test: f64| {
            let counts = self.counts(id);
            json!({
                "arn": arn, "requestedTaskCount": self.ecs.sets.get(id).map_or(0, |set| set.desired),
                "runningTaskCount": counts.running, "pendingTaskCount": counts.pending,
                "requestedTestTrafficWeight": test, "requestedProductionTrafficWeight": production,
            })
        };
        let source = one.source.iter().zip(&one.source_revision);
        let sources: Vec<_> =
            source.map(|(id, arn)| summary(id, arn, 100.0 - one.production, 100.0 - one.test)).collect();
        let cluster = self.ecs.services.get(&one.service).map(|service| service.cluster.clone()).unwrap_or_default();
        let hooks = one.hooks.iter().map(|hook| {
            json!({
                "hookId": hook.id, "targetType": if hook.is_pause { "PAUSE" } else { "AWS_LAMBDA" },
                "targetArn": hook.function, "status": hook.status, "expiresAt": stamp(hook.expires),
                "timeoutAction": hook.action,
            })
        });
        let rollback = one.rollback.as_ref().map(|(reason, at)| {
            json!({ "reason": reason, "startedAt": stamp(*at), "serviceRevisionArn": one.source_revision })
        });
        let failed = self.ecs.sets.get(&one.target).map_or(0, |set| set.failed);
        json!({
            "serviceDeploymentArn": one.arn, "serviceArn": one.service,
            "clusterArn": self.arn("ecs", &format!("cluster/{cluster}")), "createdAt": stamp(one.created),
            "startedAt": stamp(one.created), "finishedAt": stamp_if(one.finished), "updatedAt": stamp(one.updated),
            "stoppedAt": stamp_if(one.finished.filter(|_| one.status == "STOPPED")),
            "sourceServiceRevisions": sources,
            "targetServiceRevision": summary(&one.target, &one.target_revision, one.production, one.test),
            "status": one.status, "statusReason": one.reason,
            "lifecycleStage": self.stage_name(one), "lifecycleHookDetails": hooks.collect::<Vec<_>>(),
            "deploymentConfiguration": one.config, "rollback": rollback,
            "deploymentCircuitBreaker": self.breaker_status(one, failed), "alarms": alarm_status(one),
        })
    }

    fn breaker_status(&self, one: &ServiceDeployment, failed: i64) -> Value {
        let desired = self.ecs.services.get(&one.service).map_or(0, |service| service.desired);
        let (enabled, threshold) =
            (super::rolling::breaker(&one.config), super::rolling::threshold(&one.config, desired));
        let status = match enabled {
            None => "DISABLED",
            Some(_) if failed >= threshold => "TRIGGERED",
            Some(_) if one.is_over() => "MONITORING_COMPLETE",
            Some(_) => "MONITORING",
        };
        json!({ "status": status, "failureCount": failed, "threshold": threshold })
    }

    fn describe_revision(&self, set: &Set) -> Value {
        let balancers: Vec<_> = set
            .balanced
            .iter()
            .map(
                |one| json!({ "targetGroupArn": one.group, "containerName": one.container, "containerPort": one.port }),
            )
            .collect();
        let spec = self.definition(&set.definition).map(|found| found.spec.clone()).unwrap_or_default();
        let images = spec.items("containerDefinitions").iter().map(|container| {
            let image = container.text("image").unwrap_or_default();
            let digest = image.split_once('@').map(|(_, digest)| digest);
            json!({ "containerName": container.text("name"), "image": image, "imageDigest": digest })
        });
        let cluster = self.ecs.services.get(&set.service).map(|service| service.cluster.clone()).unwrap_or_default();
        json!({
            "serviceRevisionArn": self.revision_arn(set), "serviceArn": set.service,
            "clusterArn": self.arn("ecs", &format!("cluster/{cluster}")), "taskDefinition": set.definition,
            "launchType": set.spec.text("launchType"), "loadBalancers": balancers,
            "networkConfiguration": set.spec.get("networkConfiguration"), "containerImages": images.collect::<Vec<_>>(),
            "createdAt": stamp(set.created),
        })
    }

    pub(super) fn describe_service_revisions(&self, input: &Value) -> Answer {
        let (mut all, mut failures) = (Vec::new(), Vec::new());
        for arn in input.texts("serviceRevisionArns") {
            match self.ecs.revisions.get(&arn) {
                Some(one) => all.push(one.clone()),
                None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
            }
        }
        Ok(json!({ "serviceRevisions": all, "failures": failures }))
    }

    pub(super) fn stop_service_deployment(&mut self, input: &Value) -> Answer {
        let arn = input.need("serviceDeploymentArn")?.to_owned();
        let known = self.found(&arn)?.clone();
        if known.is_over() || known.rollback.is_some() {
            return refuse("ConflictException", format!("The service deployment is already {}.", known.status));
        }
        if input.text("stopType").unwrap_or("ROLLBACK") == "ABORT" {
            self.finish(&arn, "STOPPED", Some("Service deployment stopped by request.".to_owned()));
        } else {
            self.begin_rollback(&arn, "Service deployment rollback requested by user.");
        }
        Ok(json!({ "serviceDeploymentArn": arn }))
    }

    pub(super) fn continue_service_deployment(&mut self, input: &Value) -> Answer {
        let (arn, hook) = (input.need("serviceDeploymentArn")?.to_owned(), input.need("hookId")?.to_owned());
        let known = self.found(&arn)?.clone();
        if known.is_over() {
            return Err(AwsError::invalid("The service deployment is not in progress."));
        }
        let waits = known.hooks.iter().any(|one| one.id == hook && one.status == "AWAITING_ACTION");
        if !waits {
            return Err(AwsError::invalid(format!("The hook {hook} does not await an action.")));
        }
        let goes_on = input.text("action").unwrap_or("CONTINUE") == "CONTINUE";
        self.answer_hook(&arn, &hook, goes_on);
        if !goes_on {
            self.begin_rollback(&arn, "Rollback requested at a lifecycle hook.");
        }
        self.tick_native();
        Ok(json!({ "serviceDeploymentArn": arn }))
    }

    /// A deployment that another one takes the place of.
    pub(super) fn supersede(&mut self, service: &str) {
        let Some(arn) = self.current_deployment(service) else { return };
        let known = self.ecs.deployments[&arn].clone();
        if !known.is_rolling() && known.source.is_some() {
            self.traffic_back(&known);
            self.remove_set(&known.target);
        }
        self.finish(&arn, "STOPPED", Some("Service deployment was stopped since a newer one began.".to_owned()));
    }

    /// Whether ECS is who deploys the service.
    pub(super) fn is_native(&self, service: &str) -> bool {
        self.ecs.services.get(service).is_some_and(|service| service.controller == Controller::Ecs)
    }
}

fn alarm_status(one: &ServiceDeployment) -> Value {
    let alarms = one.config.get("alarms");
    let enabled = alarms.and_then(|alarms| alarms.flag("enable")).unwrap_or(false);
    let status = match (enabled, one.alarms.is_empty()) {
        (false, _) => "DISABLED",
        (true, false) => "TRIGGERED",
        (true, true) if one.is_over() => "MONITORING_COMPLETE",
        (true, true) => "MONITORING",
    };
    let names = alarms.map(|alarms| alarms.texts("alarmNames")).unwrap_or_default();
    json!({ "status": status, "alarmNames": names, "triggeredAlarmNames": one.alarms })
}
