//! Runs as people look at them: lists with filters, one run, its facts from a place on. It only reads.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use rusqlite::types::{ToSql, Type};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::json;
use workflow::run::Recorded;

use super::database::Database;
use super::{RunId, RunStatus, StoreError};

/// Most runs of one list.
pub const LISTED_MAX: usize = 200;
/// Most facts of one reading.
pub const FACTS_MAX: usize = 500;

/// Which runs to list; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// `owner/name`.
    pub repository: Option<String>,
    /// A branch, or a whole ref such as `refs/tags/v1`.
    pub branch: Option<String>,
    /// Name of the event.
    pub event: Option<String>,
    /// A status (`queued`, `waiting`, `in_progress`, `completed`) or a conclusion (`success`, `failure` …).
    pub status: Option<String>,
    /// Who did what it is for.
    pub actor: Option<String>,
    /// The commit, whole.
    pub sha: Option<String>,
    /// Path of the workflow, or its file name.
    pub workflow: Option<String>,
    /// Older than this one, to go on with a list.
    pub before: Option<RunId>,
    /// Only of these repositories; empty: of all.
    pub visible: Vec<String>,
    /// At most this many; never more than [`LISTED_MAX`].
    pub limit: usize,
}

/// A run as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunListed {
    /// Its number here, unique.
    pub id: RunId,
    /// `owner/name`.
    pub repository: String,
    /// Path of the workflow.
    pub workflow: String,
    /// Counts the runs of the workflow: `github.run_number`.
    pub number: u64,
    /// From 1.
    pub attempt: u32,
    /// Name of the event.
    pub event: String,
    /// `github.ref`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The commit.
    pub sha: String,
    /// Who did what it is for.
    pub actor: String,
    /// What people call it.
    pub title: String,
    /// `trusted` or `fork`.
    pub trust: String,
    /// How far it is.
    pub status: RunStatus,
    /// How it ended.
    pub conclusion: Option<String>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it ended, RFC 3339.
    pub finished_at: Option<String>,
    /// The attempt before.
    pub rerun_of: Option<RunId>,
    /// Why it, or a job of it, was cancelled: by whom, or by which newer run.
    pub reason: Option<String>,
    /// Whether no later attempt was made.
    pub is_latest: bool,
}

/// The runs in a database, to look at. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Listing {
    database: Database,
}

impl Listing {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, filter: RunFilter) -> Result<Vec<RunListed>, StoreError> {
        self.database.read(move |connection| list(connection, &filter)).await
    }

    /// One run.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn one(&self, run: RunId) -> Result<Option<RunListed>, StoreError> {
        let read = move |connection: &Connection| {
            connection.prepare_cached("SELECT * FROM runs WHERE id = ?1")?.query_row([run.0], listed).optional()
        };
        self.database.read(read).await
    }

    /// All attempts of a run, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn attempts(&self, run: RunId) -> Result<Vec<RunListed>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT * FROM runs WHERE id = (SELECT coalesce(first, id) FROM runs WHERE id = ?1)
                    OR first = (SELECT coalesce(first, id) FROM runs WHERE id = ?1)
                 ORDER BY attempt LIMIT ?2",
            )?;
            select.query_map(params![run.0, LISTED_MAX], listed)?.collect()
        };
        self.database.read(read).await
    }

    /// Facts of a run behind a place in its log, in order, at most [`FACTS_MAX`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn facts(&self, run: RunId, after: u64) -> Result<Vec<Recorded>, StoreError> {
        let read = move |connection: &Connection| {
            let select = "SELECT body FROM events WHERE run = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
            let mut select = connection.prepare_cached(select)?;
            let rows = select.query_map(params![run.0, after, FACTS_MAX], |row| row.get::<_, String>(0))?;
            rows.map(|body| {
                let fact = serde_json::from_str(&body?);
                fact.map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
            })
            .collect()
        };
        self.database.read(read).await
    }

    /// All facts of a run, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn log(&self, run: RunId) -> Result<Vec<Recorded>, StoreError> {
        let mut all: Vec<Recorded> = Vec::new();
        loop {
            let more = self.facts(run, all.last().map_or(0, |fact| fact.seq)).await?;
            let is_last = more.len() < FACTS_MAX;
            all.extend(more);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The last place in a run's log; 0 if it is empty.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn last_fact(&self, run: RunId) -> Result<u64, StoreError> {
        let read = move |connection: &Connection| {
            let select = "SELECT max(seq) FROM events WHERE run = ?1";
            let last: Option<u64> = connection.prepare_cached(select)?.query_row([run.0], |row| row.get(0))?;
            Ok(last.unwrap_or(0))
        };
        self.database.read(read).await
    }

    /// When the oldest run was made that goes on, of those made since some time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn oldest_open(&self, since: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let read = |connection: &Connection| {
            let select = "SELECT started_at FROM runs WHERE status <> 'completed' AND status <> 'queued'";
            connection
                .prepare_cached(select)?
                .query_map([], |row| row.get::<_, String>(0))?
                .collect::<Result<Vec<_>, _>>()
        };
        let times = self.database.read(read).await?;
        Ok(times.iter().filter_map(|time| time.parse().ok()).filter(|time| *time >= since).min())
    }

    /// Runs that ended before a time, of these.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ended_before(&self, time: Timestamp, of: Vec<RunId>) -> Result<Vec<RunId>, StoreError> {
        let read = move |connection: &Connection| {
            let select = "SELECT 1 FROM runs WHERE id = ?1 AND status = 'completed' AND finished_at < ?2";
            let (mut select, time) = (connection.prepare_cached(select)?, time.to_string());
            let mut ended = Vec::new();
            for run in of {
                if select.exists(rusqlite::params![run.0, time])? {
                    ended.push(run);
                }
            }
            Ok(ended)
        };
        self.database.read(read).await
    }

    /// Repositories that have runs, with the newest run of each.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn repositories(&self) -> Result<Vec<(String, RunId)>, StoreError> {
        let read = |connection: &Connection| {
            let mut select =
                connection.prepare_cached("SELECT repository, max(id) FROM runs GROUP BY repository LIMIT ?1")?;
            select
                .query_map([super::repositories::REPOSITORIES_MAX], |row| Ok((row.get(0)?, RunId(row.get(1)?))))?
                .collect()
        };
        self.database.read(read).await
    }
}

