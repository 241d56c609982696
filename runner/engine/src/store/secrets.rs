//! Secrets and variables that jobs are given: scoped to a repository, an environment, a branch, or to all.
//!
//! Of those that fit, the most specific one wins: an environment's before a repository's before a branch's, and of two
//! branch patterns the one that is no pattern, then the longer one. Secrets are sealed for their place and version, and
//! only those that are asked for are opened. Values of secrets are never given out but to jobs.
//! Follows <https://docs.github.com/en/actions/concepts/security/secrets>.

mod name;
mod port;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde_json::json;
use workflow::secret::Secret;
use workflow::trigger::Glob;

pub use name::{NameError, check_name};

use super::StoreError;
use super::audit::{Actor, Audit, Deed};
use super::database::Database;
use super::repositories::{SealError, Sealer};
use crate::job::SecretStore;

/// Most rows of one list.
pub const LISTED_MAX: usize = 10_000;
/// Longest value, as GitHub's limit of 48 KB.
pub const VALUE_BYTES_MAX: usize = 48 * 1_024;
/// Shorter secrets cannot be hidden in logs.
pub const SECRET_CHARACTERS_MIN: usize = 4;

/// Stands where a repository does for what no job gets: credentials of the channels that people's news go to. No repository has this
/// name, since theirs have an owner.
pub const NOTIFY: &str = "notify";

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Sealed; no log may show it.
    Secret,
    /// Plain.
    Variable,
}

impl Kind {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Variable => "variable",
        }
    }
}

/// For which jobs a value is. What is empty means: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Scope {
    /// `owner/name`.
    pub repository: String,
    /// A deployment environment.
    pub environment: String,
    /// A branch or a pattern of branches as in `on.push.branches`; one that begins with `refs/` is held against the
    /// whole ref.
    pub branch: String,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.repository == NOTIFY {
            return f.write_str("notifications");
        }
        let parts = [("repository", &self.repository), ("environment", &self.environment), ("branch", &self.branch)];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        f.write_str(if parts.is_empty() { "all" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// What a list shows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// What it is.
    pub kind: Kind,
    /// Its name, in capitals.
    pub name: String,
    /// For which jobs.
    #[serde(flatten)]
    pub scope: Scope,
    /// Counts its values, from 1.
    pub version: u64,
    /// When it got this value.
    pub updated_at: Timestamp,
    /// Who gave it.
    pub updated_by: String,
    /// The value of a variable; secrets are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The job that values are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct For<'a> {
    /// `owner/name`.
    pub repository: &'a str,
    /// The environment that it deploys to.
    pub environment: Option<&'a str>,
    /// Its ref, such as `refs/heads/main`.
    pub git_ref: &'a str,
}

/// Why a value cannot be kept or given.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SettingError {
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The value is none.
    #[error("{0}")]
    Value(String),
    /// It cannot be sealed or opened.
    #[error("the secret {name} for {scope}: {reason}")]
    Sealed {
        /// Which.
        name: String,
        /// Whose.
        scope: Scope,
        /// Why.
        reason: SealError,
    },
}

/// The secrets and variables in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Settings {
    database: Database,
    sealer: Arc<dyn Sealer>,
    audit: Audit,
}

