//! Whether it can be done at all: the service and its controller, what goes on there, alarms.

use aws::{Controller, NativeService, ServiceFacts};
use rollout::Stage;
use rollout::fact::Found;
use rollout::plan::Plan;

use super::super::revisions;
use super::effects::{busy, is_active};
use super::{Clients, Inner, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

impl Inner {
    /// See [`rollout::Call::Preflight`].
    pub(super) async fn preflight(&self, subject: &Subject) -> Result<Found, CallError> {
        let (plan, settings) = (&subject.plan, Settings::of(&subject.plan)?);
        revisions::is_pinned(plan)?;
        holds_for_scripts(plan, &settings)?;
        let clients = self.clients(&settings)?;
        let service = self.service(&clients, &settings).await?;
        let native = clients.ecs.native(&settings.service).await.map_err(refused)?;
        if native.rule.as_ref() != Some(&settings.rule) {
            return Err(CallError::last(format!(
                "service {} has no rule {} and second target group in `loadBalancers.advancedConfiguration`, without which ECS shifts \
                 nobody: was it changed meanwhile?",
                settings.service, settings.rule
            )));
        }
        if plan.rollback_of.is_none() {
            has_room_for_pauses(&native, &settings)?;
        }
        self.quiet(&clients, subject, &settings).await?;
        let warm = match plan.rollback_of {
            Some(other) => self.baking(&clients, &settings, other).await?,
            None => None,
        };
        if warm.is_none() {
            let own = self.find(&clients, subject, &settings).await?;
            let all = self.deployments(&clients, &settings).await?;
            let other = all.iter().find(|one| is_active(one) && !one.is_baking && own.as_deref() != Some(&one.arn));
            if let Some(other) = other {
                return Err(busy(other, &settings));
            }
        }
        let blue = revisions::standing(&clients.ecs, &service, &settings.container).await?;
        Ok(Found { blue, green_is_warm: warm.is_some() && plan.reuse.is_some() })
    }

    async fn service(&self, clients: &Clients, settings: &Settings) -> Result<ServiceFacts, CallError> {
        let place = (settings.cluster.as_str(), settings.service.as_str());
        let service = revisions::service(&clients.ecs, place, "with the controller ECS").await?;
        let controller = match service.controller {
            Controller::Ecs => return Ok(service),
            Controller::CodeDeploy => "CODE_DEPLOY: use `strategy: codedeploy`",
            Controller::External => "EXTERNAL: use `strategy: weighted` with two services of the controller ECS",
        };
        Err(CallError::last(format!(
            "service {} has the deployment controller {controller}; `ecs-native` needs ECS, and a controller cannot be changed",
            service.name
        )))
    }

    /// With an alarm that is on already ECS would go back at once. What goes back must not wait for that.
    async fn quiet(&self, clients: &Clients, subject: &Subject, settings: &Settings) -> Result<(), CallError> {
        if settings.alarms.is_empty() || subject.plan.rollback_of.is_some() {
            return Ok(());
        }
        let firing = clients.watch.firing(&settings.alarms).await.map_err(refused)?;
        if firing.is_empty() {
            return Ok(());
        }
        Err(CallError::last(format!(
            "before anything was changed, alarms are on: {}. See to them first; ECS would go back because of them",
            firing.join(", ")
        )))
    }
}

/// Two pauses at one stage look the same while they wait, and only ours is ended by `pipe`.
fn has_room_for_pauses(native: &NativeService, settings: &Settings) -> Result<(), CallError> {
    let other = settings.pauses().into_iter().find_map(|(at, _)| native.in_the_way(at));
    let Some(stage) = other else { return Ok(()) };
    Err(CallError::last(format!(
        "service {} has a pause of its own at {stage}, and scripts of `hooks` need one of `pipe` there, which could not be told from it: \
         move it to PRE_SCALE_UP, or leave those scripts out",
        settings.service
    )))
}

/// Scripts that have to end before something happens need a pause of ECS.
fn holds_for_scripts(plan: &Plan, settings: &Settings) -> Result<(), CallError> {
    let is_held = |stage: Stage| match stage {
        Stage::AfterAllowTraffic => settings.holds.is_some(),
        Stage::AfterInstall | Stage::AfterAllowTestTraffic | Stage::BeforeAllowTraffic => settings.waits.is_some(),
        Stage::BeforeInstall | Stage::OnRollback => true,
    };
    match plan.hooks.iter().find(|hook| !is_held(hook.stage)) {
        Some(hook) => Err(CallError::last(format!(
            "`hooks` has {}, and the plan has no pause of ECS for it: this is a fault of `pipe`",
            hook.stage.word()
        ))),
        None => Ok(()),
    }
}
