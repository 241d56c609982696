//! What an index says of itself: when it was made, of what, and how old that is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the index was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub created: Timestamp,
    pub sources: Vec<SourceInfo>,
    pub advisories: u64,
    /// Pairs of an advisory and a package in a release.
    pub rows: u64,
    /// How many rows there are of each release: `debian:12`, `npm`.
    pub releases: BTreeMap<String, u64>,
}

/// One file that went into the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Its path below the folder of sources.
    pub name: String,
    pub kind: SourceKind,
    pub bytes: u64,
    /// When the file was last changed, in nanoseconds since 1970: by this and its length a change is noticed.
    pub changed: i128,
    /// When it was fetched, or last changed where nothing says more.
    pub fetched: Timestamp,
    /// The latest change of any record in it, where its records have dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// How many records were taken in.
    pub records: u64,
    /// How many the database had taken back.
    pub withdrawn: u64,
    /// How many are about nothing that this program finds.
    pub beside: u64,
    /// How many are not of the form they should have, and the first such with what is wrong.
    pub unreadable: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_unreadable: Option<String>,
}

/// Whose data a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// `all.zip` of an ecosystem, a record, or a file of records line by line.
    Osv,
    DebianTracker,
    AlpineSecdb,
    Kev,
    Epss,
}
