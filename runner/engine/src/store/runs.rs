//! Rows of runs: numbered, with what they were asked for, and with columns that follow their facts in the same
//! transaction, so that a list and the queue need not read logs.

use std::path::{Path, PathBuf};

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use workflow::run::{CancelReason, Conclusion, JobRunKey, Recorded, RunEvent};

use super::deliveries::RunOfDelivery;
use super::sqlite::{NewRun, Rows, RunNumbers, SqliteStore};
use super::{RunId, StoreError, job_tokens};
use crate::service::RunSpec;

/// Largest specification when unpacked: a payload has 25 MiB at most, and its text grows when it is written again.
const SPEC_BYTES_MAX: usize = 128 << 20;
/// Packing faster matters more than packing better.
const SPEC_LEVEL: i32 = 1;
/// Most rows that one reading of the queue gives.
const UNFINISHED_MAX: usize = 1_000_000;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Nothing of it has begun.
    Queued,
    /// It waits for a person.
    Waiting,
    /// It goes on.
    InProgress,
    /// It is over.
    Completed,
}

impl RunStatus {
    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Queued, Self::Waiting, Self::InProgress, Self::Completed].into_iter().find(|it| it.as_str() == name)
    }
}

/// What the queue needs of a run that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Its numbers.
    pub numbers: RunNumbers,
    /// `owner/name`.
    pub repository: String,
    /// Higher ones begin first.
    pub priority: i32,
    /// How far it is.
    pub status: RunStatus,
}

impl SqliteStore {
    /// Makes runs that no delivery asks for, with what they were asked for and their first facts, in one transaction.
    ///
    /// # Errors
    /// The database said no; nothing was written.
    pub async fn make_runs(&self, runs: Vec<RunOfDelivery>) -> Result<Vec<RunNumbers>, StoreError> {
        let runs = NewRuns::of(self.database().path(), runs)?;
        self.database().write_surely(move |transaction| runs.insert(transaction)).await
    }

    /// What a run was asked for; `None` for a run that nobody will carry (a local one), or that does not exist.
    ///
    /// # Errors
    /// The store cannot be read, or what it holds was written by a newer program.
    pub async fn spec(&self, run: RunId) -> Result<Option<RunSpec>, StoreError> {
        let packed: Option<Vec<u8>> = self
            .database()
            .read(move |connection| {
                let mut select = connection.prepare_cached("SELECT body FROM run_specs WHERE run = ?1")?;
                select.query_row([run.0], |row| row.get(0)).optional()
            })
            .await?;
        let unfit = |reason: String| StoreError::Unfit { run, reason: format!("what it was asked for: {reason}") };
        let Some(packed) = packed else { return Ok(None) };
        let text = zstd::bulk::decompress(&packed, SPEC_BYTES_MAX).map_err(|error| unfit(error.to_string()))?;
        RunSpec::read(&text).map(Some).map_err(unfit)
    }

