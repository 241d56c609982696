//! A job in its container: commands, files, the end.
//!
//! How it came to be is in [`super::start`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::adopt::Record;
use super::resources::Resources;
use crate::placement::client::AgentClient;
use crate::placement::shared_files::{SharedFiles, Unreached};
use crate::placement::{Exec, ExecId, ExecRequest, JobFacts, JobHandle, Ladder, PlacementError};

/// See [`JobHandle`].
#[derive(Debug)]
pub(super) struct DockerJob {
    pub(super) client: AgentClient,
    pub(super) resources: Arc<Resources>,
    /// Absent with a remote engine.
    pub(super) files: Option<Arc<SharedFiles>>,
    /// What it is, also for a process to come.
    pub(super) record: Record,
}

impl DockerJob {
    fn complete(&self, request: ExecRequest) -> ExecRequest {
        request.completed(self.record.user.as_ref(), &self.record.workdir)
    }
}

#[async_trait]
impl JobHandle for DockerJob {
    fn facts(&self) -> &JobFacts {
        &self.record.facts
    }

    async fn exec(&self, request: ExecRequest) -> Result<Exec, PlacementError> {
        self.client.exec(self.complete(request)).map_err(agent)
    }

    async fn take_up(&self, request: ExecRequest, from: u64) -> Result<Exec, PlacementError> {
        self.client.take_up(self.complete(request), from).map_err(agent)
    }

    fn record(&self) -> serde_json::Value {
        serde_json::to_value(&self.record).unwrap_or_default()
    }

    fn keep(&self, other: &dyn JobHandle) {
        let Ok(record) = serde_json::from_value::<Record>(other.record()) else { return };
        record.resources.into_iter().for_each(|(kind, id)| self.resources.note(kind, id));
    }

    async fn cancel(&self, exec: ExecId, ladder: Ladder) -> Result<(), PlacementError> {
        self.client.cancel(exec, ladder).map_err(agent)
    }

    async fn write_file(&self, path: &str, content: Bytes, mode: u32) -> Result<(), PlacementError> {
        if let Some(files) = &self.files {
            match files.write(path, &content, mode) {
                Ok(()) => return Ok(()),
                Err(Unreached::Failed(reason)) => return Err(file("write", path, reason)),
                Err(Unreached::AskAgent) => {}
            }
        }
        self.client.write_file(path, mode, content).await.map_err(|reason| file("write", path, reason))
    }

    async fn read_file(&self, path: &str, bytes_max: u64) -> Result<Option<Bytes>, PlacementError> {
        if let Some(files) = &self.files {
            match files.read(path, bytes_max) {
                Ok(content) => return Ok(content),
                Err(Unreached::Failed(reason)) => return Err(file("read", path, reason)),
                Err(Unreached::AskAgent) => {}
            }
        }
        self.client.read_file(path, bytes_max).await.map_err(|reason| file("read", path, reason))
    }

    async fn remove_path(&self, path: &str) -> Result<(), PlacementError> {
        match self.client.remove(path).await {
            // The folder of a mount cannot go, its content has gone.
            Err(reason) if !reason.to_ascii_lowercase().contains("busy") => Err(file("remove", path, reason)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn stop(&self) -> Result<(), PlacementError> {
        self.client.expect_end();
        self.resources.remove().await?;
        if let Some(claim) = &self.record.claim {
            // One that stays says of a container that is gone whose it was; the next start removes it.
            let _kept = std::fs::remove_file(claim);
        }
        Ok(())
    }
}

fn agent(reason: String) -> PlacementError {
    PlacementError::Agent { reason }
}

fn file(action: &'static str, path: &str, reason: String) -> PlacementError {
    PlacementError::File { action, path: path.into(), reason }
}
