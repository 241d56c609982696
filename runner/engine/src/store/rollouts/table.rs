//! The statements.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params, params};
use serde_json::Value;

use super::{
    Addition, LISTED_MAX, LockAnswer, NewRollout, OpenRollout, OrderRow, RivalRow, RolloutFilter, RolloutRow,
    RolloutState,
};
use crate::store::RunId;

/// More than one process can carry; the rest comes when these are closed.
const OPEN_MAX: usize = 10_000;

pub(super) fn create(transaction: &Transaction<'_>, new: &NewRollout) -> rusqlite::Result<RolloutRow> {
    let known = |transaction: &Transaction<'_>| {
        transaction.prepare_cached("SELECT * FROM rollouts WHERE key = ?1")?.query_row([&new.key], rollout).optional()
    };
    if let Some(row) = known(transaction)? {
        return Ok(row);
    }
    let at = new.at.as_microsecond();
    let id: u64 = transaction
        .prepare_cached(
            "INSERT INTO rollouts (key, environment, service, repository, run, job, actor, plan_hash, state, seq, view,
             created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'active', 1, '{}', ?9, ?9) RETURNING id",
        )?
        .query_row(
            params![
                new.key,
                new.environment,
                new.service,
                new.repository,
                new.run.map_or(0, |run| run.0),
                new.job,
                new.actor,
                new.plan_hash,
                at
            ],
            |row| row.get(0),
        )?;
    // Only now it has a number to be known by.
    let mut view = new.view.clone();
    if let Value::Object(fields) = &mut view {
        fields.insert("id".into(), id.into());
    }
    transaction.execute("UPDATE rollouts SET view = ?2 WHERE id = ?1", params![id, view.to_string()])?;
    transaction.execute(
        "INSERT INTO rollout_facts (rollout, seq, at, fact) VALUES (?1, 0, ?2, ?3)",
        params![id, at, new.fact.to_string()],
    )?;
    known(transaction)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

pub(super) fn append(transaction: &Transaction<'_>, id: u64, addition: &Addition) -> rusqlite::Result<bool> {
    let last = addition.facts.last().map(|(at, _)| at.as_microsecond());
    let count = addition.facts.len() as u64;
    let taken = transaction
        .prepare_cached(
            "UPDATE rollouts SET seq = seq + :count, view = :view, state = :state, updated_at = coalesce(:at, updated_at)
             WHERE id = :id AND seq = :seq AND (:token IS NULL OR token = :token)",
        )?
        .execute(named_params! {
            ":id": id, ":seq": addition.seq, ":token": addition.token, ":count": count, ":at": last,
            ":view": addition.view.to_string(), ":state": addition.state.word(),
        })?;
    if taken == 0 {
        return Ok(false);
    }
    let mut insert =
        transaction.prepare_cached("INSERT INTO rollout_facts (rollout, seq, at, fact) VALUES (?1, ?2, ?3, ?4)")?;
    for (seq, (at, fact)) in (addition.seq..).zip(&addition.facts) {
        insert.execute(params![id, seq, at.as_microsecond(), fact.to_string()])?;
    }
    if addition.state == RolloutState::Closed {
        transaction
            .prepare_cached("DELETE FROM rollout_facts WHERE rollout = ?1 AND seq > 0 AND fact ->> '$.fact' = ?2")?
            .execute(params![id, addition.passing])?;
    }
    Ok(true)
}