    /// All runs that are not over and that somebody will carry, in their order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<RunRow>, StoreError> {
        self.database()
            .read(|connection| {
                let mut select = connection.prepare_cached(
                    "SELECT id, coalesce(first, id) AS first, number, attempt, repository, priority, status FROM runs
                     WHERE status <> 'completed' AND EXISTS (SELECT 1 FROM run_specs WHERE run = id)
                     ORDER BY id LIMIT ?1",
                )?;
                select.query_map([UNFINISHED_MAX], run_row)?.collect()
            })
            .await
    }

    /// Runs that are not over and have asked for a concurrency group.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unfinished_with_groups(&self) -> Result<Vec<RunId>, StoreError> {
        self.database()
            .read(|connection| {
                let mut select = connection.prepare_cached(
                    "SELECT DISTINCT runs.id FROM runs JOIN events ON events.run = runs.id
                     WHERE status <> 'completed' AND body ->> '$.event.type' = 'group_requested'",
                )?;
                select.query_map([], |row| row.get(0).map(RunId))?.collect()
            })
            .await
    }

    /// The last attempts of all runs of a commit.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn latest_of_commit(&self, sha: String) -> Result<Vec<RunId>, StoreError> {
        self.database()
            .read(move |connection| {
                let select = "SELECT id FROM runs WHERE sha = ?1 AND latest = 1 ORDER BY id LIMIT 100";
                connection.prepare_cached(select)?.query_map([sha], |row| row.get(0).map(RunId))?.collect()
            })
            .await
    }

    /// One run, as the queue sees it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn run_row(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        self.database()
            .read(move |connection| {
                let select = "SELECT id, coalesce(first, id) AS first, number, attempt, repository, priority, status
                              FROM runs WHERE id = ?1";
                connection.prepare_cached(select)?.query_row([run.0], run_row).optional()
            })
            .await
    }

    /// Sets the name that lists show.
    ///
    /// # Errors
    /// The database said no.
    pub async fn set_title(&self, run: RunId, title: String) -> Result<(), StoreError> {
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute("UPDATE runs SET title = ?2 WHERE id = ?1", params![run.0, title]).map(drop)
        };
        self.database().write_surely(write).await
    }

    /// Nothing of a run goes on, and somebody has to review it.
    ///
    /// # Errors
    /// The store said no.
    pub async fn set_waiting(&self, run: RunId) -> Result<(), StoreError> {
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            let update = "UPDATE runs SET status = 'waiting' WHERE id = ?1 AND status IN ('queued', 'in_progress')";
            transaction.prepare_cached(update)?.execute([run.0]).map(drop)
        };
        self.database().write_surely(write).await
    }
}

/// Runs that are about to be made.
pub(super) struct NewRuns {
    runs: Vec<(RunOfDelivery, Option<Vec<u8>>)>,
    path: PathBuf,
}

impl NewRuns {
    pub(super) fn of(path: &Path, runs: Vec<RunOfDelivery>) -> Result<Self, StoreError> {
        let pack = |mut run: RunOfDelivery| {
            let refused = |reason: String| StoreError::Database { path: path.display().to_string(), reason };
            let Some(spec) = run.spec.take() else { return Ok((run, None)) };
            let text = serde_json::to_vec(&spec).map_err(|error| refused(error.to_string()))?;
            if text.len() > SPEC_BYTES_MAX {
                return Err(refused(format!("a run of {} bytes is too large to keep", text.len())));
            }
            let packed = zstd::bulk::compress(&text, SPEC_LEVEL).map_err(|error| refused(error.to_string()))?;
            Ok((run, Some(packed)))
        };
        let runs = runs.into_iter().map(pack).collect::<Result<_, StoreError>>()?;
        Ok(Self { runs, path: path.to_owned() })
    }

    pub(super) fn insert(self, connection: &Connection) -> rusqlite::Result<Vec<RunNumbers>> {
        let mut made = Vec::with_capacity(self.runs.len());
        for (RunOfDelivery { run, spec: _, facts }, packed) in self.runs {
            let numbers = create(connection, &run)?;
            if let Some(packed) = packed {
                connection
                    .prepare_cached("INSERT INTO run_specs (run, body) VALUES (?1, ?2)")?
                    .execute(params![numbers.id.0, packed])?;
            }
            let rows = Rows::of(&self.path, &facts(numbers))
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            rows.append(connection, numbers.id)?;
            made.push(numbers);
        }
        Ok(made)
    }
}

/// Numbers a run: the next one of its workflow, or the next attempt of an earlier one.
pub(super) fn create(connection: &Connection, run: &NewRun) -> rusqlite::Result<RunNumbers> {
    let (number, attempt, first) = match run.rerun_of {
        None => {
            let last: Option<u64> = connection
                .prepare_cached("SELECT max(number) FROM runs WHERE repository = ?1 AND workflow = ?2")?
                .query_row(params![run.repository, run.workflow], |row| row.get(0))?;
            (last.unwrap_or(0) + 1, 1, None)
        }
        Some(before) => {
            let (number, first): (u64, u64) = connection.query_row(
                "SELECT number, coalesce(first, id) FROM runs WHERE id = ?1",
                [before.0],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let attempt: u32 = connection.query_row(
                "SELECT max(attempt) + 1 FROM runs WHERE id = ?1 OR first = ?1",
                [first],
                |row| row.get(0),
            )?;
            connection.execute("UPDATE runs SET latest = 0 WHERE id = ?1 OR first = ?1", [first])?;
            (number, attempt, Some(first))
        }
    };
    let trust = if run.trust.is_empty() { "trusted" } else { &run.trust };
    connection
        .prepare_cached(
            "INSERT INTO runs (repository, workflow, number, attempt, event, git_ref, sha, started_at, forge, actor, title,
                 priority, trust, rerun_of, first)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            run.repository,
            run.workflow,
            number,
            attempt,
            run.event,
            run.git_ref,
            run.sha,
            run.started_at,
            run.forge,
            run.actor,
            run.title,
            run.priority,
            trust,
            run.rerun_of.map(|run| run.0),
            first
        ])?;
    let id = connection.last_insert_rowid().unsigned_abs();
    Ok(RunNumbers { id: RunId(id), first: RunId(first.unwrap_or(id)), number, attempt })
}

