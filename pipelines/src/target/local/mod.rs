//! Deploys to this machine: containers of its Docker engine behind the environment's proxy (`pipe proxy`).
//!
//! Containers have addresses of their own for as long as they live and are started again with the machine, so the proxy's
//! table stays right. What stands is told by the table and the labels of containers; nothing else is kept here.

mod alarms;
mod containers;
mod effects;
mod health;
mod image;
mod listener;
mod make;
mod names;
mod network;
mod observe;
mod preflight;
mod proxies;
mod routes;
mod secrets;
mod settings;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rollout::plan::Revision;
use rollout::{Call, Observation};
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

pub use self::alarms::AlarmSource;
pub use self::image::{id, pin, tag};
pub use self::proxies::Starter;
pub use self::secrets::Held;
pub use self::settings::{DeadBlue, Settings};

use self::containers::Containers;
use self::effects::After;
use crate::docker::Docker;
use crate::rollout::{CallError, CallOrder, Subject, Target};

/// Folder of the proxies, in that of the installation's state.
const PROXIES_FOLDER: &str = "proxies";

/// This machine as a target. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Local(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    installation: String,
    state: PathBuf,
    proxies: proxies::Proxies,
    docker: OnceCell<Docker>,
    choosing: Arc<Mutex<()>>,
    given: Arc<secrets::Given>,
    questions: health::Questions,
    counted: observe::Counted,
}

impl Local {
    /// The name that plans have for it.
    pub const NAME: &'static str = "local";

    /// Of an installation ([`engine::placement::Owner::installation`]) with its folder of state. Touches nothing yet.
    #[must_use]
    pub fn new(installation: impl Into<String>, state: impl Into<PathBuf>, starter: Starter) -> Self {
        let state = state.into();
        Self(Arc::new(Inner {
            installation: installation.into(),
            proxies: proxies::Proxies::new(state.join(PROXIES_FOLDER), starter),
            state,
            docker: OnceCell::new(),
            choosing: Arc::default(),
            given: Arc::default(),
            questions: health::Questions::default(),
            counted: observe::Counted::default(),
        }))
    }

    /// Where the proxy of an environment has its table and sockets.
    #[must_use]
    pub fn proxy_folder(&self, environment: &str) -> PathBuf {
        self.0.proxies.folder(environment)
    }

    /// What a plan has in place of secret values ([`Settings::secrets_digest`]).
    ///
    /// # Errors
    /// The installation's key can neither be read nor made.
    pub fn digest(&self, values: &BTreeMap<String, String>) -> std::io::Result<String> {
        secrets::digest(&self.0.state, values)
    }

    /// Lets containers have these secret values while what is given back lives.
    #[must_use]
    pub fn hold(&self, digest: &str, values: BTreeMap<String, String>) -> Held {
        self.0.given.hold(digest, values)
    }

    /// Starts the proxies that should run and do not, as after a start of the machine. Gives what went wrong, for people.
    pub async fn restore(&self) -> Vec<String> {
        self.0.proxies.restore().await
    }

    /// Starts proxies again that are killed, for as long as this is polled. One that was told to stop stays as it is.
    pub async fn keep_proxies(&self) {
        self.0.proxies.keep().await;
    }

    /// What stands of a service as the labels and the proxy's table say; `None`: nothing, or no proxy runs. Changes nothing.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn stands(&self, environment: &str, service: &str) -> Result<Option<Revision>, CallError> {
        let Ok(table) = self.0.proxies.table(environment).await else { return Ok(None) };
        let Some(of) = routes::standing(&table, service).and_then(|colour| routes::revision(&colour.revision)) else {
            return Ok(None);
        };
        let all = self.0.containers(environment).await?.of(service, of).await?;
        Ok(all.into_iter().next().map(|one| one.revision))
    }

    /// Where this machine is reached: by itself, or by a container.
    ///
    /// # Errors
    /// The engine cannot be reached, or makes no network.
    pub async fn host(&self, environment: &str, from_container: bool) -> Result<String, CallError> {
        if !from_container {
            return Ok("127.0.0.1".to_owned());
        }
        let network = network::Network::ensure(&self.0.containers(environment).await?).await?;
        Ok(network.gateway().to_string())
    }

    /// The engine.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn docker(&self) -> Result<&Docker, CallError> {
        self.0.docker().await
    }
}

impl Inner {
    async fn docker(&self) -> Result<&Docker, CallError> {
        self.docker.get_or_try_init(Docker::connect).await.map_err(CallError::transient)
    }

    async fn containers(&self, environment: &str) -> Result<Containers, CallError> {
        Ok(Containers {
            docker: self.docker().await?.clone(),
            installation: self.installation.clone(),
            environment: environment.to_owned(),
            choosing: Arc::clone(&self.choosing),
        })
    }
}

/// What is reused was made by another rollout and stays when this one goes back.
fn after(subject: &Subject) -> After {
    if subject.green.id == subject.rollout { After::Remove } else { After::Keep }
}

fn hooks_are_not_here() -> CallError {
    CallError::last("scripts run in the job, not at the target")
}

fn json(value: impl serde::Serialize) -> Result<Value, CallError> {
    serde_json::to_value(value).map_err(|error| CallError::last(error.to_string()))
}

#[async_trait]
impl Target for Local {
    async fn perform(&self, order: &CallOrder) -> Result<Value, CallError> {
        let (this, subject) = (&*self.0, &order.subject);
        match order.call {
            Call::Preflight => json(this.preflight(subject).await?),
            Call::StartGreen => this.start_green(subject).await,
            Call::TestTraffic { on } => this.tests(subject, on).await,
            Call::Hook { stage: _ } => Err(hooks_are_not_here()),
            Call::SetWeight { weight } => this.set_weight(subject, weight).await,
            Call::MakePrimary => this.make_primary(subject).await,
            Call::StopBlue => match &subject.blue {
                Some(blue) => this.stop(subject, blue.id, After::Keep).await,
                None => Ok(serde_json::json!({ "cut": 0 })),
            },
            Call::StopGreen => this.stop(subject, subject.green.id, after(subject)).await,
        }
    }

    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError> {
        let (this, subject) = (&*self.0, &order.subject);
        match order.call {
            // Doing these again has no second effect: they set what they want to be.
            Call::Preflight | Call::TestTraffic { on: _ } | Call::MakePrimary => Ok(None),
            Call::StartGreen => this.green_is_there(subject).await,
            Call::Hook { stage: _ } => Err(hooks_are_not_here()),
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
