//! Notes read back: as records for DORA's figures, and whole for the page of one deployment.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde::Serialize;
use serde_json::json;

use super::{Insights, time};
use crate::insights::dora::{Deployment, Label, Outcome, Stages};
use crate::mirror::CommitLine;
use crate::store::StoreError;

/// Most deployments that figures are made of.
const DEPLOYMENTS_MAX: usize = 50_000;
/// Most places that are listed.
const PLACES_MAX: usize = 1_000;
/// Largest list of commits when unpacked.
const COMMITS_BYTES_MAX: usize = 16 << 20;

/// Which deployments figures are of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoraFilter {
    /// Where to.
    pub environment: String,
    /// `owner/name`.
    pub repository: Option<String>,
    /// A service.
    pub service: Option<String>,
    /// Only of these repositories; empty: of all.
    pub visible: Vec<String>,
    /// Those that ended since then.
    pub since: Timestamp,
}

/// Something that is deployed somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `owner/name`.
    pub repository: String,
    /// Where to.
    pub environment: String,
    /// What; empty: all of the repository.
    pub service: String,
    /// When last.
    pub done_at: Timestamp,
}

/// What is noted of one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// When its run was made.
    pub made_at: Timestamp,
    /// When the first job of the run began.
    pub first_at: Timestamp,
    /// When the jobs that it needs had ended.
    pub ready_at: Timestamp,
    /// When rules held it up.
    pub asked_at: Timestamp,
    /// When they let it go on.
    pub passed_at: Timestamp,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub done_at: Timestamp,
    /// The deployment before that succeeded.
    pub previous: Option<u64>,
    /// What it says of itself.
    pub label: Option<Label>,
    /// How many commits it took away.
    pub commits_gone: u64,
    /// How many it brought.
    pub commits_count: u64,
    /// The newest of them.
    pub commits: Vec<CommitLine>,
    /// Why commits are not known.
    pub problem: Option<String>,
}

impl Insights {
    /// Deployments to an environment, by the time at which they ended.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn deployments(&self, filter: DoraFilter) -> Result<Vec<Deployment>, StoreError> {
        self.database.read(move |connection| deployments(connection, &filter)).await
    }

    /// What is deployed where, by environment.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn places(&self) -> Result<Vec<Place>, StoreError> {
        let read = |connection: &Connection| {
            let select = "SELECT * FROM deployment_places ORDER BY environment, repository, service LIMIT ?1";
            connection.prepare_cached(select)?.query_map([PLACES_MAX], place)?.collect()
        };
        self.database.read(read).await
    }

    /// What is noted of a deployment; `None`: nothing yet.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn noted(&self, deployment: u64) -> Result<Option<Noted>, StoreError> {
        let read = move |connection: &Connection| {
            let select =
                "SELECT * FROM deployment_notes JOIN deployment_commits USING (deployment) WHERE deployment = ?1";
            connection.prepare_cached(select)?.query_row([deployment], noted).optional()
        };
        self.database.read(read).await
    }
}

fn deployments(connection: &Connection, filter: &DoraFilter) -> rusqlite::Result<Vec<Deployment>> {
    let mut select = connection.prepare_cached(
        "SELECT deployment_notes.*,
                (SELECT at FROM deployment_marks WHERE deployment_marks.deployment = deployment_notes.deployment
                 AND mark = 'failed') AS failed_at,
                EXISTS (SELECT 1 FROM deployment_marks WHERE deployment_marks.deployment = deployment_notes.deployment
                 AND mark = 'unplanned') AS unplanned
         FROM deployment_notes
         WHERE environment = :environment AND done_at >= :since
           AND (:repository IS NULL OR repository = :repository) AND (:service IS NULL OR service = :service)
           AND (:all OR repository IN (SELECT value FROM json_each(:visible)))
         ORDER BY done_at DESC LIMIT :limit",
    )?;
    let visible = json!(filter.visible).to_string();
    let values = named_params! {
        ":environment": filter.environment, ":since": filter.since.as_millisecond(), ":repository": filter.repository,
        ":service": filter.service, ":all": filter.visible.is_empty(), ":visible": visible, ":limit": DEPLOYMENTS_MAX,
    };
    select.query_map(values, deployment)?.collect()
}

fn deployment(row: &Row<'_>) -> rusqlite::Result<Deployment> {
    let stages = stages(row)?;
    let outcome = match row.get_ref("outcome")?.as_str()? {
        "success" => Outcome::Succeeded,
        "rolled_back" => {
            Outcome::RolledBack { signal: row.get::<_, Option<i64>>("signal_at")?.map_or(stages.done, time) }
        }
        _ => Outcome::Stopped,
    };
    let times = row.get_ref("commit_times")?.as_blob()?;
    let commit = |bytes: &[u8; 8]| Timestamp::from_second(i64::from_le_bytes(*bytes)).ok();
    Ok(Deployment {
        id: row.get("deployment")?,
        run: row.get("run")?,
        repository: row.get("repository")?,
        environment: row.get("environment")?,
        service: row.get("service")?,
        sha: row.get("sha")?,
        outcome,
        stages,
        commits: times.as_chunks::<8>().0.iter().filter_map(commit).collect(),
        label: label(row)?,
        failed_at: row.get::<_, Option<i64>>("failed_at")?.map(time),
        unplanned: row.get("unplanned")?,
    })
}

fn stages(row: &Row<'_>) -> rusqlite::Result<Stages> {
    let at = |name: &str| row.get(name).map(time);
    Ok(Stages {
        made: at("made_at")?,
        first: at("first_at")?,
        ready: at("ready_at")?,
        asked: at("asked_at")?,
        passed: at("passed_at")?,
        started: at("started_at")?,
        done: at("done_at")?,
    })
}

fn label(row: &Row<'_>) -> rusqlite::Result<Option<Label>> {
    Ok(row.get_ref("label")?.as_str_or_null()?.and_then(Label::parse))
}

fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        repository: row.get("repository")?,
        environment: row.get("environment")?,
        service: row.get("service")?,
        done_at: time(row.get("done_at")?),
    })
}

fn noted(row: &Row<'_>) -> rusqlite::Result<Noted> {
    let Stages { made, first, ready, asked, passed, started, done } = stages(row)?;
    let body = zstd::bulk::decompress(row.get_ref("body")?.as_blob()?, COMMITS_BYTES_MAX).unwrap_or_default();
    Ok(Noted {
        made_at: made,
        first_at: first,
        ready_at: ready,
        asked_at: asked,
        passed_at: passed,
        started_at: started,
        done_at: done,
        previous: row.get("previous")?,
        label: label(row)?,
        commits_gone: row.get("gone")?,
        commits_count: row.get("commits")?,
        commits: serde_json::from_slice(&body).unwrap_or_default(),
        problem: row.get("problem")?,
    })
}
