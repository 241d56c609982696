//! Deploys to ECS: two services of a cluster take turns, or task sets of one service in two target groups, and a rule of their load
//! balancer shares users between them by weight.
//!
//! So every schedule can be expressed, which neither CodeDeploy nor ECS itself does. What stands is told by the rule's weights and
//! by the tag that each task definition has with its rollout; nothing is kept here. Each call looks first and then sets what is not
//! so yet, so that a call whose answer was lost has one effect.

mod calls;
#[cfg(test)]
pub(crate) mod crash;
mod effects;
#[cfg(test)]
mod left_tests;
#[cfg(test)]
pub(crate) mod lives;
mod observe;
mod preflight;
mod services;
mod sets;
#[cfg(test)]
mod sets_tests;
mod settings;
mod slots;
#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws::{Balancer, Cloud, CloudWatch, Ecs, Registered};
use engine::clock::Clock;
use rollout::{Call, Observation};
use serde_json::Value;

pub use self::settings::{Settings, Turns};

pub(crate) use self::observe::{Counted, METRICS};
pub(crate) use self::settings::{COMMIT_TAG, ROLLOUT_TAG, VERSION_TAG, group_dimension};

use crate::rollout::{CallError, CallOrder, Subject, Target};
use crate::target::{Clouds, refused};

/// ECS behind weights as a target. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Weighted(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clouds: Clouds,
    /// Task definitions never change once they are registered.
    definitions: Mutex<HashMap<String, Registered>>,
    counted: observe::Counted,
    failures: sets::Failures,
    clock: Arc<dyn Clock>,
}

/// The clients of one rollout.
#[derive(Debug, Clone)]
struct Clients {
    cloud: Cloud,
    ecs: Ecs,
    balancer: Balancer,
    watch: CloudWatch,
}

impl Weighted {
    /// The name that plans have for it.
    pub const NAME: &'static str = "ecs-weighted";

    /// One that uses the keys of `clouds`. Touches nothing yet.
    #[must_use]
    pub fn new(clouds: Clouds, clock: Arc<dyn Clock>) -> Self {
        let (definitions, counted, failures) = Default::default();
        Self(Arc::new(Inner { clouds, definitions, counted, failures, clock }))
    }
}

impl Inner {
    fn clients(&self, settings: &Settings) -> Result<Clients, CallError> {
        let cloud = self.clouds.of(&settings.account, &settings.region)?;
        let (ecs, balancer, watch) = (cloud.ecs(&settings.cluster), cloud.balancer(), cloud.cloudwatch());
        Ok(Clients { cloud, ecs, balancer, watch })
    }

    /// A registered task definition, asked for once.
    async fn definition(&self, ecs: &Ecs, arn: &str) -> Result<Registered, CallError> {
        let known = self.definitions.lock().unwrap_or_else(PoisonError::into_inner).get(arn).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = ecs.task_definition(arn).await.map_err(refused)?;
        self.definitions.lock().unwrap_or_else(PoisonError::into_inner).insert(arn.to_owned(), found.clone());
        Ok(found)
    }
}

#[async_trait]
impl Target for Weighted {
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
            Call::SetWeight { weight } => this.set_weight(subject, weight).await,
            Call::MakePrimary => this.make_primary(subject).await,
            Call::StopBlue => match &subject.blue {
                Some(blue) => this.stop(subject, blue.id).await,
                None => Ok(serde_json::json!({ "cut": 0 })),
            },
            Call::StopGreen => this.stop(subject, subject.green.id).await,
        }
    }

    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError> {
        let (this, subject) = (&*self.0, &order.subject);
        match order.call {
            // Doing these again has no second effect: they set what they want to be, absolutely.
            Call::Preflight | Call::TestTraffic { on: _ } | Call::MakePrimary => Ok(None),
            Call::StartGreen => this.green_is_there(subject).await,
            Call::Hook { stage: _ } => Err(CallError::last("scripts run in the job, not at the target")),
            Call::SetWeight { weight } => this.weight_stands(subject, weight).await,
            Call::StopBlue => match &subject.blue {
                Some(blue) => this.is_stopped(subject, blue.id).await,
                None => Ok(Some(serde_json::json!({ "cut": 0 }))),
            },
            Call::StopGreen => this.is_stopped(subject, subject.green.id).await,
        }
    }

    async fn observe(&self, subject: &Subject) -> Result<Observation, CallError> {
        self.0.observation(subject).await
    }
}
