//! Placing a job: start something that runs an agent, talk to it, remove it. The port and its types.
//!
//! Knows nothing of workflows, steps or expressions; whoever calls has evaluated everything. A new engine (Swarm, ECS,
//! Kubernetes) is one more implementation of [`Placement`]. See ARCHITECTURE.md, decision 5.

mod client;
mod docker;
mod error;
mod exec;
mod host;
mod owner;
mod shared_files;
#[cfg(test)]
pub(crate) mod simulated;
mod spec;

pub(crate) use docker::{docker_message, docker_status, split_words};

pub use docker::{DockerPlacement, DockerSettings, ShellEnds, TransportChoice, WarmPlacement, WarmSettings};
pub use error::{Blame, PlacementError, SERVICE_LOG_LINES_MAX, ServiceFailure};
pub use exec::{Acknowledgement, Exec, ExecEvent, ExecId, ExecOutcome, ExecRequest, Ladder, Usage};
pub use host::HostPlacement;
pub use owner::Owner;
pub(crate) use owner::boot_id;
pub use spec::{
    Beside, Credentials, ImageOrder, ImageSpec, JobIdentity, JobShape, JobSpec, Limits, Mount, NetworkAccess,
    PullPolicy, RunDirectory, ServiceSpec,
};

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Somewhere that jobs can run.
#[async_trait]
pub trait Placement: Send + Sync + std::fmt::Debug {
    /// Starts a job: image, services, network, container, agent. Returns when steps can be executed and every service is
    /// healthy.
    ///
    /// # Errors
    /// Whatever stood in the way; everything that had been made by then is removed again.
    async fn start(&self, spec: JobSpec, progress: ProgressSink) -> Result<Arc<dyn JobHandle>, PlacementError>;

    /// Takes up a job that another process of this installation started; `record` is what its handle gave
    /// ([`JobHandle::record`]).
    ///
    /// # Errors
    /// It does not run any more, or cannot be reached. What is left of it is not removed.
    async fn adopt(&self, record: &serde_json::Value) -> Result<Arc<dyn JobHandle>, PlacementError>;

    /// What this installation has created and not yet removed, whichever process did.
    ///
    /// # Errors
    /// The engine cannot be asked.
    async fn ours(&self) -> Result<Vec<Resource>, PlacementError>;

    /// Removes what `filter` names. Never touches what another living process of ours owns, unless that very run is named.
    ///
    /// # Errors
    /// The engine cannot be asked, or refuses a removal.
    async fn remove_leftovers(&self, filter: LeftoverFilter) -> Result<Removed, PlacementError>;

    /// Where the engine keeps its data, if that is on this machine.
    async fn root(&self) -> Option<std::path::PathBuf> {
        None
    }

    /// What this installation has made for longer than a job, and no container has: it may go where room is needed.
    ///
    /// # Errors
    /// The engine cannot be asked.
    async fn disposable(&self) -> Result<Vec<Disposable>, PlacementError> {
        Ok(Vec::new())
    }

    /// What [`LeftoverFilter::Forsaken`] would remove, by the engine's ids and names.
    ///
    /// # Errors
    /// The engine cannot be asked.
    async fn forsaken(&self) -> Result<Vec<(ResourceKind, String)>, PlacementError> {
        Ok(Vec::new())
    }

    /// Removes it, unless a container has it by now.
    ///
    /// # Errors
    /// The engine refused.
    async fn dispose(&self, one: &Disposable) -> Result<(), PlacementError> {
        Err(PlacementError::NotRemoved(vec![one.name.clone()]))
    }

    /// A job like this one is about to be asked for: what can be made ahead may be. Its folders need not be there.
    async fn expect(&self, spec: JobSpec) {
        drop(spec);
    }

