//! Tokens of jobs: each job that asks for one has its own, and it ends with the job (T01).
//!
//! Only digests are kept. A token is of one job of one attempt, for that repository, and allows no more than the job's
//! `permissions:` say. It is taken back in the transaction that records the end of the job, so that there is no moment at which the
//! job is over and its token is not.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sha2::{Digest as _, Sha256};
use workflow::model::{PermissionLevel, Permissions};
use workflow::run::JobRunKey;
use workflow::secret::Secret;

use super::database::Database;
use super::tokens::{Holder, Scope, Scopes, make};
use super::{RunId, StoreError};

/// The name by which a workflow asks for it: `${{ secrets.PIPE_TOKEN }}`.
pub const JOB_TOKEN: &str = "PIPE_TOKEN";

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum JobTokenError {
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random bytes.
    #[error("make a token: {0}")]
    Random(#[from] std::io::Error),
}

/// The tokens of jobs in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JobTokens {
    database: Database,
}

/// What a job's token allows: the scope `actions` of its `permissions:`. Where a workflow says nothing it may read.
#[must_use]
pub fn scopes(permissions: Option<&Permissions>) -> Scopes {
    let level = permissions.map_or(PermissionLevel::Read, |permissions| permissions.level("actions"));
    let all: &[Scope] = match level {
        PermissionLevel::None => &[],
        PermissionLevel::Read => &[Scope::RunsRead],
        PermissionLevel::Write => &[Scope::RunsRead, Scope::RunsWrite, Scope::Dispatch],
    };
    all.iter().copied().collect()
}

impl JobTokens {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// Makes a token for a job that goes on. One that was made before, by a process that has ended, stays good until the job ends.
    /// `None` where it would allow nothing.
    ///
    /// # Errors
    /// It cannot be made or kept.
    pub async fn give(
        &self,
        run: RunId,
        job: &JobRunKey,
        repository: &str,
        scopes: &Scopes,
    ) -> Result<Option<Secret>, JobTokenError> {
        if scopes.is_empty() {
            return Ok(None);
        }
        let token = make()?;
        let (digest, job) = (digest(token.expose()), job.to_string());
        let (repository, scopes) = (repository.to_owned(), scopes.to_string());
        let write = move |transaction: &Transaction<'_>| {
            let insert = "INSERT INTO job_tokens (digest, run, job, repository, scopes) VALUES (?1, ?2, ?3, ?4, ?5)";
            transaction.prepare_cached(insert)?.execute(params![digest, run.0, job, repository, scopes]).map(drop)
        };
        self.database.write_surely(write).await?;
        Ok(Some(token))
    }
}

/// Who holds it, as long as its job goes on.
pub(super) fn holder(connection: &Connection, digest: [u8; 32]) -> rusqlite::Result<Option<Holder>> {
    let select = "SELECT run, job, job_tokens.repository, scopes FROM job_tokens
                  JOIN runs ON runs.id = run AND status <> 'completed' WHERE digest = ?1";
    let row = |row: &rusqlite::Row<'_>| {
        let (run, job): (u64, String) = (row.get(0)?, row.get(1)?);
        let scopes = Scopes::stored(&row.get::<_, String>(3)?);
        Ok(Holder::of(format!("job {job} of run {run}"), scopes, vec![row.get(2)?]))
    };
    connection.prepare_cached(select)?.query_row([digest], row).optional()
}

/// A job is over; with `None` the whole run.
pub(super) fn end(connection: &Connection, run: RunId, job: Option<&JobRunKey>) -> rusqlite::Result<()> {
    let job = job.map(ToString::to_string);
    let delete = "DELETE FROM job_tokens WHERE run = ?1 AND (?2 IS NULL OR job = ?2)";
    connection.prepare_cached(delete)?.execute(params![run.0, job]).map(drop)
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;

    #[test]
    fn t01_a_token_allows_what_its_permissions_say() {
        let of = |level| Permissions::Scopes(IndexMap::from([("actions".to_owned(), level)]));
        for (permissions, expected) in [
            (None, "runs:read"),
            (Some(Permissions::ReadAll), "runs:read"),
            (Some(Permissions::WriteAll), "runs:read runs:write dispatch"),
            (Some(Permissions::Scopes(IndexMap::new())), ""),
            (Some(of(PermissionLevel::None)), ""),
            (Some(of(PermissionLevel::Write)), "runs:read runs:write dispatch"),
        ] {
            assert_eq!(scopes(permissions.as_ref()).to_string(), expected, "{permissions:?}");
        }
    }
}
