//! Runs and their facts in the embedded database. The log of a run is the truth; its row is what listing needs.

use std::path::Path;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use workflow::run::Recorded;

use super::database::{Database, Options, Refusal};
use super::reports::Reports;
use super::runs::{self, Change};
use super::{RunId, RunLog, StoreError};

/// A run to number and list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewRun {
    /// `owner/name`.
    pub repository: String,
    /// Path of the workflow.
    pub workflow: String,
    /// Event name.
    pub event: String,
    /// `github.ref`.
    pub git_ref: String,
    /// `github.sha`.
    pub sha: String,
    /// RFC 3339.
    pub started_at: String,
    /// What sends the repository's hooks; empty for a local run.
    pub forge: String,
    /// Who did what it is for.
    pub actor: String,
    /// What a list shows until the run's own name is known.
    pub title: String,
    /// Higher ones begin first.
    pub priority: i32,
    /// `trusted` or `fork`; empty means `trusted`.
    pub trust: String,
    /// The attempt before this one, which gives the number.
    pub rerun_of: Option<RunId>,
}

/// Numbers of a new run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunNumbers {
    /// Unique in the store.
    pub id: RunId,
    /// The first attempt's, for all attempts the same: `github.run_id`.
    pub first: RunId,
    /// Counts the runs of one workflow: `github.run_number`.
    pub number: u64,
    /// From 1: `github.run_attempt`.
    pub attempt: u32,
}

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    database: Database,
}

impl SqliteStore {
    /// Opens or makes the database as a local run wants it ([`Options::LOCAL`]).
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Database::open(path, Options::LOCAL).map(Self::on)
    }

    /// The runs in a database that is open.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// The database that they are in.
    #[must_use]
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// What tools reported of its runs.
    #[must_use]
    pub fn reports(&self) -> Reports {
        Reports::on(self.database.clone())
    }

    /// Numbers a new run.
    ///
    /// # Errors
    /// The database said no.
    pub async fn create_run(&self, run: NewRun) -> Result<RunNumbers, StoreError> {
        self.database.write_surely(move |transaction| runs::create(transaction, &run)).await
    }
}

#[async_trait]
impl RunLog for SqliteStore {
    async fn append(&self, run: RunId, facts: &[Recorded]) -> Result<(), StoreError> {
        let rows = Rows::of(self.database.path(), facts)?;
        let written = self.database.write(move |transaction| rows.append(transaction, run)).await;
        written.map_err(|refusal| match refusal {
            Refusal::Statement(error) if is_conflict(&error) => StoreError::Conflict { run },
            refusal @ (Refusal::Statement(_) | Refusal::Database(_)) => self.database.error(refusal),
        })
    }

    async fn read(&self, run: RunId) -> Result<Vec<Recorded>, StoreError> {
        self.database.read(move |connection| read(connection, run)).await
    }
}

/// Facts as they are stored.
pub(super) struct Rows {
    bodies: Vec<(u64, String)>,
    changes: Vec<Change>,
}

impl Rows {
    pub(super) fn of(path: &Path, facts: &[Recorded]) -> Result<Self, StoreError> {
        let body = |fact: &Recorded| {
            serde_json::to_string(fact).map_err(|error| StoreError::Database {
                path: path.display().to_string(),
                reason: format!("an event cannot be written as JSON: {error}"),
            })
        };
        let bodies = facts.iter().map(|fact| Ok((fact.seq, body(fact)?))).collect::<Result<_, StoreError>>()?;
        Ok(Self { bodies, changes: facts.iter().filter_map(Change::of).collect() })
    }

    pub(super) fn append(&self, connection: &Connection, run: RunId) -> rusqlite::Result<()> {
        let mut insert = connection.prepare_cached("INSERT INTO events (run, seq, body) VALUES (?1, ?2, ?3)")?;
        self.bodies.iter().try_for_each(|(seq, body)| insert.execute(params![run.0, seq, body]).map(drop))?;
        self.changes.iter().try_for_each(|change| change.apply(connection, run))
    }
}

fn read(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<Recorded>> {
    let mut select = connection.prepare_cached("SELECT body FROM events WHERE run = ?1 ORDER BY seq")?;
    let rows = select.query_map([run.0], |row| row.get::<_, String>(0))?;
    rows.map(|body| {
        serde_json::from_str(&body?)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
    })
    .collect()
}

fn is_conflict(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use workflow::run::{EVENT_VERSION, RunEvent};

    fn new_run(workflow: &str) -> NewRun {
        NewRun {
            repository: "a/b".into(),
            workflow: workflow.into(),
            event: "push".into(),
            git_ref: "refs/heads/main".into(),
            sha: "0".repeat(40),
            started_at: "2026-01-01T00:00:00Z".into(),
            ..NewRun::default()
        }
    }

    fn fact(seq: u64) -> Recorded {
        Recorded { v: EVENT_VERSION, seq, at: jiff::Timestamp::UNIX_EPOCH, event: RunEvent::RunStarted }
    }

    #[tokio::test]
    async fn facts_survive_a_new_start_and_numbers_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/pipe.db");
        let store = SqliteStore::open(&path).unwrap();
        let first = store.create_run(new_run("ci.yml")).await.unwrap();
        let other = store.create_run(new_run("other.yml")).await.unwrap();
        assert_eq!((first.number, other.number, other.id), (1, 1, RunId(2)));
        store.append(first.id, &[fact(1), fact(2)]).await.unwrap();
        drop(store);
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.read(first.id).await.unwrap(), [fact(1), fact(2)]);
        assert_eq!(store.create_run(new_run("ci.yml")).await.unwrap().number, 2);
    }

    #[tokio::test]
    async fn a_log_is_written_by_one_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("pipe.db")).unwrap();
        let run = store.create_run(new_run("ci.yml")).await.unwrap().id;
        store.append(run, &[fact(1)]).await.unwrap();
        let (again, next) = ([fact(1), fact(2)], [fact(3)]);
        let (conflict, fine) = tokio::join!(store.append(run, &again), store.append(run, &next));
        assert!(matches!(conflict, Err(StoreError::Conflict { .. })), "{conflict:?}");
        assert!(fine.is_ok());
        assert_eq!(store.read(run).await.unwrap(), [fact(1), fact(3)]);
    }

    #[test]
    fn a_file_that_is_no_database_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe.db");
        std::fs::write(&path, "not a database, but long enough to be looked at as one, or so it seems to be here")
            .unwrap();
        let error = SqliteStore::open(&path).unwrap_err().to_string();
        assert!(error.contains("pipe.db"), "{error}");
    }
}