/// Conditions and their values.
#[derive(Default)]
struct Conditions {
    texts: Vec<&'static str>,
    values: Vec<(&'static str, Box<dyn ToSql>)>,
}

impl Conditions {
    fn add(&mut self, text: &'static str, name: &'static str, value: impl ToSql + 'static) {
        self.texts.push(text);
        self.values.push((name, Box::new(value)));
    }

    /// Only what is asked for is written, so that the index of one condition gives the order.
    fn of(filter: &RunFilter) -> Self {
        let mut this = Self::default();
        let filter = filter.clone();
        if let Some(repository) = filter.repository {
            this.add("repository = :repository", ":repository", repository);
        }
        if let Some(branch) = filter.branch {
            let whole = if branch.starts_with("refs/") { branch } else { format!("refs/heads/{branch}") };
            this.add("git_ref = :ref", ":ref", whole);
        }
        if let Some(event) = filter.event {
            this.add("event = :event", ":event", event);
        }
        if let Some(actor) = filter.actor {
            this.add("actor = :actor", ":actor", actor);
        }
        if let Some(sha) = filter.sha {
            this.add("sha = :sha", ":sha", sha);
        }
        if let Some(workflow) = filter.workflow {
            this.values.push((":path", Box::new(format!(".github/workflows/{workflow}"))));
            this.add("workflow IN (:workflow, :path)", ":workflow", workflow);
        }
        if let Some(status) = filter.status {
            let text = match RunStatus::parse(&status) {
                None => "conclusion = :status",
                Some(RunStatus::Completed) => "status = :status",
                // Only as it is written in the index of unfinished runs is that one used.
                Some(RunStatus::Queued | RunStatus::Waiting | RunStatus::InProgress) => {
                    "status <> 'completed' AND status = :status"
                }
            };
            this.add(text, ":status", status);
        }
        if let Some(before) = filter.before {
            this.add("id < :before", ":before", before.0);
        }
        if !filter.visible.is_empty() {
            let text = "repository COLLATE NOCASE IN (SELECT value FROM json_each(:visible))";
            this.add(text, ":visible", json!(filter.visible).to_string());
        }
        this
    }
}

fn list(connection: &Connection, filter: &RunFilter) -> rusqlite::Result<Vec<RunListed>> {
    let Conditions { texts, mut values } = Conditions::of(filter);
    let filters = if texts.is_empty() { String::new() } else { format!("WHERE {}", texts.join(" AND ")) };
    values.push((":limit", Box::new(filter.limit.min(LISTED_MAX))));
    let mut select =
        connection.prepare_cached(&format!("SELECT * FROM runs {filters} ORDER BY id DESC LIMIT :limit"))?;
    let values: Vec<(&str, &dyn ToSql)> = values.iter().map(|(name, value)| (*name, &**value)).collect();
    select.query_map(values.as_slice(), listed)?.collect()
}

fn listed(row: &Row<'_>) -> rusqlite::Result<RunListed> {
    let status: String = row.get("status")?;
    let unknown = || rusqlite::Error::FromSqlConversionFailure(0, Type::Text, "unknown status".into());
    Ok(RunListed {
        id: RunId(row.get("id")?),
        repository: row.get("repository")?,
        workflow: row.get("workflow")?,
        number: row.get("number")?,
        attempt: row.get("attempt")?,
        event: row.get("event")?,
        git_ref: row.get("git_ref")?,
        sha: row.get("sha")?,
        actor: row.get("actor")?,
        title: row.get("title")?,
        trust: row.get("trust")?,
        status: RunStatus::parse(&status).ok_or_else(unknown)?,
        conclusion: row.get("conclusion")?,
        created_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        rerun_of: row.get::<_, Option<u64>>("rerun_of")?.map(RunId),
        reason: row.get("reason")?,
        is_latest: row.get("latest")?,
    })
}
