//! The SQL of messages for people: told once, not too many at a time, and kept for a while.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::rows::{self, COLUMNS, listed};
use super::{LISTED_MAX, Listed, NewMessage, Outbox, RATE_TIME};
use crate::store::StoreError;

/// What is known of a target for people.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Standing {
    /// Messages that wait or are being sent.
    pub open: u64,
    /// Of those that are kept, the ones that were given up.
    pub given_up: u64,
    /// Those that were held back and not told of yet.
    pub held: u64,
    /// When one arrived last.
    pub arrived_at: Option<Timestamp>,
    /// What went wrong with the one that is tried now, or was given up last.
    pub problem: Option<String>,
}

/// Messages of one target that were held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// The target.
    pub target: String,
    /// How many.
    pub count: u64,
    /// The first of them as they were made, a few.
    pub first: Vec<String>,
    /// The number of the last one that is counted.
    pub last: u64,
    /// When the first was made.
    pub since: Timestamp,
}

/// Messages that a summary names.
const NAMED_MAX: usize = 10;

impl Outbox {
    /// Messages for people of a target (or of all), newest first, older than `before`, at most [`LISTED_MAX`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn told(
        &self,
        target: Option<String>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let limit = limit.min(LISTED_MAX);
        self.database.read(move |connection| told(connection, target.as_deref(), before, limit)).await
    }

    /// How a target for people stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn standing_of(&self, target: &str) -> Result<Standing, StoreError> {
        let target = target.to_owned();
        self.database.read(move |connection| standing(connection, &target)).await
    }

    /// Sends a message for people once more, whatever became of it. False if there is none, or it is on its way.
    ///
    /// # Errors
    /// The database said no.
    pub async fn send_again(&self, id: u64, now: Timestamp) -> Result<bool, StoreError> {
        self.database.write_surely(move |transaction| send_again(transaction, id, now)).await
    }

    /// What was held back, by target, where nothing was held back in the last [`RATE_TIME`] any more or the first waits
    /// for longer than `patience`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn held(&self, now: Timestamp, patience: Duration) -> Result<Vec<HeldBack>, StoreError> {
        self.database.read(move |connection| held(connection, now, patience)).await
    }

    /// Puts a summary in the place of what was held back up to `last`, all or nothing.
    ///
    /// # Errors
    /// The database said no.
    pub async fn gather(&self, summary: NewMessage, last: u64, now: Timestamp) -> Result<(), StoreError> {
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            gather(transaction, &summary.target, last, now)?;
            rows::insert(transaction, &[summary], now)
        };
        self.database.write_surely(write).await
    }
}

pub(super) fn is_told(connection: &Connection, target: &str, subject: &str) -> rusqlite::Result<bool> {
    let select = "SELECT 1 FROM outbox WHERE target = ?1 AND subject = ?2 AND for_people = 1";
    connection.prepare_cached(select)?.exists([target, subject])
}

pub(super) fn is_flood(connection: &Connection, target: &str, most: u32, now: Timestamp) -> rusqlite::Result<bool> {
    let select = "SELECT count(*) FROM outbox
                  WHERE target = ?1 AND for_people = 1 AND created_at > ?2 AND state NOT IN ('held', 'gathered')";
    let since = now.as_millisecond() - milliseconds(RATE_TIME);
    let count: u32 = connection.prepare_cached(select)?.query_row(params![target, since], |row| row.get(0))?;
    Ok(count >= most)
}

pub(super) fn told(
    connection: &Connection,
    target: Option<&str>,
    before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<Listed>> {
    let select = format!(
        "SELECT {COLUMNS} FROM outbox WHERE for_people = 1 AND id < ?1 AND (?2 IS NULL OR target = ?2)
         ORDER BY id DESC LIMIT ?3"
    );
    let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    connection.prepare_cached(&select)?.query_map(params![before, target, limit], listed)?.collect()
}

pub(super) fn standing(connection: &Connection, target: &str) -> rusqlite::Result<Standing> {
    let select = "SELECT coalesce(sum(state IN ('waiting', 'sending')), 0), coalesce(sum(state = 'given_up'), 0),
                         coalesce(sum(state = 'held'), 0), max(CASE state WHEN 'arrived' THEN settled_at END)
                  FROM outbox WHERE target = ?1 AND for_people = 1";
    let mut standing = connection.prepare_cached(select)?.query_row([target], |row| {
        let arrived_at: Option<i64> = row.get(3)?;
        let arrived_at = arrived_at.and_then(|at| Timestamp::from_millisecond(at).ok());
        Ok(Standing { open: row.get(0)?, given_up: row.get(1)?, held: row.get(2)?, arrived_at, problem: None })
    })?;
    let problem = "SELECT problem FROM outbox WHERE target = ?1 AND for_people = 1 AND problem IS NOT NULL
                   AND state IN ('waiting', 'sending', 'given_up') ORDER BY id DESC LIMIT 1";
    standing.problem = connection.prepare_cached(problem)?.query_row([target], |row| row.get(0)).optional()?;
    Ok(standing)
}

pub(super) fn send_again(connection: &Connection, id: u64, now: Timestamp) -> rusqlite::Result<bool> {
    let update = "UPDATE outbox SET state = 'waiting', attempts = 0, is_uncertain = 0, not_before = ?2, created_at = ?2,
                  problem = NULL WHERE id = ?1 AND for_people = 1 AND state IN ('arrived', 'given_up', 'held', 'gathered')";
    Ok(connection.prepare_cached(update)?.execute(params![id, now.as_millisecond()])? == 1)
}

pub(super) fn held(connection: &Connection, now: Timestamp, patience: Duration) -> rusqlite::Result<Vec<HeldBack>> {
    let quiet = now.as_millisecond() - milliseconds(RATE_TIME);
    let late = now.as_millisecond() - milliseconds(patience);
    let select = "SELECT target, count(*), max(id), min(created_at) FROM outbox WHERE state = 'held'
                  GROUP BY target HAVING max(created_at) <= ?1 OR min(created_at) <= ?2";
    let found = |row: &Row<'_>| {
        let since: i64 = row.get(3)?;
        let since = Timestamp::from_millisecond(since).unwrap_or_default();
        Ok(HeldBack { target: row.get(0)?, count: row.get(1)?, last: row.get(2)?, since, first: Vec::new() })
    };
    let found: rusqlite::Result<Vec<HeldBack>> =
        connection.prepare_cached(select)?.query_map([quiet, late], found)?.collect();
    let first = "SELECT body FROM outbox WHERE state = 'held' AND target = ?1 ORDER BY id LIMIT ?2";
    let with_first = |mut held: HeldBack| {
        let mut select = connection.prepare_cached(first)?;
        held.first = select.query_map(params![held.target, NAMED_MAX], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(held)
    };
    found?.into_iter().map(with_first).collect()
}

pub(super) fn gather(connection: &Connection, target: &str, last: u64, now: Timestamp) -> rusqlite::Result<()> {
    let update =
        "UPDATE outbox SET state = 'gathered', settled_at = ?3 WHERE target = ?1 AND id <= ?2 AND state = 'held'";
    connection.prepare_cached(update)?.execute(params![target, last, now.as_millisecond()]).map(drop)
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
