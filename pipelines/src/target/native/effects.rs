//! What changes something on the way forward. Each looks first, so that it may be asked for twice.

use std::sync::PoisonError;

use aws::{NativeDeployment, NativePause, NativeStatus, NativeStrategy, NativeWish};
use rollout::Weight;
use serde_json::{Value, json};

use super::super::keeping::keep_image;
use super::super::revisions::{mark, register};
use super::super::sides::Pauses;
use super::find::{given_up, share};
use super::{Clients, Inner, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

impl Inner {
    /// See [`rollout::Call::StartGreen`].
    pub(super) async fn start_green(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        if let Some(arn) = self.find(&clients, subject, &settings).await? {
            return Ok(json!({ "deployment": arn }));
        }
        let definition = register(&clients.ecs, subject, &settings.task_definition).await?;
        self.until_free(&clients, &settings).await?;
        let is_back = subject.plan.rollback_of.is_some();
        let wish = NativeWish {
            service: settings.service.clone(),
            task_definition: definition.clone(),
            // What goes back is in a hurry.
            strategy: if is_back { NativeStrategy::BlueGreen } else { settings.strategy() },
            bake_minutes: if is_back { 0 } else { settings.bake_minutes },
            pauses: if is_back { Vec::new() } else { settings.pauses() },
            alarms: if settings.overrides_alarms { settings.alarms.clone() } else { Vec::new() },
        };
        clients.ecs.deploy(&wish).await.map_err(refused)?;
        let arn = self.find(&clients, subject, &settings).await?.ok_or_else(|| {
            CallError::transient(format!("ECS has not begun the deployment of service {} yet", settings.service))
        })?;
        let mark = mark(subject.rollout, &subject.plan);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(mark, arn.clone());
        Ok(json!({ "deployment": arn, "task-definition": definition }))
    }

    /// A newer deployment would end the one that goes on; one that only keeps old tasks is waited for.
    async fn until_free(&self, clients: &Clients, settings: &Settings) -> Result<(), CallError> {
        let mut pauses = Pauses::new(&self.clock);
        loop {
            let all = self.deployments(clients, settings).await?;
            match all.iter().find(|one| is_active(one)) {
                None => return Ok(()),
                Some(one) if one.is_baking || one.status == NativeStatus::GoingBack => pauses.pause().await,
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

    /// Waits until something is so; what ECS gave up never is.
    async fn until(
        &self,
        subject: &Subject,
        is_so: impl Fn(&NativeDeployment) -> bool + Send + Sync,
        goes_on: bool,
    ) -> Result<NativeDeployment, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let arn = self.found(&clients, subject, &settings).await?;
        let is_back = subject.plan.rollback_of.is_some();
        let mut pauses = Pauses::new(&self.clock);
        loop {
            let seen = self.see(&clients, &arn).await?;
            if let Some(given_up) = given_up(&seen) {
                return Err(CallError::last(given_up.words));
            }
            if is_so(&seen) {
                return Ok(seen);
            }
            // The service's own wait for whoever looks after it; what goes back has none of ours, and waits for nobody.
            let ends = |pause: &&NativePause| if pause.is_ours { goes_on } else { is_back };
            if let Some(pause) = seen.waiting.as_ref().filter(ends) {
                match clients.ecs.go_on(&arn, &pause.id).await {
                    // It was told before, or is told now and nobody heard the answer: the next look says.
                    Err(problem) if problem.is("InvalidParameterException") || problem.is_uncertain => {}
                    told => told.map_err(refused)?,
                }
            }
            pauses.pause().await;
        }
    }

    /// See [`rollout::Call::TestTraffic`]: ECS opens and closes the rule for tests.
    pub(super) async fn tests(&self, subject: &Subject, on: bool) -> Result<Value, CallError> {
        if !on {
            return Ok(json!({}));
        }
        let has_tests = Settings::of(&subject.plan)?.has_tests;
        let is_open = |seen: &NativeDeployment| {
            let runs = seen.green.desired > 0 && seen.green.running >= seen.green.desired;
            let is_held = seen.waiting.as_ref().is_some_and(|pause| pause.is_ours);
            is_held || seen.green.weight > 0 || if has_tests { seen.green.test_weight > 0 } else { runs }
        };
        self.until(subject, is_open, false).await?;
        Ok(json!({}))
    }

    /// See [`rollout::Call::SetWeight`]: ECS is let go on where it waits for that, and green has this share at least.
    pub(super) async fn forward(&self, subject: &Subject, weight: Weight) -> Result<Value, CallError> {
        if subject.green.id != subject.rollout {
            // What is taken back still has its tasks, unless ECS has ended them meanwhile.
            return Ok(match self.went_back(subject).await? {
                Ok(_) => json!({ "weight": weight }),
                Err(_ended_well) => json!({ "gone": true }),
            });
        }
        let seen = self.until(subject, |seen| share(seen) >= weight, true).await?;
        Ok(json!({ "weight": share(&seen) }))
    }

    /// Whether green has the share.
    pub(super) async fn weight_stands(&self, subject: &Subject, weight: Weight) -> Result<Option<Value>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let Some(arn) = self.find(&clients, subject, &settings).await? else { return Ok(None) };
        let seen = self.see(&clients, &arn).await?;
        let stands = subject.green.id == subject.rollout && given_up(&seen).is_none() && share(&seen) >= weight;
        Ok(stands.then(|| json!({ "weight": share(&seen) })))
    }

    /// See [`rollout::Call::MakePrimary`]: ECS is let go on where it waits for scripts that users' share needed, and has done it
    /// when it keeps the old tasks, or nothing.
    pub(super) async fn make_primary(&self, subject: &Subject) -> Result<Value, CallError> {
        if subject.green.id != subject.rollout {
            return Ok(json!({}));
        }
        let is_over = |seen: &NativeDeployment| seen.is_baking || seen.status == NativeStatus::Successful;
        let seen = self.until(subject, is_over, true).await?;
        let mut made = json!({ "deployment": seen.arn });
        let cloud = self.clients(&Settings::of(&subject.plan)?)?.cloud;
        keep_image(&cloud, subject, &mut made).await?;
        Ok(made)
    }

    /// See [`rollout::Call::StopBlue`]: nothing cuts the bake of ECS short, whose length the plan gave; its end is waited for.
    pub(super) async fn stop_blue(&self, subject: &Subject) -> Result<Value, CallError> {
        self.until(subject, |seen| seen.status == NativeStatus::Successful, false).await?;
        Ok(json!({ "cut": 0 }))
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
