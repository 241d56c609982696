//! What can be wrong with the advisories on this machine, each with what to do about it.
//!
//! Every one of these means that a scan cannot be trusted (exit code 2): none of them is ever a scan without findings.

use std::path::PathBuf;

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("there are no advisories at {}: run `pipe scan db update`, or name a folder that holds them with --db", path.display())]
    Missing { path: PathBuf },
    #[error("the advisories at {} are damaged ({what}): remove that file and run `pipe scan db update`", path.display())]
    Corrupt { path: PathBuf, what: String },
    #[error(
        "the advisories at {} are of format {found} and this program reads {supported}: run `pipe scan db update`",
        path.display()
    )]
    Format { path: PathBuf, found: u32, supported: u32 },
    #[error(
        "the advisories are too old: {source_name} was fetched {age_hours} hours ago and at most {max_hours} are allowed: run \
         `pipe scan db update`, or allow more with db-max-age"
    )]
    Stale { source_name: String, age_hours: i64, max_hours: i64 },
    #[error("{} cannot be read: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
}

/// Why no index could be made of a folder of sources. The index from before is still in its place.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(
        "there is nothing in {} to make an index of: expected `<ecosystem>/all.zip` as osv-scanner keeps it, OSV records \
         (.json, .jsonl), Debian's tracker, Alpine's secdb, KEV or EPSS",
        folder.display()
    )]
    Empty { folder: PathBuf },
    #[error("{} is damaged or of an unknown form: {what}; remove it and run `pipe scan db update`", path.display())]
    Source { path: PathBuf, what: String },
    #[error("{} cannot be read or written: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Index(#[from] IndexError),
}
