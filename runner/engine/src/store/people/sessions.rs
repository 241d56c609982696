//! Who is signed in: a random name in a cookie, of which only a digest is kept.
//!
//! A session ends when it was not used for [`IDLE_MAX`], after [`LIFE_MAX`] whatever happens, when it is signed out or
//! taken back, and when the roles or the password of its user change. It gets a new name at each login, so that a name
//! that was known before is worth nothing. Follows
//! <https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html>.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use workflow::secret::Secret;
use zeroize::Zeroizing;

use super::users::assigned_of;
use super::{LISTED_MAX, UserId};
use crate::sealing;
use crate::store::StoreError;
use crate::store::audit::{Actor, Audit, Deed, hexadecimal};
use crate::store::database::Database;
use crate::store::tokens::{Grant, Holder, Scope, Scopes};

/// Longest time without a request.
pub const IDLE_MAX: SignedDuration = SignedDuration::from_hours(12);
/// Longest life.
pub const LIFE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How exact "last seen" is.
const SEEN_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// Sessions of one user; the one that was not seen for longest ends.
const OF_USER_MAX: usize = 50;
const AGENT_BYTES_MAX: usize = 200;
const NAME_BYTES: usize = 32;

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With a password.
    Password,
    /// At the OpenID provider.
    Oidc,
    /// With the first administrator's code.
    Code,
}

impl Way {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Oidc => "oidc",
            Self::Code => "code",
        }
    }
}

/// A session as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Session {
    /// Its number, to end it.
    pub id: u64,
    /// Whose it is.
    pub user: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to some minutes.
    pub seen_at: Timestamp,
    /// From where it was begun.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
    /// password, oidc or code.
    pub way: String,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The number of the session.
    pub session: u64,
    /// Who, and what they may do.
    pub holder: Holder,
}

/// The sessions in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    database: Database,
    audit: Audit,
    seen: Arc<Mutex<HashMap<u64, Timestamp>>>,
}

