//! Deployments of job runs to environments, as their logs tell them: which there were, and what stands where.
//!
//! They are written with the place up to which a run's log is reported, so that a killed process neither loses nor doubles
//! one. States are GitHub's: <https://docs.github.com/en/rest/deployments/statuses>.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params, params};
use workflow::run::JobRunKey;

use super::database::Database;
use super::{RunId, StoreError};

/// Most deployments of one list.
pub const LISTED_MAX: usize = 200;

/// What a fact of a run's log tells of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentChange {
    /// The job run that deploys.
    pub job: JobRunKey,
    /// `owner/name`.
    pub repository: String,
    /// Where to.
    pub environment: String,
    /// GitHub's word.
    pub state: &'static str,
    /// Where what was deployed is seen.
    pub url: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Whether it goes on.
    pub is_open: bool,
}

/// A deployment as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Deployed {
    /// Its number; newer ones have higher ones.
    pub id: u64,
    /// `owner/name`.
    pub repository: String,
    /// Where to.
    pub environment: String,
    /// What, once that was looked up; empty: all of the repository.
    pub service: String,
    /// `in_progress`, `success`, `failure` or `error`.
    pub state: String,
    /// Where what was deployed is seen.
    pub url: Option<String>,
    /// The run that did it.
    pub run: RunId,
    /// Its job.
    pub job: String,
    /// Path of the workflow.
    pub workflow: String,
    /// The commit.
    pub sha: String,
    /// `github.ref`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Who did what the run is for.
    pub actor: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Which to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentFilter {
    /// `owner/name`.
    pub repository: Option<String>,
    /// An environment.
    pub environment: Option<String>,
    /// A state.
    pub state: Option<String>,
    /// Older than this one.
    pub before: Option<u64>,
    /// At most this many; never more than [`LISTED_MAX`].
    pub limit: usize,
}

/// The deployments in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Deployments {
    database: Database,
}

impl Deployments {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// Deployments, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, filter: DeploymentFilter) -> Result<Vec<Deployed>, StoreError> {
        self.database.read(move |connection| list(connection, &filter)).await
    }

    /// One deployment.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn one(&self, id: u64) -> Result<Option<Deployed>, StoreError> {
        let read = move |connection: &Connection| {
            let select = format!("{SELECT} WHERE deployments.id = ?1");
            connection.prepare_cached(&select)?.query_row([id], deployed).optional()
        };
        self.database.read(read).await
    }

    /// The deployment of a job of a run.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of_job(&self, run: RunId, job: &str) -> Result<Option<Deployed>, StoreError> {
        let job = job.to_owned();
        let read = move |connection: &Connection| {
            let select = format!("{SELECT} WHERE deployments.run = ?1 AND deployments.job = ?2");
            connection.prepare_cached(&select)?.query_row(params![run.0, job], deployed).optional()
        };
        self.database.read(read).await
    }

    /// What stands in each environment that was deployed to: its newest deployment that succeeded, or where there is none
    /// its newest.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn standing(&self, repository: Option<String>) -> Result<Vec<Deployed>, StoreError> {
        self.database.read(move |connection| standing(connection, repository.as_deref())).await
    }
}

/// Keeps what facts of a run tell.
pub(super) fn keep(transaction: &Transaction<'_>, run: RunId, changes: &[DeploymentChange]) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO deployments (run, job, repository, environment, state, url, started_at, ended_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (run, job) DO UPDATE SET state = ?5, url = ?6, ended_at = ?8",
    )?;
    for change in changes {
        let at = change.at.as_millisecond();
        let ended = (!change.is_open).then_some(at);
        let (job, place) = (change.job.to_string(), (&change.repository, &change.environment));
        put.execute(params![run.0, job, place.0, place.1, change.state, change.url, at, ended])?;
    }
    Ok(())
}

const SELECT: &str = "SELECT deployments.*, runs.workflow, runs.sha, runs.git_ref, runs.actor
                      FROM deployments JOIN runs ON runs.id = deployments.run";

fn list(connection: &Connection, filter: &DeploymentFilter) -> rusqlite::Result<Vec<Deployed>> {
    let mut select = connection.prepare_cached(&format!(
        "{SELECT} WHERE (:repository IS NULL OR deployments.repository = :repository COLLATE NOCASE)
         AND (:environment IS NULL OR environment = :environment COLLATE NOCASE)
         AND (:state IS NULL OR state = :state) AND (:before IS NULL OR deployments.id < :before)
         ORDER BY deployments.id DESC LIMIT :limit"
    ))?;
    let values = named_params! {
        ":repository": filter.repository, ":environment": filter.environment, ":state": filter.state,
        ":before": filter.before, ":limit": filter.limit.min(LISTED_MAX),
    };
    select.query_map(values, deployed)?.collect()
}

