//! Advisories: from the files of their publishers to one index on the disk, and from that to findings.
//!
//! [`Database`] is a folder, [`Index`] the file that scans read, [`Index::matching`] the comparison, [`update`] what fetches.
//! Nothing here opens a connection: the caller brings a [`Fetch`]. Whatever is wrong with the advisories is an error, never a
//! scan without findings.

mod alpine;
mod build;
mod codec;
mod database;
mod debian;
mod error;
mod exploit;
mod fetch;
#[cfg(test)]
mod fuzz;
mod header;
mod index;
mod json;
mod matching;
mod merge;
mod model;
mod names;
mod osv;
mod range;
mod requirement;
mod seen;
mod severity;
mod source;
mod stated;
mod update;

pub use database::{Database, Status};
pub use error::{BuildError, IndexError};
pub use header::{Header, SourceInfo, SourceKind};
pub use index::Index;
pub use matching::{Matches, Uncovered};
pub use update::{Answer, Fetch, FetchError, Plan, Progress, Request, Resume, UpdateError, Updated, update};
