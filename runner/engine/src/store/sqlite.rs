//! The embedded store: SQLite in WAL mode, one writing thread, group commit.
//!
//! Callers hand their facts to the thread and wait for its answer. Whatever has gathered while the thread was writing
//! goes into one transaction, so that many jobs cost few commits. `synchronous = NORMAL` loses nothing when a process
//! is killed; only a power cut can cost the last moments of a local run.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::{mpsc, oneshot};
use workflow::run::Recorded;

use super::{RunId, RunLog, StoreError};

/// Requests that wait for the writing thread.
const WAITING_MAX: usize = 256;
/// How long a second process waits for the first one's transaction.
const BUSY_MS: u32 = 10_000;
/// The form of the tables, kept in the file as `user_version`.
const SCHEMA_VERSION: i64 = 1;

/// A run to number and list.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// Numbers of a new run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunNumbers {
    /// Unique in the store: `github.run_id`.
    pub id: RunId,
    /// Counts the runs of one workflow: `github.run_number`.
    pub number: u64,
}

enum Request {
    Create(NewRun, oneshot::Sender<Result<RunNumbers, StoreError>>),
    Append(RunId, Vec<(u64, String)>, oneshot::Sender<Result<(), StoreError>>),
    Read(RunId, oneshot::Sender<Result<Vec<Recorded>, StoreError>>),
}

/// The store. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    requests: mpsc::Sender<Request>,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// The file cannot be used: no rights, no room, not a database, or made by a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |reason: String| StoreError::Database { path: path.display().to_string(), reason };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        }
        let connection = prepare(path).map_err(failed)?;
        let (requests, inbox) = mpsc::channel(WAITING_MAX);
        let thread_path = path.to_path_buf();
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || serve(connection, inbox, &thread_path))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { requests, path: path.to_path_buf() })
    }

    /// Numbers a new run.
    ///
    /// # Errors
    /// The database said no.
    pub async fn create_run(&self, run: NewRun) -> Result<RunNumbers, StoreError> {
        self.ask(|answer| Request::Create(run, answer)).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> Result<T, StoreError> {
        let gone =
            || StoreError::Database { path: self.path.display().to_string(), reason: "its thread has ended".into() };
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

#[async_trait]
impl RunLog for SqliteStore {
    async fn append(&self, run: RunId, facts: &[Recorded]) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(facts.len());
        for fact in facts {
            let body = serde_json::to_string(fact).map_err(|error| StoreError::Database {
                path: self.path.display().to_string(),
                reason: format!("an event cannot be written as JSON: {error}"),
            })?;
            rows.push((fact.seq, body));
        }
        self.ask(|answer| Request::Append(run, rows, answer)).await
    }

    async fn read(&self, run: RunId) -> Result<Vec<Recorded>, StoreError> {
        self.ask(|answer| Request::Read(run, answer)).await
    }
}

fn prepare(path: &Path) -> Result<Connection, String> {
    let open = || -> rusqlite::Result<(Connection, i64)> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_millis(u64::from(BUSY_MS)))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, version))
    };
    let (connection, version) = open().map_err(|error| error.to_string())?;
    if version > SCHEMA_VERSION {
        return Err(format!(
            "it was made by a newer version of pipe (form {version}, this one knows {SCHEMA_VERSION})"
        ));
    }
    connection.execute_batch(include_str!("schema.sql")).map_err(|error| error.to_string())?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(|error| error.to_string())?;
    Ok(connection)
}

fn serve(mut connection: Connection, mut inbox: mpsc::Receiver<Request>, path: &Path) {
    while let Some(first) = inbox.blocking_recv() {
        let mut batch = vec![first];
        while let Ok(next) = inbox.try_recv() {
            batch.push(next);
        }
        perform(&mut connection, batch, path);
    }
}

/// One transaction for all that has gathered. If it cannot be begun or committed, everybody in it is told.
fn perform(connection: &mut Connection, batch: Vec<Request>, path: &Path) {
    let database =
        |error: &rusqlite::Error| StoreError::Database { path: path.display().to_string(), reason: error.to_string() };
    let mut answers: Vec<Box<dyn FnOnce(Option<StoreError>)>> = Vec::new();
    let transaction = match connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return batch.into_iter().for_each(|request| request.refuse(database(&error))),
    };
    for request in batch {
        match request {
            Request::Create(run, answer) => {
                let result = create(&transaction, &run).map_err(|error| database(&error));
                answers.push(Box::new(move |failed| drop(answer.send(failed.map_or(result, Err)))));
            }
            Request::Append(run, rows, answer) => {
                let result = append(&transaction, run, &rows)
                    .map_err(|error| if is_conflict(&error) { StoreError::Conflict { run } } else { database(&error) });
                answers.push(Box::new(move |failed| drop(answer.send(failed.map_or(result, Err)))));
            }
            Request::Read(run, answer) => {
                let result = read(&transaction, run).map_err(|error| database(&error));
                answers.push(Box::new(move |failed| drop(answer.send(failed.map_or(result, Err)))));
            }
        }
    }
    let committed = transaction.commit();
    for answer in answers {
        answer(committed.as_ref().err().map(database));
    }
}

impl Request {
    fn refuse(self, error: StoreError) {
        match self {
            Self::Create(_, answer) => drop(answer.send(Err(error))),
            Self::Append(_, _, answer) => drop(answer.send(Err(error))),
            Self::Read(_, answer) => drop(answer.send(Err(error))),
        }
    }
}

fn create(connection: &Connection, run: &NewRun) -> rusqlite::Result<RunNumbers> {
    let last: Option<i64> = connection
        .query_row(
            "SELECT max(number) FROM runs WHERE repository = ?1 AND workflow = ?2",
            params![run.repository, run.workflow],
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    let number = last.unwrap_or(0) + 1;
    connection.execute(
        "INSERT INTO runs (repository, workflow, number, event, git_ref, sha, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![run.repository, run.workflow, number, run.event, run.git_ref, run.sha, run.started_at],
    )?;
    Ok(RunNumbers { id: RunId(connection.last_insert_rowid().unsigned_abs()), number: number.unsigned_abs() })
}

/// A savepoint, so that one run's conflict does not take the others of the transaction with it.
fn append(connection: &Connection, run: RunId, rows: &[(u64, String)]) -> rusqlite::Result<()> {
    connection.execute_batch("SAVEPOINT append")?;
    let mut insert = connection.prepare_cached("INSERT INTO events (run, seq, body) VALUES (?1, ?2, ?3)")?;
    let result = rows.iter().try_for_each(|(seq, body)| insert.execute(params![run.0, seq, body]).map(drop));
    connection.execute_batch(if result.is_ok() { "RELEASE append" } else { "ROLLBACK TO append; RELEASE append" })?;
    result
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
