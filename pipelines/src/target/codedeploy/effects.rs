//! What changes something on the way forward. Each looks first, so that it may be asked for twice.

use std::sync::PoisonError;

use aws::{DESCRIPTION_MAX, Deployment, NewDeployment, Routing, Status, Wait};
use rollout::Weight;
use serde_json::{Value, json};

use super::super::keeping::keep_image;
use super::super::revisions::{mark, register};
use super::super::sides::Pauses;
use super::find::{bracketed, given_up, share};
use super::{AppSpec, Clients, Inner, Seen, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

/// Looks at a deployment that was told to end its wait, until it is told again.
const LOOKS_MAX: u32 = 10;

impl Inner {
    /// See [`rollout::Call::StartGreen`].
    pub(super) async fn start_green(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        if let Some(id) = self.find(&clients, subject, &settings).await? {
            return Ok(json!({ "deployment": id }));
        }
        let arn = register(&clients.ecs, subject, &settings.task_definition).await?;
        self.make_room(&clients, &settings).await?;
        let id = self.create(&clients, subject, &settings, &arn).await?;
        let mark = mark(subject.rollout, &subject.plan);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(mark, id.clone());
        Ok(json!({ "deployment": id, "task-definition": arn }))
    }

    async fn create(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
        arn: &str,
    ) -> Result<String, CallError> {
        let spec = AppSpec::of(settings.app_spec.clone()).map_err(|flaws| {
            let flaws = flaws.iter().map(ToString::to_string).collect::<Vec<_>>();
            CallError::last(format!("the AppSpec is wrong: {}", flaws.join("; ")))
        })?;
        let config = match (&settings.config, subject.plan.rollback_of) {
            // What goes back is in a hurry.
            (_, Some(_)) => Some(Routing::AllAtOnce.name()),
            (Some(name), None) if *name == settings.routing().name() => {
                Some(clients.deploys.config_for(settings.routing()).await.map_err(refused)?)
            }
            (name, None) => name.clone(),
        };
        let new = NewDeployment {
            application: settings.application.clone(),
            group: settings.group.clone(),
            config,
            app_spec: spec.with(arn),
            description: description(subject, settings),
            alarms: if settings.overrides_alarms { settings.alarms.clone() } else { Vec::new() },
        };
        match clients.deploys.create(&new).await {
            // Its answer may have been lost before.
            Err(problem) if problem.is("DeploymentLimitExceededException") => {
                let found = self.find(clients, subject, settings).await?;
                found.ok_or_else(|| CallError::last(problem.words))
            }
            made => made.map_err(refused),
        }
    }

    /// A group has one deployment at a time: one of ours that only keeps the old tasks warm ends now.
    async fn make_room(&self, clients: &Clients, settings: &Settings) -> Result<(), CallError> {
        let mut pauses = Pauses::new(&self.clock);
        loop {
            let active = self.recent(clients, settings, true).await?;
            let Some(one) = active.first() else { return Ok(()) };
            if let Some(busy) = busy(one, settings) {
                return Err(busy);
            }
            if waits_for_the_end(one) {
                end_wait(clients, &one.id).await?;
            }
            pauses.pause().await;
        }
    }

    /// Whether green's deployment was begun.
    pub(super) async fn started(&self, subject: &Subject) -> Result<Option<Value>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let found = self.find(&self.clients(&settings)?, subject, &settings).await?;
        Ok(found.map(|id| json!({ "deployment": id })))
    }

    /// Waits until something is so; what CodeDeploy gave up never is.
    async fn until(
        &self,
        subject: &Subject,
        is_so: impl Fn(&Seen) -> bool + Send + Sync,
        goes_on: bool,
    ) -> Result<Seen, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let id = self.found(&clients, subject, &settings).await?;
        let mut pauses = Pauses::new(&self.clock);
        loop {
            let seen = self.see(&clients, &settings, &id).await?;
            if let Some(given_up) = given_up(&seen) {
                return Err(CallError::last(given_up.words));
            }
            if is_so(&seen) {
                return Ok(seen);
            }
            if goes_on && seen.0.status == Status::Ready {
                match clients.deploys.go_on(&id, Wait::Ready).await {
                    // It was told before, or is told now and nobody heard the answer: the next look says.
                    Err(problem) if problem.is("DeploymentIsNotInReadyStateException") || problem.is_uncertain => {}
                    told => told.map_err(refused)?,
                }
            }
            pauses.pause().await;
        }
    }

    /// See [`rollout::Call::TestTraffic`]: CodeDeploy opens and closes the listener for tests.
    pub(super) async fn tests(&self, subject: &Subject, on: bool) -> Result<Value, CallError> {
        if !on {
            return Ok(json!({}));
        }
        // Without such a listener there is no such event, and the tasks have to be there.
        let is_open = |(deployment, target): &Seen| {
            let has_event =
                |name: &str| target.as_ref().is_some_and(|target| target.events.iter().any(|one| one.name == name));
            let is_done = |name: &str| target.as_ref().is_some_and(|target| target.is_done(name));
            let opened = if has_event("AllowTestTraffic") { "AllowTestTraffic" } else { "Install" };
            deployment.status == Status::Ready || is_done(opened)
        };
        self.until(subject, is_open, false).await?;
        Ok(json!({}))
    }

    /// See [`rollout::Call::SetWeight`]: CodeDeploy is let go on where it waits for that, and green has this share at least.
    pub(super) async fn forward(&self, subject: &Subject, weight: Weight) -> Result<Value, CallError> {
        if subject.green.id != subject.rollout {
            // What is taken back still has its tasks, unless their wait has ended meanwhile.
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
        let Some(id) = self.find(&clients, subject, &settings).await? else { return Ok(None) };
        let seen = self.see(&clients, &settings, &id).await?;
        let stands = subject.green.id == subject.rollout && given_up(&seen).is_none() && share(&seen) >= weight;
        Ok(stands.then(|| json!({ "weight": share(&seen) })))
    }

    /// See [`rollout::Call::MakePrimary`]: CodeDeploy has done it when all of its events are over.
    pub(super) async fn make_primary(&self, subject: &Subject) -> Result<Value, CallError> {
        if subject.green.id != subject.rollout {
            return Ok(json!({}));
        }
        let is_over = |(deployment, target): &Seen| {
            let events_are = target.as_ref().is_some_and(|target| target.is_done("AfterAllowTraffic"));
            matches!(deployment.status, Status::Baking | Status::Succeeded) || deployment.is_terminating || events_are
        };
        let (deployment, _) = self.until(subject, is_over, false).await?;
        let mut made = json!({ "deployment": deployment.id });
        let cloud = self.clients(&Settings::of(&subject.plan)?)?.cloud;
        keep_image(&cloud, subject, &mut made).await?;
        Ok(made)
    }

    /// See [`rollout::Call::StopBlue`]: the wait for the end of the old tasks is cut short.
    pub(super) async fn stop_blue(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let id = self.found(&clients, subject, &settings).await?;
        let (mut pauses, mut looks) = (Pauses::new(&self.clock), 0);
        loop {
            let (deployment, _) = self.see(&clients, &settings, &id).await?;
            if deployment.status.is_over() {
                return Ok(json!({ "cut": 0 }));
            }
            if waits_for_the_end(&deployment) {
                // The tasks take a while to end, and to say it again meanwhile would be another effect.
                if looks % LOOKS_MAX == 0 {
                    end_wait(&clients, &id).await?;
                }
                looks += 1;
            }
            pauses.pause().await;
        }
    }
}