impl Sessions {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database, audit: Audit) -> Self {
        Self { database, audit, seen: Arc::default() }
    }

    /// Signs somebody in; a session that the browser had before ends. Gives the content of the cookie.
    ///
    /// # Errors
    /// It cannot be kept.
    pub async fn begin(
        &self,
        (user, way): (UserId, Way),
        by: Actor,
        agent: &str,
        before: Option<&str>,
        now: Timestamp,
    ) -> Result<Secret, StoreError> {
        let bytes = sealing::random::<NAME_BYTES>().map(Zeroizing::new);
        let bytes = bytes.map_err(|error| StoreError::File {
            action: "make",
            path: "a session".to_owned(),
            reason: error.to_string(),
        })?;
        let name = Secret::new(URL_SAFE_NO_PAD.encode(*bytes));
        let (digest, before) = (digest(name.expose()), before.map(digest));
        let agent: String = agent.chars().filter(|c| !c.is_control()).collect();
        let agent = agent[..agent.floor_char_boundary(AGENT_BYTES_MAX)].to_owned();
        let audit = self.audit.clone();
        let write = move |transaction: &Transaction<'_>| {
            let at = now.as_millisecond();
            let end = "UPDATE sessions SET ended_at = ?2 WHERE digest = ?1 AND ended_at IS NULL";
            transaction.execute(end, params![before, at])?;
            let end = "UPDATE sessions SET ended_at = ?2 WHERE id IN (SELECT id FROM sessions
                       WHERE user = ?1 AND ended_at IS NULL ORDER BY seen_at DESC LIMIT -1 OFFSET ?3)";
            transaction.execute(end, params![user.0, at, OF_USER_MAX - 1])?;
            let delete = "DELETE FROM sessions WHERE created_at < ?1";
            transaction.execute(delete, [(now - LIFE_MAX - LIFE_MAX).as_millisecond()])?;
            transaction.execute(
                "INSERT INTO sessions (user, digest, created_at, seen_at, address, agent, way)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)",
                params![user.0, digest, at, by.origin, agent, way.as_str()],
            )?;
            transaction.execute("UPDATE users SET seen_at = ?2 WHERE id = ?1", params![user.0, at])?;
            let (target, detail) = (format!("user {}", by.who), json!({ "way": way.as_str() }));
            audit.append(transaction, &Deed { actor: by, what: "login", target, detail })
        };
        self.database.write_surely(write).await?;
        Ok(name)
    }

    /// Who this cookie belongs to; `None` if it is none or has ended.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, presented: &str, now: Timestamp) -> Result<Option<SignedIn>, StoreError> {
        if presented.len() != 43 {
            return Ok(None);
        }
        let wanted = digest(presented);
        let find = move |connection: &Connection| {
            let select = "SELECT sessions.id, user, name, sessions.created_at, sessions.seen_at FROM sessions
                          JOIN users ON users.id = user WHERE digest = ?1 AND ended_at IS NULL";
            let row = |row: &Row<'_>| {
                let facts: (u64, u64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((facts, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
            };
            let found = connection.prepare_cached(select)?.query_row([wanted], row).optional()?;
            let Some(((session, user, name), created, seen)) = found else { return Ok(None) };
            let idle = now.as_millisecond().saturating_sub(seen);
            let age = now.as_millisecond().saturating_sub(created);
            if i128::from(idle) >= IDLE_MAX.as_millis() || i128::from(age) >= LIFE_MAX.as_millis() {
                return Ok(None);
            }
            let holder = holder(connection, UserId(user), name)?;
            Ok(Some((SignedIn { session, holder }, seen)))
        };
        let Some((mut found, seen)) = self.database.read(find).await? else { return Ok(None) };
        found.holder.csrf = Some(csrf_of(presented));
        self.note(found.session, seen, now);
        Ok(Some(found))
    }

    /// Nobody waits for it, and it may be lost.
    fn note(&self, session: u64, seen: i64, now: Timestamp) {
        let seen = Timestamp::from_millisecond(seen).unwrap_or_default();
        {
            let mut noted = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let last = noted.get(&session).copied().unwrap_or(seen).max(seen);
            if now.duration_since(last) < SEEN_EVERY {
                return;
            }
            noted.retain(|_, at| now.duration_since(*at) < IDLE_MAX);
            noted.insert(session, now);
        }
        let database = self.database.clone();
        tokio::spawn(async move {
            let write = move |transaction: &Transaction<'_>| {
                let at = now.as_millisecond();
                transaction
                    .execute("UPDATE sessions SET seen_at = max(seen_at, ?2) WHERE id = ?1", params![session, at])?;
                let update = "UPDATE users SET seen_at = ?2 WHERE id = (SELECT user FROM sessions WHERE id = ?1)";
                transaction.execute(update, params![session, at]).map(drop)
            };
            if let Err(error) = database.write_surely(write).await {
                tracing::debug!(%error, "when a session was last used is not kept");
            }
        });
    }

    /// Sessions that go on, of one user or of all, the last one used first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, user: Option<UserId>, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT sessions.*, users.name AS of_user FROM sessions JOIN users ON users.id = user
                 WHERE ended_at IS NULL AND (?1 IS NULL OR user = ?1) AND sessions.seen_at > ?2
                   AND sessions.created_at > ?3
                 ORDER BY sessions.seen_at DESC, sessions.id DESC LIMIT ?4",
            )?;
            let (seen, created) = ((now - IDLE_MAX).as_millisecond(), (now - LIFE_MAX).as_millisecond());
            let of = user.map(|user| user.0);
            select.query_map(params![of, seen, created, LISTED_MAX], session_of)?.collect()
        };
        self.database.read(read).await
    }

    /// Ends a session, by its number; with `only_of`, only if it is that user's. False if there is none.
    ///
    /// # Errors
    /// It cannot be kept.
    pub async fn end(
        &self,
        session: u64,
        only_of: Option<UserId>,
        by: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let audit = self.audit.clone();
        let write = move |transaction: &Transaction<'_>| {
            let update = "UPDATE sessions SET ended_at = ?2
                          WHERE id = ?1 AND ended_at IS NULL AND (?3 IS NULL OR user = ?3)
                          RETURNING (SELECT name FROM users WHERE users.id = user)";
            let row = params![session, now.as_millisecond(), only_of.map(|user| user.0)];
            let ended = transaction.query_row(update, row, |row| row.get::<_, String>(0)).optional()?;
            let Some(name) = ended else { return Ok(false) };
            let (target, detail) = (format!("user {name}"), json!({ "session": session }));
            let what = if by.who == name { "logout" } else { "session.revoke" };
            audit.append(transaction, &Deed { actor: by, what, target, detail })?;
            Ok(true)
        };
        self.database.write_surely(write).await
    }
}

/// What the forms of a session send back: an HMAC under the session's name, so that nobody without it can make one.
#[must_use]
pub fn csrf_of(name: &str) -> Secret {
    let mut mac = Hmac::<Sha256>::new_from_slice(name.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(b"pipe csrf 1");
    Secret::new(hexadecimal(&mac.finalize().into_bytes()))
}

fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

/// A user with what they and their teams may do.
fn holder(connection: &Connection, user: UserId, name: String) -> rusqlite::Result<Holder> {
    let select = "SELECT * FROM roles WHERE user = ?1 OR team IN (SELECT team FROM members WHERE user = ?1)";
    let mut select = connection.prepare_cached(select)?;
    let grants = select.query_map([user.0], |row| Ok(assigned_of(row)?.assignment().grant()))?;
    let grants: Vec<Grant> = grants.collect::<Result<_, _>>()?;
    let select = "SELECT name FROM teams JOIN members ON team = teams.id WHERE user = ?1 ORDER BY name";
    let mut select = connection.prepare_cached(select)?;
    let teams = select.query_map([user.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let scopes: Scopes =
        Scope::ALL.into_iter().filter(|scope| grants.iter().any(|grant| grant.scopes.allow(*scope))).collect();
    let repositories = Vec::new();
    let aliases = super::aliases::names_of(connection, user)?;
    Ok(Holder { who: name, user: Some(user), aliases, maker: None, teams, scopes, repositories, grants, csrf: None })
}

fn session_of(row: &Row<'_>) -> rusqlite::Result<Session> {
    let at = |at: i64| Timestamp::from_millisecond(at).unwrap_or_default();
    Ok(Session {
        id: row.get("id")?,
        user: row.get("of_user")?,
        created_at: at(row.get("created_at")?),
        seen_at: at(row.get("seen_at")?),
        address: row.get("address")?,
        agent: row.get("agent")?,
        way: row.get("way")?,
    })
}
