//! Deploys to ECS by CodeDeploy, which makes the new tasks, shifts users from share to share, and goes back by itself.
//!
//! So the rollout is paced by it ([`rollout::Schedule::is_paced_by_target`]): shares are watched and not set. What the rollout's scripts need to hold is
//! held where CodeDeploy can: before the first user, if the deployment group waits there. `CreateDeployment` knows no token, so each
//! deployment is marked in its description and looked for before one is made.

mod appspec;
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
use aws::{Balancer, Cloud, CloudWatch, CodeDeploy, Deployment, DeploymentTarget, Ecs};
use engine::clock::Clock;
use jiff::SignedDuration;
use rollout::{Call, Observation, Weight};
use serde_json::Value;

pub use self::appspec::{AppSpec, AppSpecFlaw};
pub use self::settings::Settings;

use super::Clouds;
use super::ecs::Counted;
use crate::rollout::{CallError, CallOrder, Subject, Target};

/// How long functions of an `AppSpec` may take, and more.
const FUNCTIONS_MAX: SignedDuration = SignedDuration::from_mins(65);
/// How long going back may take.
const BACK_MAX: SignedDuration = SignedDuration::from_mins(30);

/// What CodeDeploy says of a deployment at one moment.
type Seen = (Deployment, Option<DeploymentTarget>);

/// CodeDeploy as a target. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CodeDeployed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clouds: Clouds,
    clock: Arc<dyn Clock>,
    counted: Counted,
    /// Ids of deployments, by the mark in their description.
    known: Mutex<HashMap<String, String>>,
    /// ARNs of target groups and names of their balancers, by the groups' names.
    groups: Mutex<HashMap<String, (String, String)>>,
    /// When task definitions were registered, by the mark of their rollout.
    began: Mutex<HashMap<String, SystemTime>>,
}

/// The clients of one rollout.
#[derive(Debug, Clone)]
struct Clients {
    cloud: Cloud,
    deploys: CodeDeploy,
    ecs: Ecs,
    balancer: Balancer,
    watch: CloudWatch,
}

impl CodeDeployed {
    /// The name that plans have for it.
    pub const NAME: &'static str = "codedeploy";

    /// One that uses the keys of `clouds`. Touches nothing yet.
    #[must_use]
    pub fn new(clouds: Clouds, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            clouds,
            clock,
            counted: Counted::default(),
            known: Mutex::default(),
            groups: Mutex::default(),
            began: Mutex::default(),
        }))
    }
}

impl Inner {
    fn clients(&self, settings: &Settings) -> Result<Clients, CallError> {
        let cloud = self.clouds.of(&settings.account, &settings.region)?;
        Ok(Clients {
            deploys: cloud.codedeploy(),
            ecs: cloud.ecs(&settings.cluster),
            balancer: cloud.balancer(),
            watch: cloud.cloudwatch(),
            cloud,
        })
    }
}

#[async_trait]
impl Target for CodeDeployed {
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
            Call::SetWeight { weight: Weight::NONE } => this.none(subject).await,
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
            Call::SetWeight { .. } | Call::TestTraffic { .. } | Call::MakePrimary => Some(FUNCTIONS_MAX),
            Call::Preflight | Call::StartGreen | Call::Hook { .. } => None,
        }
    }

    async fn observe(&self, subject: &Subject) -> Result<Observation, CallError> {
        self.0.observation(subject).await
    }
}