fn standing(connection: &Connection, repository: Option<&str>) -> rusqlite::Result<Vec<Deployed>> {
    // From one environment to the next in the index, however many deployments there are of each.
    let mut select = connection.prepare_cached(&format!(
        "WITH RECURSIVE places (repository, environment) AS (
             SELECT * FROM (SELECT repository, environment FROM deployments ORDER BY repository, environment LIMIT 1)
             UNION ALL
             SELECT next.repository, next.environment FROM places JOIN deployments AS next ON next.id = coalesce(
                 (SELECT id FROM deployments AS one WHERE one.repository = places.repository
                  AND one.environment > places.environment ORDER BY one.environment LIMIT 1),
                 (SELECT id FROM deployments AS one WHERE one.repository > places.repository
                  ORDER BY one.repository, one.environment LIMIT 1)))
         {SELECT} WHERE deployments.id IN (
             SELECT coalesce(
                 (SELECT max(id) FROM deployments AS one WHERE one.repository = places.repository
                  AND one.environment = places.environment AND one.state = 'success'),
                 (SELECT max(id) FROM deployments AS one WHERE one.repository = places.repository
                  AND one.environment = places.environment))
             FROM places WHERE ?1 IS NULL OR places.repository = ?1 COLLATE NOCASE)
         ORDER BY deployments.repository, environment"
    ))?;
    select.query_map([repository], deployed)?.collect()
}

fn deployed(row: &Row<'_>) -> rusqlite::Result<Deployed> {
    let time = |millisecond| Timestamp::from_millisecond(millisecond).unwrap_or_default();
    Ok(Deployed {
        id: row.get("id")?,
        repository: row.get("repository")?,
        environment: row.get("environment")?,
        service: row.get("service")?,
        state: row.get("state")?,
        url: row.get("url")?,
        run: RunId(row.get("run")?),
        job: row.get("job")?,
        workflow: row.get("workflow")?,
        sha: row.get("sha")?,
        git_ref: row.get("git_ref")?,
        actor: row.get("actor")?,
        started_at: time(row.get("started_at")?),
        ended_at: row.get::<_, Option<i64>>("ended_at")?.map(time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewRun, Options, SqliteStore};

    #[tokio::test]
    async fn what_stands_is_what_succeeded_last() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let store = SqliteStore::on(database.clone());
        let deployments = Deployments::on(database.clone());
        let tell = async |second: i64, job: &str, environment: &str, state: &'static str, run: RunId| {
            let (job, environment) = (JobRunKey::parse(job), environment.to_owned());
            let is_open = state == "in_progress";
            let at = Timestamp::from_second(second).unwrap();
            let repository = "o/r".to_owned();
            let change = DeploymentChange { job, repository, environment, state, url: None, at, is_open };
            database.write(move |transaction| keep(transaction, run, &[change])).await.unwrap();
        };
        let one = store.create_run(NewRun { repository: "o/r".into(), sha: "a".into(), ..NewRun::default() }).await;
        let two = store.create_run(NewRun { repository: "o/r".into(), sha: "b".into(), ..NewRun::default() }).await;
        let (one, two) = (one.unwrap().id, two.unwrap().id);
        tell(1, "stage", "staging", "in_progress", one).await;
        tell(2, "stage", "staging", "success", one).await;
        tell(3, "prod", "production", "in_progress", one).await;
        tell(4, "stage", "staging", "in_progress", two).await;
        tell(5, "stage", "staging", "failure", two).await;
        let of_job = async |job: &str| deployments.of_job(two, job).await.unwrap().map(|one| one.id);
        assert_eq!((of_job("stage").await, of_job("prod").await), (Some(4), None));
        let told = |all: Vec<Deployed>| {
            let line = |it: &Deployed| format!("{} {} {} {}", it.environment, it.sha, it.state, it.ended_at.is_some());
            all.iter().map(line).collect::<Vec<_>>()
        };
        let standing = deployments.standing(Some("O/R".into())).await.unwrap();
        assert_eq!(told(standing), ["production a in_progress false", "staging a success true"]);
        assert_eq!(told(deployments.standing(Some("o/x".into())).await.unwrap()), [""; 0]);
        let filter = DeploymentFilter { environment: Some("staging".into()), limit: 1, ..DeploymentFilter::default() };
        let newest = deployments.list(filter.clone()).await.unwrap();
        let before = Some(newest[0].id);
        assert_eq!(told(newest), ["staging b failure true"]);
        let older = deployments.list(DeploymentFilter { before, ..filter }).await.unwrap();
        assert_eq!(told(older), ["staging a success true"]);
    }
}
