//! What of this installation is in the engine, and the removal of what nobody owns any more.
//!
//! Judges by labels alone, since who made it may be gone.

use std::collections::HashMap;

use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder};

use super::connection::{Connection, refused};
use super::resources::remove_all;
use crate::placement::owner::{LABEL_JOB, LABEL_OWNER, LABEL_PROCESS, LABEL_RUN, Owner, ProcessMark};
use crate::placement::{LeftoverFilter, PlacementError, Removed, Resource, ResourceKind};

/// A resource and the mark of its process.
struct Found {
    resource: Resource,
    mark: String,
}

async fn find(connection: &Connection, owner: &Owner) -> Result<Vec<Found>, PlacementError> {
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
pub(super) async fn ours(connection: &Connection, owner: &Owner) -> Result<Vec<Resource>, PlacementError> {
    Ok(find(connection, owner).await?.into_iter().map(|found| found.resource).collect())
}

/// Removes what `filter` names.
pub(super) async fn remove(
    connection: &Connection,
    owner: &Owner,
    filter: &LeftoverFilter,
) -> Result<Removed, PlacementError> {
    let wanted = |found: &Found| match filter {
        LeftoverFilter::Abandoned => !found.resource.owner_alive,
        LeftoverFilter::Own => found.mark == owner.process(),
        LeftoverFilter::Run(run) => found.resource.run == *run,
        LeftoverFilter::Job { run, job } => found.resource.run == *run && found.resource.job == *job,
    };
    let list = find(connection, owner).await?.into_iter().filter(wanted);
    let list = list.map(|found| (found.resource.kind, found.resource.id)).collect();
    let (removed, left) = remove_all(&connection.docker, list).await;
    if left.is_empty() {
        return Ok(removed);
    }
    Err(PlacementError::NotRemoved(left.into_iter().map(|(_, text)| text).collect()))
}
