//! The way back: a deployment that goes on is told to, what is complete is replaced by what stood before; both are followed to the end.

use aws::{NativeDeployment, NativeStatus, explained};
use rollout::Weight;
use serde_json::{Value, json};

use super::super::troubles::last_lines;
use super::find::words;
use super::{Clients, Inner, PAUSE_MIN, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

/// Looks at a deployment that was told to go back, until it does.
const LOOKS_MAX: u32 = 10;

impl Inner {
    /// See [`rollout::Call::SetWeight`] of none: users are where they were.
    pub(super) async fn back(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let is_done = Ok(json!({ "weight": Weight::NONE }));
        if !self.has_begun(&clients, subject, &settings).await? {
            return is_done;
        }
        let mut pause = PAUSE_MIN;
        loop {
            if subject.blue.is_none() {
                if self.nothing_runs(&clients, &settings).await? {
                    return is_done;
                }
            } else {
                let seen = self.see(&clients, subject, &settings).await?;
                match seen.status {
                    NativeStatus::WentBack => return is_done,
                    NativeStatus::GoingBack => {}
                    NativeStatus::InProgress => self.stop(&clients, &seen).await?,
                    NativeStatus::Successful | NativeStatus::Stopped | NativeStatus::Failed => {
                        if self.replaced(&clients, &settings, &seen).await? {
                            return is_done;
                        }
                    }
                }
            }
            self.pause(&mut pause).await;
        }
    }

    /// Whether there is anything to take back. What ECS was told, and does not show yet, is.
    async fn has_begun(&self, clients: &Clients, subject: &Subject, settings: &Settings) -> Result<bool, CallError> {
        if self.find(clients, subject, settings).await?.is_some() {
            return Ok(true);
        }
        let Some(ours) = self.ours(clients, subject, settings).await? else { return Ok(false) };
        if self.service(clients, settings).await?.task_definition != ours.arn {
            return Ok(false);
        }
        Err(CallError::transient(format!("ECS does not show the deployment of service {} yet", settings.service)))
    }

    /// Tells it once: to tell it again before it has begun would be another effect.
    async fn stop(&self, clients: &Clients, seen: &NativeDeployment) -> Result<(), CallError> {
        match clients.ecs.stop(&seen.arn).await {
            // It goes back already, or has ended meanwhile.
            Err(problem) if problem.is("ConflictException") => return Ok(()),
            // Where nobody heard the answer it was told as well, as far as anybody knows.
            Err(problem) if !problem.is_uncertain => return Err(refused(problem)),
            Ok(()) | Err(_) => {}
        }
        let mut pause = PAUSE_MIN;
        for _ in 0..LOOKS_MAX {
            if clients.ecs.deployment(&seen.arn).await.map_err(refused)?.status != NativeStatus::InProgress {
                return Ok(());
            }
            self.pause(&mut pause).await;
        }
        Ok(())
    }

    /// Where ECS goes back to nothing by itself: what stood is deployed again, once. Whether it stands.
    async fn replaced(
        &self,
        clients: &Clients,
        settings: &Settings,
        seen: &NativeDeployment,
    ) -> Result<bool, CallError> {
        let Some(blue) = &seen.blue else {
            return Err(CallError::last(format!(
                "ECS does not say what stood before deployment {}: deploy it anew (`pipe rollback`)",
                seen.arn
            )));
        };
        let stood = self.revision(clients, &blue.revision).await?.task_definition;
        let came = self.revision(clients, &seen.green.revision).await?.task_definition;
        let service = self.service(clients, settings).await?;
        if service.task_definition == came {
            match clients.ecs.update_definition(&settings.service, &stood).await {
                Err(problem) if !problem.is_uncertain => return Err(refused(problem)),
                Ok(()) | Err(_) => return Ok(false),
            }
        }
        if service.task_definition != stood {
            return Err(CallError::last(format!(
                "service {} is to run {} now, which neither this rollout deployed nor stood before it: somebody else has deployed it; \
                 look whether it is well",
                settings.service, service.task_definition
            )));
        }
        let newest = self.deployments(clients, settings).await?.into_iter().find(|one| one.arn != seen.arn);
        match newest {
            None => Ok(false),
            Some(one) => match one.status {
                NativeStatus::InProgress => Ok(false),
                NativeStatus::Successful => Ok(true),
                NativeStatus::GoingBack | NativeStatus::WentBack | NativeStatus::Failed | NativeStatus::Stopped => {
                    Err(CallError::last(words(&one, &format!("did not bring {stood} back; look at the service"))))
                }
            },
        }
    }

    /// Where nothing stood, nothing is to run. Whether that is so.
    async fn nothing_runs(&self, clients: &Clients, settings: &Settings) -> Result<bool, CallError> {
        let service = self.service(clients, settings).await?;
        if service.desired > 0 {
            match clients.ecs.update(&settings.service, None, 0).await {
                Err(problem) if !problem.is_uncertain => return Err(refused(problem)),
                Ok(()) | Err(_) => {}
            }
            return Ok(false);
        }
        Ok(service.running == 0 && service.pending == 0)
    }

    /// See [`rollout::Call::StopGreen`]: ECS ends green's tasks when it goes back; what they left is told.
    pub(super) async fn stop_green(&self, subject: &Subject) -> Result<Value, CallError> {
        self.back(subject).await?;
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let Some(ours) = self.ours(&clients, subject, &settings).await? else { return Ok(json!({ "cut": 0 })) };
        let ended = self.ended(&clients, &settings, &ours.arn).await?;
        let mut logs: Vec<String> = ended.iter().map(explained).collect();
        logs.extend(last_lines(&clients.cloud, &settings.task_definition, &settings.container, &ended).await);
        Ok(json!({ "cut": 0, "logs": logs }))
    }
}
