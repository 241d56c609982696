//! Whether it can be done at all: the service and its controller, what goes on there, whether ECS may replace a task, alarms.

use aws::{Controller, RollingService, ServiceFacts};
use rollout::fact::Found;

use super::super::revisions;
use super::find::{busy, is_active};
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
        has_controller(&service)?;
        let has = clients.ecs.rolling(&settings.service).await.map_err(refused)?;
        settings.room(&service, &has)?;
        self.quiet(&clients, subject, &settings).await?;
        let all = self.deployments(&clients, &settings).await?;
        if let Some(other) = all.iter().find(|one| is_active(one)) {
            // Only what this rollout began itself is not in its way.
            let own = self.find(&clients, subject, &settings).await?;
            if own.as_deref() != Some(&other.arn) {
                return Err(busy(other, &settings));
            }
        }
        let blue = revisions::standing(&clients.ecs, &service, &settings.container).await?;
        Ok(Found { blue, green_is_warm: false })
    }

    /// The service as it is now.
    pub(super) async fn service(&self, clients: &Clients, settings: &Settings) -> Result<ServiceFacts, CallError> {
        let place = (settings.cluster.as_str(), settings.service.as_str());
        revisions::service(&clients.ecs, place, "with the controller ECS").await
    }

    /// With an alarm that is on already, nobody could tell what the new one does. What goes back must not wait for that.
    async fn quiet(&self, clients: &Clients, subject: &Subject, settings: &Settings) -> Result<(), CallError> {
        if settings.alarms.is_empty() || !subject.plan.rollback_on.alarm || subject.plan.rollback_of.is_some() {
            return Ok(());
        }
        let firing = clients.watch.firing(&settings.alarms).await.map_err(refused)?;
        if firing.is_empty() {
            return Ok(());
        }
        Err(CallError::last(format!(
            "before anything was changed, alarms are on: {}. See to them first, or leave `alarm` out of `rollback-on`; ECS does not \
             listen to an alarm that was on when a deployment began",
            firing.join(", ")
        )))
    }
}

fn has_controller(service: &ServiceFacts) -> Result<(), CallError> {
    let controller = match service.controller {
        Controller::Ecs => return Ok(()),
        Controller::CodeDeploy => "CODE_DEPLOY: use `strategy: codedeploy`",
        Controller::External => "EXTERNAL: use `strategy: weighted` with two services of the controller ECS",
    };
    Err(CallError::last(format!(
        "service {} has the deployment controller {controller}; `rolling` needs ECS, and a controller cannot be changed",
        service.name
    )))
}

impl Settings {
    /// How many tasks it is told to have; `None`: as many as it has. Where nothing is to run yet it is one.
    pub(super) fn wanted(&self, desired: u32) -> Option<u32> {
        self.tasks.or_else(|| (desired == 0).then_some(1))
    }

    /// Whether a task may be started or stopped at all. ECS rounds the least up and the most down:
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html>.
    fn room(&self, service: &ServiceFacts, has: &RollingService) -> Result<(), CallError> {
        // What stands has nothing that would have to be kept.
        if service.desired == 0 {
            return Ok(());
        }
        let tasks = u64::from(self.wanted(service.desired).unwrap_or(service.desired));
        let least = self.minimum_healthy_percent.unwrap_or(has.healthy_min);
        let most = self.maximum_percent.unwrap_or(has.running_max);
        if (tasks * u64::from(most)) / 100 > tasks || (tasks * u64::from(least)).div_ceil(100) < tasks {
            return Ok(());
        }
        Err(CallError::last(format!(
            "service {} has {tasks} tasks, of which {least} % have to stay healthy, and {most} % may run: ECS may neither start a new \
             one nor stop an old one. Raise `maximum-percent` or lower `minimum-healthy-percent`",
            service.name
        )))
    }
}