/// Whether all is done but the end of the old tasks.
pub(super) fn waits_for_the_end(deployment: &Deployment) -> bool {
    !deployment.status.is_over() && (deployment.status == Status::Baking || deployment.is_terminating)
}

/// Lets the old tasks end now.
async fn end_wait(clients: &Clients, id: &str) -> Result<(), CallError> {
    match clients.deploys.go_on(id, Wait::Termination).await {
        // It has ended meanwhile, or was told before.
        Err(problem) if problem.is("InvalidDeploymentStatusException") => Ok(()),
        Err(problem) if problem.is("DeploymentAlreadyCompletedException") || problem.is_uncertain => Ok(()),
        told => told.map_err(refused),
    }
}

/// Why a deployment that goes on is in the way; one of `pipe` that only keeps old tasks warm is not.
pub(super) fn busy(one: &Deployment, settings: &Settings) -> Option<CallError> {
    if one.description.contains("[pipe:") && waits_for_the_end(one) {
        return None;
    }
    let whose = if one.description.is_empty() { String::new() } else { format!(" ({})", one.description) };
    Some(CallError::last(format!(
        "deployment {}{whose} of group {} goes on, and CodeDeploy takes one at a time: wait for its end, or stop it there",
        one.id, settings.group
    )))
}

/// What people read and what it is found by, which is at the end.
fn description(subject: &Subject, settings: &Settings) -> String {
    let mark = bracketed(&mark(subject.rollout, &subject.plan));
    let plan = &subject.plan;
    let said = match settings.description.as_str() {
        "" => format!("rollout {} of {} {}", subject.rollout, plan.repository, plan.commit),
        said => said.to_owned(),
    };
    let room = DESCRIPTION_MAX - mark.len() - 1;
    let said: String = said.chars().take(room).collect();
    format!("{said} {mark}")
}
