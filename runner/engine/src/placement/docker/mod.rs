//! Jobs in containers of a Docker engine.
//!
//! Knows nothing of workflows. In the order in which a job meets them: the engine is found ([`address`], [`connection`]),
//! the job is judged ([`options`], [`volumes`], [`ports`], [`prepared`]), made ([`start`], [`create`], [`network`],
//! [`services`], [`forward`], [`upload`], [`beside`], [`build`]), reached ([`transport`], [`job`]), taken up by a later process ([`adopt`]) and removed ([`resources`], [`leftovers`]). Some are made
//! before there is a job for them ([`warm`]).

mod address;
mod adopt;
mod apart;
mod beside;
mod build;
mod connection;
mod create;
mod dispose;
mod forsaken;
mod forward;
mod job;
mod leftovers;
mod network;
mod options;
mod ping;
mod ports;
mod prepared;
mod resources;
mod services;
mod shell;
mod start;
mod transport;
mod upload;
mod volumes;
mod warm;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bollard::Docker;
use tokio::sync::{Semaphore, mpsc};

use self::address::{Surroundings, hex};
use self::connection::Connection;
use self::job::DockerJob;
use self::prepared::Prepared;
use self::resources::Resources;
use self::start::Start;
use super::{
    Disposable, ImageOrder, JobHandle, JobSpec, LeftoverFilter, NetworkAccess, Owner, Placement, PlacementError,
    ProgressSink, Removed, Resource, ResourceKind,
};
use crate::image::{ImageFacts, Images};

pub(crate) use connection::{message as docker_message, status as docker_status};
pub use shell::ShellEnds;
pub(crate) use start::{SOCKET, SPOOL};
pub use warm::{WarmPlacement, WarmSettings};
pub(crate) use words::split as split_words;

/// Containers of jobs that are started at once. The engine is not faster with more, but each takes so much longer that
/// of a hundred the last ones are taken for dead.
const STARTING_MAX: usize = 8;

/// What the docker placement is told.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// Whose containers are made.
    pub owner: Owner,
    /// The static agent as an executable file, see [`crate::agent_binary::install`].
    pub agent: PathBuf,
    /// How agents are reached.
    pub transport: TransportChoice,
    /// No job reaches another one: those without services and of one trust share a network without traffic among them.
    pub isolate: bool,
    /// Options of containers beyond the usual ones: only `--cap-add` can be named.
    pub allowed_options: Vec<String>,
    /// Folders of this machine that `volumes:` may name, with all below them.
    pub allowed_folders: Vec<PathBuf>,
    /// A folder that every job sees at [`crate::nodes::NODES_INSIDE`], without writing to it; it exists.
    pub nodes: Option<PathBuf>,
    /// Where it is kept whose containers those are that were made ahead; absent: none are. See [`WarmPlacement`].
    pub claims: Option<PathBuf>,
}

/// How agents are reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TransportChoice {
    /// A socket where the engine runs on this machine, else the container's stdio.
    #[default]
    Auto,
    /// A socket in the shared run directory.
    Socket,
    /// The container's stdio; files travel in archives and frames.
    Stdio,
}

impl std::str::FromStr for TransportChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "socket" => Ok(Self::Socket),
            "stdio" => Ok(Self::Stdio),
            other => Err(format!("`{other}` is none of auto, socket, stdio")),
        }
    }
}

/// How an agent is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Socket,
    Stdio,
}

/// Jobs in containers.
#[derive(Debug)]
pub struct DockerPlacement {
    settings: DockerSettings,
    connection: Connection,
    images: Images,
    apart: apart::Apart,
    starting: Semaphore,
    count: AtomicU64,
    /// See [`create::Container::sets_open_files`].
    sets_open_files: AtomicBool,
}

impl DockerPlacement {
    /// Connects to the engine that `DOCKER_HOST`, the Docker context or the usual socket names.
    ///
    /// # Errors
    /// There is none, it does not run, or this user may not use it.
    pub async fn connect(settings: DockerSettings) -> Result<Self, PlacementError> {
        let connection = Connection::open(&Surroundings::of_process()).await?;
        let images = Images::new(connection.docker.clone(), address::config_directory());
        // Where this process may not have so many, the engine beside it hardly may.
        let here = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let sets = !connection.capabilities.same_kernel || here.is_ok_and(|(_, hard)| hard >= create::OPEN_FILES_MAX);
        let sets_open_files = AtomicBool::new(sets);
        let apart = apart::Apart::of(&settings.owner);
        let (starting, count) = (Semaphore::new(STARTING_MAX), AtomicU64::new(0));
        Ok(Self { settings, connection, images, apart, starting, count, sets_open_files })
    }

    /// The images of the engine.
    #[must_use]
    pub const fn images(&self) -> &Images {
        &self.images
    }

    /// The engine's client, for what is not a job: building images, say.
    #[must_use]
    pub const fn client(&self) -> &Docker {
        &self.connection.docker
    }

