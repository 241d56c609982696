//! Task definitions of rollouts whose service AWS itself deploys: registered once, known again by a tag.

use std::sync::Arc;

use aws::{Ecs, Registered, ServiceFacts, TaskDefinition};
use rollout::plan::{Plan, Revision};
use serde_json::Value;

use super::ecs::{COMMIT_TAG, ROLLOUT_TAG, VERSION_TAG};
use super::refused;
use crate::rollout::{CallError, Subject};

/// The tag of a task definition with the rollout that registered it, and the beginning of its plan's hash: numbers of rollouts
/// begin anew with each installation.
pub(crate) const PLAN_TAG: &str = "pipe:plan";
/// Digits of the hash.
const DIGITS: usize = 12;

/// What names a rollout of this installation at AWS.
pub(super) fn mark(rollout: u64, plan: &Plan) -> String {
    mark_of(rollout, &plan.hash())
}

/// The same, of its plan's hash.
pub(crate) fn mark_of(rollout: u64, hash: &str) -> String {
    let digits: String = hash.trim_start_matches("sha256:").chars().take(DIGITS).collect();
    format!("{rollout}-{digits}")
}

/// The revision that this rollout registered, if it did.
pub(super) async fn registered(
    ecs: &Ecs,
    subject: &Subject,
    definition: &Value,
) -> Result<Option<Registered>, CallError> {
    let Some(family) = definition.get("family").and_then(Value::as_str) else { return Ok(None) };
    ecs.registered_for(family, PLAN_TAG, &mark(subject.rollout, &subject.plan)).await.map_err(refused)
}

/// Registers the revision of this rollout; one that is there is used. Gives its ARN.
pub(super) async fn register(ecs: &Ecs, subject: &Subject, definition: &Value) -> Result<String, CallError> {
    if let Some(known) = registered(ecs, subject, definition).await? {
        return Ok(known.arn);
    }
    register_anew(ecs, subject, definition).await
}

/// Registers it, where it is known that it is not there yet. Gives its ARN.
pub(super) async fn register_anew(ecs: &Ecs, subject: &Subject, definition: &Value) -> Result<String, CallError> {
    let mut definition = TaskDefinition::of(definition.clone()).map_err(|flaws| {
        let flaws = flaws.iter().map(ToString::to_string).collect::<Vec<_>>();
        CallError::last(format!("the task definition is wrong: {}", flaws.join("; ")))
    })?;
    let (mark, id, green) = (mark(subject.rollout, &subject.plan), subject.green.id.to_string(), &subject.green);
    let tags = [(PLAN_TAG, &mark), (ROLLOUT_TAG, &id), (VERSION_TAG, &green.version), (COMMIT_TAG, &green.commit)];
    for (key, value) in tags.into_iter().filter(|(_, value)| !value.is_empty()) {
        definition.tag(key, value);
    }
    ecs.register(&definition).await.map_err(refused)
}

/// What has the users; `None`: nothing is to run.
pub(super) async fn standing(
    ecs: &Ecs,
    service: &ServiceFacts,
    container: &str,
) -> Result<Option<Revision>, CallError> {
    if service.task_definition.is_empty() || service.desired == 0 {
        return Ok(None);
    }
    if service.running == 0 {
        return Err(CallError::last(format!(
            "none of the {} tasks of service {} runs: {}. Mend it first, so that there is something to go back to",
            service.desired,
            service.name,
            service.events.first().map_or("ECS says nothing of it", String::as_str)
        )));
    }
    let known = ecs.task_definition(&service.task_definition).await.map_err(refused)?;
    let tag = |key: &str| known.tag(key).unwrap_or_default().to_owned();
    let image = known.images.iter().find(|(name, _)| name == container).or_else(|| known.images.first());
    Ok(Some(Revision {
        id: tag(ROLLOUT_TAG).parse().unwrap_or(0),
        image: image.map(|(_, image)| image.clone()).unwrap_or_default(),
        version: tag(VERSION_TAG),
        commit: tag(COMMIT_TAG),
    }))
}

/// What is deployed is named by its digest.
pub(super) fn is_pinned(plan: &Plan) -> Result<(), CallError> {
    if plan.image.contains("@sha256:") {
        return Ok(());
    }
    Err(CallError::last(format!(
        "image {} is named by a tag, which may be another image now than when it was scanned: deploy HOST/NAME@sha256:…",
        plan.image
    )))
}

/// The service that is deployed; it exists.
pub(super) async fn service(ecs: &Ecs, (cluster, name): (&str, &str), hint: &str) -> Result<ServiceFacts, CallError> {
    let found = ecs.services(&[name]).await.map_err(refused)?;
    found.into_iter().next().ok_or_else(|| {
        CallError::last(format!(
            "there is no service `{name}` in cluster {cluster}: check its name, or create it {hint}"
        ))
    })
}

/// Whom a look before anything is done is about: a number that no rollout has.
pub(super) fn nobody(plan: &Arc<Plan>) -> Subject {
    let (image, version, commit) = (plan.image.clone(), plan.version.clone(), plan.commit.clone());
    let green = Revision { id: u64::MAX, image, version, commit };
    Subject { rollout: green.id, token: 0, plan: Arc::clone(plan), blue: None, green }
}
