//! Images that steps have built and volumes of jobs that are gone: which there are, and their removal where room is needed.
//!
//! Only what carries the label of this installation is looked at, and nothing that a container has, running or not.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use bollard::models::ImageSummary;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListVolumesOptionsBuilder, RemoveImageOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};

use super::connection::{Connection, refused};
use crate::placement::owner::{LABEL_OWNER, LABEL_PROCESS, Owner, ProcessMark};
use crate::placement::{Disposable, DisposableKind, PlacementError};

/// Where the engine keeps its data, if that is here.
pub(super) async fn root(connection: &Connection) -> Option<PathBuf> {
    if !connection.capabilities.same_kernel {
        return None;
    }
    let root = PathBuf::from(connection.docker.info().await.ok()?.docker_root_dir?);
    root.exists().then_some(root)
}

/// What may go.
pub(super) async fn all(connection: &Connection, owner: &Owner) -> Result<Vec<Disposable>, PlacementError> {
    let docker = &connection.docker;
    let label = format!("{LABEL_OWNER}={}", owner.installation());
    let labelled: HashMap<&str, Vec<String>> = [("label", vec![label.clone()])].into();
    let unused: HashMap<&str, Vec<String>> = [("label", vec![label]), ("dangling", vec!["true".to_owned()])].into();
    let images = ListImagesOptionsBuilder::default().filters(&labelled).build();
    let volumes = ListVolumesOptionsBuilder::default().filters(&unused).build();
    let containers = ListContainersOptionsBuilder::default().all(true).build();
    // Images first: one that a container takes meanwhile is seen with that, and one that is made meanwhile is not seen.
    let images = docker.list_images(Some(images)).await.map_err(refused("list images"))?;
    let volumes = docker.list_volumes(Some(volumes)).await.map_err(refused("list volumes"))?;
    let containers = docker.list_containers(Some(containers)).await.map_err(refused("list containers"))?;
    let in_use: HashSet<String> = containers.into_iter().filter_map(|container| container.image_id).collect();
    let mut found: Vec<_> = images
        .into_iter()
        .filter(|image| !in_use.contains(&image.id))
        .map(|image| Disposable {
            kind: DisposableKind::Image,
            name: name(&image.repo_tags, &image.id),
            names: names(&image),
            bytes: u64::try_from(image.size).unwrap_or(0),
            used: u64::try_from(image.created).unwrap_or(0),
            id: image.id,
        })
        .collect();
    // A living process may be about to make the container of its volume.
    let is_left = |labels: &HashMap<String, String>| {
        let mark = labels.get(LABEL_PROCESS).and_then(|mark| ProcessMark::parse(mark));
        mark.is_none_or(|mark| !mark.is_alive())
    };
    let volumes = volumes.volumes.unwrap_or_default().into_iter().filter(|volume| is_left(&volume.labels));
    found.extend(volumes.map(|volume| Disposable {
        kind: DisposableKind::Volume,
        id: volume.name.clone(),
        names: vec![volume.name.clone()],
        name: volume.name,
        bytes: 0,
        used: 0,
    }));
    Ok(found)
}

/// Tags, digests and id, which plans of deployments name it by.
fn names(image: &ImageSummary) -> Vec<String> {
    [image.repo_tags.as_slice(), image.repo_digests.as_slice(), std::slice::from_ref(&image.id)].concat()
}

/// Its first tag, or the beginning of its id.
fn name(tags: &[String], id: &str) -> String {
    let tag = tags.iter().find(|tag| !tag.contains("<none>"));
    tag.cloned().unwrap_or_else(|| id.trim_start_matches("sha256:").chars().take(12).collect())
}

/// Removes one; the engine refuses what a container has.
pub(super) async fn remove(connection: &Connection, one: &Disposable) -> Result<(), PlacementError> {
    let docker = &connection.docker;
    match one.kind {
        DisposableKind::Volume => {
            let options = RemoveVolumeOptionsBuilder::default().force(false).build();
            docker.remove_volume(&one.id, Some(options)).await.map_err(refused("remove a volume"))
        }
        DisposableKind::Image => {
            let options = || RemoveImageOptionsBuilder::default().force(false).build();
            let tags = docker.inspect_image(&one.id).await.map_err(refused("look at an image"))?.repo_tags;
            // One with several names goes with the last of them.
            let names = tags.filter(|tags| !tags.is_empty()).unwrap_or_else(|| vec![one.id.clone()]);
            for name in names {
                docker.remove_image(&name, Some(options()), None).await.map_err(refused("remove an image"))?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_name_for_people() {
        let check = |tags: &[&str], expect: &str| {
            let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            assert_eq!(name(&tags, "sha256:0123456789abcdef"), expect);
        };
        check(&["shop/web:1", "shop/web:2"], "shop/web:1");
        check(&["<none>:<none>"], "0123456789ab");
        check(&[], "0123456789ab");
    }
}
