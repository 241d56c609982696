//! What is scanned: a word of a person becomes an image, an archive or a folder, and that a source that can be read.
//!
//! An image of the local daemon is read from the daemon's own folders where they are overlay2's and may be read; otherwise
//! its file system is streamed out of a container that is made for it, never started, and removed. Nothing is saved to a
//! disk on the way, and nothing is pulled.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptionsBuilder};
use bytes::Bytes;
use futures_util::StreamExt as _;
use scanners::source::{OverlayImage, Source};
use tokio::sync::mpsc;

use crate::docker::{Docker, words};

/// Pieces of a stream that wait to be read.
const PIECES_MAX: usize = 8;
/// What is scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An image of the local daemon, by name, tag, digest or id.
    Image(String),
    /// A file that `docker save` or the like made; `name` chooses among several images.
    Archive {
        /// The file.
        file: PathBuf,
        /// Which image of it.
        name: Option<String>,
    },
    /// A folder in OCI's layout.
    Layout {
        /// The folder.
        folder: PathBuf,
        /// Which image of it.
        name: Option<String>,
    },
    /// A file system that lies in a folder.
    Root(PathBuf),
    /// Sources with their lock files.
    Repository(PathBuf),
}

/// Why there is nothing to scan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Docker is not there, or its address is none.
    #[error("{0}")]
    Docker(String),
    /// No such image.
    #[error(
        "there is no image {0} here: pull or build it first, or give an archive of `docker save`; a file or folder of \
         that name there is not either"
    )]
    NoImage(String),
    /// Docker said no.
    #[error("the image {image} cannot be read: {reason}")]
    Unreadable {
        /// As named.
        image: String,
        /// Docker's words.
        reason: String,
    },
}

/// A target that can be read, and what is to be removed when it was.
#[derive(Debug)]
pub struct Opened {
    /// To be read once.
    pub source: Source,
    container: Option<(Docker, String)>,
}

impl Target {
    /// What a word means: with a prefix (`image:`, `archive:`, `oci:`, `rootfs:`, `dir:`) what that says, otherwise what
    /// lies at that path, and an image where nothing does. An archive or layout may name one of its images behind `#`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let named = |rest: &str| match rest.split_once('#') {
            Some((path, name)) if !name.is_empty() => (PathBuf::from(path), Some(name.to_owned())),
            Some(_) | None => (PathBuf::from(rest), None),
        };
        match text.split_once(':') {
            Some(("image" | "docker", rest)) => return Self::Image(rest.to_owned()),
            Some(("archive" | "docker-archive" | "oci-archive", rest)) => {
                let (file, name) = named(rest);
                return Self::Archive { file, name };
            }
            Some(("oci", rest)) => {
                let (folder, name) = named(rest);
                return Self::Layout { folder, name };
            }
            Some(("rootfs", rest)) => return Self::Root(PathBuf::from(rest)),
            Some(("dir" | "repo", rest)) => return Self::Repository(PathBuf::from(rest)),
            Some(_) | None => {}
        }
        let (path, name) = named(text);
        Self::at(&path, name).unwrap_or_else(|| Self::Image(text.to_owned()))
    }

    /// What lies at a path, if anything does.
    #[must_use]
    pub fn at(path: &Path, name: Option<String>) -> Option<Self> {
        if !path.exists() {
            return None;
        }
        Some(match Source::at(path, name.as_deref()) {
            Source::Archive { file, name } => Self::Archive { file, name },
            Source::OciLayout { folder, name } => Self::Layout { folder, name },
            Source::RootFolder(folder) => Self::Root(folder),
            Source::Repository(folder) => Self::Repository(folder),
            // No path is one of these.
            Source::Export(_) | Source::Overlay(_) => return None,
        })
    }

    /// Whether it is sources and not something installed.
    #[must_use]
    pub const fn is_repository(&self) -> bool {
        matches!(self, Self::Repository(_))
    }
}

/// Makes a target readable. Containers that it takes carry `labels`.
///
/// # Errors
/// Docker or the image is not there. Files are looked at when they are read.
pub async fn open(target: Target, labels: HashMap<String, String>) -> Result<Opened, TargetError> {
    let source = match target {
        Target::Image(name) => return of_image(name, labels).await,
        Target::Archive { file, name } => Source::Archive { file, name },
        Target::Layout { folder, name } => Source::OciLayout { folder, name },
        Target::Root(folder) => Source::RootFolder(folder),
        Target::Repository(folder) => Source::Repository(folder),
    };
    Ok(Opened { source, container: None })
}

impl Opened {
    /// The source, to be read; what is left is to be [`removed`](Leftover::remove) afterwards.
    #[must_use]
    pub fn take(self) -> (Source, Leftover) {
        (self.source, Leftover(self.container))
    }
}

/// What a source leaves behind.
#[derive(Debug)]
pub struct Leftover(Option<(Docker, String)>);

impl Leftover {
    /// Removes it.
    ///
    /// # Errors
    /// Docker says no; it carries our labels, so clean-up finds it.
    pub async fn remove(self) -> Result<(), String> {
        let Some((docker, id)) = self.0 else { return Ok(()) };
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = docker.client.remove_container(&id, Some(options)).await;
        removed.map_err(|error| format!("a container that was made to be read is left: {}", words(&error)))
    }
}

async fn of_image(name: String, labels: HashMap<String, String>) -> Result<Opened, TargetError> {
    let docker = Docker::connect().await.map_err(TargetError::Docker)?;
    let unreadable =
        |error: &bollard::errors::Error| TargetError::Unreadable { image: name.clone(), reason: words(error) };
    let found = docker.client.inspect_image(&name).await.map_err(|error| {
        let is_missing =
            matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, message: _ });
        if is_missing { TargetError::NoImage(name.clone()) } else { unreadable(&error) }
    })?;
    let found = serde_json::to_value(&found).unwrap_or_default();
    let id = found.get("Id").and_then(serde_json::Value::as_str).unwrap_or(&name).to_owned();
    if let Some(image) = OverlayImage::from_inspect(&found)
        && image.folders.iter().all(|folder| std::fs::read_dir(folder).is_ok())
    {
        return Ok(Opened { source: Source::Overlay(image), container: None });
    }
    // By its id: a name may be moved in between.
    let body = ContainerCreateBody {
        image: Some(id),
        cmd: Some(vec!["never-started".to_owned()]),
        labels: Some(labels),
        network_disabled: Some(true),
        ..ContainerCreateBody::default()
    };
    let created = docker.client.create_container(None::<CreateContainerOptions>, body).await;
    let container = created.map_err(|error| unreadable(&error))?.id;
    let stream = Exported::of(docker.clone(), container.clone());
    Ok(Opened { source: Source::Export(Box::new(stream)), container: Some((docker, container)) })
}

/// The stream of `docker export`, for code that waits.
struct Exported {
    pieces: mpsc::Receiver<Result<Bytes, String>>,
    rest: Bytes,
}

impl Exported {
    fn of(docker: Docker, container: String) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        tokio::spawn(async move {
            let mut stream = Box::pin(docker.client.export_container(&container));
            while let Some(piece) = stream.next().await {
                // Whoever read has seen enough, or the stream has ended.
                if sender.send(piece.map_err(|error| words(&error))).await.is_err() {
                    break;
                }
            }
        });
        Self { pieces, rest: Bytes::new() }
    }
}

impl Read for Exported {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.rest = piece,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}
