//! Reviews that were asked for by mail, and the tokens in those mails: each of one run, attempt, environment, commit and
//! subject, for one recipient, used once, wrong five times at most. Only digests of tokens are kept.
//!
//! Who may review, and whether what was asked for is still what waits, is checked where all reviews are.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use sha2::{Digest as _, Sha256};
use workflow::secret::Secret;

use super::database::Database;
use super::{RunId, StoreError};
use crate::service::Reviewer;

/// Wrong tokens and names of one approval before nothing is taken by its links any more.
pub const TRIES_MAX: u32 = 5;
/// How long a link can be used at most, in hours.
pub const LINK_HOURS_MAX: i64 = 24;

/// A review to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApproval {
    /// The run.
    pub run: RunId,
    /// The environment, as the jobs name it.
    pub environment: String,
    /// What exactly is approved; see `Waiting::subject`.
    pub subject: String,
    /// When it is too late.
    pub expires_at: Timestamp,
}

/// A review that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What the link names; nobody can guess it.
    pub id: String,
    /// The run.
    pub run: RunId,
    /// Which attempt it is.
    pub attempt: u32,
    /// `owner/name`.
    pub repository: String,
    /// The environment.
    pub environment: String,
    /// The commit.
    pub sha: String,
    /// What exactly is approved.
    pub subject: String,
    /// When it is too late.
    pub expires_at: Timestamp,
    /// Wrong tries.
    pub tries: u32,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// It may be used, by this one.
    Good(String),
    /// It was used, by this one.
    Used(String),
    /// It is none of this approval.
    Wrong,
    /// It is too late for it.
    Expired,
    /// There were too many wrong ones.
    Locked,
}

/// Them, in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Approvals(Database);

impl Approvals {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self(database)
    }

    /// A new token for somebody, and the approval that it is of, which is made where there is none. `None`: there is no
    /// such run.
    ///
    /// # Errors
    /// The database said no, or the system gives no random bytes.
    pub async fn ask(
        &self,
        new: NewApproval,
        recipient: &str,
        now: Timestamp,
    ) -> Result<Option<(String, Secret)>, StoreError> {
        let failed = |error: std::io::Error| StoreError::File {
            action: "make a token for",
            path: self.0.path().display().to_string(),
            reason: error.to_string(),
        };
        let id = written(&crate::sealing::random::<16>().map_err(failed)?);
        let token = Secret::new(written(&crate::sealing::random::<32>().map_err(failed)?));
        let (digest, recipient) = (digest(token.expose()), recipient.to_lowercase());
        let write = move |transaction: &Transaction<'_>| {
            let insert = "INSERT INTO approvals (id, run, attempt, repository, environment, sha, subject, created_at, expires_at)
                          SELECT ?1, id, attempt, repository, ?3, sha, ?4, ?5, ?6 FROM runs WHERE id = ?2
                          ON CONFLICT (run, environment, subject) DO NOTHING";
            let environment = new.environment.to_lowercase();
            let latest = now.as_millisecond() + LINK_HOURS_MAX * 3_600_000;
            let expires = new.expires_at.as_millisecond().min(latest);
            let row = params![id, new.run.0, environment, new.subject, now.as_millisecond(), expires];
            transaction.prepare_cached(insert)?.execute(row)?;
            let select = "SELECT id FROM approvals WHERE run = ?1 AND environment = ?2 AND subject = ?3";
            let key = params![new.run.0, environment, new.subject];
            let found: Option<String> = transaction.query_row(select, key, |row| row.get(0)).optional()?;
            let Some(id) = found else { return Ok(None) };
            let insert =
                "INSERT INTO approval_tokens (digest, approval, recipient, created_at) VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(insert, params![digest, id, recipient, now.as_millisecond()])?;
            Ok(Some(id))
        };
        Ok(self.0.write_surely(write).await?.map(|id| (id, token)))
    }

    /// One of this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, id: &str) -> Result<Option<Approval>, StoreError> {
        let id = id.to_owned();
        self.0.read(move |connection| find(connection, &id)).await
    }

    /// What a token is. It changes nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn look(&self, id: &str, token: &Secret, now: Timestamp) -> Result<Token, StoreError> {
        let (id, digest) = (id.to_owned(), digest(token.expose()));
        self.0.read(move |connection| look(connection, &id, &digest, now)).await
    }

    /// Takes a token to decide with it: from here on it is used. What is wrong is counted, also a `name` of the
    /// environment that is not typed as it is.
    ///
    /// # Errors
    /// The database said no.
    pub async fn take(&self, id: &str, token: &Secret, name: &str, now: Timestamp) -> Result<Token, StoreError> {
        let (id, digest, name) = (id.to_owned(), digest(token.expose()), name.trim().to_lowercase());
        let write = move |transaction: &Transaction<'_>| {
            let mut found = look(transaction, &id, &digest, now)?;
            let environment = find(transaction, &id)?.map(|approval| approval.environment);
            if matches!(found, Token::Good(_)) && environment.as_deref() != Some(name.as_str()) {
                found = Token::Wrong;
            }
            match &found {
                Token::Good(_) => {
                    let update = "UPDATE approval_tokens SET used_at = ?2 WHERE digest = ?1 AND used_at IS NULL";
                    transaction.execute(update, params![digest, now.as_millisecond()])?;
                }
                Token::Wrong => {
                    transaction.execute("UPDATE approvals SET tries = tries + 1 WHERE id = ?1", [&id])?;
                }
                Token::Used(_) | Token::Expired | Token::Locked => {}
            }
            Ok(found)
        };
        self.0.write_surely(write).await
    }

    /// Gives a token back with which nothing could be decided.
    ///
    /// # Errors
    /// The database said no.
    pub async fn give_back(&self, token: &Secret) -> Result<(), StoreError> {
        let digest = digest(token.expose());
        let update = "UPDATE approval_tokens SET used_at = NULL WHERE digest = ?1";
        self.0.write_surely(move |transaction| transaction.execute(update, params![digest]).map(drop)).await
    }

    /// Who reviews by an address; see `People::reviewer_at`.
    pub(crate) async fn reviewer_at(&self, address: &str) -> Result<Reviewer, StoreError> {
        let address = address.to_owned();
        self.0.read(move |connection| super::people::reviewer_at(connection, &address)).await
    }

    /// Forgets what was asked for and could be decided until `before`; how many.
    ///
    /// # Errors
    /// The database said no.
    pub async fn prune(&self, before: Timestamp) -> Result<usize, StoreError> {
        let delete = "DELETE FROM approvals WHERE expires_at < ?1";
        let before = before.as_millisecond();
        self.0.write_surely(move |transaction| transaction.execute(delete, [before])).await
    }

    /// Whether any of its links can be used by somebody without an account.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn has_tokens(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        let select = "SELECT 1 FROM approval_tokens WHERE approval = ?1";
        self.0.read(move |connection| connection.prepare_cached(select)?.exists([id])).await
    }
}

fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<Approval>> {
    let approval = |row: &Row<'_>| {
        let expires: i64 = row.get("expires_at")?;
        Ok(Approval {
            id: row.get("id")?,
            run: RunId(row.get("run")?),
            attempt: row.get("attempt")?,
            repository: row.get("repository")?,
            environment: row.get("environment")?,
            sha: row.get("sha")?,
            subject: row.get("subject")?,
            expires_at: Timestamp::from_millisecond(expires).unwrap_or_default(),
            tries: row.get("tries")?,
        })
    };
    connection.prepare_cached("SELECT * FROM approvals WHERE id = ?1")?.query_row([id], approval).optional()
}

/// A token is looked for by its digest alone, so that the time it takes tells nothing of it.
fn look(connection: &Connection, id: &str, digest: &[u8; 32], now: Timestamp) -> rusqlite::Result<Token> {
    let Some(approval) = find(connection, id)? else { return Ok(Token::Wrong) };
    let select = "SELECT recipient, used_at IS NOT NULL FROM approval_tokens WHERE digest = ?1 AND approval = ?2";
    let found: Option<(String, bool)> = connection
        .prepare_cached(select)?
        .query_row(params![digest, id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        Some((recipient, true)) => Token::Used(recipient),
        _ if approval.tries >= TRIES_MAX => Token::Locked,
        None => Token::Wrong,
        Some(_) if approval.expires_at <= now => Token::Expired,
        Some((recipient, false)) => Token::Good(recipient),
    })
}

/// Something that nobody can guess, for cookies.
///
/// # Errors
/// The system gives no random bytes.
pub fn nonce() -> std::io::Result<Secret> {
    Ok(Secret::new(written(&crate::sealing::random::<32>()?)))
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn written(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests;
