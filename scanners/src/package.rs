//! What a scan found installed: packages as their own package managers name them, and where each comes from.
//!
//! These are the words between reading (`inventory`) and judging (`advisory`, `policy`); nothing here reads or judges.
//! Package URLs follow ECMA-427 (<https://github.com/package-url/purl-spec>), names of ecosystems follow the OSV schema
//! (<https://ossf.github.io/osv-schema/#defined-ecosystems>).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who distributes a package, and so how its versions are ordered and where its advisories are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ecosystem {
    /// dpkg: Debian and what is made from it; the release stands in [`Inventory::os`].
    Debian,
    /// Alpine's apk.
    Alpine,
    /// rpm, of any distribution.
    Rpm,
    Npm,
    #[serde(rename = "pypi")]
    PyPi,
    Go,
    Maven,
    #[serde(rename = "rubygems")]
    RubyGems,
    /// crates.io.
    Cargo,
    /// Packagist, read by Composer.
    Packagist,
}

impl Ecosystem {
    /// Every ecosystem, in the order in which reports list them: the operating system first.
    pub const ALL: [Self; 10] = [
        Self::Debian,
        Self::Alpine,
        Self::Rpm,
        Self::Npm,
        Self::PyPi,
        Self::Go,
        Self::Maven,
        Self::RubyGems,
        Self::Cargo,
        Self::Packagist,
    ];

    /// Whether the packages come with the operating system: their advisories are looked up by source package and release.
    #[must_use]
    pub const fn is_os(self) -> bool {
        match self {
            Self::Debian | Self::Alpine | Self::Rpm => true,
            Self::Npm | Self::PyPi | Self::Go | Self::Maven | Self::RubyGems | Self::Cargo | Self::Packagist => false,
        }
    }

    /// The `type` of its package URLs: `deb`, `npm`, `golang`…
    #[must_use]
    pub const fn purl_type(self) -> &'static str {
        match self {
            Self::Debian => "deb",
            Self::Alpine => "apk",
            Self::Rpm => "rpm",
            Self::Npm => "npm",
            Self::PyPi => "pypi",
            Self::Go => "golang",
            Self::Maven => "maven",
            Self::RubyGems => "gem",
            Self::Cargo => "cargo",
            Self::Packagist => "composer",
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.purl_type())
    }
}

/// One package in one version. The same package at several places is one `Package` with several locations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub ecosystem: Ecosystem,
    /// As the package manager writes it, with its namespace: `libssl3`, `@babel/core`, `org.slf4j:slf4j-api`.
    pub name: String,
    /// As installed, with epoch and revision where the ecosystem has them: `1:1.2.13.dfsg-1`.
    pub version: String,
    /// `amd64`, `noarch`; empty where the ecosystem has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    /// What it was built from, when that is not the package itself: advisories of distributions name sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// As the package states them, unparsed; SPDX identifiers where it uses those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// Where it was found, at least once, in order of layer and path.
    pub locations: Vec<Location>,
}

/// The source package of a distribution that a binary package was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePackage {
    pub name: String,
    pub version: String,
}

/// A file that says a package is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location {
    /// Which of [`Inventory::layers`] brought it, from 0; none where there are no layers (a folder).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// From the root of the image or folder, without a leading `/`.
    pub path: String,
    /// The line that names it (a lock file), from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// The distribution, from `/etc/os-release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Os {
    /// `ID`: `debian`, `ubuntu`, `alpine`, `rhel`, `almalinux`…
    pub id: String,
    /// `ID_LIKE`, split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub like: Vec<String>,
    /// `VERSION_ID`: `12`, `3.19.1`, `9.4`; empty for rolling distributions.
    pub version: String,
    /// `VERSION_CODENAME`: `bookworm`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub codename: String,
}

/// One layer of an image, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// `sha256:…` of the uncompressed tar (OCI image-spec, `rootfs.diff_ids`).
    pub diff_id: String,
    /// What made it, from the image's history: `RUN /bin/sh -c apt-get install …`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// The line of the Dockerfile, from 1, when one was given and its instruction was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_line: Option<u32>,
    /// Whether it comes from the base image and not from the Dockerfile that was given.
    #[serde(default)]
    pub base: bool,
}

/// Something that could not be read, so that the inventory may lack packages: a scan with one of these is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// What is wrong, for a person.
    pub reason: String,
}

/// Everything that was found in one image, archive or folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// What was scanned, as the user named it.
    pub target: String,
    /// `sha256:…` of the image's configuration (what Docker shows as the image id); none for folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// `name@sha256:…` by which registries know it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repository_digests: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<Os>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// Sorted by ecosystem, name, version, architecture; no two equal in all four.
    pub packages: Vec<Package>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}
