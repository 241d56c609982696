//! A job that has its place: what is known of it, also to a process that takes it up, and its removal.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use workflow::run::{JobRunKey, RunEvent};

use super::environment::JobPaths;
use super::pre::PreStep;
use super::run::JobSettings;
use super::serving::ServingRecord;
use crate::placement::{JobHandle, RunDirectory, boot_id};
use crate::serving::Served;
use crate::step::WorkspaceFacts;
use crate::store::RunId;

/// A job that has its place.
pub(super) struct Placed {
    pub(super) handle: Arc<dyn JobHandle>,
    pub(super) record: PlacedRecord,
    /// The services of its steps, where it has any.
    pub(super) served: Option<Arc<Served>>,
}

/// What is known of a job's place, also to a process to come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlacedRecord {
    /// Whether it is this machine itself.
    pub(super) on_host: bool,
    /// The placement's own record.
    pub(super) handle: serde_json::Value,
    /// For a person: `docker: node:20-bookworm-slim`, `this machine`.
    pub(super) runner: String,
    pub(super) paths: JobPaths,
    pub(super) workspace: WorkspaceFacts,
    pub(super) run_directory: RunDirectory,
    pub(super) own_path: String,
    pub(super) has_bash: bool,
    pub(super) folders: Vec<PathBuf>,
    /// Folders of actions of other repositories, as the job sees them, by `owner/repo@ref`.
    #[serde(default)]
    pub(super) actions: BTreeMap<String, String>,
    /// Where those lie in the store, and their commits.
    #[serde(default)]
    pub(super) sources: BTreeMap<String, (PathBuf, Option<String>)>,
    /// Its `pre` parts, in their order.
    #[serde(default)]
    pub(super) pres: Vec<PreStep>,
    /// Of which start of the machine; absent where nobody knows.
    #[serde(default)]
    pub(super) boot: Option<String>,
    /// What its services need.
    #[serde(default)]
    pub(super) serving: Option<ServingRecord>,
    /// Absent in the run that made it.
    #[serde(default)]
    pub(super) again: Option<Again>,
}

/// A place that another run goes on in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Again {
    /// The how manieth time: names of commands are not used twice in one container.
    pub(super) round: u8,
    /// The run that made the place.
    pub(super) made_by: RunId,
}

impl PlacedRecord {
    /// The fact that a job run has it.
    pub(super) fn placed(&self, key: &JobRunKey) -> RunEvent {
        let pre = u32::try_from(self.pres.len()).unwrap_or(u32::MAX);
        RunEvent::JobRunPlaced { key: key.clone(), runner: self.runner.clone(), pre }
    }

    /// Takes up the job that another process placed.
    pub(super) async fn adopt(self, settings: &JobSettings) -> Result<Placed, String> {
        let here = boot_id();
        let again = self.boot.is_some() && here.is_some() && self.boot != here;
        self.adopt_here(settings).await.map_err(|reason| match again {
            true => format!("the machine was started again ({reason})"),
            false => reason,
        })
    }

    async fn adopt_here(self, settings: &JobSettings) -> Result<Placed, String> {
        let placement = match (self.on_host, &settings.docker) {
            (true, _) => &settings.host,
            (false, Some(docker)) => docker,
            (false, None) => return Err(settings.docker_problem.clone().unwrap_or_default()),
        };
        let handle = placement.adopt(&self.handle).await.map_err(|error| error.to_string())?;
        Ok(Placed { handle, record: self, served: None })
    }

    /// Removes the folders of a job whose container or agent is gone.
    pub(super) fn remove_folders(&self) -> Result<(), String> {
        remove(&self.folders)
    }
}

impl Placed {
    /// Removes the job's container or agent and its folders. What cannot be removed is named.
    pub(super) async fn stop(self) -> Result<(), String> {
        if let Some(served) = &self.served {
            served.lease.over();
        }
        let stopped = self.handle.stop().await.map_err(|error| error.to_string());
        let folders = self.record.folders.clone();
        let removed = tokio::task::spawn_blocking(move || remove(&folders))
            .await
            .unwrap_or_else(|error| Err(format!("could not remove the job's folders: {error}")));
        stopped.and(removed)
    }
}

fn remove(folders: &[PathBuf]) -> Result<(), String> {
    let left: Vec<_> = folders
        .iter()
        .filter_map(|folder| match std::fs::remove_dir_all(folder) {
            Err(error) if folder.exists() => Some(format!("{}: {error}", folder.display())),
            Ok(()) | Err(_) => None,
        })
        .collect();
    if left.is_empty() { Ok(()) } else { Err(format!("could not remove {}", left.join(", "))) }
}
