//! The statements behind [`super::Deliveries`].

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use workflow::event::Forge;
use zstd::bulk::Compressor;

use super::{
    Delivery, DeliveryFilter, DeliveryState, Kept, LISTED_MAX, NewDelivery, SAME_BODY_HOURS, SamePush, WholeDelivery,
    deleted_reason,
};
use crate::store::RunId;

/// Shorter bodies are not worth packing.
const PACKED_BYTES_MIN: usize = 4_096;
/// Fast rather than small: it is done before the answer.
const ZSTD_LEVEL: i32 = 1;
/// No packed body becomes larger than this; the front door takes none that is.
const BODY_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// The reason of a delivery that somebody wants looked at again, whatever came of it.
const REPLAYED: &str = "replayed";
const COLUMNS: &str = "number, guid, forge, event, repository, received_at, state, reason, runs";

/// A body as it is stored. Made by the caller's thread, not by the one that writes.
pub(super) struct Packed {
    bytes: Option<Vec<u8>>,
}

impl Packed {
    pub(super) fn new(body: &[u8]) -> Self {
        let worth = (body.len() >= PACKED_BYTES_MIN).then(|| packed(body));
        Self { bytes: worth.flatten().filter(|packed| packed.len() < body.len()) }
    }
}

thread_local! {
    /// Making one costs more than packing a usual body with it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

fn packed(body: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Compressor::new(ZSTD_LEVEL).ok();
        }
        kept.as_mut()?.compress(body).ok()
    })
}

/// Inserts, or finds the same one, in one statement; the second only tells which.
pub(super) fn insert(connection: &Connection, new: &NewDelivery, packed: &Packed) -> rusqlite::Result<Kept> {
    let (state, reason) = match &new.ignored {
        Some(reason) => ("ignored", Some(reason.as_str())),
        None => ("received", None),
    };
    let received_at = new.received_at.as_millisecond();
    let since = received_at.saturating_sub(SAME_BODY_HOURS * 3_600_000);
    let headers = serde_json::to_string(&new.headers).map_err(|error| to_sql(error.into()))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO deliveries
            (guid, forge, event, repository, received_at, sha256, headers, body, is_packed, state, reason)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
         WHERE NOT EXISTS (
             SELECT 1 FROM deliveries
             WHERE sha256 = ?6 AND received_at > ?12 AND forge = ?2 AND event = ?3 AND repository = ?4
         )
         ON CONFLICT (guid) DO NOTHING
         RETURNING number",
    )?;
    let number = insert.query_row(
        params![
            new.guid,
            new.forge.as_str(),
            new.event,
            new.repository,
            received_at,
            new.sha256,
            headers,
            packed.bytes.as_deref().unwrap_or(&new.body),
            packed.bytes.is_some(),
            state,
            reason,
            since
        ],
        |row| row.get(0),
    );
    if let Some(number) = number.optional()? {
        return Ok(Kept::New { number });
    }
    same(connection, new, since)
}

fn same(connection: &Connection, new: &NewDelivery, since: i64) -> rusqlite::Result<Kept> {
    let same_id: Option<(u64, [u8; 32])> = connection
        .prepare_cached("SELECT number, sha256 FROM deliveries WHERE guid = ?1")?
        .query_row([&new.guid], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((number, sha256)) = same_id {
        return Ok(if sha256 == new.sha256 { Kept::Duplicate { number } } else { Kept::Conflict });
    }
    let number = connection
        .prepare_cached(
            "SELECT min(number) FROM deliveries
             WHERE sha256 = ?1 AND received_at > ?2 AND forge = ?3 AND event = ?4 AND repository = ?5",
        )?
        .query_row(params![new.sha256, since, new.forge.as_str(), new.event, new.repository], |row| row.get(0))?;
    Ok(Kept::Duplicate { number })
}

/// The oldest of each repository.
pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<Vec<Delivery>> {
    let select = format!(
        "SELECT {COLUMNS} FROM deliveries WHERE number IN (
             SELECT min(number) FROM deliveries WHERE state = 'received' GROUP BY forge, repository
         ) ORDER BY number LIMIT ?1"
    );
    connection.prepare_cached(&select)?.query_map([LISTED_MAX], delivery)?.collect()
}

pub(super) fn next_of(connection: &Connection, forge: Forge, repository: &str) -> rusqlite::Result<Option<Delivery>> {
    let select = format!(
        "SELECT {COLUMNS} FROM deliveries
         WHERE state = 'received' AND forge = ?1 AND repository = ?2 ORDER BY number LIMIT 1"
    );
    connection.prepare_cached(&select)?.query_row([forge.as_str(), repository], delivery).optional()
}

pub(super) fn list(connection: &Connection, filter: &DeliveryFilter) -> rusqlite::Result<Vec<Delivery>> {
    let select = format!(
        "SELECT {COLUMNS} FROM deliveries
         WHERE (?1 IS NULL OR repository = ?1) AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR number < ?3)
         ORDER BY number DESC LIMIT ?4"
    );
    let limit = filter.limit.min(LISTED_MAX);
    let values = params![filter.repository, filter.state, filter.before, limit];
    connection.prepare_cached(&select)?.query_map(values, delivery)?.collect()
}

