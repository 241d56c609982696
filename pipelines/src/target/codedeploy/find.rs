//! Finds a rollout's deployment again, and waits for what it does.

use std::sync::PoisonError;

use aws::{Deployment, DeploymentTarget, Status, gave_up};
use rollout::cause::Cause;
use rollout::{GivenUp, Weight};

use super::super::revisions::mark;
use super::{Clients, Inner, Seen, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

/// What a description ends with: `[pipe:7-1a2b3c4d5e6f]`.
pub(super) fn bracketed(mark: &str) -> String {
    format!("[pipe:{mark}]")
}

impl Inner {
    /// The deployment that this rollout made, if it made one. One that takes another back steers that one's as long as it can
    /// go back by itself ([`rollout::fact::Found::green_is_warm`]).
    pub(super) async fn find(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<Option<String>, CallError> {
        let taken_back = subject.plan.rollback_of.filter(|_| subject.green.id != subject.rollout);
        let mark = match taken_back {
            Some(other) => format!("{other}-"),
            None => mark(subject.rollout, &subject.plan),
        };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&mark).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let wanted = format!("[pipe:{mark}");
        let found = self.recent(clients, settings, false).await?;
        let found = found.into_iter().find(|one| one.description.contains(&wanted)).map(|one| one.id);
        if let Some(id) = &found {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(mark, id.clone());
        }
        Ok(found)
    }

    /// The newest deployments of the group; with `is_active` those that go on.
    pub(super) async fn recent(
        &self,
        clients: &Clients,
        settings: &Settings,
        is_active: bool,
    ) -> Result<Vec<Deployment>, CallError> {
        let ids = clients.deploys.deployments(&settings.application, &settings.group, None, is_active).await;
        let ids = ids.map_err(refused)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        clients.deploys.several(&ids).await.map_err(refused)
    }

    /// The same, which has to be there.
    pub(super) async fn found(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<String, CallError> {
        self.find(clients, subject, settings).await?.ok_or_else(|| {
            CallError::last(format!(
                "deployment group {} of application {} has no deployment of rollout {}: it was not begun",
                settings.group, settings.application, subject.rollout
            ))
        })
    }

    /// What CodeDeploy says of it now.
    pub(super) async fn see(&self, clients: &Clients, settings: &Settings, id: &str) -> Result<Seen, CallError> {
        let deployment = clients.deploys.deployment(id).await.map_err(refused)?;
        let target = clients.deploys.target(id, &settings.target()).await.map_err(refused)?;
        Ok((deployment, target))
    }
}

/// Green's share, as CodeDeploy says.
pub(super) fn share(seen: &Seen) -> Weight {
    Weight(seen.1.as_ref().and_then(|target| target.green.as_ref()).map_or(0, |green| green.weight))
}

/// Why CodeDeploy has given it up, if it has.
pub(super) fn given_up((deployment, target): &Seen) -> Option<GivenUp> {
    let ends = match deployment.status {
        Status::Failed => "failed",
        Status::Stopped => "was stopped",
        Status::Waiting | Status::InProgress | Status::Ready | Status::Baking | Status::Succeeded => return None,
    };
    let (code, message) = deployment.error.as_ref().map_or(("", ""), |(code, said)| (code.as_str(), said.as_str()));
    let cause = match code {
        "ALARM_ACTIVE" => Cause::Alarm,
        "HOOK_EXECUTION_FAILURE" => Cause::Hook,
        "TIMEOUT" => Cause::Timeout,
        "MANUAL_STOP" => Cause::Ordered,
        "HEALTH_CONSTRAINTS" | "HEALTH_CONSTRAINTS_INVALID" | "ECS_UPDATE_ERROR" => Cause::Unhealthy,
        _ => Cause::Call,
    };
    let mut words = format!("deployment {} of CodeDeploy {ends}: {}", deployment.id, gave_up(code, message));
    let failed = target.as_ref().and_then(|target| failed_event(target, message));
    words.extend(failed);
    if let Some(back) = &deployment.goes_back_by {
        words.push_str(&format!("; deployment {back} takes it back"));
    }
    Some(GivenUp { cause, words })
}

/// What failed at which event, unless that was said.
fn failed_event(target: &DeploymentTarget, said: &str) -> Option<String> {
    let event = target.events.iter().find(|event| event.failed.is_some())?;
    let why = event.failed.as_deref().filter(|why| !why.is_empty() && *why != said);
    Some(why.map_or_else(|| format!("; at {}", event.name), |why| format!("; at {}: {why}", event.name)))
}
