//! Deploys to ECS as ECS itself does since 2025 (`BLUE_GREEN`, `CANARY`, `LINEAR`): it makes the new tasks beside the old ones, shifts
//! users from share to share, keeps the old ones for a while, and goes back by itself.
//!
//! So the rollout is paced by it: shares are watched and not set. What scripts need to hold is held by a pause of ECS before the first
//! user. `UpdateService` knows no token; a deployment is known by the task definition that it leads to.

mod back;
mod calls;
mod effects;
mod find;
mod observe;
mod preflight;
mod settings;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::tests::canary;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use aws::{Balancer, Cloud, CloudWatch, Ecs, NativeRevision};
use engine::clock::Clock;
use jiff::SignedDuration;
use rollout::{Call, Observation, Weight};
use serde_json::Value;

pub use self::settings::Settings;

use super::Clouds;
use super::ecs::Counted;
use crate::rollout::{CallError, CallOrder, Subject, Target};

/// How long pauses of the service may take, and more; its functions take an hour at most. `timeout` of the step ends it before.
const WAITS_MAX: SignedDuration = SignedDuration::from_hours(15 * 24);
/// How long going back, and the rest of the bake, may take.
const BACK_MAX: SignedDuration = SignedDuration::from_mins(30);

/// ECS's own strategies as a target. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Native(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clouds: Clouds,
    clock: Arc<dyn Clock>,
    counted: Counted,
    /// ARNs of deployments, by the mark of their rollout.
    known: Mutex<HashMap<String, String>>,
    /// Revisions never change.
    revisions: Mutex<HashMap<String, NativeRevision>>,
    /// When task definitions were registered, by the mark of their rollout.
    began: Mutex<HashMap<String, SystemTime>>,
}

/// The clients of one rollout.
#[derive(Debug, Clone)]
struct Clients {
    cloud: Cloud,
    ecs: Ecs,
    balancer: Balancer,
    watch: CloudWatch,
}

impl Native {
    /// The name that plans have for it.
    pub const NAME: &'static str = "ecs-native";

    /// One that uses the keys of `clouds`. Touches nothing yet.
    #[must_use]
    pub fn new(clouds: Clouds, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            clouds,
            clock,
            counted: Counted::default(),
            known: Mutex::default(),
            revisions: Mutex::default(),
            began: Mutex::default(),
        }))
    }
}

impl Inner {
    fn clients(&self, settings: &Settings) -> Result<Clients, CallError> {
        let cloud = self.clouds.of(&settings.account, &settings.region)?;
        let (ecs, balancer, watch) = (cloud.ecs(&settings.cluster), cloud.balancer(), cloud.cloudwatch());
        Ok(Clients { cloud, ecs, balancer, watch })
    }
}

#[async_trait]
impl Target for Native {
    async fn perform(&self, order: &CallOrder) -> Result<Value, CallError> {
        let (this, subject) = (&*self.0, &order.subject);
        match order.call {
            Call::Preflight => {
                let found = this.preflight(subject).await?;
                serde_json::to_value(found).map_err(|error| CallError::last(error.to_string()))
            }
            Call::StartGreen => this.start_green(subject).await,
            Call::TestTraffic { on } => this.tests(subject, on).await,
            Call::Hook { stage: _ } => Err(CallError::last("scripts run in the job, not at the target")),
            Call::SetWeight { weight: Weight::NONE } => this.back(subject).await,
            Call::SetWeight { weight } => this.forward(subject, weight).await,
            Call::MakePrimary => this.make_primary(subject).await,
            Call::StopBlue => this.stop_blue(subject).await,
            Call::StopGreen => this.stop_green(subject).await,
        }
    }

    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError> {
        let (this, subject) = (&*self.0, &order.subject);
        match order.call {
            // Doing these again looks first.
            Call::Preflight
            | Call::TestTraffic { on: _ }
            | Call::MakePrimary
            | Call::StopBlue
            | Call::StopGreen
            | Call::SetWeight { weight: Weight::NONE } => Ok(None),
            Call::StartGreen => this.started(subject).await,
            Call::Hook { stage: _ } => Err(CallError::last("scripts run in the job, not at the target")),
            Call::SetWeight { weight } => this.weight_stands(subject, weight).await,
        }
    }

    fn patience(&self, call: &Call) -> Option<SignedDuration> {
        match call {
            Call::SetWeight { weight: Weight::NONE } | Call::StopGreen | Call::StopBlue => Some(BACK_MAX),
            Call::SetWeight { .. } | Call::TestTraffic { .. } | Call::MakePrimary => Some(WAITS_MAX),
            Call::Preflight | Call::StartGreen | Call::Hook { .. } => None,
        }
    }

    async fn observe(&self, subject: &Subject) -> Result<Observation, CallError> {
        self.0.observation(subject).await
    }
}
