//! Finds a rollout's deployment again, by the task definition that it leads to.

use std::sync::PoisonError;

use aws::{NativeDeployment, NativeRevision, NativeStatus};
use rollout::cause::Cause;
use rollout::{GivenUp, Weight};

use super::super::ecs::ROLLOUT_TAG;
use super::super::revisions::{mark, registered};
use super::{Clients, Inner, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

impl Inner {
    /// The deployment that this rollout began, if it did. One that takes another back steers that one's as long as ECS can go
    /// back by itself.
    pub(super) async fn find(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<Option<String>, CallError> {
        let mark = mark(subject.rollout, &subject.plan);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&mark).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let taken_back = subject.plan.rollback_of.filter(|_| subject.green.id != subject.rollout);
        let found = match taken_back {
            Some(other) => self.baking(clients, settings, other).await?.map(|one| one.arn),
            None => self.leading_to_ours(clients, subject, settings).await?,
        };
        if let Some(arn) = &found {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(mark, arn.clone());
        }
        Ok(found)
    }

    async fn leading_to_ours(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<Option<String>, CallError> {
        let ours = registered(&clients.ecs, subject, &settings.task_definition).await?;
        let Some(ours) = ours else { return Ok(None) };
        for one in self.deployments(clients, settings).await? {
            if self.revision(clients, &one.green.revision).await?.task_definition == ours.arn {
                return Ok(Some(one.arn));
            }
        }
        Ok(None)
    }

    /// The deployment of another rollout, while ECS still keeps what stood before it.
    pub(super) async fn baking(
        &self,
        clients: &Clients,
        settings: &Settings,
        rollout: u64,
    ) -> Result<Option<NativeDeployment>, CallError> {
        for one in self.deployments(clients, settings).await? {
            if one.status != NativeStatus::InProgress {
                continue;
            }
            let definition = self.revision(clients, &one.green.revision).await?.task_definition;
            let known = clients.ecs.task_definition(&definition).await.map_err(refused)?;
            let is_its = known.tag(ROLLOUT_TAG).and_then(|tag| tag.parse().ok()) == Some(rollout);
            if is_its && one.is_baking {
                return Ok(Some(one));
            }
        }
        Ok(None)
    }

    /// The newest deployments of the service.
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

    /// The same as [`Self::find`], which has to be there.
    pub(super) async fn found(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<String, CallError> {
        self.find(clients, subject, settings).await?.ok_or_else(|| {
            CallError::last(format!(
                "service {} has no deployment of rollout {}: it was not begun, or ECS has forgotten it",
                settings.service, subject.rollout
            ))
        })
    }

    /// What ECS says of it now.
    pub(super) async fn see(&self, clients: &Clients, arn: &str) -> Result<NativeDeployment, CallError> {
        clients.ecs.deployment(arn).await.map_err(refused)
    }
}

/// Green's share, as ECS says.
pub(super) const fn share(seen: &NativeDeployment) -> Weight {
    Weight(seen.green.weight)
}

/// Why ECS has given it up, if it has.
pub(super) fn given_up(seen: &NativeDeployment) -> Option<GivenUp> {
    let does = match seen.status {
        NativeStatus::InProgress | NativeStatus::Successful => return None,
        NativeStatus::GoingBack => "goes back",
        NativeStatus::WentBack => "has gone back",
        NativeStatus::Failed => "could not go back",
        NativeStatus::Stopped => "was stopped, and a newer one has taken its place",
    };
    let reason = seen.reason.to_lowercase();
    let cause = if !seen.alarms.is_empty() || reason.contains("alarm") {
        Cause::Alarm
    } else if reason.contains("hook") {
        Cause::Hook
    } else if reason.contains("circuit breaker") || reason.contains("failed to start") {
        Cause::Unhealthy
    } else if reason.contains("requested") {
        Cause::Ordered
    } else {
        Cause::Call
    };
    let id = seen.arn.rsplit('/').next().unwrap_or_default();
    let rings = if seen.alarms.is_empty() { String::new() } else { format!(" ({})", seen.alarms.join(", ")) };
    Some(GivenUp { cause, words: format!("deployment {id} of ECS {does}: {}{rings}", seen.reason) })
}
