//! What is scanned: a word of a person becomes an image, an archive or a folder, and that a source that can be read.
//!
//! An image of the local daemon is read from the daemon's own folders where they are overlay2's and may be read; otherwise
//! its file system is streamed out of a container that is made for it, never started, and removed. Nothing is saved to a
//! disk on the way, and nothing is pulled.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptionsBuilder};
use futures_util::StreamExt as _;
use scanners::source::{Held, OverlayImage, Source, SourceError};

use crate::docker::{Docker, words};
use crate::pieces::Pieces;

/// Pieces of a stream that wait to be read.
const PIECES_MAX: usize = 8;

/// What is scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An image of the local daemon, by name, tag, digest or id.
    Image(String),
    /// An image too, since nothing lies at a path of that name.
    Guessed(String),
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
    /// Docker is not there, and nobody said that it is an image.
    #[error("{name} is no file or folder here, so it was taken for an image, and {reason}")]
    NothingHere {
        /// As named.
        name: String,
        /// Why Docker cannot be asked.
        reason: String,
    },
    /// No such image.
    #[error("there is no image {0} here: pull or build it first, or give an archive of `docker save`")]
    NoImage(String),
    /// No such image, and nobody said that it is one.
    #[error(
        "{0} is no file or folder here, and there is no image of that name either: pull or build it first, or give an \
         archive of `docker save`"
    )]
    Nothing(String),
    /// A file or folder is not there, or may not be read.
    #[error("{0}")]
    Files(String),
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
    image: Option<String>,
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
        // No word here is one that an image may have before its tag, but for `image` itself: `docker:24-dind` is an image.
        match text.split_once(':') {
            Some(("image", rest)) => return Self::Image(rest.to_owned()),
            Some(("archive" | "docker-archive" | "oci-archive", rest)) => {
                let (file, name) = named(rest);
                return Self::Archive { file, name };
            }
            Some(("oci", rest)) => {
                let (folder, name) = named(rest);
                return Self::Layout { folder, name };
            }
            Some(("rootfs", rest)) => return Self::Root(PathBuf::from(rest)),
            Some(("dir", rest)) => return Self::Repository(PathBuf::from(rest)),
            Some(_) | None => {}
        }
        let (path, name) = named(text);
        Self::at(path, name).unwrap_or_else(|| Self::Guessed(text.to_owned()))
    }

    /// What lies at a path, if anything does.
    #[must_use]
    pub fn at(path: PathBuf, name: Option<String>) -> Option<Self> {
        Some(match Source::at(&path, name.as_deref()) {
            Ok(Source::OciLayout { .. }) => Self::Layout { folder: path, name },
            Ok(Source::RootFolder(_)) => Self::Root(path),
            Ok(Source::Repository(_)) => Self::Repository(path),
            // No path is one of the last two. What may not be read is said when it is opened.
            Ok(Source::Archive { .. } | Source::Export(_) | Source::Overlay(_)) => Self::Archive { file: path, name },
            Err(SourceError::NotFound { .. }) => return None,
            Err(_unreadable) => Self::Archive { file: path, name },
        })
    }
}

/// Makes a target readable. Containers that it takes carry `labels`.
///
/// # Errors
/// Docker, the image, the file or the folder is not there. What is in a file is looked at when it is read.
pub async fn open(target: Target, labels: HashMap<String, String>) -> Result<Opened, TargetError> {
    let held = |path: &Path| match Held::at(path) {
        Ok(held) => Ok(held),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(TargetError::Files(format!("{} is not there", path.display())))
        }
        Err(error) => Err(TargetError::Files(format!("{} cannot be read: {error}", path.display()))),
    };
    let source = match target {
        Target::Image(name) => return of_image(name, labels).await,
        Target::Guessed(name) => {
            return of_image(name.clone(), labels).await.map_err(|error| match error {
                TargetError::Docker(reason) => TargetError::NothingHere { name, reason },
                TargetError::NoImage(name) => TargetError::Nothing(name),
                error @ (TargetError::NothingHere { .. }
                | TargetError::Nothing(_)
                | TargetError::Files(_)
                | TargetError::Unreadable { .. }) => error,
            });
        }
        Target::Archive { file, name } => Source::Archive { file: held(&file)?, name },
        Target::Layout { folder, name } => Source::OciLayout { folder: held(&folder)?, name },
        Target::Root(folder) => Source::RootFolder(held(&folder)?),
        Target::Repository(folder) => Source::Repository(held(&folder)?),
    };
    Ok(Opened::of(source))
}

impl Opened {
    /// What is open already.
    #[must_use]
    pub const fn of(source: Source) -> Self {
        Self { source, image: None, container: None }
    }

    /// Id of the image, where it is one of the daemon's.
    #[must_use]
    pub fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

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
        return Ok(Opened { source: Source::Overlay(image), image: Some(id), container: None });
    }
    // By its id: a name may be moved in between.
    let body = ContainerCreateBody {
        image: Some(id.clone()),
        cmd: Some(vec!["never-started".to_owned()]),
        labels: Some(labels),
        network_disabled: Some(true),
        ..ContainerCreateBody::default()
    };
    let created = docker.client.create_container(None::<CreateContainerOptions>, body).await;
    let container = created.map_err(|error| unreadable(&error))?.id;
    let stream = exported(docker.clone(), container.clone());
    Ok(Opened { source: Source::Export(Box::new(stream)), image: Some(id), container: Some((docker, container)) })
}

/// The stream of `docker export`, for code that waits.
fn exported(docker: Docker, container: String) -> Pieces {
    let (sender, pieces) = Pieces::of(PIECES_MAX);
    tokio::spawn(async move {
        let mut stream = Box::pin(docker.client.export_container(&container));
        while let Some(piece) = stream.next().await {
            // Whoever read has seen enough, or the stream has ended.
            if sender.send(piece.map_err(|error| words(&error))).await.is_err() {
                break;
            }
        }
    });
    pieces
}
