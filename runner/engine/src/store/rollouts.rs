//! Rollouts of services to environments: what happened to each, in order, who may change what stands, what people ordered.
//!
//! What a fact means is not known here; facts and views are JSON. A step that is taken up after a crash asks under the key
//! that it asked under before, and finds its rollout. The lock of a service in an environment has a token that only grows
//! (<https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>): whoever was thought dead and is not can
//! write nothing any more.

mod rows;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde_json::Value;
use tokio::sync::watch;

pub use self::rows::{
    Addition, LockAnswer, NewRollout, NotAdded, OpenRollout, OrderRow, RivalRow, RolloutFilter, RolloutRow,
    RolloutState,
};
use self::table::{append, create, json, list, micros, order, rollout, take_lock};
use super::database::Database;
use super::{RunId, StoreError};

/// Rollouts of a service in an environment whose images stay.
pub const GONE_BACK_TO_MAX: usize = 10;
/// Most rollouts of one list.
pub const LISTED_MAX: usize = 200;

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

    /// Images that the newest [`GONE_BACK_TO_MAX`] rollouts of each service in each environment name: what stands, and what can
    /// be gone back to.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn images(&self) -> Result<BTreeSet<String>, StoreError> {
        let read = |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT fact, view FROM (
                     SELECT id, view, row_number() OVER (PARTITION BY environment, service ORDER BY id DESC) AS place
                     FROM rollouts
                 ) JOIN rollout_facts ON rollout = id AND seq = 0 WHERE place <= ?1",
            )?;
            let both = |row: &Row<'_>| Ok([json(row, "fact")?, json(row, "view")?]);
            select.query_map([GONE_BACK_TO_MAX], both)?.collect::<Result<Vec<[Value; 2]>, _>>()
        };
        let mut images = BTreeSet::new();
        self.database.read(read).await?.iter().flatten().for_each(|value| images_in(value, &mut images));
        Ok(images)
    }

    /// Those that are not closed, the oldest first. This is asked after every change, so it reads no more than it must.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(&self) -> Result<Vec<OpenRollout>, StoreError> {
        self.database.read(table::open).await
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

    /// Gates in the middle of jobs that ask people, the oldest first, at most [`LISTED_MAX`]; of a run, or of all. One whose run was
    /// ended by something else than its step is among them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn asking(&self, run: Option<RunId>) -> Result<Vec<RolloutRow>, StoreError> {
        self.database.read(move |connection| table::asking(connection, run)).await
    }

    /// Rollouts that are over and changed since then, the oldest first, at most [`LISTED_MAX`]; no gates.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ended_since(&self, at: Timestamp) -> Result<Vec<RolloutRow>, StoreError> {
        self.database.read(move |connection| table::ended_since(connection, at)).await
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

/// What stands under `image`, wherever it is.
fn images_in(value: &Value, images: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                images.extend(value.as_str().filter(|_| name == "image").map(str::to_owned));
                images_in(value, images);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| images_in(value, images)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
