//! Containers of a service: found by their labels, made, started, stopped.
//!
//! Their labels say all that a later process has to know of them. They do not carry the labels of what jobs make, which is removed
//! with its process.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use bollard::container::LogOutput;
use bollard::models::{ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum, NetworkConnectRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use rollout::plan::Revision;
use tokio::sync::Mutex;
use workflow::mask::Masker;

use super::make::{Make, body};
use crate::docker::{Docker, words};
use crate::rollout::CallError;

/// Which installation.
pub(super) const INSTALLATION: &str = "dev.pipe.deploy.installation";
/// Which environment.
pub(super) const ENVIRONMENT: &str = "dev.pipe.deploy.environment";
/// Which service.
pub(super) const SERVICE: &str = "dev.pipe.deploy.service";
/// Which rollout made it: the number of its revision.
pub(super) const ROLLOUT: &str = "dev.pipe.deploy.rollout";
/// Its image, by digest.
pub(super) const REVISION: &str = "dev.pipe.deploy.revision";
/// The image's version.
pub(super) const VERSION: &str = "dev.pipe.deploy.version";
/// The commit.
pub(super) const COMMIT: &str = "dev.pipe.deploy.commit";
/// Which of its replicas, from 1.
pub(super) const NUMBER: &str = "dev.pipe.deploy.number";
/// Where it answers, `address:port`.
pub(super) const ADDRESS: &str = "dev.pipe.deploy.address";
/// What it is asked whether it is healthy.
pub(super) const HEALTH: &str = "dev.pipe.deploy.health";
/// Names of variables that are secrets, with commas.
pub(super) const SECRETS: &str = "dev.pipe.deploy.secrets";
/// [`super::Settings::secrets_digest`].
pub(super) const DIGEST: &str = "dev.pipe.deploy.secrets-digest";

/// Attempts to find an address that nobody has.
const ADDRESSES_MAX: usize = 8;
/// Lines of a log that are kept.
const LOG_LINES_MAX: usize = 50;
/// Bytes of a log that are kept.
const LOG_BYTES_MAX: usize = 16 * 1024;

/// A container of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) service: String,
    pub(super) revision: Revision,
    pub(super) number: u32,
    pub(super) address: SocketAddr,
    pub(super) health_path: String,
    pub(super) secrets_digest: String,
    /// It runs, or the engine is about to start it again.
    pub(super) runs: bool,
}

impl Known {
    fn of(summary: ContainerSummary) -> Option<Self> {
        let labels = summary.labels?;
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let state = summary.state?;
        Some(Self {
            id: summary.id?,
            name: summary.names?.first()?.trim_start_matches('/').to_owned(),
            service: label(SERVICE),
            revision: Revision {
                id: label(ROLLOUT).parse().ok()?,
                image: label(REVISION),
                version: label(VERSION),
                commit: label(COMMIT),
            },
            number: label(NUMBER).parse().ok()?,
            address: label(ADDRESS).parse().ok()?,
            health_path: label(HEALTH),
            secrets_digest: label(DIGEST),
            runs: matches!(state, ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::RESTARTING),
        })
    }
}

/// The containers of an environment.
#[derive(Debug, Clone)]
pub(super) struct Containers {
    pub(super) docker: Docker,
    pub(super) installation: String,
    pub(super) environment: String,
    /// Held while an address is chosen and taken.
    pub(super) choosing: Arc<Mutex<()>>,
}

impl Containers {
    /// All of them, by service, revision and number.
    pub(super) async fn all(&self) -> Result<Vec<Known>, CallError> {
        let labels =
            vec![format!("{INSTALLATION}={}", self.installation), format!("{ENVIRONMENT}={}", self.environment)];
        let filters: HashMap<&str, Vec<String>> = [("label", labels)].into();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let list = self.docker.client.list_containers(Some(options)).await.map_err(refused("list containers"))?;
        let mut all: Vec<_> = list.into_iter().filter_map(Known::of).collect();
        all.sort_by(|a, b| (&a.service, a.revision.id, a.number).cmp(&(&b.service, b.revision.id, b.number)));
        Ok(all)
    }

    /// Those of a revision.
    pub(super) async fn of(&self, service: &str, revision: u64) -> Result<Vec<Known>, CallError> {
        let all = self.all().await?;
        Ok(all.into_iter().filter(|one| one.service == service && one.revision.id == revision).collect())
    }

    /// Makes and starts it. One that is there already is taken as it is.
    pub(super) async fn make(&self, make: &Make<'_>) -> Result<(), CallError> {
        for _ in 0..ADDRESSES_MAX {
            if !self.adopt(&make.name).await? {
                self.create(make).await?;
            }
            match self.start(&make.name).await {
                Err(error) if error.words.contains("Address already in use") => self.remove(&make.name).await?,
                result => return result,
            }
        }
        Err(CallError::transient(format!("no free address was found for {} in its network", make.name)))
    }

