//! Images of actions, built from the Dockerfile in their folder. One that was built stays, under a name that says of what.
//!
//! The folder may be one that a job's steps write to, so it is packed without following any link. Not the built-in action that
//! builds images of a workflow: that is in crate `pipelines`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

use bollard::Docker;
use bollard::query_parameters::BuildImageOptionsBuilder;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use super::connection::{Connection, message, refused, status, url_safe_credentials};
use super::words;
use crate::image::to_the_end;
use crate::inside::{EntryKind, Inside};
use crate::placement::owner::Owner;
use crate::placement::{ImageOrder, Limits, PlacementError};

/// What such images are called before the `:`.
const REPOSITORY: &str = "pipe-action";
/// How the instruction begins that the engine adds for it.
const OWN_LABEL: &str = " : LABEL dev.pipe.owner=";
/// Most bytes of an action's folder.
const CONTEXT_BYTES_MAX: u64 = 2 << 30;
/// How many folders may lie in each other.
const DEPTH_MAX: usize = 256;
/// Bytes of a digest that a name has.
const NAME_BYTES: usize = 16;

/// What a share of processor time is of, in microseconds.
const PERIOD: f64 = 100_000.0;

/// Builds it, unless it is there: in this network, telling what the engine says. Gives its id.
pub(super) async fn build(
    connection: &Connection,
    owner: &Owner,
    order: ImageOrder,
    (network, said): (Option<String>, mpsc::UnboundedSender<String>),
) -> Result<String, PlacementError> {
    let time = order.time;
    // Hanging up ends the build.
    match tokio::time::timeout(time, built(connection, owner, order, (network, said))).await {
        Ok(built) => built,
        Err(_elapsed) => Err(failed(format!("it took longer than {} seconds", time.as_secs()))),
    }
}

fn failed(reason: String) -> PlacementError {
    PlacementError::Engine { action: "build the action's image".to_owned(), reason }
}

async fn built(
    connection: &Connection,
    owner: &Owner,
    order: ImageOrder,
    (network, said): (Option<String>, mpsc::UnboundedSender<String>),
) -> Result<String, PlacementError> {
    let known = order.key.as_ref().map(|key| name(&[key, &order.dockerfile]));
    if let Some(id) = find(connection, known.as_deref()).await? {
        return Ok(id);
    }
    let (folder, below, dockerfile) = (order.folder, order.below, order.dockerfile.clone());
    let packing = tokio::task::spawn_blocking(move || packed(&folder, &below, &dockerfile));
    let packed = packing.await.map_err(|error| failed(error.to_string()))?;
    let (context, digest) = packed.map_err(|error| failed(error.to_string()))?;
    let name = known.unwrap_or_else(|| name(&[&digest, &order.dockerfile]));
    if let Some(id) = find(connection, Some(&name)).await? {
        return Ok(id);
    }
    // Without what says of the process: it would be another image each time.
    let labels = owner.own_labels().into_iter().filter(|(name, _)| Owner::lasts(name));
    let labels: HashMap<String, String> = labels.collect();
    let options = BuildImageOptionsBuilder::default().dockerfile(&order.dockerfile).t(&name).labels(&labels);
    let options = network.iter().fold(options, |options, network| options.networkmode(network));
    let options = options.rm(true).forcerm(true).build();
    let body = bollard::body_try_stream(ReaderStream::new(tokio::fs::File::from_std(context)));
    let docker = limited(&connection.docker, order.limits);
    let mut events = Box::pin(to_the_end(docker.build_image(options, None, Some(body))));
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| failed(message(&error)))?;
        if let Some(problem) = event.error_detail.and_then(|detail| detail.message) {
            return Err(failed(problem));
        }
        for line in event.stream.iter().flat_map(|text| text.lines()).filter_map(worth_a_line) {
            // Whoever listens may have gone.
            let _gone = said.send(line);
        }
    }
    let built = find(connection, Some(&name)).await?;
    built.ok_or_else(|| failed("Docker ended the build without an image".to_owned()))
}

/// A client whose builds have limits, as <https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageBuild>
/// names them. Bollard has 32 bits for each of them, which is too little for memory.
fn limited(docker: &Docker, limits: Limits) -> Docker {
    let asked = asked(limits);
    docker.clone().with_request_modifier(move |request| {
        let mut request = url_safe_credentials(request);
        if let Ok(uri) = format!("{}{asked}", request.uri()).parse() {
            *request.uri_mut() = uri;
        }
        request
    })
}

/// Limits as they stand behind other parameters. Equal to memory: no swap on top of it.
fn asked(limits: Limits) -> String {
    let memory = limits.memory_bytes.map(|bytes| format!("&memory={bytes}&memswap={bytes}"));
    let cpus = limits.cpus.map(|cpus| {
        let (period, quota) = (words::truncate(PERIOD), words::truncate(cpus * PERIOD));
        format!("&cpuperiod={period}&cpuquota={quota}")
    });
    memory.unwrap_or_default() + &cpus.unwrap_or_default()
}

