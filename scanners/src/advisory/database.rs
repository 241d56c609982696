//! A folder of advisories: the files as their publishers wrote them, and the index made of them.
//!
//! The index is made anew when a file has changed since, so that a folder that was copied from elsewhere, or holds nothing but
//! an `all.zip`, can be scanned with as it is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::build::Builder;
use super::error::{BuildError, IndexError};
use super::header::{Header, SourceInfo};
use super::index::Index;
use super::source::{self, Intake, Source};

/// The file of the index.
pub(crate) const INDEX: &str = "advisories.index";
/// What is known of the files: where they came from and when.
pub(crate) const STATE: &str = "sources.json";

/// Where advisories are kept.
#[derive(Debug, Clone)]
pub struct Database {
    folder: PathBuf,
    index: PathBuf,
}

/// What was fetched from where, by the name of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    #[serde(default)]
    pub(crate) sources: BTreeMap<String, Fetched>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    pub(crate) url: String,
    /// When it was last known to be what the server has.
    pub(crate) fetched: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    /// The latest change that is in it, as the server's list of changes writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
}

impl Database {
    /// The database in a folder, with its index in the same folder.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), index: folder.join(INDEX) }
    }

    /// The same with the index elsewhere, for folders that cannot be written to.
    #[must_use]
    pub fn with_index(self, index: &Path) -> Self {
        Self { index: index.to_owned(), ..self }
    }

    /// Where the files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the index is.
    #[must_use]
    pub fn index_path(&self) -> &Path {
        &self.index
    }

    /// Opens the index, after making it when there is none yet or the files have changed since.
    ///
    /// # Errors
    /// When there is neither an index nor a file to make one of, when a file or the index is damaged, or cannot be read.
    pub fn open(&self, now: Timestamp) -> Result<Index, BuildError> {
        let sources = if self.folder.is_dir() { source::find(&self.folder)? } else { Vec::new() };
        let state = self.state()?;
        match Index::open(&self.index) {
            Ok(index) if sources.is_empty() || self.is_of(&index, &sources)? => Ok(index.refetched(&fetched(&state))),
            Ok(_) | Err(IndexError::Missing { .. } | IndexError::Format { .. }) if !sources.is_empty() => {
                self.build_of(&sources, &state, now)?;
                Ok(Index::open(&self.index)?)
            }
            Ok(index) => Ok(index),
            Err(IndexError::Missing { .. }) if self.folder.is_dir() => {
                Err(BuildError::Empty { folder: self.folder.clone() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the index of the files that are there.
    ///
    /// # Errors
    /// As for [`Database::open`]; an index from before stays as it is.
    pub fn build(&self, now: Timestamp) -> Result<Index, BuildError> {
        let sources = source::find(&self.folder)?;
        if sources.is_empty() {
            return Err(BuildError::Empty { folder: self.folder.clone() });
        }
        self.build_of(&sources, &self.state()?, now)?;
        Ok(Index::open(&self.index)?)
    }

    /// What the index holds, how old its sources are and whether it is whole; reads all of it.
    ///
    /// # Errors
    /// When there is no index, or it is damaged or cannot be read.
    pub fn status(&self, now: Timestamp) -> Result<Status, IndexError> {
        let fetched = self.state().map(|state| fetched(&state)).unwrap_or_default();
        let index = Index::open(&self.index)?.refetched(&fetched);
        index.verify()?;
        let as_of = index.as_of();
        let age_hours = now.duration_since(as_of).as_hours();
        Ok(Status {
            path: self.index.clone(),
            digest: index.digest(),
            as_of,
            age_hours,
            header: index.header().clone(),
        })
    }

    pub(crate) fn build_of(&self, sources: &[Source], state: &State, now: Timestamp) -> Result<(), BuildError> {
        let io_error = |path: &Path| {
            let path = path.to_owned();
            move |error| BuildError::Io { path, error }
        };
        let mut builder = Builder::new(&self.index).map_err(io_error(&self.index))?.watching(now);
        let fetched = fetched(state);
        let mut infos = Vec::with_capacity(sources.len());
        let mut intake = Intake::new(&mut builder);
        for source in sources {
            let mut info = source.info(&fetched).map_err(io_error(&source.path))?;
            intake.take(source, &mut info)?;
            infos.push(info);
        }
        let header = Header { created: now, sources: infos, ..Header::default() };
        builder.finish(header).map_err(io_error(&self.index))
    }

    /// Whether an index was made of exactly these files as they are now.
    fn is_of(&self, index: &Index, sources: &[Source]) -> Result<bool, BuildError> {
        let none = BTreeMap::new();
        let mut now = Vec::new();
        for source in sources.iter().filter(|source| !source.is_increments()) {
            let info = source.info(&none).map_err(|error| BuildError::Io { path: source.path.clone(), error })?;
            now.push((info.name, info.bytes, info.changed));
        }
        let then = index.header().sources.iter().filter(|info| !info.name.ends_with(source::INCREMENTS));
        let mut then: Vec<_> = then.map(|info| (info.name.clone(), info.bytes, info.changed)).collect();
        now.sort();
        then.sort();
        Ok(now == then)
    }

    pub(crate) fn state(&self) -> Result<State, BuildError> {
        let path = self.folder.join(STATE);
        match std::fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|error| BuildError::Source { path, what: error.to_string() })
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                Ok(State::default())
            }
            Err(error) => Err(BuildError::Io { path, error }),
        }
    }
}

fn fetched(state: &State) -> BTreeMap<String, Timestamp> {
    state.sources.iter().map(|(name, fetched)| (name.clone(), fetched.fetched)).collect()
}

/// What `pipe scan db status` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub path: PathBuf,
    /// `sha256:…` of all advisories.
    pub digest: String,
    /// When the oldest source was fetched.
    pub as_of: Timestamp,
    pub age_hours: i64,
    #[serde(flatten)]
    pub header: Header,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { created, sources, advisories, rows, releases } = &self.header;
        writeln!(f, "index    {}", self.path.display())?;
        writeln!(f, "digest   {}", self.digest)?;
        writeln!(f, "made     {created}")?;
        writeln!(f, "as of    {} ({} hours ago, the oldest source)", self.as_of, self.age_hours)?;
        writeln!(f, "holds    {advisories} advisories, {rows} affected packages in {} releases", releases.len())?;
        writeln!(f)?;
        writeln!(f, "{:<44} {:>9} {:>9}  fetched", "source", "records", "withdrawn")?;
        for SourceInfo { name, records, withdrawn, fetched, unreadable, first_unreadable, .. } in sources {
            writeln!(f, "{name:<44} {records:>9} {withdrawn:>9}  {fetched:.0}")?;
            if let Some(first) = first_unreadable {
                writeln!(f, "  {unreadable} records are not of the form expected, the first is {first}")?;
            }
        }
        Ok(())
    }
}