/// What a fact changes in the row of its run.
pub(super) enum Change {
    Status(RunStatus),
    Over { conclusion: Conclusion, at: String },
    Reason(String),
    JobOver(JobRunKey),
}

impl Change {
    pub(super) fn of(fact: &Recorded) -> Option<Self> {
        match &fact.event {
            RunEvent::JobRunStarted { .. } => Some(Self::Status(RunStatus::InProgress)),
            RunEvent::ReviewRequested { .. } | RunEvent::RunHeld { .. } => Some(Self::Status(RunStatus::Waiting)),
            RunEvent::Reviewed { passed: true, .. } | RunEvent::RunReleased { .. } => {
                Some(Self::Status(RunStatus::Queued))
            }
            RunEvent::JobRunFinished { key, .. } => Some(Self::JobOver(key.clone())),
            RunEvent::RunFinished { conclusion } => {
                Some(Self::Over { conclusion: *conclusion, at: fact.at.to_string() })
            }
            RunEvent::RunCancelRequested { by, .. } => Some(Self::Reason(format!("cancelled by {by}"))),
            RunEvent::JobRunCancelRequested { key, reason: reason @ CancelReason::Group { .. } } => {
                Some(Self::Reason(format!("{key}: {}", reason.sentence())))
            }
            RunEvent::JobRunCancelRequested { .. }
            | RunEvent::Reviewed { passed: false, .. }
            | RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::JobSkipped { .. }
            | RunEvent::JobExpanded { .. }
            | RunEvent::JobRefused { .. }
            | RunEvent::CallStarted { .. }
            | RunEvent::RunStarted
            | RunEvent::JobRunPlaced { .. }
            | RunEvent::JobRunReset { .. }
            | RunEvent::StepStarted { .. }
            | RunEvent::StepFinished { .. }
            | RunEvent::RunRefused { .. } => None,
        }
    }

    pub(super) fn apply(&self, connection: &Connection, run: RunId) -> rusqlite::Result<()> {
        match self {
            Self::Status(status) => connection
                .prepare_cached("UPDATE runs SET status = ?2 WHERE id = ?1")?
                .execute(params![run.0, status.as_str()]),
            Self::Over { conclusion, at } => {
                job_tokens::end(connection, run, None)?;
                connection
                    .prepare_cached(
                        "UPDATE runs SET status = 'completed', conclusion = ?2, finished_at = ?3 WHERE id = ?1",
                    )?
                    .execute(params![run.0, conclusion.word(), at])
            }
            Self::JobOver(key) => return job_tokens::end(connection, run, Some(key)),
            Self::Reason(reason) => connection
                .prepare_cached("UPDATE runs SET reason = coalesce(reason, ?2) WHERE id = ?1")?
                .execute(params![run.0, reason]),
        }
        .map(drop)
    }
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let unknown = || rusqlite::Error::FromSqlConversionFailure(0, Type::Text, "unknown status".into());
    Ok(RunRow {
        numbers: RunNumbers {
            id: RunId(row.get("id")?),
            first: RunId(row.get("first")?),
            number: row.get("number")?,
            attempt: row.get("attempt")?,
        },
        repository: row.get("repository")?,
        priority: row.get("priority")?,
        status: RunStatus::parse(&row.get::<_, String>("status")?).ok_or_else(unknown)?,
    })
}
