//! Rollouts of services to environments: what happened to each, in order, who may change what stands, what people ordered.
//!
//! What a fact means is not known here; facts and views are JSON. A step that is taken up after a crash asks under the key
//! that it asked under before, and finds its rollout. The lock of a service in an environment has a token that only grows
//! (<https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>): whoever was thought dead and is not can
//! write nothing any more.

mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::Value;
use tokio::sync::watch;

use self::table::{append, create, json, list, micros, order, rollout, take_lock};
use super::database::Database;
use super::{RunId, StoreError};

/// Most rollouts of one list.
pub const LISTED_MAX: usize = 200;

/// A rollout to be kept.
#[derive(Debug, Clone)]
pub struct NewRollout {
    /// Of the step that asks: asked twice, it is one rollout.
    pub key: String,
    /// Where to.
    pub environment: String,
    /// What.
    pub service: String,
    /// `owner/name`.
    pub repository: String,
    /// The run that asks, if one does.
    pub run: Option<RunId>,
    /// Its job.
    pub job: String,
    /// Who asks.
    pub actor: String,
    /// What was approved.
    pub plan_hash: String,
    /// Its first fact.
    pub fact: Value,
    /// As people see it; without its number.
    pub view: Value,
    /// When.
    pub at: Timestamp,
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutState {
    /// It goes on.
    Active,
    /// It has ended and something is left to do, such as to stop the old one.
    Ended,
    /// Nothing is left to do.
    Closed,
}

impl RolloutState {
    const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Closed => "closed",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "ended" => Self::Ended,
            _ => Self::Closed,
        }
    }
}

/// A rollout as it is kept.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RolloutRow {
    /// Its number; newer ones have higher ones.
    pub id: u64,
    /// Of the step that asked.
    pub key: String,
    /// Where to.
    pub environment: String,
    /// What.
    pub service: String,
    /// `owner/name`.
    pub repository: String,
    /// The run that asked, if one did.
    pub run: Option<RunId>,
    /// Its job.
    pub job: String,
    /// Who asked.
    pub actor: String,
    /// What was approved.
    pub plan_hash: String,
    /// How far it is.
    pub state: RolloutState,
    /// How many facts there are.
    pub seq: u64,
    /// As people see it.
    pub view: Value,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When something happened last.
    pub updated_at: Timestamp,
}

/// Which to list.
#[derive(Debug, Clone, Default)]
pub struct RolloutFilter {
    /// Where to.
    pub environment: Option<String>,
    /// What.
    pub service: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Only those that are not closed (`true`) or are (`false`).
    pub open: Option<bool>,
    /// Older than this one.
    pub before: Option<u64>,
    /// At most this many; never more than [`LISTED_MAX`].
    pub limit: usize,
}

/// Facts to be added, and what the rollout is then.
#[derive(Debug, Clone)]
pub struct Addition {
    /// How many facts there are by now; with another number nothing is written.
    pub seq: u64,
    /// The token of whoever writes, if it has one; with another one given out nothing is written.
    pub token: Option<u64>,
    /// The facts.
    pub facts: Vec<(Timestamp, Value)>,
    /// As people see it.
    pub view: Value,
    /// How far it is.
    pub state: RolloutState,
    /// The kind of facts (their field `fact`) that nobody asks for any more once nothing is left to do; they are forgotten then.
    pub passing: Option<&'static str>,
}

/// Why facts were not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotAdded {
    /// Somebody else goes on with it.
    #[error("rollout {0} is carried on by another process")]
    Overtaken(u64),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What asking for a lock gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockAnswer {
    /// It is given, under this token.
    Taken(u64),
    /// That rollout has it.
    Held(u64),
}

/// Another rollout of the same service and environment.
#[derive(Debug, Clone, PartialEq)]
pub struct RivalRow {
    /// The rollout.
    pub rollout: RolloutRow,
    /// Whether it has the lock.
    pub has_lock: bool,
    /// Its first fact.
    pub first: Value,
}

/// What somebody ordered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OrderRow {
    /// Its number.
    pub id: u64,
    /// The rollout.
    pub rollout: u64,
    /// What.
    pub word: String,
    /// Who.
    pub actor: String,
    /// What they said.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

/// The rollouts in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rollouts {
    database: Database,
    changed: Arc<watch::Sender<u64>>,
}