    /// Builds an image, unless the same was built before; gives its id. `said` gets what the engine says of it.
    ///
    /// # Errors
    /// It cannot be built.
    async fn build(&self, order: ImageOrder, said: mpsc::UnboundedSender<String>) -> Result<String, PlacementError> {
        drop(said);
        let (action, reason) = (format!("build {}", order.dockerfile), "there is no container engine here".to_owned());
        Err(PlacementError::Engine { action, reason })
    }

    /// The process ends: removes what belongs to no job. Jobs that run stay.
    async fn close(&self) {}
}

/// A job that has been placed.
#[async_trait]
pub trait JobHandle: Send + Sync + std::fmt::Debug {
    /// Facts for the contexts `job.container.*` and `job.services.*`.
    fn facts(&self) -> &JobFacts;

    /// Starts a command. Several may run at once.
    ///
    /// # Errors
    /// The agent is gone. That the command cannot be started is an [`ExecOutcome`].
    async fn exec(&self, request: ExecRequest) -> Result<Exec, PlacementError>;

    /// Goes on with a command that another process may have started under the name in `request`: at byte `from` of its
    /// output, or the first one that is still there. One that never arrived is started now.
    ///
    /// # Errors
    /// The agent is gone, or the request has no name.
    async fn take_up(&self, request: ExecRequest, from: u64) -> Result<Exec, PlacementError>;

    /// What another process needs to take the job up, as JSON; it holds no secrets.
    fn record(&self) -> serde_json::Value;

    /// From now on [`Self::stop`] removes what was made for `other` as well, which stands beside this job.
    fn keep(&self, other: &dyn JobHandle) {
        let _: &dyn JobHandle = other;
    }

    /// Begins to end a command: SIGINT, then SIGTERM, then SIGKILL to all that it started. Its outcome arrives as always.
    ///
    /// # Errors
    /// The agent is gone.
    async fn cancel(&self, exec: ExecId, ladder: Ladder) -> Result<(), PlacementError>;

    /// Writes a whole file at a path of the job, with its folders.
    ///
    /// # Errors
    /// It cannot be written there.
    async fn write_file(&self, path: &str, content: Bytes, mode: u32) -> Result<(), PlacementError>;

    /// Reads a file at a path of the job, at most `bytes_max` of it. `None`: there is none.
    ///
    /// # Errors
    /// It cannot be read, or is longer.
    async fn read_file(&self, path: &str, bytes_max: u64) -> Result<Option<Bytes>, PlacementError>;

    /// Removes a path of the job with all that is in it, as the job's root: files there may belong to users that this
    /// process may not touch. A mounted folder itself stays, empty.
    ///
    /// # Errors
    /// It cannot be removed.
    async fn remove_path(&self, path: &str) -> Result<(), PlacementError>;

    /// Ends everything in the job and removes what `start` made. Idempotent. Commands that still run are lost.
    ///
    /// # Errors
    /// Something could not be removed; it is named, and the next [`Placement::remove_leftovers`] tries again.
    async fn stop(&self) -> Result<(), PlacementError>;
}

/// Facts about a placed job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JobFacts {
    /// Whose container it is: `job.container` is of one that the workflow asks for.
    #[serde(default)]
    pub shape: JobShape,
    /// The container that steps run in, the workflow's own or that of the runner; absent on the host.
    pub container_id: Option<String>,
    /// The name or id of the network that job and services share.
    pub network: Option<String>,
    /// The image as it was resolved; absent on the host.
    pub image: Option<crate::image::ImageFacts>,
    /// `job.services.<id>`.
    pub services: IndexMap<String, ServiceFacts>,
    /// Why a service does not run or is not healthy, with the end of its log. The job has failed then, but what of its
    /// steps runs after a failure can run.
    pub services_problem: Option<String>,
    /// The run directory as the job sees it.
    pub run_directory: String,
    /// A folder in the job that holds a program `sudo` which runs its arguments. For the end of PATH.
    pub sudo_directory: Option<String>,
    /// The agent's program, as the job sees it.
    #[serde(default)]
    pub agent: Option<String>,
    /// Whether paths of [`Mount`]s are the same files on this machine: false with a remote engine, where only
    /// `write_file` and `read_file` reach them.
    pub files_are_shared: bool,
}

