//! Deployments that are over and not noted yet, and their notes.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{Insights, time};
use crate::insights::dora::{Label, Outcome, Stages};
use crate::mirror::CommitLine;
use crate::store::{RunId, StoreError};

/// How many deployments are noted at a time.
const UNNOTED_MAX: usize = 200;
/// Notes behind one that came late which are made again.
const AGAIN_MAX: usize = 20;
const PACKING_LEVEL: i32 = 1;

/// A deployment that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnoted {
    /// Its number.
    pub id: u64,
    /// The run that did it.
    pub run: RunId,
    /// Key of its job run.
    pub job: String,
    /// `owner/name`.
    pub repository: String,
    /// Where to.
    pub environment: String,
    /// GitHub's word.
    pub state: String,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The commit.
    pub sha: String,
    /// `github.ref`.
    pub git_ref: String,
    /// When the run was made.
    pub made_at: Timestamp,
}

/// The deployment of the same service to the same environment before, of those that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its number.
    pub id: u64,
    /// Its commit.
    pub sha: String,
}

/// What is noted of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The deployment.
    pub of: Unnoted,
    /// The service; empty: all of the repository.
    pub service: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When what of it was.
    pub stages: Stages,
    /// The one before.
    pub previous: Option<u64>,
    /// What it says of itself.
    pub label: Option<Label>,
    /// How many commits it took away.
    pub gone: usize,
    /// Committer dates of what it brought, in seconds since 1970.
    pub commit_times: Vec<i64>,
    /// The newest of these commits.
    pub commits: Vec<CommitLine>,
    /// Why commits are not known.
    pub problem: Option<String>,
}

impl Insights {
    /// Deployments that are over and not noted, in the order in which they ended.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unnoted(&self) -> Result<Vec<Unnoted>, StoreError> {
        let read = |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT deployments.*, runs.sha, runs.git_ref, runs.started_at AS made_at
                 FROM deployments JOIN runs ON runs.id = deployments.run
                 WHERE noted = 0 AND ended_at IS NOT NULL ORDER BY ended_at, deployments.id LIMIT ?1",
            )?;
            select.query_map([UNNOTED_MAX], unnoted)?.collect()
        };
        self.database.read(read).await
    }

    /// What stood there before, and whether this commit had stood there before that.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn before(&self, of: Unnoted, service: String) -> Result<(Option<Previous>, bool), StoreError> {
        let read = move |connection: &Connection| {
            let group = params![of.repository, of.environment, service, of.ended_at.as_millisecond(), of.id];
            let mut select = connection.prepare_cached(
                "SELECT deployment, sha FROM deployment_notes
                 WHERE repository = ?1 AND environment = ?2 AND service = ?3 AND done_at <= ?4 AND deployment <> ?5
                   AND outcome = 'success' ORDER BY done_at DESC, deployment DESC LIMIT 1",
            )?;
            let previous = |row: &Row<'_>| Ok(Previous { id: row.get(0)?, sha: row.get(1)? });
            let previous = select.query_row(group, previous).optional()?;
            let mut seen = connection.prepare_cached(
                "SELECT 1 FROM deployment_notes
                 WHERE repository = ?1 AND environment = ?2 AND service = ?3 AND done_at <= ?4 AND sha = ?5
                   AND outcome = 'success' LIMIT 1",
            )?;
            let was_there =
                seen.exists(params![of.repository, of.environment, service, of.ended_at.as_millisecond(), of.sha])?;
            Ok((previous, was_there))
        };
        self.database.read(read).await
    }

    /// Keeps a note. Where deployments that ended later are noted already, they are to be noted again.
    ///
    /// # Errors
    /// The database said no.
    pub async fn keep(&self, note: Note) -> Result<(), StoreError> {
        self.database.write_surely(move |transaction| keep(transaction, &note)).await
    }

    /// Notes that there is nothing to note of a deployment.
    ///
    /// # Errors
    /// The database said no.
    pub async fn pass_over(&self, id: u64) -> Result<(), StoreError> {
        let write = move |transaction: &Transaction<'_>| {
            transaction.execute("UPDATE deployments SET noted = 1 WHERE id = ?1", [id]).map(drop)
        };
        self.database.write_surely(write).await
    }
}

