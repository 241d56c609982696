//! Taking up a job that another process of this installation started, from what its handle had recorded.
//!
//! The container and its agent outlive the process that made them; commands go on where they are.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DockerPlacement;
use super::job::DockerJob;
use super::resources::Resources;
use super::start::SOCKET;
use super::transport::{SocketTransport, StdioTransport};
use crate::placement::client::{AgentClient, Connect, SocketPath};
use crate::placement::shared_files::SharedFiles;
use crate::placement::{JobFacts, Mount, PlacementError, ResourceKind, RunDirectory};

/// What is recorded of a placed job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) facts: JobFacts,
    /// The engine's things that belong to it.
    pub(super) resources: Vec<(ResourceKind, String)>,
    pub(super) user: Option<String>,
    pub(super) workdir: String,
    pub(super) mounts: Vec<Mount>,
    pub(super) run_directory: RunDirectory,
    /// How frames on the container's stdio are told from other bytes; absent: the agent listens on a socket.
    pub(super) stdio_token: Option<String>,
    /// Says that a container which was made ahead is this job's, see [`super::warm::claims`].
    #[serde(default)]
    pub(super) claim: Option<std::path::PathBuf>,
    /// The agent's name of its own, see [`AgentClient::boot_id`].
    #[serde(default)]
    pub(super) boot_id: Option<String>,
}

impl DockerPlacement {
    pub(super) async fn adopt_record(&self, record: Record) -> Result<DockerJob, PlacementError> {
        let failed = |reason: String| PlacementError::Agent { reason };
        let docker = &self.connection.docker;
        let container = record.facts.container_id.clone().unwrap_or_default();
        let transport: Arc<dyn Connect> = match &record.stdio_token {
            Some(token) => Arc::new(StdioTransport { docker: docker.clone(), container, token: token.clone() }),
            None => {
                let socket = SocketPath::new(&record.run_directory.host.join(SOCKET))
                    .map_err(|error| failed(format!("has no socket: {error}")))?;
                Arc::new(SocketTransport { docker: docker.clone(), container, socket })
            }
        };
        // Why it is gone says more than that its socket is.
        if let Some(reason) = transport.autopsy().await {
            return Err(failed(reason));
        }
        let client = AgentClient::start_known(transport, record.boot_id.as_deref()).await.map_err(failed)?;
        let resources = Resources::new(docker.clone());
        for (kind, id) in &record.resources {
            resources.note(*kind, id.clone());
        }
        Ok(DockerJob::new(client, Arc::new(resources), record))
    }
}

impl DockerJob {
    /// A container that was made ahead is a job's from now on.
    pub(super) fn become_the_job(&mut self, record: Record) {
        self.files = Some(Arc::new(SharedFiles::new(&record.mounts, &record.run_directory)));
        self.record = record;
    }

    pub(super) fn new(client: AgentClient, resources: Arc<Resources>, record: Record) -> Self {
        let shared = record.stdio_token.is_none();
        let files = shared.then(|| Arc::new(SharedFiles::new(&record.mounts, &record.run_directory)));
        Self { client, resources, files, record }
    }
}
