//! Deploys to ECS as ECS always could (`ROLLING`): it starts new tasks and stops old ones, as many at a time as the service allows,
//! stops when they fail (the circuit breaker), and goes back by itself.
//!
//! Both colours are in one target group, so users meet the first new task as soon as it is healthy, and nobody can hold a share or
//! compare what each has answered. The rollout is watched task by task. `UpdateService` knows no token; a deployment is known by the
//! task definition that it leads to.

mod back;
mod calls;
mod effects;
mod find;
mod observe;
mod preflight;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws::{Balancer, Cloud, CloudWatch, Ecs, NativeRevision};
use engine::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use rollout::{Call, Observation, Weight};
use serde_json::{Value, json};

pub use self::settings::Settings;

use super::Clouds;
use crate::rollout::{CallError, CallOrder, Subject, Target};

/// How long the old tasks may take to drain, and ECS to listen to alarms after that.
const COMPLETE_MAX: SignedDuration = SignedDuration::from_mins(65);
/// How long going back may take.
const BACK_MAX: SignedDuration = SignedDuration::from_mins(30);
/// Between the first two looks at what goes on; each later pause is longer.
const PAUSE_MIN: SignedDuration = SignedDuration::from_secs(2);
/// The longest.
const PAUSE_MAX: SignedDuration = SignedDuration::from_secs(15);

/// ECS's rolling deployments as a target. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rolling(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clouds: Clouds,
    clock: Arc<dyn Clock>,
    /// ARNs of deployments, by the mark of their rollout.
    known: Mutex<HashMap<String, String>>,
    /// Revisions never change.
    revisions: Mutex<HashMap<String, NativeRevision>>,
}

/// The clients of one rollout.
#[derive(Debug, Clone)]
struct Clients {
    cloud: Cloud,
    ecs: Ecs,
    balancer: Balancer,
    watch: CloudWatch,
}

impl Rolling {
    /// The name that plans have for it.
    pub const NAME: &'static str = "ecs-rolling";

    /// One that uses the keys of `clouds`. Touches nothing yet.
    #[must_use]
    pub fn new(clouds: Clouds, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { clouds, clock, known: Mutex::default(), revisions: Mutex::default() }))
    }
}

impl Inner {
    fn clients(&self, settings: &Settings) -> Result<Clients, CallError> {
        let cloud = self.clouds.of(&settings.account, &settings.region)?;
        let (ecs, balancer, watch) = (cloud.ecs(&settings.cluster), cloud.balancer(), cloud.cloudwatch());
        Ok(Clients { cloud, ecs, balancer, watch })
    }

    /// Waits, each time longer.
    async fn pause(&self, pause: &mut SignedDuration) {
        let next = self.clock.now().saturating_add(*pause).unwrap_or(Timestamp::MAX);
        *pause = (*pause * 3 / 2).min(PAUSE_MAX);
        self.clock.wait_until(next).await;
    }
}

#[async_trait]
impl Target for Rolling {
    async fn perform(&self, order: &CallOrder) -> Result<Value, CallError> {
        let (this, subject) = (&*self.0, &order.subject);
        match order.call {
            Call::Preflight => {
                let found = this.preflight(subject).await?;
                serde_json::to_value(found).map_err(|error| CallError::last(error.to_string()))
            }
            Call::StartGreen => this.start_green(subject).await,
            // Nothing leads tests past the users.
            Call::TestTraffic { on: _ } => Ok(json!({})),
            Call::Hook { stage: _ } => Err(CallError::last("scripts run in the job, not at the target")),
            Call::SetWeight { weight: Weight::NONE } => this.back(subject).await,
            Call::SetWeight { weight: _ } => this.complete(subject).await,
            Call::MakePrimary => this.make_primary(subject).await,
            // ECS has done it.
            Call::StopBlue => Ok(json!({ "cut": 0 })),
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
            Call::SetWeight { weight: _ } => this.is_complete(subject).await,
        }
    }

    fn patience(&self, call: &Call) -> Option<SignedDuration> {
        match call {
            Call::SetWeight { weight: Weight::NONE } | Call::StopGreen => Some(BACK_MAX),
            Call::SetWeight { .. } => Some(COMPLETE_MAX),
            Call::Preflight
            | Call::StartGreen
            | Call::TestTraffic { .. }
            | Call::Hook { .. }
            | Call::MakePrimary
            | Call::StopBlue => None,
        }
    }

    async fn observe(&self, subject: &Subject) -> Result<Observation, CallError> {
        self.0.observation(subject).await
    }
}
