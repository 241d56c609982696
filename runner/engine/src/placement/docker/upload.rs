//! Files for a container whose engine shares no folder with this machine: archives, put in before it starts.
//!
//! What the job writes stays there; it is read through the agent.

use std::path::Path;

use bollard::Docker;
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use bollard::{body_full, body_try_stream};
use bytes::Bytes;
use tokio_util::io::{ReaderStream, SyncIoBridge};

use crate::placement::{Mount, PlacementError, docker_message};

/// Bytes between the task that packs and the one that sends.
const PIPE_BYTES: usize = 256 * 1024;

/// Files that are made in place: path in the container, content, permission bits.
pub(super) async fn put_files(
    docker: &Docker,
    container: &str,
    files: Vec<(String, Bytes, u32)>,
) -> Result<(), PlacementError> {
    let failed = |reason: String| PlacementError::File { action: "upload", path: "the agent".into(), reason };
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        let name = path.trim_start_matches('/');
        archive.append_data(&mut header, name, content.as_ref()).map_err(|error| failed(error.to_string()))?;
    }
    let bytes = archive.into_inner().map_err(|error| failed(error.to_string()))?;
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    let body = body_full(Bytes::from(bytes));
    docker.upload_to_container(container, Some(options), body).await.map_err(|error| failed(docker_message(&error)))
}

/// A folder with all that is in it; links stay links.
pub(super) async fn put_folder(docker: &Docker, container: &str, mount: &Mount) -> Result<(), PlacementError> {
    let failed = |reason: String| PlacementError::File { action: "upload", path: mount.host.clone(), reason };
    let (reader, writer) = tokio::io::duplex(PIPE_BYTES);
    let (host, inside) = (mount.host.clone(), mount.inside.trim_start_matches('/').to_owned());
    let packing = tokio::task::spawn_blocking(move || pack(&host, &inside, SyncIoBridge::new(writer)));
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    let body = body_try_stream(ReaderStream::new(reader));
    let sent = docker.upload_to_container(container, Some(options), body).await;
    let packed = packing.await.map_err(|error| failed(error.to_string()))?;
    sent.map_err(|error| failed(docker_message(&error)))?;
    packed.map_err(|error| failed(error.to_string()))
}

fn pack(host: &Path, inside: &str, writer: impl std::io::Write) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(writer);
    archive.follow_symlinks(false);
    archive.append_dir_all(inside, host)?;
    let mut writer = archive.into_inner()?;
    std::io::Write::flush(&mut writer)
}
