//! Where facts are kept. The log of a run is the truth; everything else can be made from it.

mod sqlite;

pub use sqlite::{NewRun, RunNumbers, SqliteStore};

use async_trait::async_trait;
use workflow::run::Recorded;

/// Number of a run, from 1, unique in one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The logs of runs.
#[async_trait]
pub trait RunLog: Send + Sync + std::fmt::Debug {
    /// Adds facts to a run's log, all or none. Their numbers continue the log without a hole.
    ///
    /// # Errors
    /// Nothing was written.
    async fn append(&self, run: RunId, facts: &[Recorded]) -> Result<(), StoreError>;

    /// All facts of a run, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn read(&self, run: RunId) -> Result<Vec<Recorded>, StoreError>;
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("use the database {path}: {reason}")]
    Database {
        /// The file.
        path: String,
        /// What it said.
        reason: String,
    },
    /// Somebody else wrote this run's log.
    #[error("append to run {run}: its log has gone on without us")]
    Conflict {
        /// The run.
        run: RunId,
    },
    /// A file could not be written or read.
    #[error("{action} {path}: {reason}")]
    File {
        /// `create`, `write` …
        action: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
}
