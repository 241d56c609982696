//! The way back: CodeDeploy is stopped, and the deployment that it makes to put all back is followed to its end.

use aws::{Status, explained};
use rollout::Weight;
use serde_json::{Value, json};

use super::super::sides::Pauses;
use super::find::share;
use super::{Clients, Inner, Seen, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

/// Looks at a deployment that has ended, until the one is known that puts it back.
const LOOKS_MAX: u32 = 10;

/// How far back it is.
enum Back {
    Done,
    Waits,
    /// It goes on, and nobody has said stop.
    GoesOn,
    /// It has ended well, and what stood before it is gone.
    EndedWell(String),
    Stuck(String),
}

impl Inner {
    /// See [`rollout::Call::SetWeight`] of none: users are where they were.
    pub(super) async fn none(&self, subject: &Subject) -> Result<Value, CallError> {
        if subject.green.id != subject.rollout {
            // What was to be taken back has ended well before it could be stopped, so no user has left it.
            let settings = Settings::of(&subject.plan)?;
            let clients = self.clients(&settings)?;
            if let Some(id) = self.find(&clients, subject, &settings).await?
                && self.see(&clients, &settings, &id).await?.0.status == Status::Succeeded
            {
                return Ok(json!({ "weight": 0 }));
            }
        }
        self.back(subject).await
    }

    /// A deployment that goes on is stopped, and users are where they were before it.
    pub(super) async fn back(&self, subject: &Subject) -> Result<Value, CallError> {
        self.went_back(subject).await?.map_err(CallError::last)
    }

    /// The same; what it says of one that has ended well before it could be stopped.
    pub(super) async fn went_back(&self, subject: &Subject) -> Result<Result<Value, String>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let Some(id) = self.find(&clients, subject, &settings).await? else { return Ok(Ok(json!({ "weight": 0 }))) };
        let (mut pauses, mut looks) = (Pauses::new(&self.clock), 0);
        loop {
            let seen = self.see(&clients, &settings, &id).await?;
            looks += u32::from(seen.0.status.is_over());
            match self.how_far(&clients, &seen, looks).await? {
                Back::Done => return Ok(Ok(json!({ "weight": 0 }))),
                Back::EndedWell(words) => return Ok(Err(words)),
                Back::Waits => {}
                Back::Stuck(words) => return Err(CallError::last(words)),
                Back::GoesOn => match clients.deploys.stop(&id).await {
                    // It has ended meanwhile.
                    Err(problem) if problem.is("DeploymentAlreadyCompletedException") => {}
                    // Where nobody heard the answer it was told as well, as far as anybody knows.
                    Err(problem) if !problem.is_uncertain => return Err(refused(problem)),
                    Ok(()) | Err(_) => self.stopping(&clients, &settings, &id).await?,
                },
            }
            pauses.pause().await;
        }
    }

    /// It stops some time after it was told: to tell it again meanwhile would be another effect.
    async fn stopping(&self, clients: &Clients, settings: &Settings, id: &str) -> Result<(), CallError> {
        let mut pauses = Pauses::new(&self.clock);
        for _ in 0..LOOKS_MAX {
            if self.see(clients, settings, id).await?.0.status.is_over() {
                return Ok(());
            }
            pauses.pause().await;
        }
        Ok(())
    }

    async fn how_far(&self, clients: &Clients, seen: &Seen, looks: u32) -> Result<Back, CallError> {
        let (deployment, target) = seen;
        let is_over = match deployment.status {
            Status::Succeeded => {
                return Ok(Back::EndedWell(format!(
                    "deployment {} has ended well and its old tasks are gone: deploy what stood before anew (`pipe rollback`)",
                    deployment.id
                )));
            }
            Status::Failed | Status::Stopped => true,
            Status::Waiting | Status::InProgress | Status::Ready | Status::Baking => false,
        };
        let Some(back) = &deployment.goes_back_by else {
            let had_none = target.as_ref().is_none_or(|target| target.green.is_none());
            return Ok(match is_over {
                false => Back::GoesOn,
                true if had_none => Back::Done,
                true if looks < LOOKS_MAX => Back::Waits,
                // Nobody was to come back, and nobody is away.
                true if share(seen) == Weight::NONE => Back::Done,
                true => Back::Stuck(format!(
                    "deployment {} has ended and CodeDeploy makes none that takes it back, while green has {} of the users: deploy what \
                     stood before anew",
                    deployment.id,
                    share(seen)
                )),
            });
        };
        let other = clients.deploys.deployment(back).await.map_err(refused)?;
        Ok(match other.status {
            Status::Succeeded if share(seen) == Weight::NONE => Back::Done,
            Status::Failed | Status::Stopped => {
                let (code, message) = other.error.unwrap_or_default();
                let why = aws::gave_up(&code, &message);
                Back::Stuck(format!("deployment {back}, which was to take {} back, did not: {why}", deployment.id))
            }
            Status::Succeeded | Status::Waiting | Status::InProgress | Status::Ready | Status::Baking => Back::Waits,
        })
    }

    /// See [`rollout::Call::StopGreen`]: the deployment that goes back ends green's tasks; what they left is told.
    pub(super) async fn stop_green(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        self.back(subject).await?;
        let clients = self.clients(&settings)?;
        let ended = clients.ecs.ended(&settings.service).await.map_err(refused)?;
        let logs: Vec<String> =
            ended.iter().filter(|one| !one.stopped.contains("Scaling activity")).map(explained).collect();
        Ok(json!({ "cut": 0, "logs": logs }))
    }
}
