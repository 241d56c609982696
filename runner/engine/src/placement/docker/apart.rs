//! The networks that jobs without services share where they are isolated, one for each trust: the engine drops what one
//! container sends to another (`com.docker.network.bridge.enable_icc=false`).
//!
//! One is made when the first job needs it, is found again by its name after a restart, and goes when the server ends. It
//! keeps no container from what lies outside, nor from this machine. See
//! <https://docs.docker.com/engine/network/drivers/bridge/#options>.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::ListNetworksOptionsBuilder;
use tokio::sync::Mutex;

use super::connection::{message, status};
use super::resources::remove_network;
use crate::placement::owner::{LABEL_APART, Owner};

/// When an engine that had none to give is asked again.
const AGAIN: Duration = Duration::from_secs(60);

const NO_TRAFFIC: (&str, &str) = ("com.docker.network.bridge.enable_icc", "false");

/// The networks of one installation.
#[derive(Debug)]
pub(super) struct Apart {
    installation: String,
    /// Since when there was none to be had: each job has one of its own.
    missing: Mutex<Option<Instant>>,
}

/// What the engine has under a name.
enum Found {
    /// A network on which no container reaches another.
    Apart,
    /// Another one.
    Foreign,
    Nothing,
}

impl Apart {
    pub(super) fn of(owner: &Owner) -> Self {
        Self { installation: owner.installation().to_owned(), missing: Mutex::default() }
    }

    /// The name of that for jobs of this trust. Asked of the engine each time, as a person may remove networks that nobody
    /// uses. `None`: there is none.
    pub(super) async fn ensure(&self, docker: &Docker, trust: &str) -> Option<String> {
        let mut missing = self.missing.lock().await;
        if missing.is_some_and(|since| since.elapsed() < AGAIN) {
            return None;
        }
        let name = format!("pipe-jobs-{}-{trust}", self.installation);
        let reason = match self.ensured(docker, &name).await {
            Ok(true) => {
                *missing = None;
                return Some(name);
            }
            Ok(false) => "what the engine has under this name does not do it".to_owned(),
            Err(error) => message(&error),
        };
        tracing::warn!(network = name, reason, "no network keeps jobs apart; each gets one of its own");
        *missing = Some(Instant::now());
        None
    }

    /// Whether there is a network of this name that is what it should be. One that was made is looked at too: an engine may
    /// take options that it does not know.
    async fn ensured(&self, docker: &Docker, name: &str) -> Result<bool, bollard::errors::Error> {
        match find(docker, name).await? {
            Found::Apart => return Ok(true),
            Found::Foreign => return Ok(false),
            Found::Nothing => {}
        }
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            options: Some([NO_TRAFFIC].map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            labels: Some(HashMap::from([(LABEL_APART.to_owned(), self.installation.clone())])),
            ..NetworkCreateRequest::default()
        };
        docker.create_network(request).await?;
        Ok(matches!(find(docker, name).await?, Found::Apart))
    }

    /// Removes them, but for those that a job still uses.
    pub(super) async fn remove(&self, docker: &Docker) {
        let _nobody_makes_one = self.missing.lock().await;
        let filter: HashMap<_, _> = [("label", vec![format!("{LABEL_APART}={}", self.installation)])].into();
        let options = ListNetworksOptionsBuilder::default().filters(&filter).build();
        let networks = docker.list_networks(Some(options)).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = message(&error),
                "the networks of jobs cannot be looked for; the next end removes them"
            );
            Vec::new()
        });
        for id in networks.into_iter().filter_map(|network| network.id) {
            if let Err(reason) = remove_network(docker, &id).await {
                tracing::info!(network = id, reason, "a network of jobs stays");
            }
        }
    }
}

async fn find(docker: &Docker, name: &str) -> Result<Found, bollard::errors::Error> {
    match docker.inspect_network(name, None).await {
        Ok(found) => {
            let is_apart = found.options.unwrap_or_default().get(NO_TRAFFIC.0).is_some_and(|is| is == NO_TRAFFIC.1);
            Ok(if is_apart { Found::Apart } else { Found::Foreign })
        }
        Err(error) if status(&error) == Some(404) => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}
