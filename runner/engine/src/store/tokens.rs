//! Tokens of the API: what they allow, how long, for which repositories. Only digests are kept.
//!
//! A token is `pipe_`, 32 random bytes in base 62, and six characters that check it, so that scanners know one and a
//! slip of the hand costs no look into the database. A token has 256 random bits: a plain digest of it cannot be guessed.

mod form;
mod holder;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use workflow::secret::Secret;

pub(super) use form::make;
pub use holder::{Grant, Holder};
pub use scope::{Scope, Scopes};

use super::StoreError;
use super::audit::{Actor, Audit, Deed};
use super::database::Database;

/// Most rows of one list.
pub const LISTED_MAX: usize = 1_000;
/// Longest life of a token.
pub const DAYS_MAX: i64 = 366;
/// Its life where none is given.
pub const DAYS: i64 = 90;
/// Longest name.
pub const NAME_BYTES_MAX: usize = 100;
/// Longest way from a token to who made the token that made it.
const MAKERS_MAX: usize = 8;
/// What the holder of a stored token is called, before its name.
const TOKEN: &str = "token ";
/// How exact "last used" is.
const USED_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// A token to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// Only for these; empty: for all.
    pub repositories: Vec<String>,
    /// When it ends; at most [`DAYS_MAX`] from now.
    pub expires_at: Timestamp,
}

/// A token as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Token {
    /// Its number.
    pub id: u64,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// Only for these; empty: for all.
    pub repositories: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to some minutes.
    pub used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// Why a token cannot be made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was asked for is none.
    #[error("{0}")]
    Wish(String),
}

/// The tokens in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokens {
    database: Database,
    audit: Audit,
    /// Digests of tokens that live only as long as this process.
    passing: Arc<Mutex<HashMap<[u8; 32], Holder>>>,
    used: Arc<Mutex<HashMap<u64, Timestamp>>>,
}

impl Tokens {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database, audit: Audit) -> Self {
        Self { database, audit, passing: Arc::default(), used: Arc::default() }
    }

    /// Makes a token. It is shown this once.
    ///
    /// # Errors
    /// The wish is none, or it cannot be kept.
    pub async fn create(&self, new: NewToken, by: Actor, now: Timestamp) -> Result<(u64, Secret), TokenError> {
        check(&new, now)?;
        let token = form::make().map_err(|error| TokenError::Wish(error.to_string()))?;
        let digest = digest(token.expose());
        let audit = self.audit.clone();
        let write = move |transaction: &Transaction<'_>| {
            // Reviewers are known by name: a token that is called like a user would be taken for them.
            let made = transaction.query_row(
                "INSERT INTO tokens (name, digest, scopes, repositories, created_at, created_by, expires_at)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM users WHERE name = ?1) RETURNING id",
                params![
                    new.name,
                    digest,
                    new.scopes.to_string(),
                    json!(new.repositories).to_string(),
                    now.as_millisecond(),
                    by.who,
                    new.expires_at.as_millisecond()
                ],
                |row| row.get::<_, u64>(0),
            );
            let Some(id) = made.optional()? else {
                return Ok(Err(TokenError::Wish(format!(
                    "`{}` is the name of a user; call the token otherwise",
                    new.name
                ))));
            };
            let detail = json!({
                "name": new.name, "scopes": new.scopes, "repositories": new.repositories,
                "expires_at": new.expires_at.to_string(),
            });
            audit.append(
                transaction,
                &Deed { actor: by, what: "token.create", target: format!("token {id}"), detail },
            )?;
            Ok(Ok(id))
        };
        Ok((self.database.write_surely(write).await??, token))
    }

    /// Takes a token back, by its number or, where only one has it, its name. False if there is none.
    ///
    /// # Errors
    /// The database said no, or several have the name.
    pub async fn revoke(&self, which: &str, by: Actor, now: Timestamp) -> Result<bool, TokenError> {
        let (wanted, audit) = (which.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let select = "SELECT id, name FROM tokens WHERE revoked_at IS NULL AND (name = ?1 OR id = ?2)";
            let number = wanted.parse::<u64>().ok();
            let found: Vec<(u64, String)> = transaction
                .prepare(select)?
                .query_map(params![wanted, number], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let exact = found.iter().find(|(id, _)| Some(*id) == number).cloned();
            let [(id, name)] = exact.map_or(found, |exact| vec![exact]).try_into().unwrap_or_else(|found: Vec<_>| {
                [(0, if found.is_empty() { String::new() } else { "several".to_owned() })]
            });
            if id == 0 {
                return Ok((false, name.is_empty()));
            }
            transaction
                .execute("UPDATE tokens SET revoked_at = ?2 WHERE id = ?1", params![id, now.as_millisecond()])?;
            let (target, detail) = (format!("token {id}"), json!({ "name": name }));
            audit.append(transaction, &Deed { actor: by, what: "token.revoke", target, detail })?;
            Ok((true, true))
        };
        match self.database.write_surely(write).await? {
            (done, true) => Ok(done),
            (_, false) => Err(TokenError::Wish(format!("several tokens are named `{which}`; give the number of one"))),
        }
    }

    /// All tokens, newest first, up to [`LISTED_MAX`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<Token>, StoreError> {
        let read = |connection: &Connection| {
            let mut select = connection.prepare_cached("SELECT * FROM tokens ORDER BY id DESC LIMIT ?1")?;
            select.query_map([LISTED_MAX], row_of)?.collect()
        };
        self.database.read(read).await
    }

    /// Makes a token that ends with this process and is kept nowhere.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn pass(&self, holder: Holder) -> std::io::Result<Secret> {
        let token = form::make()?;
        self.passing.lock().unwrap_or_else(PoisonError::into_inner).insert(digest(token.expose()), holder);
        Ok(token)
    }

    /// Who holds this token; `None` if it is none, has ended or was taken back.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn check(&self, presented: &str, now: Timestamp) -> Result<Option<Holder>, StoreError> {
        if !form::is_token(presented) {
            return Ok(None);
        }
        let wanted = digest(presented);
        if let Some(holder) = self.passing.lock().unwrap_or_else(PoisonError::into_inner).get(&wanted) {
            return Ok(Some(holder.clone()));
        }
        let find = move |connection: &Connection| {
            let mut select = connection.prepare_cached("SELECT * FROM tokens WHERE digest = ?1")?;
            let found =
                select.query_row([wanted], |row| Ok((row_of(row)?, row.get::<_, Vec<u8>>("digest")?))).optional()?;
            let Some((token, kept)) = found else {
                return Ok(super::job_tokens::holder(connection, wanted)?.map(Found::Job));
            };
            // Who made it is who acts with it, under whichever name.
            let by = maker(connection, &token.created_by)?;
            let names = super::people::names_of_named(connection, &by)?;
            Ok(Some(Found::Stored(Box::new(StoredToken { token, kept, by, names }))))
        };
        let StoredToken { token, kept, by, names } = match self.database.read(find).await? {
            None => return Ok(None),
            Some(Found::Job(holder)) => return Ok(Some(holder)),
            Some(Found::Stored(found)) => *found,
        };
        if !bool::from(kept.ct_eq(&wanted)) || token.revoked_at.is_some() || token.expires_at <= now {
            return Ok(None);
        }
        self.note_use(token.id, now);
        let who = format!("{TOKEN}{}", token.name);
        let maker = names.is_some().then(|| by.clone());
        let aliases = names.unwrap_or_else(|| vec![by]);
        Ok(Some(Holder { aliases, maker, ..Holder::of(who, token.scopes, token.repositories) }))
    }

    /// Nobody waits for it, and it may be lost.
    fn note_use(&self, id: u64, now: Timestamp) {
        {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            if used.get(&id).is_some_and(|last| now.duration_since(*last) < USED_EVERY) {
                return;
            }
            used.insert(id, now);
        }
        let database = self.database.clone();
        tokio::spawn(async move {
            let at = now.as_millisecond();
            let write = move |transaction: &Transaction<'_>| {
                transaction.execute("UPDATE tokens SET used_at = ?2 WHERE id = ?1", params![id, at]).map(drop)
            };
            if let Err(error) = database.write_surely(write).await {
                tracing::debug!(%error, "when a token was last used is not kept");
            }
        });
    }
}