fn unnoted(row: &Row<'_>) -> rusqlite::Result<Unnoted> {
    let ended_at = time(row.get("ended_at")?);
    Ok(Unnoted {
        id: row.get("id")?,
        run: RunId(row.get("run")?),
        job: row.get("job")?,
        repository: row.get("repository")?,
        environment: row.get("environment")?,
        state: row.get("state")?,
        ended_at,
        sha: row.get("sha")?,
        git_ref: row.get("git_ref")?,
        made_at: row.get::<_, String>("made_at")?.parse().unwrap_or(ended_at),
    })
}

fn keep(transaction: &Transaction<'_>, note: &Note) -> rusqlite::Result<()> {
    let Note { of, service, outcome, stages, .. } = note;
    let (outcome, signal) = match outcome {
        Outcome::Succeeded => ("success", None),
        Outcome::RolledBack { signal } => ("rolled_back", Some(signal.as_millisecond())),
        Outcome::Stopped => ("stopped", None),
    };
    let times: Vec<u8> = note.commit_times.iter().flat_map(|at| at.to_le_bytes()).collect();
    let at = |at: Timestamp| at.as_millisecond();
    let done = at(stages.done);
    let insert = "INSERT OR REPLACE INTO deployment_notes (deployment, run, repository, environment, service, sha, outcome, signal_at,
             made_at, first_at, ready_at, asked_at, passed_at, started_at, done_at, previous, label, gone, commits, commit_times,
             problem)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";
    transaction.prepare_cached(insert)?.execute(params![
        of.id,
        of.run.0,
        of.repository,
        of.environment,
        service,
        of.sha,
        outcome,
        signal,
        at(stages.made),
        at(stages.first),
        at(stages.ready),
        at(stages.asked),
        at(stages.passed),
        at(stages.started),
        done,
        note.previous,
        note.label.map(Label::word),
        note.gone,
        note.commit_times.len(),
        times,
        note.problem,
    ])?;
    keep_commits(transaction, note)?;
    transaction
        .prepare_cached("UPDATE deployments SET noted = 1, service = ?2 WHERE id = ?1")?
        .execute(params![of.id, service])?;
    let place = params![of.repository, of.environment, service, done];
    transaction
        .prepare_cached(
            "INSERT INTO deployment_places (repository, environment, service, done_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET done_at = max(done_at, excluded.done_at)",
        )?
        .execute(place)?;
    if outcome == "success" { note_again(transaction, note) } else { Ok(()) }
}

fn keep_commits(transaction: &Transaction<'_>, note: &Note) -> rusqlite::Result<()> {
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| rusqlite::Error::ToSqlConversionFailure(error);
    let body = serde_json::to_vec(&note.commits).map_err(|error| refused(error.into()))?;
    let body = zstd::bulk::compress(&body, PACKING_LEVEL).map_err(|error| refused(error.into()))?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO deployment_commits (deployment, body) VALUES (?1, ?2)")?
        .execute(params![note.of.id, body])
        .map(drop)
}

/// What the next ones brought begins behind this one: those until the next one that succeeded.
fn note_again(transaction: &Transaction<'_>, Note { of, service, stages, .. }: &Note) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE deployments SET noted = 0 WHERE id IN (
                 SELECT deployment FROM deployment_notes
                 WHERE repository = ?1 AND environment = ?2 AND service = ?3 AND done_at > ?4 AND previous IS NOT ?5
                   AND done_at <= coalesce((SELECT min(done_at) FROM deployment_notes AS next
                       WHERE next.repository = ?1 AND next.environment = ?2 AND next.service = ?3 AND next.done_at > ?4
                         AND next.outcome = 'success'), 9e18)
                 ORDER BY done_at LIMIT ?6)",
        )?
        .execute(params![of.repository, of.environment, service, stages.done.as_millisecond(), of.id, AGAIN_MAX])
        .map(drop)
}
