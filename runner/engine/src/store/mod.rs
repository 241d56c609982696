//! Where facts are kept. The log of a run is the truth; everything else can be made from it.

pub mod answers;
pub mod approvals;
pub mod audit;
pub mod backup;
pub mod badges;
pub mod cases;
mod database;
pub mod deliveries;
pub mod deployments;
pub mod findings;
pub mod followers;
mod forget;
pub mod insights;
pub mod job_tokens;
pub mod listing;
mod order;
pub mod outbox;
pub mod people;
pub mod rekey;
pub mod reports;
pub mod repositories;
pub mod rollouts;
mod runs;
pub mod scans;
pub mod schedules;
pub mod secrets;
mod sqlite;
pub mod tokens;
pub mod verdicts;

#[cfg(test)]
pub(crate) use database::Moment;
pub use database::{Database, Durability, Options, Sharing};
pub use order::RefOf;
pub use runs::{RunRow, RunStatus};
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
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("use the database {path}: {reason}")]
    Database {
        /// The file.
        path: String,
        /// What it said.
        reason: String,
    },
    /// There is no room. Nothing of the request was written; it may be tried again.
    #[error("write to the database {path}: {reason}; make room on its disk")]
    Full {
        /// The file.
        path: String,
        /// What it said.
        reason: String,
    },
    /// A write or a flush failed, so that nobody knows what the disk holds. The request may or may not be kept.
    #[error("write to the database {path}: {reason}; nothing more is written to it until it is opened again")]
    Broken {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Another process uses it.
    #[error("use the database {path}: {by} uses it")]
    InUse {
        /// The file.
        path: String,
        /// Who.
        by: String,
    },
    /// A newer program made it.
    #[error("use the database {path}: it was made by a newer version of pipe (form {found}, this one knows {known})")]
    Newer {
        /// The file.
        path: String,
        /// The form of its tables.
        found: usize,
        /// The newest form that this program knows.
        known: usize,
    },
    /// Facts that were acknowledged are gone.
    #[error(
        "use the database {path}: {path}.head says that transaction {acknowledged} was acknowledged, but it ends at \
         {found} or another one has that number: what came after {found} is lost, such as when {path}-wal was cut; put \
         back the whole folder, or accept the loss"
    )]
    Lost {
        /// The file.
        path: String,
        /// The last transaction that was acknowledged.
        acknowledged: u64,
        /// The last one that is there.
        found: u64,
    },
    /// What is recorded of a run does not fit together.
    #[error("go on with run {run}: what is recorded of it does not fit together: {reason}")]
    Unfit {
        /// The run.
        run: RunId,
        /// What does not fit.
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
