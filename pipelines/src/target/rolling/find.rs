//! Finds a rollout's deployment again, by the task definition that it leads to, and says why ECS has given it up.

use std::sync::PoisonError;

use aws::{NativeDeployment, NativeRevision, NativeStatus, Registered};
use rollout::GivenUp;
use rollout::cause::Cause;

use super::super::revisions::{mark, registered};
use super::{Clients, Inner, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

impl Inner {
    /// The revision that this rollout registered, if it did.
    pub(super) async fn ours(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<Option<Registered>, CallError> {
        registered(&clients.ecs, subject, &settings.task_definition).await
    }

    /// The deployment that this rollout began, if it did.
    pub(super) async fn find(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<Option<String>, CallError> {
        if let Some(known) = self.known(subject) {
            return Ok(Some(known));
        }
        match self.ours(clients, subject, settings).await? {
            Some(ours) => self.leading_to(clients, subject, settings, &ours.arn).await,
            None => Ok(None),
        }
    }

    fn known(&self, subject: &Subject) -> Option<String> {
        let mark = mark(subject.rollout, &subject.plan);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&mark).cloned()
    }

    /// The deployment that leads to a definition, which is remembered as the rollout's.
    pub(super) async fn leading_to(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
        definition: &str,
    ) -> Result<Option<String>, CallError> {
        if let Some(known) = self.known(subject) {
            return Ok(Some(known));
        }
        for one in self.deployments(clients, settings).await? {
            if self.revision(clients, &one.green.revision).await?.task_definition == definition {
                let mark = mark(subject.rollout, &subject.plan);
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(mark, one.arn.clone());
                return Ok(Some(one.arn));
            }
        }
        Ok(None)
    }

    /// The newest deployments of the service, newest first.
    pub(super) async fn deployments(
        &self,
        clients: &Clients,
        settings: &Settings,
    ) -> Result<Vec<NativeDeployment>, CallError> {
        clients.ecs.deployments(&settings.service).await.map_err(refused)
    }

    /// A revision, asked for once.
    pub(super) async fn revision(&self, clients: &Clients, arn: &str) -> Result<NativeRevision, CallError> {
        let known = self.revisions.lock().unwrap_or_else(PoisonError::into_inner).get(arn).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = clients.ecs.revision(arn).await.map_err(refused)?;
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner).insert(arn.to_owned(), found.clone());
        Ok(found)
    }

    /// The same as [`Self::find`], which has to be there, as ECS says now.
    pub(super) async fn see(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<NativeDeployment, CallError> {
        let arn = self.find(clients, subject, settings).await?.ok_or_else(|| {
            CallError::last(format!(
                "service {} has no deployment of rollout {}: it was not begun, or ECS has forgotten it",
                settings.service, subject.rollout
            ))
        })?;
        clients.ecs.deployment(&arn).await.map_err(refused)
    }
}

/// Whether it goes on.
pub(super) const fn is_active(one: &NativeDeployment) -> bool {
    matches!(one.status, NativeStatus::InProgress | NativeStatus::GoingBack)
}

/// Why a deployment is in the way.
pub(super) fn busy(one: &NativeDeployment, settings: &Settings) -> CallError {
    let id = one.arn.rsplit('/').next().unwrap_or_default();
    CallError::last(format!(
        "deployment {id} of service {} goes on, and a newer one would end it: wait for its end, or stop it there",
        settings.service
    ))
}

/// Why ECS has given it up, if it has. `is_ours`: the service is still to run what this rollout deployed.
pub(super) fn given_up(seen: &NativeDeployment, is_ours: bool) -> Option<GivenUp> {
    let does = match seen.status {
        NativeStatus::InProgress | NativeStatus::Successful => return None,
        // Then ECS leaves things as they are, and what the plan says of failures counts.
        NativeStatus::Stopped if is_ours => return None,
        NativeStatus::GoingBack => "goes back",
        NativeStatus::WentBack => "has gone back",
        NativeStatus::Failed => "could not go back",
        NativeStatus::Stopped => "was ended by another one, which somebody else has begun",
    };
    Some(GivenUp { cause: cause(seen), words: words(seen, does) })
}

/// What became of it, in words.
pub(super) fn words(seen: &NativeDeployment, does: &str) -> String {
    let id = seen.arn.rsplit('/').next().unwrap_or_default();
    let rings = if seen.alarms.is_empty() { String::new() } else { format!(" ({})", seen.alarms.join(", ")) };
    format!("deployment {id} of ECS {does}: {}{rings}", seen.reason)
}

fn cause(seen: &NativeDeployment) -> Cause {
    let reason = seen.reason.to_lowercase();
    if !seen.alarms.is_empty() || reason.contains("alarm") {
        Cause::Alarm
    } else if reason.contains("circuit breaker") || reason.contains("failed to start") {
        Cause::Unhealthy
    } else if reason.contains("requested") {
        Cause::Ordered
    } else {
        Cause::Call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_it_was_given_up() {
        use NativeStatus::{GoingBack, InProgress, Stopped, Successful, WentBack};
        let seen = |status, reason: &str, alarms: &[&str]| NativeDeployment {
            arn: "arn:aws:ecs:eu-central-1:123456789012:service-deployment/shop/orders/0af".into(),
            status,
            reason: reason.into(),
            green: aws::NativeSide::default(),
            blue: None,
            waiting: None,
            is_baking: false,
            alarms: alarms.iter().map(|name| (*name).to_owned()).collect(),
        };
        for status in [InProgress, Successful, Stopped] {
            assert_eq!(given_up(&seen(status, "x", &[]), true), None);
        }
        for (status, reason, alarms, cause, words) in [
            (
                GoingBack,
                "ECS deployment circuit breaker: tasks failed to start.",
                &[][..],
                Cause::Unhealthy,
                "goes back",
            ),
            (WentBack, "ECS deployment alarm(s) detected", &["orders-5xx"], Cause::Alarm, "has gone back"),
            (GoingBack, "Service deployment rollback requested by user.", &[], Cause::Ordered, "requested by user"),
            (Stopped, "a newer one began", &[], Cause::Call, "which somebody else has begun"),
        ] {
            let given_up = given_up(&seen(status, reason, alarms), false).unwrap();
            assert_eq!(given_up.cause, cause, "{reason}");
            assert!(
                given_up.words.starts_with("deployment 0af of ECS ") && given_up.words.contains(words),
                "{given_up:?}"
            );
        }
    }
}