impl Rollouts {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database, changed: Arc::new(watch::Sender::new(0)) }
    }

    /// Changes with every write of this process through this value or its clones.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Keeps a rollout, or finds the one with this key.
    ///
    /// # Errors
    /// The store said no.
    pub async fn create(&self, new: NewRollout) -> Result<RolloutRow, StoreError> {
        let row = self.database.write_surely(move |transaction| create(transaction, &new)).await?;
        self.tell();
        Ok(row)
    }

    /// Adds facts, all or none.
    ///
    /// # Errors
    /// Somebody else goes on with it, or the store said no. Nothing was written.
    pub async fn append(&self, id: u64, addition: Addition) -> Result<(), NotAdded> {
        let written = self.database.write_surely(move |transaction| append(transaction, id, &addition)).await?;
        if !written {
            return Err(NotAdded::Overtaken(id));
        }
        self.tell();
        Ok(())
    }

    /// All facts of a rollout, in order; without the passing ones if nothing is left to do.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn facts(&self, id: u64) -> Result<Vec<(Timestamp, Value)>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select =
                connection.prepare_cached("SELECT at, fact FROM rollout_facts WHERE rollout = ?1 ORDER BY seq")?;
            select.query_map([id], |row| Ok((micros(row.get(0)?), json(row, "fact")?)))?.collect()
        };
        self.database.read(read).await
    }

    /// The first fact of a rollout.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn first_fact(&self, id: u64) -> Result<Option<Value>, StoreError> {
        let read = move |connection: &Connection| {
            connection
                .prepare_cached("SELECT fact FROM rollout_facts WHERE rollout = ?1 AND seq = 0")?
                .query_row([id], |row| json(row, "fact"))
                .optional()
        };
        self.database.read(read).await
    }

    /// One rollout.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn get(&self, id: u64) -> Result<Option<RolloutRow>, StoreError> {
        let read = move |connection: &Connection| {
            connection.prepare_cached("SELECT * FROM rollouts WHERE id = ?1")?.query_row([id], rollout).optional()
        };
        self.database.read(read).await
    }

    /// The one that was asked for under a key.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of_key(&self, key: &str) -> Result<Option<RolloutRow>, StoreError> {
        let key = key.to_owned();
        let read = move |connection: &Connection| {
            connection.prepare_cached("SELECT * FROM rollouts WHERE key = ?1")?.query_row([key], rollout).optional()
        };
        self.database.read(read).await
    }

    /// Rollouts, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, filter: RolloutFilter) -> Result<Vec<RolloutRow>, StoreError> {
        self.database.read(move |connection| list(connection, &filter)).await
    }

    /// The newest rollout of each service in each environment, by environment and service.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn newest(&self, environment: Option<String>) -> Result<Vec<RolloutRow>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT * FROM rollouts WHERE id IN (SELECT max(id) FROM rollouts GROUP BY environment, service)
                 AND (?1 IS NULL OR environment = ?1 COLLATE NOCASE) ORDER BY environment, service",
            )?;
            select.query_map([environment], rollout)?.collect()
        };
        self.database.read(read).await
    }

    /// The others of the same service and environment that are not closed, or have the lock; the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn rivals(&self, id: u64) -> Result<Vec<RivalRow>, StoreError> {
        self.database.read(move |connection| table::rivals(connection, id)).await
    }

    /// Asks for the lock of a rollout's service and environment; whose turn it is, the caller knows. Who has it gets it again, under
    /// a new token, so that a process that was thought dead can write no more.
    ///
    /// # Errors
    /// The store said no, or there is no such rollout.
    pub async fn take_lock(&self, id: u64) -> Result<LockAnswer, StoreError> {
        let answer = self.database.write_surely(move |transaction| take_lock(transaction, id)).await?;
        self.tell();
        Ok(answer)
    }

    /// Gives the lock back. Whoever has not got it under this token gives nothing back.
    ///
    /// # Errors
    /// The store said no.
    pub async fn release_lock(&self, id: u64, token: u64) -> Result<(), StoreError> {
        let write = move |transaction: &Transaction<'_>| {
            transaction
                .execute("UPDATE rollout_locks SET holder = NULL WHERE holder = ?1 AND token = ?2", params![id, token])
        };
        self.database.write_surely(write).await?;
        self.tell();
        Ok(())
    }

    /// Keeps an order. Whether it may be given now is for the caller to know.
    ///
    /// # Errors
    /// The store said no.
    pub async fn order(
        &self,
        id: u64,
        word: &str,
        actor: &str,
        comment: &str,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let (word, actor, comment) = (word.to_owned(), actor.to_owned(), comment.to_owned());
        let write = move |transaction: &Transaction<'_>| {
            transaction
                .prepare_cached(
                    "INSERT INTO rollout_orders (rollout, word, actor, comment, at) VALUES (?1, ?2, ?3, ?4, ?5)
                     RETURNING id",
                )?
                .query_row(params![id, word, actor, comment, at.as_microsecond()], |row| row.get(0))
        };
        let order = self.database.write_surely(write).await?;
        self.tell();
        Ok(order)
    }

    /// Orders of a rollout with higher numbers than `last`, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn orders_after(&self, id: u64, last: u64) -> Result<Vec<OrderRow>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection
                .prepare_cached("SELECT * FROM rollout_orders WHERE rollout = ?1 AND id > ?2 ORDER BY id LIMIT 1000")?;
            select.query_map([id, last], order)?.collect()
        };
        self.database.read(read).await
    }
}
