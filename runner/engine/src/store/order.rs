//! Runs of one ref, so that an event that came late is known to be late.

use rusqlite::params;
use workflow::event::Forge;

use super::sqlite::SqliteStore;
use super::{RunId, StoreError};

/// Most runs of a ref that are looked at; an event behind more pushes than these was on its way for very long.
const RUNS_OF_REF_MAX: usize = 30;
/// Most runs that end with their ref.
const UNFINISHED_OF_REF_MAX: usize = 1_000;

/// A ref of a registered repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefOf {
    /// What sends the repository's hooks.
    pub forge: Forge,
    /// `owner/name`, as registered.
    pub repository: String,
    /// `github.ref` of the runs, such as `refs/heads/main`.
    pub git_ref: String,
}

impl SqliteStore {
    /// The newest runs of a ref that an event of this name made, newest first; no later attempts.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn runs_of_ref(&self, of: RefOf, event: &'static str) -> Result<Vec<RunId>, StoreError> {
        self.database()
            .read(move |connection| {
                let mut select = connection.prepare_cached(
                    "SELECT id FROM runs WHERE git_ref = ?1 AND forge = ?2 AND repository = ?3 AND event = ?4
                         AND rerun_of IS NULL
                     ORDER BY id DESC LIMIT ?5",
                )?;
                let values = params![of.git_ref, of.forge.as_str(), of.repository, event, RUNS_OF_REF_MAX];
                select.query_map(values, |row| row.get(0).map(RunId))?.collect()
            })
            .await
    }

    /// Runs that are not over and that a push to a ref, or its making, asked for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unfinished_of_ref(&self, of: RefOf) -> Result<Vec<RunId>, StoreError> {
        self.database()
            .read(move |connection| {
                let mut select = connection.prepare_cached(
                    "SELECT id FROM runs WHERE git_ref = ?1 AND forge = ?2 AND repository = ?3
                         AND event IN ('push', 'create') AND status <> 'completed'
                     ORDER BY id LIMIT ?4",
                )?;
                let values = params![of.git_ref, of.forge.as_str(), of.repository, UNFINISHED_OF_REF_MAX];
                select.query_map(values, |row| row.get(0).map(RunId))?.collect()
            })
            .await
    }

    /// The concurrency groups that runs have asked for, by the names that their workflows give.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn groups_asked(&self, runs: Vec<RunId>) -> Result<Vec<(RunId, String)>, StoreError> {
        self.database()
            .read(move |connection| {
                let mut select = connection.prepare_cached(
                    "SELECT body ->> '$.event.group' FROM events
                     WHERE run = ?1 AND body ->> '$.event.type' = 'group_requested'",
                )?;
                let mut asked = Vec::new();
                for run in runs {
                    let names = select.query_map([run.0], |row| row.get::<_, Option<String>>(0))?;
                    for name in names {
                        asked.extend(name?.map(|name| (run, name)));
                    }
                }
                Ok(asked)
            })
            .await
    }
}
