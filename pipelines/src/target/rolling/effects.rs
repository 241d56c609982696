//! What changes something on the way forward. Each looks first, so that it may be asked for twice.

use aws::NativeStatus;
use rollout::Weight;
use serde_json::{Value, json};

use super::super::keeping::Kept;
use super::super::revisions::register_anew;
use super::find::{busy, is_active, words};
use super::{Clients, Inner, PAUSE_MIN, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

impl Inner {
    /// See [`rollout::Call::StartGreen`]: from here on users may meet it.
    pub(super) async fn start_green(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let definition = match self.ours(&clients, subject, &settings).await? {
            Some(ours) => {
                if let Some(arn) = self.leading_to(&clients, subject, &settings, &ours.arn).await? {
                    return Ok(json!({ "deployment": arn, "task-definition": ours.arn }));
                }
                ours.arn
            }
            None => register_anew(&clients.ecs, subject, &settings.task_definition).await?,
        };
        let service = self.service(&clients, &settings).await?;
        // What was told, and is not among the deployments yet, is not told again.
        if service.task_definition != definition {
            self.until_free(&clients, &settings).await?;
            let wish = settings.wish(&subject.plan, definition.clone(), settings.wanted(service.desired));
            match clients.ecs.roll(&wish).await {
                // Nobody heard the answer: the deployments say what was done.
                Err(problem) if problem.is_uncertain => {}
                done => done.map_err(refused)?,
            }
        }
        let arn = self.leading_to(&clients, subject, &settings, &definition).await?.ok_or_else(|| {
            CallError::transient(format!("ECS has not begun the deployment of service {} yet", settings.service))
        })?;
        Ok(json!({ "deployment": arn, "task-definition": definition }))
    }

    /// A newer deployment would end the one that goes on; one that goes back is waited for.
    async fn until_free(&self, clients: &Clients, settings: &Settings) -> Result<(), CallError> {
        let mut pause = PAUSE_MIN;
        loop {
            let all = self.deployments(clients, settings).await?;
            match all.iter().find(|one| is_active(one)) {
                None => return Ok(()),
                Some(one) if one.status == NativeStatus::GoingBack => self.pause(&mut pause).await,
                Some(one) => return Err(busy(one, settings)),
            }
        }
    }

    /// Whether green's deployment was begun.
    pub(super) async fn started(&self, subject: &Subject) -> Result<Option<Value>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let found = self.find(&self.clients(&settings)?, subject, &settings).await?;
        Ok(found.map(|arn| json!({ "deployment": arn })))
    }

    /// See [`rollout::Call::SetWeight`]: all of the users are green's when ECS says that the deployment is complete. That it has given
    /// it up is said by a look, with its cause; this waits until then.
    pub(super) async fn complete(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let mut pause = PAUSE_MIN;
        loop {
            let seen = self.see(&clients, subject, &settings).await?;
            match seen.status {
                NativeStatus::Successful => return Ok(json!({ "weight": Weight::ALL })),
                NativeStatus::InProgress | NativeStatus::GoingBack | NativeStatus::WentBack => {}
                NativeStatus::Failed => return Err(CallError::last(words(&seen, "could not go back"))),
                NativeStatus::Stopped => return Err(CallError::last(words(&seen, "was stopped"))),
            }
            self.pause(&mut pause).await;
        }
    }

    /// Whether it is.
    pub(super) async fn is_complete(&self, subject: &Subject) -> Result<Option<Value>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let seen = self.see(&self.clients(&settings)?, subject, &settings).await?;
        Ok((seen.status == NativeStatus::Successful).then(|| json!({ "weight": Weight::ALL })))
    }

    /// See [`rollout::Call::MakePrimary`]: ECS has done it; its image keeps a tag, so that somebody may come back to it.
    pub(super) async fn make_primary(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let mut made = json!({ "service": settings.service });
        let Some(kept) = Kept::of(&clients.cloud, &subject.plan.image) else { return Ok(made) };
        let tag = kept.tag_in(&subject.plan.environment, subject.rollout);
        match kept.keep(&clients.cloud, &tag).await {
            Ok(()) => made["tag"] = json!(tag),
            Err(problem) if problem.is_for_now => return Err(refused(problem)),
            // What serves all users well is not taken away for a missing right; the step says it.
            Err(problem) => made["warning"] = json!(problem.words),
        }
        Ok(made)
    }
}