    /// Where the engine is and which version of its API it speaks, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let capabilities = &self.connection.capabilities;
        format!("Docker at {} (API {}.{})", capabilities.address, capabilities.api.0, capabilities.api.1)
    }

    fn whose(&self) -> leftovers::Whose<'_> {
        (&self.settings.owner, self.settings.claims.as_deref())
    }

    fn sets_open_files(&self) -> bool {
        self.sets_open_files.load(Ordering::Relaxed)
    }

    fn transport(&self) -> Transport {
        match self.settings.transport {
            TransportChoice::Auto if self.connection.capabilities.same_kernel => Transport::Socket,
            TransportChoice::Socket => Transport::Socket,
            TransportChoice::Auto | TransportChoice::Stdio => Transport::Stdio,
        }
    }

    async fn start_over(
        &self,
        (spec, known): (&JobSpec, Option<&ImageFacts>),
        progress: &ProgressSink,
        transport: Transport,
    ) -> Result<DockerJob, PlacementError> {
        let unique = hex(&transport::unique(self.count.fetch_add(1, Ordering::Relaxed))[..4]);
        let prepared = Prepared::new(spec, &self.settings, &unique)?;
        let resources = Arc::new(Resources::new(self.connection.docker.clone()));
        let start =
            Start { placement: self, spec, prepared: &prepared, resources: &resources, progress, transport, known };
        match start.run().await {
            Ok(job) => Ok(job),
            Err(error) => {
                if let Err(left) = resources.remove().await {
                    tracing::warn!(%left, "a job that could not be placed was not removed whole");
                }
                Err(error)
            }
        }
    }

    /// As [`Placement::start`]; `known` is the job's image, if somebody has looked already.
    async fn start_job(
        &self,
        spec: &JobSpec,
        known: Option<&ImageFacts>,
        progress: &ProgressSink,
    ) -> Result<DockerJob, PlacementError> {
        // An image for another platform than the engine's own is looked for with the options.
        let known = known.filter(|_| !spec.options.contains("platform"));
        let mut transport = self.transport();
        let mut network_is_gone = false;
        loop {
            let error = match self.start_over((spec, known), progress, transport).await {
                Ok(job) => return Ok(job),
                Err(error) => error,
            };
            let PlacementError::Engine { action: _, reason } = &error else { return Err(error) };
            let auto = self.settings.transport == TransportChoice::Auto && transport == Transport::Socket;
            if reason.contains("setting rlimit") && self.sets_open_files.swap(false, Ordering::Relaxed) {
                tracing::debug!("this engine may not set limits of open files");
            } else if auto && reason.contains("bind source path does not exist") {
                // Same kernel, other files: pipe itself runs in a container that has the engine's socket.
                transport = Transport::Stdio;
            } else if !network_is_gone && reason.contains("network pipe-jobs-") && reason.contains("not found") {
                // A person has removed what nobody used, between our look at it and its use.
                network_is_gone = true;
            } else {
                return Err(error);
            }
        }
    }
}

#[async_trait]
impl Placement for DockerPlacement {
    async fn start(&self, spec: JobSpec, progress: ProgressSink) -> Result<Arc<dyn JobHandle>, PlacementError> {
        Ok(Arc::new(self.start_job(&spec, None, &progress).await?))
    }

    async fn adopt(&self, record: &serde_json::Value) -> Result<Arc<dyn JobHandle>, PlacementError> {
        let record = serde::Deserialize::deserialize(record).map_err(|error| PlacementError::Agent {
            reason: format!("cannot be found: its record is not understood ({error})"),
        })?;
        Ok(Arc::new(self.adopt_record(record).await?))
    }

    async fn ours(&self) -> Result<Vec<Resource>, PlacementError> {
        leftovers::ours(&self.connection, self.whose()).await
    }

    async fn remove_leftovers(&self, filter: LeftoverFilter) -> Result<Removed, PlacementError> {
        if filter == LeftoverFilter::Forsaken {
            return forsaken::remove(&self.connection).await;
        }
        leftovers::remove(&self.connection, self.whose(), &filter).await
    }

    async fn forsaken(&self) -> Result<Vec<(ResourceKind, String)>, PlacementError> {
        forsaken::list(&self.connection).await
    }

    async fn root(&self) -> Option<std::path::PathBuf> {
        dispose::root(&self.connection).await
    }

    async fn disposable(&self) -> Result<Vec<Disposable>, PlacementError> {
        dispose::all(&self.connection, &self.settings.owner).await
    }

    async fn dispose(&self, one: &Disposable) -> Result<(), PlacementError> {
        dispose::remove(&self.connection, one).await
    }

    async fn build(&self, order: ImageOrder, said: mpsc::UnboundedSender<String>) -> Result<String, PlacementError> {
        let docker = &self.connection.docker;
        let network = match network::Plan::of(false, NetworkAccess::Internet, self.settings.isolate, order.trust) {
            network::Plan::Apart { trust } => self.apart.ensure(docker, trust).await,
            network::Plan::Shared | network::Plan::None | network::Plan::Own { .. } => None,
        };
        build::build(&self.connection, &self.settings.owner, order, (network, said)).await
    }

    async fn close(&self) {
        self.apart.remove(&self.connection.docker).await;
    }
}