pub(super) fn take_lock(transaction: &Transaction<'_>, id: u64) -> rusqlite::Result<LockAnswer> {
    let (environment, service): (String, String) = transaction
        .prepare_cached("SELECT environment, service FROM rollouts WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    transaction.execute(
        "INSERT INTO rollout_locks (environment, service, holder, token) VALUES (?1, ?2, NULL, 0) ON CONFLICT DO NOTHING",
        params![environment, service],
    )?;
    let place = params![environment, service];
    let (holder, token): (Option<u64>, u64) = transaction.query_row(
        "SELECT holder, token FROM rollout_locks WHERE environment = ?1 AND service = ?2",
        place,
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if let Some(other) = holder.filter(|holder| *holder != id) {
        return Ok(LockAnswer::Held(other));
    }
    let token = token + 1;
    transaction.execute(
        "UPDATE rollout_locks SET holder = ?3, token = ?4 WHERE environment = ?1 AND service = ?2",
        params![environment, service, id, token],
    )?;
    transaction.execute("UPDATE rollouts SET token = ?2 WHERE id = ?1", params![id, token])?;
    Ok(LockAnswer::Taken(token))
}

/// Gates that ask people; their name begins as crate `rollout` says.
pub(super) fn asking(connection: &Connection, run: Option<RunId>) -> rusqlite::Result<Vec<RolloutRow>> {
    let mut select = connection.prepare_cached(
        "SELECT * FROM rollouts WHERE substr(service, 1, 5) = 'gate:' AND view ->> '$.outcome' IS NULL
         AND (?1 IS NULL OR run = ?1) ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = select.query_map(params![run.map(|run| run.0), LISTED_MAX], rollout)?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    // Those that nobody ended, since their run was ended by something else, must not hide newer ones.
    rows.reverse();
    Ok(rows)
}

/// Those that are over, by the time of their last change.
pub(super) fn ended_since(connection: &Connection, at: Timestamp) -> rusqlite::Result<Vec<RolloutRow>> {
    let mut select = connection.prepare_cached(
        "SELECT * FROM rollouts WHERE updated_at >= ?1 AND state <> 'active' AND substr(service, 1, 5) <> 'gate:'
         AND view ->> '$.outcome' IS NOT NULL ORDER BY updated_at LIMIT ?2",
    )?;
    select.query_map(params![at.as_microsecond(), LISTED_MAX], rollout)?.collect()
}

/// Others of the same place that are not closed, or have its lock.
pub(super) fn rivals(connection: &Connection, id: u64) -> rusqlite::Result<Vec<RivalRow>> {
    let mut select = connection.prepare_cached(
        "SELECT rollouts.*, rollout_locks.holder IS rollouts.id AS has_lock, fact FROM rollouts AS mine
         JOIN rollouts ON rollouts.environment = mine.environment AND rollouts.service = mine.service
         JOIN rollout_facts ON rollout_facts.rollout = rollouts.id AND rollout_facts.seq = 0
         LEFT JOIN rollout_locks
             ON rollout_locks.environment = mine.environment AND rollout_locks.service = mine.service
         WHERE mine.id = ?1 AND rollouts.id <> ?1
         AND (rollouts.state <> 'closed' OR rollout_locks.holder IS rollouts.id) ORDER BY rollouts.id",
    )?;
    let rival = |row: &Row<'_>| {
        Ok(RivalRow { has_lock: row.get("has_lock")?, first: json(row, "fact")?, rollout: rollout(row)? })
    };
    select.query_map([id], rival)?.collect()
}

pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<OpenRollout>> {
    let mut select = connection.prepare_cached(
        "SELECT id, run, state, created_at FROM rollouts WHERE state <> 'closed' ORDER BY id LIMIT ?1",
    )?;
    let one = |row: &Row<'_>| {
        Ok(OpenRollout {
            id: row.get("id")?,
            run: run(row)?,
            state: state(row)?,
            created_at: micros(row.get("created_at")?),
        })
    };
    select.query_map([OPEN_MAX], one)?.collect()
}

fn run(row: &Row<'_>) -> rusqlite::Result<Option<RunId>> {
    Ok(Some(row.get::<_, u64>("run")?).filter(|run| *run > 0).map(RunId))
}

fn state(row: &Row<'_>) -> rusqlite::Result<RolloutState> {
    Ok(RolloutState::of(&row.get::<_, String>("state")?))
}

pub(super) fn list(connection: &Connection, filter: &RolloutFilter) -> rusqlite::Result<Vec<RolloutRow>> {
    let mut select = connection.prepare_cached(
        "SELECT * FROM rollouts WHERE (:environment IS NULL OR environment = :environment)
         AND (:service IS NULL OR service = :service) AND (:repository IS NULL OR repository = :repository)
         AND (:run IS NULL OR run = :run) AND (:open IS NULL OR (state <> 'closed') = :open)
         AND (:before IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit",
    )?;
    let values = named_params! {
        ":environment": filter.environment, ":service": filter.service, ":repository": filter.repository,
        ":run": filter.run.map(|run| run.0), ":open": filter.open, ":before": filter.before,
        ":limit": filter.limit.min(LISTED_MAX),
    };
    select.query_map(values, rollout)?.collect()
}

pub(super) fn rollout(row: &Row<'_>) -> rusqlite::Result<RolloutRow> {
    Ok(RolloutRow {
        id: row.get("id")?,
        key: row.get("key")?,
        environment: row.get("environment")?,
        service: row.get("service")?,
        repository: row.get("repository")?,
        run: run(row)?,
        job: row.get("job")?,
        actor: row.get("actor")?,
        plan_hash: row.get("plan_hash")?,
        state: state(row)?,
        seq: row.get("seq")?,
        view: json(row, "view")?,
        created_at: micros(row.get("created_at")?),
        updated_at: micros(row.get("updated_at")?),
    })
}

pub(super) fn order(row: &Row<'_>) -> rusqlite::Result<OrderRow> {
    Ok(OrderRow {
        id: row.get("id")?,
        rollout: row.get("rollout")?,
        word: row.get("word")?,
        actor: row.get("actor")?,
        comment: row.get("comment")?,
        at: micros(row.get("at")?),
    })
}

pub(super) fn micros(at: i64) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or_default()
}

/// What was written as JSON and is none any more was damaged from outside.
pub(super) fn json(row: &Row<'_>, column: &str) -> rusqlite::Result<Value> {
    let text: String = row.get(column)?;
    let damaged = |error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    };
    serde_json::from_str(&text).map_err(damaged)
}