/// Facts about a service container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceFacts {
    /// `job.services.<id>.id`.
    pub container_id: String,
    /// `job.services.<id>.network`.
    pub network: String,
    /// `job.services.<id>.ports`: port in the service's container → port on the job's localhost.
    pub ports: IndexMap<u16, u16>,
}

/// Something in the engine that carries our labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its id; for volumes the name.
    pub id: String,
    /// The run that it belongs to.
    pub run: String,
    /// The key of the job that it belongs to.
    pub job: String,
    /// Whether the process that created it still runs.
    pub owner_alive: bool,
}

/// Something in the engine that is not needed by what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposable {
    /// What it is.
    pub kind: DisposableKind,
    /// Its id; for volumes the name.
    pub id: String,
    /// For people.
    pub name: String,
    /// All names that it goes by: ids, tags, digests.
    pub names: Vec<String>,
    /// What it takes of the disk if nothing else shares it; 0 where nobody knows.
    pub bytes: u64,
    /// When it was made, in seconds since 1970; 0 where nobody knows.
    pub used: u64,
}

/// Kinds of [`Disposable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisposableKind {
    /// Built by a step.
    Image,
    /// Of a job that is gone.
    Volume,
}

impl DisposableKind {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Volume => "volume",
        }
    }
}

/// Kinds of [`Resource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// Of a job or a service.
    Container,
    /// Of a job with services.
    Network,
    /// Named in `volumes:`.
    Volume,
    /// An agent on this machine.
    Process,
}

/// What [`Placement::remove_leftovers`] removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftoverFilter {
    /// What a process left that is gone. For the start of every command.
    Abandoned,
    /// The same, but not of these jobs, by run and key: their places are kept.
    AbandonedBut(std::collections::BTreeSet<(String, String)>),
    /// All that this process made. For the second Ctrl-C.
    Own,
    /// What jobs of installations of this machine left whose folder is gone, so that nobody comes back for it.
    Forsaken,
    /// All of one run, whoever owns it.
    Run(String),
    /// All of one job run, whoever owns it.
    Job {
        /// Id of its run.
        run: String,
        /// Its key.
        job: String,
    },
}

/// How many of each were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Containers.
    pub containers: usize,
    /// Networks.
    pub networks: usize,
    /// Volumes.
    pub volumes: usize,
    /// Agents on this machine.
    pub processes: usize,
}

/// Receives what happens while a job is being placed. Called often; must not block.
pub type ProgressSink = Arc<dyn Fn(PlacementProgress) + Send + Sync>;

/// What happens while a job is being placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacementProgress {
    /// An image is not here and is being pulled.
    Pulling {
        /// The image.
        image: String,
        /// Received so far, over all layers that have told their size.
        bytes_done: u64,
        /// The sum of those sizes.
        bytes_total: u64,
    },
    /// A pull has ended.
    Pulled {
        /// The image.
        image: String,
    },
    /// A service container runs.
    ServiceStarted {
        /// Key in `services:`.
        service: String,
    },
    /// A service's health check has not passed yet.
    ServiceWaiting {
        /// Key in `services:`.
        service: String,
    },
    /// A service is ready: healthy, or it has no health check.
    ServiceReady {
        /// Key in `services:`.
        service: String,
    },
    /// Steps can run.
    Ready,
}

impl PlacementProgress {
    /// Changes the text that somebody else wrote.
    pub(crate) fn each_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        match self {
            Self::Pulling { image, .. } | Self::Pulled { image } => change(image),
            Self::ServiceStarted { service } | Self::ServiceWaiting { service } | Self::ServiceReady { service } => {
                change(service);
            }
            Self::Ready => {}
        }
    }
}