/// Not names of layers, which say nothing to a person, nor our own label, which is the last of the steps.
fn worth_a_line(line: &str) -> Option<String> {
    let noise = [" --->", "Removing intermediate container", "Successfully built", "Successfully tagged"];
    if line.trim().is_empty() || noise.iter().any(|noise| line.starts_with(noise)) || line.contains(OWN_LABEL) {
        return None;
    }
    let counted = || {
        let (number, rest) = line.strip_prefix("Step ")?.split_once('/')?;
        let (count, rest) = rest.split_once(' ')?;
        Some(format!("Step {number}/{} {rest}", count.parse::<u32>().ok()?.checked_sub(1)?))
    };
    Some(counted().unwrap_or_else(|| line.trim_end().to_owned()))
}

async fn find(connection: &Connection, name: Option<&str>) -> Result<Option<String>, PlacementError> {
    let Some(name) = name else { return Ok(None) };
    match connection.docker.inspect_image(name).await {
        Ok(found) => Ok(found.id),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(refused("look for the action's image")(error)),
    }
}

fn name(parts: &[&String]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    digest.iter().take(NAME_BYTES).fold(format!("{REPOSITORY}:"), |mut name, byte| {
        let _infallible = write!(name, "{byte:02x}");
        name
    })
}

/// The folder as an archive, from its first byte, and the digest of that.
fn packed(folder: &Path, below: &Path, dockerfile: &str) -> io::Result<(File, String)> {
    let root = Inside::workspace(folder)?.folder(below)?;
    // Said before everything is packed, and in words that name the file.
    root.file(Path::new(dockerfile)).map_err(|error| io::Error::other(format!("{dockerfile}: {error}")))?;
    let mut archive = tar::Builder::new(tempfile::tempfile()?);
    let mut room = CONTEXT_BYTES_MAX;
    pack(&root, Path::new(""), (&mut archive, &mut room), DEPTH_MAX)?;
    let mut file = archive.into_inner()?;
    file.rewind()?;
    let mut digest = Sha256::new();
    io::copy(&mut file, &mut digest)?;
    file.rewind()?;
    let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((file, digest))
}

fn pack(
    folder: &Inside,
    below: &Path,
    (archive, room): (&mut tar::Builder<File>, &mut u64),
    depth: usize,
) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other("the folder of the action is too deep"));
    }
    for name in folder.names()? {
        let (path, facts) = (below.join(&name), folder.facts(&name)?);
        let mut header = tar::Header::new_gnu();
        header.set_mode(facts.mode);
        header.set_size(0);
        match facts.kind {
            EntryKind::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                archive.append_data(&mut header, &path, io::empty())?;
                pack(&folder.folder(Path::new(&name))?, &path, (&mut *archive, &mut *room), depth - 1)?;
            }
            EntryKind::File => {
                let file = folder.file(Path::new(&name))?;
                let bytes = file.metadata()?.len();
                let too_large = || io::Error::other("the folder of the action has more than 2 GiB");
                *room = room.checked_sub(bytes).ok_or_else(too_large)?;
                header.set_size(bytes);
                // One that grows meanwhile is cut, one that shrinks fails.
                archive.append_data(&mut header, &path, file.take(bytes))?;
            }
            EntryKind::Link => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, &path, folder.link(&name)?)?;
            }
            EntryKind::Other => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_build() {
        let limits = |memory_bytes, cpus| Limits { memory_bytes, cpus, ..Limits::default() };
        assert_eq!(asked(limits(None, None)), "");
        assert_eq!(asked(limits(Some(8 << 30), None)), "&memory=8589934592&memswap=8589934592");
        assert_eq!(asked(limits(None, Some(1.5))), "&cpuperiod=100000&cpuquota=150000");
    }

    #[test]
    fn what_is_shown_of_a_build() {
        for (line, expect) in [
            ("Step 2/4 : COPY a b", Some("Step 2/3 : COPY a b")),
            ("Step 4/4 : LABEL dev.pipe.owner=1", None),
            (" ---> 1234", None),
            ("Step by step", Some("Step by step")),
            ("", None),
        ] {
            assert_eq!(worth_a_line(line).as_deref(), expect);
        }
    }

    #[test]
    fn a_folder_is_packed_without_following_links() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        std::fs::create_dir_all(folder.join("c")).unwrap();
        std::fs::write(folder.join("Dockerfile"), "FROM scratch").unwrap();
        std::fs::write(folder.join("c/d"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
        let (file, digest) = packed(&folder, Path::new(""), "Dockerfile").unwrap();
        let mut archive = tar::Archive::new(file);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().display().to_string(), entry.header().entry_type(), entry.size())
        });
        use tar::EntryType::{Directory, Regular, Symlink};
        assert_eq!(
            entries.collect::<Vec<_>>(),
            [
                ("Dockerfile".to_owned(), Regular, 12),
                ("c".to_owned(), Directory, 0),
                ("c/d".to_owned(), Regular, 1),
                ("link".to_owned(), Symlink, 0),
            ]
        );
        assert_eq!(
            packed(&folder, Path::new(""), "Dockerfile").unwrap().1,
            digest,
            "the same folder has the same digest"
        );
        assert!(packed(&folder, Path::new(""), "c/Dockerfile").unwrap_err().to_string().contains("c/Dockerfile"));
        std::os::unix::fs::symlink("/etc/passwd", folder.join("c/Dockerfile")).unwrap();
        assert!(packed(&folder, Path::new(""), "c/Dockerfile").is_err(), "a link in the place of the Dockerfile");
        std::os::unix::fs::symlink("/etc", root.path().join("a/out")).unwrap();
        assert!(packed(root.path(), Path::new("a/out"), "passwd").is_err(), "a link in the place of the folder");
    }
}
