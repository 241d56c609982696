//! Where an image or folder is read from: archives, layouts, the daemon's own folders, streams.
//!
//! A source knows images, layers and files; what files mean is `inventory`'s affair. Nothing is unpacked onto a disk, no
//! link is followed, and content that nobody asks for is not read where it can be jumped over. Follows the OCI image-spec
//! (<https://github.com/opencontainers/image-spec>) and Docker's image-spec v1.2 (`manifest.json` of `docker save`).

pub(crate) mod daemon;
pub(crate) mod folder;
mod held;
pub(crate) mod image;
mod input;
pub(crate) mod layer;
mod random;
mod store;
mod tar;
mod walk;

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use self::held::Held;
pub use self::random::{Random, RandomReader};
pub(crate) use self::store::{Store, explain};
pub(crate) use self::walk::HEAD_BYTES;
pub use self::walk::{Content, Node, Visitor};
use crate::package::Layer;

/// What to scan.
pub enum Source {
    /// A file that `docker save`, `skopeo copy docker-archive:` or `oci-archive:` made; compressed as a whole or not.
    /// The name chooses among several images.
    Archive { file: Held, name: Option<String> },
    /// A folder with `index.json` and `blobs`.
    OciLayout { folder: Held, name: Option<String> },
    /// The tar of one file system, once, in order, without layers: `docker export`.
    Export(Box<dyn Read + Send>),
    /// The folders of overlay2 from the lowest to the uppermost; reading them takes root.
    Overlay(OverlayImage),
    /// A file system that lies in a folder: what is installed counts.
    RootFolder(Held),
    /// Sources: lock files count, what they made (`node_modules`) does not.
    Repository(Held),
}

/// An image of a daemon that keeps layers as folders (Docker's overlay2).
#[derive(Debug, Clone, Default)]
pub struct OverlayImage {
    pub image_id: Option<String>,
    /// `name@sha256:…`.
    pub repository_digests: Vec<String>,
    /// From the lowest to the uppermost, one for each folder.
    pub layers: Vec<Layer>,
    pub folders: Vec<PathBuf>,
    /// What made the image, from the lowest to the uppermost, with what made no layer.
    pub history: Vec<HistoryEntry>,
}

/// One line of an image's history: OCI image-spec, config.md.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize)]
pub struct HistoryEntry {
    #[serde(default)]
    pub created_by: String,
    #[serde(default)]
    pub empty_layer: bool,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive { file, name } => f.debug_struct("Archive").field("file", file).field("name", name).finish(),
            Self::OciLayout { folder, name } => {
                f.debug_struct("OciLayout").field("folder", folder).field("name", name).finish()
            }
            Self::Export(_) => f.write_str("Export"),
            Self::Overlay(image) => f.debug_tuple("Overlay").field(image).finish(),
            Self::RootFolder(folder) => f.debug_tuple("RootFolder").field(folder).finish(),
            Self::Repository(folder) => f.debug_tuple("Repository").field(folder).finish(),
        }
    }
}

impl Source {
    /// What most likely lies at a path: a file is an archive; a folder is a layout, a file system or a repository.
    ///
    /// # Errors
    /// It is not there, or may not be read.
    pub fn at(path: &Path, name: Option<&str>) -> Result<Self, SourceError> {
        let open = Held::at(path).map_err(|cause| SourceError::from_io(path.display(), cause))?;
        Ok(Self::of(open, name))
    }

    /// What an open file or folder most likely is.
    #[must_use]
    pub fn of(open: Held, name: Option<&str>) -> Self {
        let name = name.map(str::to_owned);
        if !open.is_folder() {
            return Self::Archive { file: open, name };
        }
        if open.file("index.json").is_ok() && open.has("blobs") {
            return Self::OciLayout { folder: open, name };
        }
        let of_systems = ["etc/os-release", "usr/lib/os-release", "var/lib/dpkg", "lib/apk/db", "var/lib/rpm"];
        if of_systems.iter().any(|sign| open.has(sign)) {
            return Self::RootFolder(open);
        }
        Self::Repository(open)
    }

    /// The folder of the sources, where it is one: what is looked at file by file.
    #[must_use]
    pub const fn repository(&self) -> Option<&Held> {
        match self {
            Self::Repository(folder) => Some(folder),
            Self::Archive { .. }
            | Self::OciLayout { .. }
            | Self::Export(_)
            | Self::Overlay(_)
            | Self::RootFolder(_) => None,
        }
    }
}

/// What is read at most. What lies beyond is said to be unread, so a scan that meets a bound is not trusted.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Entries of one layer or folder.
    pub entries: u64,
    /// What one layer may unfold to, in bytes.
    pub layer_bytes: u64,
    /// A file that is read as a whole (lists, lock files, manifests), in bytes.
    pub file_bytes: u64,
    /// A file that is jumped in (archives, programs, databases), in bytes.
    pub random_bytes: u64,
    /// What all archives within one archive may unfold to, in bytes.
    pub jar_bytes: u64,
    /// How deep archives lie within archives.
    pub jar_depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 20_000_000,
            layer_bytes: 64 << 30,
            file_bytes: 64 << 20,
            random_bytes: 4 << 30,
            jar_bytes: 512 << 20,
            jar_depth: 6,
        }
    }
}

/// Why there is nothing to report on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{what} is not there")]
    NotFound { what: String },
    #[error(
        "{what} may not be read: layers of a daemon take root; without it give an archive or a stream of `docker export`"
    )]
    Forbidden { what: String },
    #[error("{what} cannot be read: {cause}")]
    Unreadable { what: String, cause: io::Error },
    #[error("{what} is not an image: {reason}")]
    NotAnImage { what: String, reason: String },
    #[error("{what} holds {}; name one of them", list(there))]
    WhichImage { what: String, there: Vec<String> },
    #[error("{what} has no image {wanted}; it holds {}", list(there))]
    NoSuchImage { what: String, wanted: String, there: Vec<String> },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none with a name".to_owned() } else { names.join(", ") }
}

impl SourceError {
    pub(crate) fn from_io(what: impl fmt::Display, cause: io::Error) -> Self {
        let what = what.to_string();
        if cause.kind() == io::ErrorKind::NotFound {
            return Self::NotFound { what };
        }
        if cause.kind() == io::ErrorKind::PermissionDenied {
            return Self::Forbidden { what };
        }
        Self::Unreadable { what, cause }
    }

    pub(crate) fn not_an_image(what: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::NotAnImage { what: what.to_string(), reason: reason.to_string() }
    }
}
