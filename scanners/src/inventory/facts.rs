//! What one layer says, independently of the layers below and above: this is what the cache keeps.
//!
//! Paths that only matter for what they hide are kept as 64-bit digests, eight bytes for each file of an image, so that
//! millions of files fit into memory. Two paths of one image that meet by chance (1 in 10^10 for 44,000 files) would hide
//! one file too many.

use serde::{Deserialize, Serialize};

use crate::package::{Ecosystem, Os, SourcePackage, Unread};

/// A package as a file states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    #[serde(rename = "e")]
    pub ecosystem: Ecosystem,
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "v")]
    pub version: String,
    #[serde(rename = "a", default, skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    #[serde(rename = "l", default, skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// The line of the file that names it, from 1.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Where within the file, when that is an archive: `BOOT-INF/lib/x.jar`.
    #[serde(rename = "w", default, skip_serializing_if = "String::is_empty")]
    pub within: String,
}

impl Stated {
    #[must_use]
    pub fn new(ecosystem: Ecosystem, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            ecosystem,
            name: name.into(),
            version: version.into(),
            architecture: String::new(),
            source: None,
            licences: Vec::new(),
            line: None,
            within: String::new(),
        }
    }

    pub(crate) fn at_line(self, line: Option<u32>) -> Self {
        Self { line, ..self }
    }

    pub(crate) fn licensed(self, licences: Vec<String>) -> Self {
        Self { licences, ..self }
    }

    /// Whether both are the same package in the same version.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.ecosystem == other.ecosystem
            && self.name == other.name
            && self.version == other.version
            && self.architecture == other.architecture
    }
}

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Stated>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub os: Option<Os>,
    /// Digests of the paths that belong to the operating system's packages.
    #[serde(skip)]
    pub(crate) owned: Vec<u64>,
    /// What of it could not be understood.
    #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

impl Said {
    pub(crate) fn packages(packages: Vec<Stated>) -> Self {
        Self { packages, ..Self::default() }
    }

    pub(crate) fn unread(reason: impl Into<String>) -> Self {
        Self { unread: vec![reason.into()], ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.os.is_none() && self.owned.is_empty() && self.unread.is_empty()
    }
}

/// A file that says something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    #[serde(rename = "f")]
    pub(crate) path: String,
    #[serde(rename = "s")]
    pub(crate) said: Said,
}

/// All that one layer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) found: Vec<Found>,
    /// Paths that are files here, or are removed here: what layers below have there, or beneath, is gone.
    pub(crate) covered: Vec<u64>,
    /// Paths that are directories here: a file of a layer below is gone.
    pub(crate) directories: Vec<u64>,
    /// Directories beneath which nothing of the layers below is left.
    pub(crate) opaque: Vec<u64>,
    /// Without their layer, which only the image knows.
    pub(crate) unread: Vec<Unread>,
}

/// The digest of a path: FNV-1a, which is the same everywhere and can be taken further along the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathDigest(u64);

impl PathDigest {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) const fn then(self, byte: u8) -> Self {
        Self((self.0 ^ byte as u64).wrapping_mul(0x0100_0000_01b3))
    }

    pub(crate) fn of(path: &[u8]) -> u64 {
        path.iter().fold(Self::new(), |digest, byte| digest.then(*byte)).value()
    }

    /// Mixed once more, since FNV's high bits know little of the last letters.
    pub(crate) const fn value(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }
}
