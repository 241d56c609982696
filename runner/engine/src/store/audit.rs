//! Who did what, when and from where: rows that prove each other.
//!
//! Each row's hash is an HMAC over it and the hash before it, under a key that is sealed with the master key, so that who
//! can write the database cannot make a log that fits. Rows cut off at the end are known only by a checkpoint that was
//! kept elsewhere. What is written belongs into the transaction of the deed itself, where the deed has one.

mod checkpoints;
mod signed;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value as Json;
use sha2::Sha256;
use workflow::secret::Secret;

pub use signed::{Hashed, SignedCheckpoint};

use super::StoreError;
use super::database::Database;
use super::repositories::{SealError, Sealer};
use crate::sealing;

/// Most rows of one list.
pub const LISTED_MAX: usize = 500;
/// Longest text of a field that is kept.
const TEXT_BYTES_MAX: usize = 2_048;
const KEY_NAME: &str = "audit";
const SIGNER_NAME: &str = "audit signer";
const HASH_BYTES: usize = 32;

/// Who does something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Such as `token deploy-bot` or `ada on build-7`.
    pub who: String,
    /// Such as `192.0.2.7` or `command line`.
    pub origin: String,
}

/// A deed.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// Who, and from where.
    pub actor: Actor,
    /// What, as `thing.verb`: `secret.set`, `run.cancel`.
    pub what: &'static str,
    /// To what, such as `octo/shop run 7`. Holds no secret.
    pub target: String,
    /// More of it; holds no secret.
    pub detail: Json,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Audited {
    /// Its number, from 1, without holes.
    pub seq: u64,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// From where.
    pub origin: String,
    /// What.
    pub what: String,
    /// To what.
    pub target: String,
    /// More of it.
    pub detail: Json,
}

/// A state of the log that can be kept elsewhere: so many rows, the last with this hash.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checkpoint {
    /// How many rows.
    pub count: u64,
    /// The hash of the last one, in hexadecimal.
    pub head: String,
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.count, self.head)
    }
}

impl std::str::FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no checkpoint; one is `COUNT:HASH`, as `pipe audit verify` prints it");
        let (count, head) = text.split_once(':').ok_or_else(wrong)?;
        let count = count.parse().map_err(|_| wrong())?;
        let is_hash = head.len() == 2 * HASH_BYTES && head.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash { Err(wrong()) } else { Ok(Self { count, head: head.to_ascii_lowercase() }) }
    }
}

/// Which rows to list; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only deeds of this kind, or, with a dot at the end, of this group (`secret.`).
    pub what: Option<String>,
    /// Only by this one.
    pub who: Option<String>,
    /// Older than this number.
    pub before: Option<u64>,
    /// At most this many; never more than [`LISTED_MAX`].
    pub limit: usize,
}

/// Why the log cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its key cannot be opened.
    #[error("open the key of the audit log: {0}")]
    Key(SealError),
    /// It does not hold together.
    #[error("the audit log was changed: {0}")]
    Changed(String),
}