pub(super) fn find(connection: &Connection, guid: &str) -> rusqlite::Result<Option<u64>> {
    connection.query_row("SELECT number FROM deliveries WHERE guid = ?1", [guid], |row| row.get(0)).optional()
}

pub(super) fn whole(connection: &Connection, number: u64) -> rusqlite::Result<Option<WholeDelivery>> {
    let select = format!("SELECT {COLUMNS}, headers, body, is_packed FROM deliveries WHERE number = ?1");
    let row = connection.prepare_cached(&select)?.query_row([number], |row| {
        let headers = row.get::<_, String>("headers")?;
        let body = row.get::<_, Vec<u8>>("body")?;
        let body = if row.get("is_packed")? {
            zstd::bulk::decompress(&body, BODY_BYTES_MAX).map_err(|error| from_sql(Type::Blob, error.into()))?
        } else {
            body
        };
        let headers = serde_json::from_str(&headers).map_err(|error| from_sql(Type::Text, error.into()))?;
        Ok(WholeDelivery { delivery: delivery(row)?, headers, body })
    });
    row.optional()
}

pub(super) fn is_waiting(connection: &Connection, number: u64) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM deliveries WHERE number = ?1 AND state = 'received'")?.exists([number])
}

pub(super) fn finish(
    connection: &Connection,
    number: u64,
    state: &DeliveryState,
    runs: &[RunId],
) -> rusqlite::Result<bool> {
    let runs = serde_json::to_string(runs).map_err(|error| to_sql(error.into()))?;
    let changed = connection
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, reason = ?3, runs = ?4 WHERE number = ?1 AND state = 'received'",
        )?
        .execute(params![number, state.name(), state.reason(), runs])?;
    Ok(changed > 0)
}

pub(super) fn replay(connection: &Connection, number: u64) -> rusqlite::Result<bool> {
    let changed = connection.execute(
        "UPDATE deliveries SET state = 'received', reason = ?2 WHERE number = ?1",
        params![number, REPLAYED],
    )?;
    Ok(changed > 0)
}

/// The run of a push that moved the ref to the same commit, if nothing has happened to the ref since.
pub(super) fn same_push(connection: &Connection, push: &SamePush) -> rusqlite::Result<Option<RunId>> {
    let select = "SELECT id FROM (
             SELECT id, sha, started_at FROM runs
             WHERE git_ref = ?1 AND forge = ?2 AND repository = ?3 AND event = 'push' ORDER BY id DESC LIMIT 1
         ) AS last
         WHERE sha = ?4 AND started_at > ?5
         AND NOT EXISTS (SELECT 1 FROM deliveries WHERE number = ?6 AND (reason = ?7 OR runs <> '[]'))
         AND NOT EXISTS (
             SELECT 1 FROM deliveries
             WHERE received_at >= ?8 AND repository = ?3 AND state = 'ignored' AND reason = ?9
             AND received_at >= unixepoch(last.started_at) * 1000
         )";
    let since = push.at.saturating_sub(SignedDuration::from_hours(SAME_BODY_HOURS)).unwrap_or(Timestamp::MIN);
    let values = params![
        push.git_ref,
        push.forge.as_str(),
        push.repository,
        push.sha,
        since.to_string(),
        push.number,
        REPLAYED,
        since.as_millisecond(),
        deleted_reason(&push.git_ref)
    ];
    connection.prepare_cached(select)?.query_row(values, |row| row.get(0).map(RunId)).optional()
}

pub(super) fn prune(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM deliveries WHERE received_at < ?1 AND state <> 'received'", [before])
}

impl DeliveryState {
    /// As in the filter of a list.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processed => "processed",
            Self::Ignored(_) => "ignored",
            Self::Failed(_) => "failed",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Received | Self::Processed => None,
            Self::Ignored(reason) | Self::Failed(reason) => Some(reason),
        }
    }

    fn parse(name: &str, reason: Option<String>) -> Option<Self> {
        let reason = reason.unwrap_or_default();
        match name {
            "received" => Some(Self::Received),
            "processed" => Some(Self::Processed),
            "ignored" => Some(Self::Ignored(reason)),
            "failed" => Some(Self::Failed(reason)),
            _ => None,
        }
    }
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let unknown = |what: &str| from_sql(Type::Text, format!("unknown {what}").into());
    let forge = Forge::parse(&row.get::<_, String>("forge")?).ok_or_else(|| unknown("forge"))?;
    let state = DeliveryState::parse(&row.get::<_, String>("state")?, row.get("reason")?);
    let runs = serde_json::from_str(&row.get::<_, String>("runs")?);
    Ok(Delivery {
        number: row.get("number")?,
        guid: row.get("guid")?,
        forge,
        event: row.get("event")?,
        repository: row.get("repository")?,
        received_at: Timestamp::from_millisecond(row.get("received_at")?)
            .map_err(|error| from_sql(Type::Integer, error.into()))?,
        state: state.ok_or_else(|| unknown("state"))?,
        runs: runs.map_err(|error| from_sql(Type::Text, error.into()))?,
    })
}

fn from_sql(kind: Type, error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, kind, error)
}

fn to_sql(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error)
}