    /// Whether one of this name is there. One of somebody else is an error.
    async fn adopt(&self, name: &str) -> Result<bool, CallError> {
        let Some(found) = self.inspect(name).await? else { return Ok(false) };
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        if labels.get(INSTALLATION) == Some(&self.installation) && labels.get(ENVIRONMENT) == Some(&self.environment) {
            return Ok(true);
        }
        Err(CallError::last(format!(
            "a container named {name} is there and is not of this installation; rename it (`docker rename {name} OTHER`), or \
             give the environment another name"
        )))
    }

    async fn create(&self, make: &Make<'_>) -> Result<(), CallError> {
        let _chosen_and_taken_at_once = self.choosing.lock().await;
        let taken: Vec<_> = self.all().await?.iter().map(|known| known.address.ip()).collect();
        let address = make.network.free(&taken).ok_or_else(|| {
            CallError::last(format!("the network {} has no address left for another container", make.network.name))
        })?;
        let options = CreateContainerOptionsBuilder::default().name(&make.name).build();
        let client = &self.docker.client;
        match client.create_container(Some(options), body(self, make, address)).await {
            Ok(_) => {}
            Err(error) if status(&error) == Some(409) => {
                // Somebody else was faster; whether it is ours is looked at.
                self.adopt(&make.name).await?;
            }
            Err(error) => return Err(refused(&format!("make {}", make.name))(error)),
        }
        for network in &make.settings.networks {
            let request = NetworkConnectRequest { container: make.name.clone(), endpoint_config: None };
            match client.connect_network(network, request).await {
                Ok(()) => {}
                Err(error) if words(&error).contains("already exists") => {}
                Err(error) => return Err(refused(&format!("connect {} with network {network}", make.name))(error)),
            }
        }
        Ok(())
    }

    pub(super) async fn start(&self, name: &str) -> Result<(), CallError> {
        let started = self.docker.client.start_container(name, None::<StartContainerOptions>).await;
        started.map_err(refused(&format!("start {name}")))
    }

    /// SIGTERM, then SIGKILL.
    pub(super) async fn stop(&self, name: &str, seconds: i32) -> Result<(), CallError> {
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        match self.docker.client.stop_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if matches!(status(&error), Some(304 | 404)) => Ok(()),
            Err(error) => Err(refused(&format!("stop {name}"))(error)),
        }
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), CallError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.docker.client.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            // Gone, or going.
            Err(error) if matches!(status(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(refused(&format!("remove {name}"))(error)),
        }
    }

    /// What the engine knows of one; `None`: it is not there.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, CallError> {
        match self.docker.client.inspect_container(name, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(refused(&format!("look at {name}"))(error)),
        }
    }

    /// The end of what it wrote, with its secrets hidden.
    pub(super) async fn log(&self, name: &str, found: &ContainerInspectResponse) -> Vec<String> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&LOG_LINES_MAX.to_string()).build();
        let mut pieces = Box::pin(self.docker.client.logs(name, Some(options)));
        let mut bytes = Vec::new();
        while let Some(Ok(piece)) = pieces.next().await {
            match piece {
                LogOutput::StdErr { message }
                | LogOutput::StdOut { message }
                | LogOutput::StdIn { message }
                | LogOutput::Console { message } => bytes.extend_from_slice(&message),
            }
        }
        let mut masker = Masker::new();
        for value in secrets(found).into_values() {
            let _too_short = masker.add(&value);
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = masker.mask_str(&text);
        let start = text.len().saturating_sub(LOG_BYTES_MAX);
        let start = (start..=text.len()).find(|place| text.is_char_boundary(*place)).unwrap_or(text.len());
        text[start..].lines().map(str::to_owned).collect()
    }
}

/// Secret variables of a container, as its environment has them.
pub(super) fn secrets(found: &ContainerInspectResponse) -> BTreeMap<String, String> {
    let Some(config) = &found.config else { return BTreeMap::new() };
    let names = config.labels.as_ref().and_then(|labels| labels.get(SECRETS)).map_or("", String::as_str);
    let variables = config.env.iter().flatten().filter_map(|line| line.split_once('='));
    variables
        .filter(|(name, _)| names.split(',').any(|secret| secret == *name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The status of the engine's answer, if there was one.
pub(super) fn status(error: &bollard::errors::Error) -> Option<u16> {
    let bollard::errors::Error::DockerResponseServerError { status_code, message: _ } = error else { return None };
    Some(*status_code)
}

/// What the engine said. Without an answer it may be there again later.
pub(super) fn refused(what: &str) -> impl Fn(bollard::errors::Error) -> CallError {
    let what = what.to_owned();
    move |error| {
        let text = format!("Docker cannot {what}: {}", words(&error));
        if status(&error).is_some() { CallError::last(text) } else { CallError::transient(text) }
    }
}
