//! What of this installation is in the engine, and the removal of what nobody owns any more.
//!
//! Judges by labels alone, since who made it may be gone.

use std::collections::HashMap;
use std::path::Path;

use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder};

use super::connection::{Connection, refused};
use super::resources::remove_all;
use super::warm::{RUN, claims};
use crate::placement::owner::{LABEL_JOB, LABEL_OWNER, LABEL_PROCESS, LABEL_RUN, Owner, ProcessMark};
use crate::placement::{LeftoverFilter, PlacementError, Removed, Resource, ResourceKind};

/// Which installation, and the folder that says whose job has which container of those that were made ahead.
pub(super) type Whose<'a> = (&'a Owner, Option<&'a Path>);

/// A resource and the mark of its process.
struct Found {
    resource: Resource,
    mark: String,
}

/// Which job has taken what was made ahead.
struct Claims(HashMap<String, (String, String)>);

impl Claims {
    fn read(folder: Option<&Path>) -> Self {
        Self(folder.map(claims::all).unwrap_or_default())
    }

    /// What was made ahead carries its own name in place of a job's. One that nobody has taken belongs to no run.
    fn settle(&self, mut found: Found) -> Found {
        let resource = &mut found.resource;
        if resource.run == RUN
            && let Some((run, job)) = self.0.get(&resource.job)
        {
            (resource.run, resource.job) = (run.clone(), job.clone());
        }
        found
    }
}

async fn find(connection: &Connection, (owner, claims): Whose<'_>) -> Result<Vec<Found>, PlacementError> {
    let docker = &connection.docker;
    let filter: HashMap<&str, Vec<String>> =
        [("label", vec![format!("{LABEL_OWNER}={}", owner.installation())])].into();
    let containers = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let networks = ListNetworksOptionsBuilder::default().filters(&filter).build();
    let volumes = ListVolumesOptionsBuilder::default().filters(&filter).build();
    let (containers, networks, volumes) = tokio::join!(
        docker.list_containers(Some(containers)),
        docker.list_networks(Some(networks)),
        docker.list_volumes(Some(volumes)),
    );
    let claims = Claims::read(claims);
    let judge = |kind, id, labels| claims.settle(judge(kind, id, labels));
    let mut found = Vec::new();
    for container in containers.map_err(refused("list containers"))? {
        found.extend(container.id.map(|id| judge(ResourceKind::Container, id, container.labels.unwrap_or_default())));
    }
    for network in networks.map_err(refused("list networks"))? {
        found.extend(network.id.map(|id| judge(ResourceKind::Network, id, network.labels.unwrap_or_default())));
    }
    for volume in volumes.map_err(refused("list volumes"))?.volumes.unwrap_or_default() {
        found.push(judge(ResourceKind::Volume, volume.name, volume.labels));
    }
    Ok(found)
}

fn judge(kind: ResourceKind, id: String, mut labels: HashMap<String, String>) -> Found {
    let mut label = |name: &str| labels.remove(name).unwrap_or_default();
    let mark = label(LABEL_PROCESS);
    let owner_alive = ProcessMark::parse(&mark).is_some_and(|mark| mark.is_alive());
    Found { resource: Resource { kind, id, run: label(LABEL_RUN), job: label(LABEL_JOB), owner_alive }, mark }
}

/// All that this installation has in the engine.
pub(super) async fn ours(connection: &Connection, whose: Whose<'_>) -> Result<Vec<Resource>, PlacementError> {
    Ok(find(connection, whose).await?.into_iter().map(|found| found.resource).collect())
}

/// Removes what `filter` names.
pub(super) async fn remove(
    connection: &Connection,
    whose: Whose<'_>,
    filter: &LeftoverFilter,
) -> Result<Removed, PlacementError> {
    let wanted = |found: &Found| match filter {
        LeftoverFilter::Abandoned => !found.resource.owner_alive,
        LeftoverFilter::AbandonedBut(kept) => {
            let job = (found.resource.run.clone(), found.resource.job.clone());
            !found.resource.owner_alive && !kept.contains(&job)
        }
        LeftoverFilter::Own => found.mark == whose.0.process(),
        LeftoverFilter::Run(run) => found.resource.run == *run,
        LeftoverFilter::Job { run, job } => found.resource.run == *run && found.resource.job == *job,
        // That is looked for among what others have.
        LeftoverFilter::Forsaken => false,
    };
    let list = find(connection, whose).await?.into_iter().filter(wanted);
    let list = list.map(|found| (found.resource.kind, found.resource.id)).collect();
    let (removed, left) = remove_all(&connection.docker, list).await;
    if left.is_empty() {
        return Ok(removed);
    }
    Err(PlacementError::NotRemoved(left.into_iter().map(|(_, text)| text).collect()))
}