/// A token's row, its digest, who stands behind it, and their names.
struct StoredToken {
    token: Token,
    kept: Vec<u8>,
    by: String,
    names: Option<Vec<String>>,
}

/// What a digest belongs to.
enum Found {
    /// A token that somebody made.
    Stored(Box<StoredToken>),
    /// That of a job.
    Job(Holder),
}

fn check(new: &NewToken, now: Timestamp) -> Result<(), TokenError> {
    let wrong = |text: String| Err(TokenError::Wish(text));
    if new.name.trim().is_empty() || new.name.len() > NAME_BYTES_MAX || new.name.chars().any(char::is_control) {
        return wrong(format!("a token needs a name of 1 to {NAME_BYTES_MAX} bytes without control characters"));
    }
    if new.scopes.is_empty() {
        return wrong(format!("a token needs a scope: {}", Scope::ALL.map(Scope::as_str).join(", ")));
    }
    if new.expires_at <= now {
        return wrong("the token would have ended already".to_owned());
    }
    if new.expires_at.duration_since(now) > SignedDuration::from_hours(24 * DAYS_MAX) {
        return wrong(format!("a token lives at most {DAYS_MAX} days"));
    }
    Ok(())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Who stands behind what a token may have made: the one who made the first of them.
fn maker(connection: &Connection, created_by: &str) -> rusqlite::Result<String> {
    let mut by = created_by.to_owned();
    for _ in 0..MAKERS_MAX {
        let Some(name) = by.strip_prefix(TOKEN) else { break };
        let select = "SELECT created_by FROM tokens WHERE name = ?1 ORDER BY id DESC";
        let before: Option<String> =
            connection.prepare_cached(select)?.query_row([name], |row| row.get(0)).optional()?;
        let Some(before) = before else { break };
        by = before;
    }
    Ok(by)
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<Token> {
    let at = |at: i64| Timestamp::from_millisecond(at).unwrap_or_default();
    let repositories: String = row.get("repositories")?;
    // A list that cannot be read must not mean: all.
    let repositories = serde_json::from_str(&repositories)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))?;
    Ok(Token {
        id: row.get("id")?,
        name: row.get("name")?,
        scopes: Scopes::stored(&row.get::<_, String>("scopes")?),
        repositories,
        created_at: at(row.get("created_at")?),
        created_by: row.get("created_by")?,
        expires_at: at(row.get("expires_at")?),
        used_at: row.get::<_, Option<i64>>("used_at")?.map(at),
        revoked_at: row.get::<_, Option<i64>>("revoked_at")?.map(at),
    })
}