/// The audit log of a database. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    database: Database,
    key: Arc<Secret>,
    signer: Arc<ring::signature::Ed25519KeyPair>,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Audit {
    /// Opens the log, and makes its key if there is none yet.
    ///
    /// # Errors
    /// The key cannot be opened or kept.
    pub async fn open(database: Database, sealer: &dyn Sealer) -> Result<Self, AuditError> {
        let make = || {
            let bytes: [u8; 32] = sealing::random().map_err(|error| SealError(error.to_string()))?;
            Ok(Secret::new(hexadecimal(&bytes)))
        };
        let key = sealed_key(&database, sealer, KEY_NAME, make).await?;
        let signer = sealed_key(&database, sealer, SIGNER_NAME, signed::make).await?;
        let signer = signed::open(&signer).map_err(AuditError::Key)?;
        Ok(Self { database, key: Arc::new(key), signer: Arc::new(signer) })
    }

    /// Whether the log was opened before, so that its key must be there.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn exists(database: &Database) -> Result<bool, StoreError> {
        database.read(|connection| connection.prepare("SELECT 1 FROM sealed WHERE name = ?1")?.exists([KEY_NAME])).await
    }

    /// Keeps a deed in a transaction of its own.
    ///
    /// # Errors
    /// The database said no.
    pub async fn record(&self, deed: Deed) -> Result<(), StoreError> {
        let this = self.clone();
        self.database.write_surely(move |transaction| this.append(transaction, &deed)).await
    }

    /// Keeps a deed in the transaction that does it.
    pub(in crate::store) fn append(&self, connection: &Connection, deed: &Deed) -> rusqlite::Result<()> {
        let mut last = connection.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
        let last = last.query_row([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?))).optional()?;
        let (seq, before) = last.map_or((1, Vec::new()), |(seq, hash)| (seq + 1, hash));
        let row = Stored {
            seq,
            at: Timestamp::now().as_millisecond(),
            who: bounded(&deed.actor.who),
            origin: bounded(&deed.actor.origin),
            what: deed.what.to_owned(),
            target: bounded(&deed.target),
            detail: bounded(&deed.detail.to_string()),
        };
        let hash = self.hash(&row, &before);
        let mut insert = connection.prepare_cached(
            "INSERT INTO audit (seq, at, who, origin, what, target, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        insert.execute(params![row.seq, row.at, row.who, row.origin, row.what, row.target, row.detail, hash]).map(drop)
    }

    /// Rows, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, filter: AuditFilter) -> Result<Vec<Audited>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT * FROM audit
                 WHERE (?1 IS NULL OR what = ?1 OR (?1 LIKE '%.' AND substr(what, 1, length(?1)) = ?1))
                   AND (?2 IS NULL OR who = ?2) AND (?3 IS NULL OR seq < ?3)
                 ORDER BY seq DESC LIMIT ?4",
            )?;
            let limit = filter.limit.min(LISTED_MAX);
            select.query_map(params![filter.what, filter.who, filter.before, limit], audited)?.collect()
        };
        self.database.read(read).await
    }

    /// The newest deeds to one thing, as their target names it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of_target(&self, target: String) -> Result<Vec<Audited>, StoreError> {
        let read = move |connection: &Connection| {
            let select = "SELECT * FROM audit WHERE target = ?1 ORDER BY seq DESC LIMIT ?2";
            connection.prepare_cached(select)?.query_map(params![target, LISTED_MAX], audited)?.collect()
        };
        self.database.read(read).await
    }

    /// Goes through the whole log; with a checkpoint it must still hold what that says. Gives the state it is in.
    ///
    /// # Errors
    /// It does not hold together, or cannot be read.
    pub async fn verify(&self, anchor: Option<Checkpoint>) -> Result<Checkpoint, AuditError> {
        self.verify_all(anchor.into_iter().collect()).await
    }

    async fn verify_all(&self, anchors: Vec<Checkpoint>) -> Result<Checkpoint, AuditError> {
        let this = self.clone();
        let walked = self.database.read(move |connection| this.walk(connection, &anchors)).await?;
        walked.map_err(AuditError::Changed)
    }

    fn walk(&self, connection: &Connection, anchors: &[Checkpoint]) -> rusqlite::Result<Result<Checkpoint, String>> {
        let mut select = connection.prepare("SELECT * FROM audit ORDER BY seq")?;
        let mut rows = select.query([])?;
        let (mut count, mut head) = (0_u64, Vec::new());
        while let Some(row) = rows.next()? {
            let (stored, hash) = (Stored::of(row)?, row.get::<_, Vec<u8>>("hash")?);
            count += 1;
            if stored.seq != count {
                return Ok(Err(format!("row {count} is missing")));
            }
            if self.hash(&stored, &head) != hash {
                return Ok(Err(format!("row {count} is not what was written")));
            }
            head = hash;
            let mut here = anchors.iter().filter(|anchor| anchor.count == count);
            if here.any(|anchor| anchor.head != hexadecimal(&head)) {
                return Ok(Err(format!("row {count} is not the one of the checkpoint")));
            }
        }
        let kept = anchors.iter().map(|anchor| anchor.count).max().unwrap_or_default();
        if kept > count {
            return Ok(Err(format!("it ends at row {count}, but had {kept} rows")));
        }
        Ok(Ok(Checkpoint { count, head: hexadecimal(if head.is_empty() { &[0; HASH_BYTES] } else { &head }) }))
    }

    fn hash(&self, row: &Stored, before: &[u8]) -> Vec<u8> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.expose().as_bytes()).expect("HMAC takes keys of every length");
        let numbers = [row.seq.to_le_bytes(), row.at.to_le_bytes()];
        numbers.iter().for_each(|number| mac.update(number));
        for text in [&row.who, &row.origin, &row.what, &row.target, &row.detail] {
            mac.update(&(text.len() as u64).to_le_bytes());
            mac.update(text.as_bytes());
        }
        mac.update(before);
        mac.finalize().into_bytes().to_vec()
    }
}

/// A row as its hash is made of it.
struct Stored {
    seq: u64,
    at: i64,
    who: String,
    origin: String,
    what: String,
    target: String,
    detail: String,
}

impl Stored {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get("seq")?,
            at: row.get("at")?,
            who: row.get("who")?,
            origin: row.get("origin")?,
            what: row.get("what")?,
            target: row.get("target")?,
            detail: row.get("detail")?,
        })
    }
}

fn audited(row: &Row<'_>) -> rusqlite::Result<Audited> {
    let stored = Stored::of(row)?;
    Ok(Audited {
        seq: stored.seq,
        at: Timestamp::from_millisecond(stored.at).unwrap_or_default(),
        who: stored.who,
        origin: stored.origin,
        what: stored.what,
        target: stored.target,
        // What was too long is no JSON any more.
        detail: serde_json::from_str(&stored.detail).unwrap_or(Json::String(stored.detail)),
    })
}

/// A key of the database; made if it is not there.
async fn sealed_key(
    database: &Database,
    sealer: &dyn Sealer,
    name: &'static str,
    make: impl FnOnce() -> Result<Secret, SealError>,
) -> Result<Secret, AuditError> {
    let find = move |connection: &Connection| {
        let select = "SELECT value FROM sealed WHERE name = ?1";
        connection.query_row(select, [name], |row| row.get::<_, Vec<u8>>(0)).optional()
    };
    if let Some(sealed) = database.read(find).await? {
        return sealer.open(&sealed_context(name), &sealed).map_err(AuditError::Key);
    }
    let key = make().map_err(AuditError::Key)?;
    let sealed = sealer.seal(&sealed_context(name), &key).map_err(AuditError::Key)?;
    let keep = move |transaction: &rusqlite::Transaction<'_>| {
        let insert = "INSERT INTO sealed (name, value) VALUES (?1, ?2)";
        transaction.execute(insert, params![name, sealed]).map(drop)
    };
    database.write_surely(keep).await?;
    Ok(key)
}

/// What a key of the database is sealed for.
pub(in crate::store) fn sealed_context(name: &str) -> String {
    format!("sealed {name}")
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

pub(in crate::store) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
}
