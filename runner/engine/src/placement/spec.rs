//! What a job asks of a placement. Everything is evaluated; nothing here has been checked against the engine.
//!
//! Not the workflow model: see crate `workflow`.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use workflow::secret::{Names, Secret};

/// A job to place.
pub struct JobSpec {
    /// Who it is, for labels and names.
    pub identity: JobIdentity,
    /// Whether it stands for a runner machine or for a `container:` on one.
    pub shape: JobShape,
    /// What it runs in; unused on the host.
    pub image: ImageSpec,
    /// Environment of the container, over that of the image.
    pub env: IndexMap<String, String>,
    /// User of the steps: `name`, `uid` or `uid:gid`; absent: that of the image.
    pub user: Option<String>,
    /// Working directory of the container.
    pub workdir: String,
    /// Socket, spool, command files, scripts.
    pub run_directory: RunDirectory,
    /// Folders of this machine that the job sees.
    pub mounts: Vec<Mount>,
    /// `services:`.
    pub services: Vec<ServiceSpec>,
    /// `container.options`, as written.
    pub options: String,
    /// `container.volumes`, as written.
    pub volumes: Vec<String>,
    /// `container.ports`, as written.
    pub ports: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// What it may reach.
    pub network: NetworkAccess,
    /// Whom it may share containers with that were made ahead: those of the same word. Absent: none are used.
    pub trust: Option<&'static str>,
    /// The job that it stands beside; absent for jobs themselves.
    pub beside: Option<Beside>,
}

/// What a container shares with that of a job: its network, and folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The container of the job.
    pub container: String,
    /// Those of the mounts, as they are inside, that lie in a folder where the job's steps can put links. It is looked that
    /// they are what they should be before anything can run.
    pub of_job: Vec<String>,
}

/// An image to build from a Dockerfile.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOrder {
    /// The folder of this machine that it is built of; a job's steps may have changed it.
    pub folder: PathBuf,
    /// Where in it; no link is followed on the way.
    pub below: PathBuf,
    /// Its Dockerfile there.
    pub dockerfile: String,
    /// Says what the folder holds; absent: its content does.
    pub key: Option<String>,
    /// What each of its steps may use; their processes are not counted, since the engine counts none in builds.
    pub limits: Limits,
    /// How long it may take.
    pub time: Duration,
    /// In whose network its steps are: that of jobs of the same word. Absent: in the engine's own.
    pub trust: Option<&'static str>,
}

impl std::fmt::Debug for JobSpec {
    /// Without what expressions may have put a secret into.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("JobSpec");
        shown.field("identity", &self.identity).field("shape", &self.shape).field("image", &self.image);
        shown.field("env", &Names(&self.env)).field("mounts", &self.mounts).field("services", &self.services);
        shown.finish_non_exhaustive()
    }
}

/// Names a job of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobIdentity {
    /// Id of the run.
    pub run: String,
    /// Key of the job, unique in the run (matrix leg included).
    pub job: String,
    /// Attempt, from 1.
    pub attempt: u32,
}

/// How services are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum JobShape {
    /// `runs-on:` alone: services are at `localhost:<mapped port>` (and by name as well).
    #[default]
    Runner,
    /// `container:`: services are at `<service id>:<port>`.
    Container,
}

/// An image and how to get it.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    /// As written: `postgres:15`, `ghcr.io/a/b@sha256:…`, an id; a leading `docker://` is dropped.
    pub reference: String,
    /// `credentials:`.
    pub credentials: Option<Credentials>,
    /// When to pull.
    pub pull: PullPolicy,
    /// `linux/arm64` and the like; absent: that of the engine.
    pub platform: Option<String>,
}

impl ImageSpec {
    /// An image that is pulled where it is missing, with the credentials of the user's Docker configuration.
    #[must_use]
    pub fn new(reference: impl Into<String>) -> Self {
        Self { reference: reference.into(), credentials: None, pull: PullPolicy::Missing, platform: None }
    }
}

/// `credentials:` of a container.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// User name at the registry.
    pub username: String,
    /// Password or token.
    pub password: Secret,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// When it is not here.
    #[default]
    Missing,
    /// Every time.
    Always,
    /// Not at all: a missing image is an error.
    Never,
}

/// A directory for one job that engine and agent share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDirectory {
    /// On this machine; made by the caller, removed by the caller. Its path must be short enough for a socket in it
    /// (90 bytes).
    pub host: PathBuf,
    /// As the job sees it, such as `/__pipe`. On the host placement: equal to `host`.
    pub inside: String,
}

/// A folder of this machine that the job sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// On this machine.
    pub host: PathBuf,
    /// As the job sees it.
    pub inside: String,
    /// Whether the job may not write there.
    pub read_only: bool,
}

/// A service container.
pub struct ServiceSpec {
    /// Key in `services:`; its host name on the network.
    pub id: String,
    /// Its image.
    pub image: ImageSpec,
    /// `env:`.
    pub env: IndexMap<String, String>,
    /// `ports:`, as written: `5432`, `8080:80`, `5353:53/udp`.
    pub ports: Vec<String>,
    /// `volumes:`, as written.
    pub volumes: Vec<String>,
    /// `options:`, as written.
    pub options: String,
    /// `entrypoint:`.
    pub entrypoint: Option<String>,
    /// `command:`.
    pub command: Option<String>,
    /// What it may use.
    pub limits: Limits,
}

impl std::fmt::Debug for ServiceSpec {
    /// Without what expressions may have put a secret into.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ServiceSpec");
        shown.field("id", &self.id).field("image", &self.image).field("env", &Names(&self.env));
        shown.finish_non_exhaustive()
    }
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Memory in bytes, swap included; absent: no limit.
    pub memory_bytes: Option<u64>,
    /// Processors; absent: no limit.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: None, cpus: None, pids: 4096 }
    }
}

/// What a job may reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NetworkAccess {
    /// Everything that the engine's network reaches.
    #[default]
    Internet,
    /// Its services only.
    ServicesOnly,
}
