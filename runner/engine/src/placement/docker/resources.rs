//! What a job has made in the engine, and its removal.
//!
//! Keeps a list for the ordinary way; labels are for what was not listed because a process died.

use std::sync::{Mutex, PoisonError};

use bollard::Docker;
use bollard::query_parameters::{
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use futures_util::future::join_all;

use super::connection::{message, status};
use crate::placement::{PlacementError, Removed, ResourceKind};

/// A network goes when its last container has gone; the engine may need a moment to notice.
const NETWORK_TRIES_MAX: usize = 10;

/// Things to remove.
#[derive(Debug)]
pub(super) struct Resources {
    docker: Docker,
    list: Mutex<Vec<(ResourceKind, String)>>,
}

impl Resources {
    pub(super) const fn new(docker: Docker) -> Self {
        Self { docker, list: Mutex::new(Vec::new()) }
    }

    /// Adds one.
    pub(super) fn note(&self, kind: ResourceKind, id: impl Into<String>) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push((kind, id.into()));
    }

    /// All of it.
    pub(super) fn list(&self) -> Vec<(ResourceKind, String)> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Removes all, containers first. What could not be removed stays listed.
    pub(super) async fn remove(&self) -> Result<Removed, PlacementError> {
        let list = std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner));
        let (removed, left) = remove_all(&self.docker, list).await;
        if left.is_empty() {
            return Ok(removed);
        }
        let (left, reasons) = left.into_iter().unzip();
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = left;
        Err(PlacementError::NotRemoved(reasons))
    }
}

type Left = Vec<((ResourceKind, String), String)>;

/// Removes containers, then networks and volumes, each kind at once.
pub(super) async fn remove_all(docker: &Docker, list: Vec<(ResourceKind, String)>) -> (Removed, Left) {
    let mut removed = Removed::default();
    let mut left = Left::new();
    let (containers, others): (Vec<_>, Vec<_>) =
        list.into_iter().partition(|(kind, _)| *kind == ResourceKind::Container);
    for batch in [containers, others] {
        let ends = join_all(batch.into_iter().map(|(kind, id)| async move {
            let end = remove_one(docker, kind, &id).await;
            (kind, id, end)
        }));
        for (kind, id, end) in ends.await {
            match (end, kind) {
                (Ok(()), ResourceKind::Container) => removed.containers += 1,
                (Ok(()), ResourceKind::Network) => removed.networks += 1,
                (Ok(()), ResourceKind::Volume) => removed.volumes += 1,
                (Ok(()), ResourceKind::Process) => removed.processes += 1,
                (Err(reason), _) => {
                    let text = format!("{} {id} ({reason})", name(kind));
                    left.push(((kind, id), text));
                }
            }
        }
    }
    (removed, left)
}

const fn name(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Container => "container",
        ResourceKind::Network => "network",
        ResourceKind::Volume => "volume",
        ResourceKind::Process => "process",
    }
}

async fn remove_one(docker: &Docker, kind: ResourceKind, id: &str) -> Result<(), String> {
    match kind {
        ResourceKind::Container => remove_container(docker, id).await,
        ResourceKind::Network => remove_network(docker, id).await,
        ResourceKind::Volume => {
            let options = RemoveVolumeOptionsBuilder::default().force(true).build();
            gone(docker.remove_volume(id, Some(options)).await)
        }
        ResourceKind::Process => Ok(()),
    }
}

fn gone(end: Result<(), bollard::errors::Error>) -> Result<(), String> {
    match end {
        Err(error) if status(&error) != Some(404) => Err(message(&error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Kills and removes a container with its anonymous volumes; SIGKILL at once, no stop timeout.
async fn remove_container(docker: &Docker, id: &str) -> Result<(), String> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match docker.remove_container(id, Some(options)).await {
        // Someone else removes it already: over when it is gone.
        Err(error) if status(&error) == Some(409) => {
            let options = WaitContainerOptionsBuilder::default().condition("removed").build();
            let mut waiting = docker.wait_container(id, Some(options));
            while waiting.next().await.is_some() {}
            match docker.inspect_container(id, None).await {
                Err(again) if status(&again) == Some(404) => Ok(()),
                Ok(_) | Err(_) => Err(message(&error)),
            }
        }
        end => gone(end),
    }
}

/// Removes a network; the engine may need a moment to notice that its last container has gone.
pub(super) async fn remove_network(docker: &Docker, id: &str) -> Result<(), String> {
    let mut tries = 0;
    loop {
        tries += 1;
        match gone(docker.remove_network(id).await) {
            Err(reason) if tries < NETWORK_TRIES_MAX && reason.contains("active endpoints") => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            end => return end,
        }
    }
}
