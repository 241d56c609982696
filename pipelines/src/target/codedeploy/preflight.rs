//! Whether it can be done at all: the service and its controller, the group and what it waits for, what goes on there, alarms.

use aws::{Controller, Group, ServiceFacts};
use jiff::SignedDuration;
use rollout::Stage;
use rollout::fact::Found;
use rollout::plan::Plan;

use super::super::paced::Parts;
use super::super::revisions;
use super::effects::{busy, waits_for_the_end};
use super::{Clients, Inner, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

impl Inner {
    /// See [`rollout::Call::Preflight`].
    pub(super) async fn preflight(&self, subject: &Subject) -> Result<Found, CallError> {
        let (plan, settings) = (&subject.plan, Settings::of(&subject.plan)?);
        revisions::is_pinned(plan)?;
        let clients = self.clients(&settings)?;
        let service = self.service(&clients, &settings).await?;
        let group = clients.deploys.group(&settings.application, &settings.group).await.map_err(refused)?;
        fits(&settings, &group)?;
        waits_enough(plan, &settings, &group)?;
        self.shifts_as_planned(&clients, &settings, &group).await?;
        self.quiet(&clients, subject, &settings).await?;
        let active = self.recent(&clients, &settings, true).await?;
        let warm = plan.rollback_of.and_then(|of| {
            let mark = format!("[pipe:{of}-");
            active.iter().find(|one| one.description.contains(&mark) && waits_for_the_end(one))
        });
        if warm.is_none() {
            let own = self.find(&clients, subject, &settings).await?;
            let other = active.iter().filter(|one| own.as_deref() != Some(&one.id));
            if let Some(busy) = other.filter_map(|one| busy(one, &settings)).next() {
                return Err(busy);
            }
        }
        let blue = revisions::standing(&clients.ecs, &service, &settings.container).await?;
        Ok(Found { blue, green_is_warm: warm.is_some() && plan.reuse.is_some() })
    }

    async fn service(&self, clients: &Clients, settings: &Settings) -> Result<ServiceFacts, CallError> {
        let place = (settings.cluster.as_str(), settings.service.as_str());
        let service = revisions::service(&clients.ecs, place, "with the controller CODE_DEPLOY").await?;
        let controller = match service.controller {
            Controller::CodeDeploy => return Ok(service),
            Controller::Ecs => "ECS: use `strategy: ecs-native` or `rolling`, or `weighted` with two services",
            Controller::External => "EXTERNAL: use `strategy: weighted` with two services of the controller ECS",
        };
        Err(CallError::last(format!(
            "service {} has the deployment controller {controller}; CodeDeploy needs CODE_DEPLOY, and a controller cannot be changed",
            service.name
        )))
    }

    /// The group may have been changed since the plan was made, and approved.
    async fn shifts_as_planned(&self, clients: &Clients, settings: &Settings, group: &Group) -> Result<(), CallError> {
        let config = settings.config.as_ref().unwrap_or(&group.config);
        // Ours is made with the deployment.
        if *config == settings.routing().name() {
            return Ok(());
        }
        let parts = Parts::of(clients.deploys.routing(config).await.map_err(refused)?);
        if parts == settings.parts {
            return Ok(());
        }
        Err(CallError::last(format!(
            "configuration {config} shifts users otherwise ({}) than the plan says ({}): it was changed meanwhile; run the step again",
            parts.words(),
            settings.parts.words()
        )))
    }

    /// With an alarm that is on already CodeDeploy would stop at once. What goes back must not wait for that.
    async fn quiet(&self, clients: &Clients, subject: &Subject, settings: &Settings) -> Result<(), CallError> {
        if settings.alarms.is_empty() || subject.plan.rollback_of.is_some() {
            return Ok(());
        }
        let firing = clients.watch.firing(&settings.alarms).await.map_err(refused)?;
        if firing.is_empty() {
            return Ok(());
        }
        Err(CallError::last(format!(
            "before anything was changed, alarms are on: {}. See to them first; CodeDeploy would stop because of them",
            firing.join(", ")
        )))
    }
}

/// Whether the group deploys this service.
fn fits(settings: &Settings, group: &Group) -> Result<(), CallError> {
    let cluster = settings.cluster.rsplit('/').next().unwrap_or_default();
    let of_group = group.cluster.rsplit('/').next().unwrap_or_default();
    if of_group == cluster && group.service == settings.service {
        return Ok(());
    }
    Err(CallError::last(format!(
        "deployment group {} of application {} deploys service {} of cluster {}, and not {} of {cluster}: name the right group",
        settings.group, settings.application, group.service, group.cluster, settings.service
    )))
}

/// Whether it waits where scripts run, and for as long as the plan wants to be able to go back.
fn waits_enough(plan: &Plan, settings: &Settings, group: &Group) -> Result<(), CallError> {
    let early = |stage: Stage| match stage {
        Stage::AfterInstall | Stage::AfterAllowTestTraffic | Stage::BeforeAllowTraffic => true,
        // Before the deployment begins, and when users have all of it.
        Stage::BeforeInstall | Stage::AfterAllowTraffic | Stage::OnRollback => false,
    };
    if let (Some(hook), None) = (plan.hooks.iter().find(|hook| early(hook.stage)), group.waits) {
        return Err(CallError::last(format!(
            "`hooks` has {}, and deployment group {} does not wait before users come: set its `deploymentReadyOption` to \
             `STOP_DEPLOYMENT` with some minutes, or call a function at that event from the AppSpec",
            hook.stage.word(),
            settings.group
        )));
    }
    let bake = plan.schedule.steps.last().map_or(SignedDuration::ZERO, |step| step.hold);
    let needed = bake.saturating_add(if plan.rollback_of.is_some() { SignedDuration::ZERO } else { plan.keep_blue });
    let Some(kept) = group.keeps.map(|minutes| SignedDuration::from_mins(i64::from(minutes))) else { return Ok(()) };
    if plan.rollback_of.is_some() || needed <= kept {
        return Ok(());
    }
    Err(CallError::last(format!(
        "deployment group {} ends the old tasks {} min after users have left them, and the plan needs them for {} min (`bake` {} min, \
         `keep-blue` {} min): raise the group's `terminationWaitTimeInMinutes`, or ask for less",
        settings.group,
        kept.as_mins(),
        needed.as_mins(),
        bake.as_mins(),
        plan.keep_blue.as_mins()
    )))
}