impl Settings {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database, sealer: Arc<dyn Sealer>, audit: Audit) -> Self {
        Self { database, sealer, audit }
    }

    /// Gives a value. True if there was none.
    ///
    /// # Errors
    /// The name or the value is none, or it cannot be kept.
    pub async fn put(
        &self,
        kind: Kind,
        name: &str,
        scope: Scope,
        value: Secret,
        by: Actor,
    ) -> Result<bool, SettingError> {
        let name = check_name(name)?;
        check_value(kind, &value)?;
        let (sealer, audit) = (Arc::clone(&self.sealer), self.audit.clone());
        let (kept_name, kept_scope) = (name.clone(), scope.clone());
        let write = move |transaction: &Transaction<'_>| {
            let version = version(transaction, kind, &kept_name, &kept_scope)?.unwrap_or(0) + 1;
            let stored = match kind {
                Kind::Variable => Ok(value.expose().as_bytes().to_vec()),
                Kind::Secret => sealer.seal(&context(&kept_name, &kept_scope, version), &value),
            };
            let stored = match stored {
                Ok(stored) => stored,
                Err(reason) => return Ok(Err(reason)),
            };
            transaction.execute(
                "INSERT INTO settings (kind, name, repository, environment, branch, version, updated_at, updated_by, value)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (kind, name, repository, environment, branch) DO UPDATE SET version = excluded.version,
                    updated_at = excluded.updated_at, updated_by = excluded.updated_by, value = excluded.value,
                    repository = excluded.repository, environment = excluded.environment",
                params![
                    kind.as_str(),
                    kept_name,
                    kept_scope.repository,
                    kept_scope.environment,
                    kept_scope.branch,
                    version,
                    Timestamp::now().as_millisecond(),
                    by.who,
                    stored
                ],
            )?;
            let what = match kind {
                Kind::Secret => "secret.set",
                Kind::Variable => "variable.set",
            };
            let detail = json!({ "scope": kept_scope, "version": version });
            audit.append(transaction, &Deed { actor: by, what, target: kept_name, detail })?;
            Ok(Ok(version == 1))
        };
        let written = self.database.write_surely(write).await?;
        written.map_err(|reason| SettingError::Sealed { name, scope, reason })
    }

    /// Removes a value. False if there is none.
    ///
    /// # Errors
    /// The database said no.
    pub async fn remove(&self, kind: Kind, name: &str, scope: Scope, by: Actor) -> Result<bool, StoreError> {
        let (name, audit) = (name.to_ascii_uppercase(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let removed = transaction.execute(
                "DELETE FROM settings
                 WHERE kind = ?1 AND name = ?2 AND repository = ?3 AND environment = ?4 AND branch = ?5",
                params![kind.as_str(), name, scope.repository, scope.environment, scope.branch],
            )?;
            if removed > 0 {
                let what = match kind {
                    Kind::Secret => "secret.remove",
                    Kind::Variable => "variable.remove",
                };
                let detail = json!({ "scope": scope });
                audit.append(transaction, &Deed { actor: by, what, target: name, detail })?;
            }
            Ok(removed > 0)
        };
        self.database.write_surely(write).await
    }

    /// All of a kind, in order, up to [`LISTED_MAX`]; with a repository, those that its jobs may get.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, kind: Kind, repository: Option<String>) -> Result<Vec<Setting>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT * FROM settings WHERE kind = ?1 AND (?2 IS NULL OR repository IN ('', ?2))
                 ORDER BY name, repository, environment, branch LIMIT ?3",
            )?;
            select.query_map(params![kind.as_str(), repository, LISTED_MAX], |row| setting(row, kind))?.collect()
        };
        self.database.read(read).await
    }

    /// The secrets of these names that a job gets; `None`: all. A name without a value is left out.
    ///
    /// # Errors
    /// One cannot be opened: a job must not run with less than it should have.
    pub async fn secrets(&self, job: &For<'_>, names: Option<&[String]>) -> Result<SecretStore, SettingError> {
        let mut store = SecretStore::default();
        for (name, row) in self.best(Kind::Secret, job, names).await? {
            let opened = self.sealer.open(&context(&name, &row.scope, row.version), &row.value);
            let secret = opened.map_err(|reason| SettingError::Sealed {
                name: name.clone(),
                scope: row.scope.clone(),
                reason,
            })?;
            store.add(&name, secret);
        }
        Ok(store)
    }

    /// The names of all secrets that a job may ask for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn secret_names(&self, job: &For<'_>) -> Result<Vec<String>, StoreError> {
        Ok(self.best(Kind::Secret, job, None).await?.into_keys().collect())
    }

    /// The variables that a job gets, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn variables(&self, job: &For<'_>) -> Result<IndexMap<String, String>, StoreError> {
        let best = self.best(Kind::Variable, job, None).await?;
        Ok(best.into_iter().map(|(name, row)| (name, String::from_utf8_lossy(&row.value).into_owned())).collect())
    }

    /// Of each name the most specific row that fits.
    async fn best(
        &self,
        kind: Kind,
        job: &For<'_>,
        names: Option<&[String]>,
    ) -> Result<BTreeMap<String, Candidate>, StoreError> {
        let names = names.map(|names| json!(names.iter().map(|name| name.to_ascii_uppercase()).collect::<Vec<_>>()));
        let (repository, environment) = (job.repository.to_owned(), job.environment.map(str::to_owned));
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT name, repository, environment, branch, version, value FROM settings
                 WHERE kind = ?1 AND repository IN ('', ?2) AND environment IN ('', ?3)
                   AND (?4 IS NULL OR name IN (SELECT value FROM json_each(?4)))",
            )?;
            let names = names.map(|names| names.to_string());
            let values = params![kind.as_str(), repository, environment.unwrap_or_default(), names];
            let rows = select.query_map(values, |row| Ok((row.get::<_, String>(0)?, candidate(row)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut best: BTreeMap<String, Candidate> = BTreeMap::new();
        let fits = |row: &Candidate| row.scope.branch.is_empty() || is_branch(&row.scope.branch, job.git_ref);
        for (name, row) in self.database.read(read).await?.into_iter().filter(|(_, row)| fits(row)) {
            if best.get(&name).is_none_or(|other| rank(&row.scope) > rank(&other.scope)) {
                best.insert(name, row);
            }
        }
        Ok(best)
    }
}

struct Candidate {
    scope: Scope,
    version: u64,
    value: Vec<u8>,
}

fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate { scope: scope(row)?, version: row.get("version")?, value: row.get("value")? })
}

