//! Images of containers: which one a reference means here, and getting it where it is missing.
//!
//! Does not build images (that is a built-in action) and does not choose one for a label (that is configuration).

mod answers;
mod credentials;
mod error;
mod pull;
mod reference;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::models::ImageInspect;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::watch;

pub use answers::to_the_end;
pub use credentials::stored_login;
pub use error::{ImageError, PullProblem};

use crate::placement::{ImageSpec, PlacementProgress, ProgressSink, PullPolicy, docker_message, docker_status};
use pull::PullProgress;
use reference::Reference;

/// An image as the engine knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImageFacts {
    /// As asked for.
    pub reference: String,
    /// `sha256:…` of its configuration.
    pub id: String,
    /// `sha256:…` of its manifest in the registry, where it came from one.
    pub digest: Option<String>,
    /// Its environment, in order.
    pub env: Vec<(String, String)>,
    /// Its user; empty: root.
    pub user: String,
    /// Its working directory; empty: `/`.
    pub workdir: String,
    /// Its `HEALTHCHECK`, if it has one that is not `NONE`.
    pub has_healthcheck: bool,
    /// `linux/amd64` and the like.
    pub platform: String,
    /// Its `ENTRYPOINT`.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// Its `CMD`.
    #[serde(default)]
    pub command: Vec<String>,
}

/// The images of an engine.
#[derive(Debug, Clone)]
pub struct Images {
    docker: Docker,
    /// Holds `config.json`.
    config_directory: Option<PathBuf>,
    pulls: Arc<Mutex<HashMap<PullKey, Pull>>>,
}

type PullKey = (String, Option<String>);

/// A pull that runs, for all who wait for it.
#[derive(Debug, Clone)]
struct Pull {
    end: Shared<BoxFuture<'static, Result<(), PullProblem>>>,
    progress: watch::Receiver<PullProgress>,
}

impl Images {
    /// The images of `docker`, with the credentials of the Docker configuration in `config_directory`.
    #[must_use]
    pub fn new(docker: Docker, config_directory: Option<PathBuf>) -> Self {
        Self { docker, config_directory, pulls: Arc::default() }
    }

    /// Finds an image, and pulls it as `spec.pull` says. All who want the same image at once wait for one pull.
    ///
    /// # Errors
    /// The image cannot be had; the error says what to do.
    pub async fn ensure(&self, spec: &ImageSpec, progress: &ProgressSink) -> Result<ImageFacts, ImageError> {
        let fail = |problem| ImageError { reference: spec.reference.clone(), problem };
        let reference = Reference::parse(&spec.reference).map_err(fail)?;
        let here = match spec.pull {
            PullPolicy::Always => None,
            PullPolicy::Missing | PullPolicy::Never => self.find(&reference, spec).await.map_err(fail)?,
        };
        if let Some(facts) = here {
            return Ok(facts);
        }
        match spec.pull {
            PullPolicy::Never => return Err(fail(PullProblem::MissingHere)),
            PullPolicy::Missing | PullPolicy::Always => self.pull(&reference, spec, progress).await.map_err(fail)?,
        }
        let found = self.find(&reference, spec).await.map_err(fail)?;
        found.ok_or_else(|| fail(PullProblem::Other("it was pulled, but the engine does not have it".to_owned())))
    }

    async fn find(&self, reference: &Reference, spec: &ImageSpec) -> Result<Option<ImageFacts>, PullProblem> {
        let inspected = match self.docker.inspect_image(&reference.whole()).await {
            Ok(inspected) => inspected,
            Err(error) if docker_status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(PullProblem::Other(docker_message(&error))),
        };
        let facts = facts(&spec.reference, inspected);
        if facts.workdir.starts_with("/proc") {
            let reason = format!("its working directory {} would lead out of the container", facts.workdir);
            return Err(PullProblem::Refused(reason));
        }
        let fits = spec.platform.as_ref().is_none_or(|wanted| {
            &facts.platform == wanted || facts.platform.split('/').nth(1) == Some(wanted.as_str())
        });
        Ok(fits.then_some(facts))
    }

    async fn pull(&self, reference: &Reference, spec: &ImageSpec, progress: &ProgressSink) -> Result<(), PullProblem> {
        let key = (reference.whole(), spec.platform.clone());
        let mut pull = {
            let mut pulls = self.pulls.lock().unwrap_or_else(PoisonError::into_inner);
            pulls.entry(key.clone()).or_insert_with(|| self.begin(reference.clone(), spec)).clone()
        };
        let image = spec.reference.clone();
        let report = |state: PullProgress| {
            progress(PlacementProgress::Pulling {
                image: image.clone(),
                bytes_done: state.bytes_done,
                bytes_total: state.bytes_total,
            });
        };
        report(PullProgress::default());
        let end = loop {
            tokio::select! {
                biased;
                end = pull.end.clone() => break end,
                changed = pull.progress.changed() => match changed {
                    Ok(()) => { let state = *pull.progress.borrow_and_update(); report(state); }
                    Err(_) => break pull.end.clone().await,
                },
            }
        };
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        if end.is_ok() {
            progress(PlacementProgress::Pulled { image: spec.reference.clone() });
        }
        end
    }

    fn begin(&self, reference: Reference, spec: &ImageSpec) -> Pull {
        let (sender, progress) = watch::channel(PullProgress::default());
        let (docker, directory, platform) = (self.docker.clone(), self.config_directory.clone(), spec.platform.clone());
        let given = spec.credentials.as_ref().map(|credentials| DockerCredentials {
            username: Some(credentials.username.clone()),
            password: Some(credentials.password.expose().to_owned()),
            serveraddress: Some(reference.host.clone()),
            ..DockerCredentials::default()
        });
        let end = async move {
            let credentials = match (given, directory) {
                (Some(given), _) => Some(given),
                (None, Some(directory)) => credentials::stored(&directory, &reference.host).await?,
                (None, None) => None,
            };
            pull::pull(&docker, &reference, platform.as_deref(), credentials, &sender).await
        };
        Pull { end: end.boxed().shared(), progress }
    }
}

fn facts(reference: &str, image: ImageInspect) -> ImageFacts {
    let config = image.config.unwrap_or_default();
    let env = config.env.unwrap_or_default().into_iter();
    let test = config.healthcheck.and_then(|health| health.test).unwrap_or_default();
    let digests = image.repo_digests.unwrap_or_default();
    ImageFacts {
        reference: reference.to_owned(),
        id: image.id.unwrap_or_default(),
        digest: digests.first().and_then(|digest| digest.split_once('@')).map(|(_, digest)| digest.to_owned()),
        env: env
            .filter_map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect(),
        user: config.user.unwrap_or_default(),
        workdir: config.working_dir.unwrap_or_default(),
        has_healthcheck: test.first().is_some_and(|kind| kind != "NONE"),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        platform: format!("{}/{}", image.os.unwrap_or_default(), image.architecture.unwrap_or_default()),
    }
}
