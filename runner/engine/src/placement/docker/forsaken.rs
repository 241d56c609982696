//! What jobs of other installations left whose folder is gone: nobody starts there any more to remove it.
//!
//! Whose a container is, a label tells as a digest of the machine and the folder. The folder is found among those that the
//! container has mounted, by that same digest, so what another machine left on a shared engine is never taken for ours.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder};

use super::connection::{Connection, refused};
use super::resources::remove_all;
use crate::placement::owner::{LABEL_APART, LABEL_OWNER, LABEL_PROCESS, LABEL_RUN, Owner, ProcessMark};
use crate::placement::{PlacementError, Removed, ResourceKind};

/// Removes containers, networks and volumes of jobs of such installations.
pub(super) async fn remove(connection: &Connection) -> Result<Removed, PlacementError> {
    let (removed, left) = remove_all(&connection.docker, list(connection).await?).await;
    if left.is_empty() {
        return Ok(removed);
    }
    Err(PlacementError::NotRemoved(left.into_iter().map(|(_, text)| text).collect()))
}

/// What [`remove`] would remove, by the engine's ids and names.
pub(super) async fn list(connection: &Connection) -> Result<Vec<(ResourceKind, String)>, PlacementError> {
    let docker = &connection.docker;
    let of_jobs: HashMap<&str, Vec<&str>> = [("label", vec![LABEL_OWNER, LABEL_RUN])].into();
    let containers = ListContainersOptionsBuilder::default().all(true).filters(&of_jobs).build();
    let containers = docker.list_containers(Some(containers)).await.map_err(refused("list containers"))?;
    let mut list = Vec::new();
    for (installation, ids) in forsaken(&containers) {
        list.extend(ids.into_iter().map(|id| (ResourceKind::Container, id)));
        let owner = format!("{LABEL_OWNER}={installation}");
        // The networks that its jobs shared carry another label; nothing else has it.
        for label in [owner.clone(), format!("{LABEL_APART}={installation}")] {
            let filter: HashMap<&str, Vec<String>> = [("label", vec![label])].into();
            let networks = ListNetworksOptionsBuilder::default().filters(&filter).build();
            let networks = docker.list_networks(Some(networks)).await.map_err(refused("list networks"))?;
            let ids = networks.into_iter().filter_map(|network| network.id);
            list.extend(ids.map(|id| (ResourceKind::Network, id)));
        }
        let filter: HashMap<&str, Vec<String>> = [("label", vec![owner])].into();
        let volumes = ListVolumesOptionsBuilder::default().filters(&filter).build();
        let volumes = docker.list_volumes(Some(volumes)).await.map_err(refused("list volumes"))?;
        let names = volumes.volumes.unwrap_or_default().into_iter().map(|volume| volume.name);
        list.extend(names.map(|name| (ResourceKind::Volume, name)));
    }
    Ok(list)
}

/// Containers of installations whose folder is gone, and of which no process lives.
fn forsaken(containers: &[ContainerSummary]) -> BTreeMap<&str, Vec<String>> {
    let mut all: BTreeMap<&str, Vec<&ContainerSummary>> = BTreeMap::new();
    for container in containers {
        if let Some(installation) = label(container, LABEL_OWNER) {
            all.entry(installation).or_default().push(container);
        }
    }
    all.retain(|installation, theirs| {
        theirs.iter().all(|container| is_dead(container))
            && theirs.iter().any(|container| has_no_folder(container, installation))
    });
    all.into_iter().map(|(of, theirs)| (of, theirs.iter().filter_map(|one| one.id.clone()).collect())).collect()
}

fn label<'a>(container: &'a ContainerSummary, name: &str) -> Option<&'a str> {
    container.labels.as_ref()?.get(name).map(String::as_str)
}

/// Who made it lives no more; what cannot be read was made by somebody else.
fn is_dead(container: &ContainerSummary) -> bool {
    let mark = label(container, LABEL_PROCESS).and_then(ProcessMark::parse);
    mark.is_some_and(|mark| !mark.is_alive())
}

/// Whether it has something mounted from below the installation's folder, which is not there.
fn has_no_folder(container: &ContainerSummary, installation: &str) -> bool {
    let sources = container.mounts.iter().flatten().filter_map(|mount| mount.source.as_deref());
    let mut folders = sources.flat_map(|source| Path::new(source).ancestors());
    let folder = folders.find(|folder| Owner::installation_of(folder) == installation);
    // One that cannot be looked at may be there.
    folder.is_some_and(|folder| matches!(folder.try_exists(), Ok(false)))
}

#[cfg(test)]
mod tests {
    use bollard::models::MountPoint;

    use super::*;

    const DEAD: &str = "1:1:another-boot:1";

    fn container(id: &str, folder: &Path, mark: &str, mounted: &Path) -> ContainerSummary {
        let labels = [(LABEL_OWNER, Owner::installation_of(folder)), (LABEL_PROCESS, mark.to_owned())];
        let source = Some(mounted.display().to_string());
        ContainerSummary {
            id: Some(id.to_owned()),
            labels: Some(labels.map(|(name, value)| (name.to_owned(), value)).into()),
            mounts: Some(vec![MountPoint { source, ..MountPoint::default() }]),
            ..ContainerSummary::default()
        }
    }

    #[test]
    fn only_what_nobody_comes_back_for() {
        let scratch = tempfile::tempdir().unwrap();
        let (here, gone) = (scratch.path().join("here"), scratch.path().join("gone"));
        std::fs::create_dir(&here).unwrap();
        let alive = ProcessMark::of(std::process::id()).unwrap().to_string();
        let check = |containers: &[ContainerSummary], expected: &[&str]| {
            let found: Vec<String> = forsaken(containers).into_values().flatten().collect();
            assert_eq!(found, expected);
        };
        let left = || container("left", &gone, DEAD, &gone.join("run/ahead/x"));
        // One of an installation tells where its folder was; the others are its too.
        let beside = container("beside", &gone, DEAD, Path::new("/elsewhere"));
        check(&[left(), beside.clone()], &["left", "beside"]);
        check(&[beside], &[]);
        check(&[container("kept", &here, DEAD, &here.join("run"))], &[]);
        // Somebody of it lives, or cannot be judged.
        check(&[left(), container("lives", &gone, &alive, &gone)], &[]);
        check(&[left(), container("unknown", &gone, "what", &gone)], &[]);
        check(&[left(), container("other", &gone, DEAD.replace(":1", ":2").as_str(), &gone)], &["left", "other"]);
        // A folder of the same name on another machine.
        let mut theirs = left();
        theirs.labels.as_mut().unwrap().insert(LABEL_OWNER.to_owned(), "0123456789abcdef".to_owned());
        check(&[theirs], &[]);
    }
}
