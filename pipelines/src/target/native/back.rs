//! The way back: ECS is told to, and followed to the end.

use aws::{NativeStatus, explained};
use rollout::Weight;
use serde_json::{Value, json};

use super::super::sides::Pauses;
use super::find::share;
use super::{Clients, Inner, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

/// Looks at a deployment that was told to go back, until it does.
const LOOKS_MAX: u32 = 10;

impl Inner {
    /// See [`rollout::Call::SetWeight`] of none: users are where they were.
    pub(super) async fn back(&self, subject: &Subject) -> Result<Value, CallError> {
        self.went_back(subject).await?.map_err(CallError::last)
    }

    /// The same; what it says of one that has ended well before it could be stopped.
    pub(super) async fn went_back(&self, subject: &Subject) -> Result<Result<Value, String>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let Some(arn) = self.find(&clients, subject, &settings).await? else { return Ok(Ok(json!({ "weight": 0 }))) };
        let mut pauses = Pauses::new(&self.clock);
        let stuck = |words: String| Err(CallError::last(words));
        loop {
            let seen = self.see(&clients, &arn).await?;
            match seen.status {
                NativeStatus::WentBack => return Ok(Ok(json!({ "weight": 0 }))),
                NativeStatus::GoingBack => {}
                NativeStatus::Stopped if share(&seen) == Weight::NONE => return Ok(Ok(json!({ "weight": 0 }))),
                NativeStatus::Stopped | NativeStatus::Failed => {
                    return stuck(format!(
                        "deployment {arn} has not gone back: {}; look at the service, and deploy what stood before anew",
                        seen.reason
                    ));
                }
                NativeStatus::Successful => {
                    return Ok(Err(format!(
                        "deployment {arn} has ended well and its old tasks are gone: deploy what stood before anew (`pipe rollback`)"
                    )));
                }
                NativeStatus::InProgress => match clients.ecs.stop(&arn).await {
                    // It goes back already, or has ended meanwhile.
                    Err(problem) if problem.is("ConflictException") => {}
                    // Where nobody heard the answer it was told as well, as far as anybody knows.
                    Err(problem) if !problem.is_uncertain => return Err(refused(problem)),
                    Ok(()) | Err(_) => self.stopping(&clients, &arn).await?,
                },
            }
            pauses.pause().await;
        }
    }

    /// To tell it again before it has begun would be another effect.
    async fn stopping(&self, clients: &Clients, arn: &str) -> Result<(), CallError> {
        let mut pauses = Pauses::new(&self.clock);
        for _ in 0..LOOKS_MAX {
            if self.see(clients, arn).await?.status != NativeStatus::InProgress {
                return Ok(());
            }
            pauses.pause().await;
        }
        Ok(())
    }

    /// See [`rollout::Call::StopGreen`]: ECS ends green's tasks when it goes back; what they left is told.
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