pub(in crate::store) fn scope(row: &Row<'_>) -> rusqlite::Result<Scope> {
    Ok(Scope { repository: row.get("repository")?, environment: row.get("environment")?, branch: row.get("branch")? })
}

fn setting(row: &Row<'_>, kind: Kind) -> rusqlite::Result<Setting> {
    let value = match kind {
        Kind::Secret => None,
        Kind::Variable => Some(String::from_utf8_lossy(&row.get::<_, Vec<u8>>("value")?).into_owned()),
    };
    Ok(Setting {
        kind,
        name: row.get("name")?,
        scope: scope(row)?,
        version: row.get("version")?,
        updated_at: Timestamp::from_millisecond(row.get("updated_at")?).unwrap_or_default(),
        updated_by: row.get("updated_by")?,
        value,
    })
}

fn version(connection: &Connection, kind: Kind, name: &str, scope: &Scope) -> rusqlite::Result<Option<u64>> {
    let select = "SELECT version FROM settings
                  WHERE kind = ?1 AND name = ?2 AND repository = ?3 AND environment = ?4 AND branch = ?5";
    let values = params![kind.as_str(), name, scope.repository, scope.environment, scope.branch];
    connection.prepare_cached(select)?.query_row(values, |row| row.get(0)).optional()
}

/// What a secret is sealed for. No two places have the same text, whatever their names hold.
pub(in crate::store) fn context(name: &str, scope: &Scope, version: u64) -> String {
    let Scope { repository, environment, branch } = scope;
    let (repository, environment) = (repository.to_ascii_lowercase(), environment.to_ascii_lowercase());
    json!(["secret", name, repository, environment, branch, version]).to_string()
}

/// More specific is greater.
fn rank(scope: &Scope) -> (bool, bool, bool, bool, usize, &str) {
    let is_literal = !scope.branch.contains(['*', '?', '+', '[']);
    let has = |text: &str| !text.is_empty();
    let Scope { repository, environment, branch } = scope;
    (has(environment), has(repository), has(branch), is_literal, branch.len(), branch)
}

fn is_branch(pattern: &str, git_ref: &str) -> bool {
    if pattern.starts_with("refs/") {
        return Glob::new(pattern).matches(git_ref);
    }
    git_ref.strip_prefix("refs/heads/").is_some_and(|branch| Glob::new(pattern).matches(branch))
}

fn check_value(kind: Kind, value: &Secret) -> Result<(), SettingError> {
    let text = value.expose();
    if text.len() > VALUE_BYTES_MAX {
        return Err(SettingError::Value(format!("the value is longer than {} KB", VALUE_BYTES_MAX / 1_024)));
    }
    if text.contains('\0') {
        return Err(SettingError::Value("the value holds a zero byte, which no environment can".to_owned()));
    }
    if kind == Kind::Secret && text.trim().chars().count() < SECRET_CHARACTERS_MIN {
        let least = SECRET_CHARACTERS_MIN;
        let what = format!("a secret needs {least} characters: a shorter one cannot be hidden in logs; use a variable");
        return Err(SettingError::Value(what));
    }
    Ok(())
}
