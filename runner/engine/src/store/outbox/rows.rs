//! The SQL of the outbox.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use workflow::run::Recorded;

use super::{
    Again, Depth, Due, FACTS_READ_MAX, Listed, Message, NewMessage, PROBLEM_BYTES_MAX, Position, State, people,
};
use crate::store::RunId;

pub(super) const COLUMNS: &str = "id, target, kind, lane, subject, body, attempts, is_uncertain, created_at, \
                       state, not_before, problem";

/// The row of run 0 tells that this was done once.
pub(super) fn recover(connection: &Connection) -> rusqlite::Result<usize> {
    // Nobody wants news of last year: what was over before anything was ever reported counts as reported.
    connection.execute(
        "INSERT INTO reported (run, seq, is_over)
         SELECT 0, 0, 1 UNION ALL
         SELECT id, 0, coalesce((SELECT body LIKE '%\"run_finished\"%' FROM events WHERE events.run = runs.id
                                 ORDER BY seq DESC LIMIT 1), 0) FROM runs
         WHERE NOT EXISTS (SELECT 1 FROM reported)
         ON CONFLICT DO NOTHING",
        [],
    )?;
    connection.execute("UPDATE outbox SET state = 'waiting', is_uncertain = 1 WHERE state = 'sending'", [])
}

pub(super) fn has_new_runs(connection: &Connection) -> rusqlite::Result<bool> {
    let newest = "SELECT coalesce((SELECT max(id) FROM runs), 0) > coalesce((SELECT max(run) FROM reported), 0)";
    connection.prepare_cached(newest)?.query_row([], |row| row.get(0))
}

pub(super) fn take_in(connection: &Connection) -> rusqlite::Result<()> {
    let insert = "INSERT INTO reported (run, seq, is_over) SELECT id, 0, 0 FROM runs
                  WHERE id > coalesce((SELECT max(run) FROM reported), 0)";
    connection.prepare_cached(insert)?.execute([]).map(drop)
}

pub(super) fn open_runs(connection: &Connection) -> rusqlite::Result<Vec<Position>> {
    let select = "SELECT run, seq FROM reported WHERE is_over = 0
                  AND EXISTS (SELECT 1 FROM events WHERE events.run = reported.run AND events.seq > reported.seq)
                  ORDER BY run";
    let position = |row: &Row<'_>| Ok(Position { run: RunId(row.get(0)?), seq: row.get(1)? });
    connection.prepare_cached(select)?.query_map([], position)?.collect()
}

pub(super) fn facts(connection: &Connection, run: RunId, after: u64) -> rusqlite::Result<Vec<Recorded>> {
    let select = "SELECT body FROM events WHERE run = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    let mut select = connection.prepare_cached(select)?;
    let rows = select.query_map(params![run.0, after, FACTS_READ_MAX], |row| row.get::<_, String>(0))?;
    rows.map(|body| {
        serde_json::from_str(&body?)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
    })
    .collect()
}

pub(super) fn move_on(connection: &Connection, from: Position, to: u64, is_over: bool) -> rusqlite::Result<bool> {
    let update = "UPDATE reported SET seq = ?3, is_over = ?4 WHERE run = ?1 AND seq = ?2 AND is_over = 0";
    let moved = connection.prepare_cached(update)?.execute(params![from.run.0, from.seq, to, is_over])?;
    Ok(moved == 1)
}

pub(super) fn insert(connection: &Connection, messages: &[NewMessage], now: Timestamp) -> rusqlite::Result<()> {
    let mut replace = connection.prepare_cached(
        "DELETE FROM outbox WHERE target = ?1 AND lane = ?2 AND subject = ?3 AND kind = ?4 AND state = 'waiting'
         RETURNING is_uncertain",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO outbox (target, kind, lane, subject, body, is_uncertain, not_before, created_at, state, for_people)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)",
    )?;
    for NewMessage { target, kind, lane, subject, replaces, at_most, body } in messages {
        let mut state = "waiting";
        if let Some(at_most) = at_most {
            if people::is_told(connection, target, subject)? {
                continue;
            }
            if people::is_flood(connection, target, *at_most, now)? {
                state = "held";
            }
        }
        let mut uncertain = false;
        if *replaces {
            // One that may have arrived has made the thing that this one is about.
            let replaced = replace.query_map(params![target, lane, subject, kind], |row| row.get::<_, bool>(0))?;
            for was_uncertain in replaced {
                uncertain |= was_uncertain?;
            }
        }
        let for_people = at_most.is_some();
        let values = params![target, kind, lane, subject, body, uncertain, now.as_millisecond(), state, for_people];
        insert.execute(values)?;
    }
    Ok(())
}

pub(super) fn due(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<Vec<Due>> {
    let select = "SELECT id, target, lane FROM outbox WHERE state = 'waiting' AND not_before <= ?1
         AND id IN (SELECT min(id) FROM outbox WHERE state IN ('waiting', 'sending') GROUP BY target, lane) ORDER BY id LIMIT ?2";
    let due = |row: &Row<'_>| Ok(Due { id: row.get(0)?, target: row.get(1)?, lane: row.get(2)? });
    connection.prepare_cached(select)?.query_map(params![now.as_millisecond(), limit], due)?.collect()
}

pub(super) fn next_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    let select = "SELECT min(not_before) FROM outbox WHERE state = 'waiting' AND not_before > ?1
                  AND id IN (SELECT min(id) FROM outbox WHERE state IN ('waiting', 'sending') GROUP BY target, lane)";
    let at: Option<i64> = connection.prepare_cached(select)?.query_row([now.as_millisecond()], |row| row.get(0))?;
    Ok(at.and_then(|at| Timestamp::from_millisecond(at).ok()))
}

pub(super) fn begin(connection: &Connection, id: u64) -> rusqlite::Result<Option<Message>> {
    let update = format!("UPDATE outbox SET state = 'sending' WHERE id = ?1 AND state = 'waiting' RETURNING {COLUMNS}");
    connection.prepare_cached(&update)?.query_row([id], message).optional()
}

pub(super) fn drop_message(connection: &Connection, id: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id]).map(drop)
}

pub(super) fn arrived(connection: &Connection, id: u64, remote: Option<&str>, now: Timestamp) -> rusqlite::Result<()> {
    if let Some(remote) = remote {
        connection
            .prepare_cached(
                "INSERT INTO outbox_remote (target, subject, remote, made_at)
                 SELECT target, subject, ?2, ?3 FROM outbox WHERE id = ?1
                 ON CONFLICT (target, subject) DO UPDATE SET remote = excluded.remote",
            )?
            .execute(params![id, remote, now.as_millisecond()])?;
    }
    let update =
        "UPDATE outbox SET state = 'arrived', settled_at = ?2, problem = NULL WHERE id = ?1 AND for_people = 1";
    connection.prepare_cached(update)?.execute(params![id, now.as_millisecond()])?;
    connection.prepare_cached("DELETE FROM outbox WHERE id = ?1 AND for_people = 0")?.execute([id]).map(drop)
}

pub(super) fn note(
    connection: &Connection,
    target: &str,
    subject: &str,
    remote: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let insert = "INSERT INTO outbox_remote (target, subject, remote, made_at) VALUES (?1, ?2, ?3, ?4)
                  ON CONFLICT (target, subject) DO UPDATE SET remote = excluded.remote";
    connection.prepare_cached(insert)?.execute(params![target, subject, remote, now.as_millisecond()]).map(drop)
}

pub(super) fn failed(connection: &Connection, id: u64, again: &Again) -> rusqlite::Result<()> {
    let update = "UPDATE outbox SET state = 'waiting', attempts = attempts + ?2, is_uncertain = is_uncertain OR ?3,
                  not_before = ?4, problem = ?5 WHERE id = ?1 AND state = 'sending'";
    let values = params![id, again.counts, again.uncertain, again.not_before.as_millisecond(), cut(&again.problem)];
    connection.prepare_cached(update)?.execute(values).map(drop)
}

pub(super) fn give_up(connection: &Connection, id: u64, problem: &str) -> rusqlite::Result<()> {
    let update = "UPDATE outbox SET state = 'given_up', problem = ?2 WHERE id = ?1";
    connection.prepare_cached(update)?.execute(params![id, cut(problem)]).map(drop)
}

pub(super) fn retry(connection: &Connection, id: u64, now: Timestamp) -> rusqlite::Result<bool> {
    let update = "UPDATE outbox SET state = 'waiting', attempts = 0, is_uncertain = 1, not_before = ?2, created_at = ?2
                  WHERE id = ?1 AND state = 'given_up'";
    Ok(connection.prepare_cached(update)?.execute(params![id, now.as_millisecond()])? == 1)
}

pub(super) fn remote(connection: &Connection, target: &str, subject: &str) -> rusqlite::Result<Option<String>> {
    let select = "SELECT remote FROM outbox_remote WHERE target = ?1 AND subject = ?2";
    connection.prepare_cached(select)?.query_row(params![target, subject], |row| row.get(0)).optional()
}

pub(super) fn list(connection: &Connection, before: Option<u64>, limit: usize) -> rusqlite::Result<Vec<Listed>> {
    let select = format!(
        "SELECT {COLUMNS} FROM outbox WHERE id < ?1 AND state NOT IN ('arrived', 'gathered') ORDER BY id DESC LIMIT ?2"
    );
    let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    connection.prepare_cached(&select)?.query_map(params![before, limit], listed)?.collect()
}

pub(super) fn depth(connection: &Connection) -> rusqlite::Result<Depth> {
    let count = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get(0));
    Ok(Depth {
        open: count("SELECT count(*) FROM outbox WHERE state IN ('waiting', 'sending')")?,
        given_up: count("SELECT count(*) FROM outbox WHERE state = 'given_up'")?,
    })
}

pub(super) fn had_failed_before(connection: &Connection, run: RunId) -> rusqlite::Result<bool> {
    let select = "SELECT earlier.conclusion = 'failure' FROM runs AS this JOIN runs AS earlier
                  ON earlier.repository = this.repository AND earlier.workflow = this.workflow
                     AND earlier.git_ref = this.git_ref AND earlier.id < this.id
                  WHERE this.id = ?1 AND earlier.status = 'completed' AND earlier.conclusion <> 'cancelled'
                  ORDER BY earlier.id DESC LIMIT 1";
    Ok(connection.prepare_cached(select)?.query_row([run.0], |row| row.get(0)).optional()?.unwrap_or(false))
}

pub(super) fn standing(connection: &Connection) -> rusqlite::Result<(BTreeMap<String, u64>, u64)> {
    let by_status = "SELECT status, count(*) FROM runs WHERE status <> 'completed' GROUP BY status";
    let mut by_status = connection.prepare_cached(by_status)?;
    let runs = by_status.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let waiting = "SELECT count(*) FROM deliveries WHERE state = 'received'";
    Ok((runs, connection.prepare_cached(waiting)?.query_row([], |row| row.get(0))?))
}

pub(super) fn prune(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
    let settled = "DELETE FROM outbox WHERE state IN ('given_up', 'arrived', 'gathered') AND created_at < ?1";
    let given_up = connection.execute(settled, [before])?;
    let names = connection.execute("DELETE FROM outbox_remote WHERE made_at < ?1", [before])?;
    Ok(given_up + names)
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: row.get("id")?,
        target: row.get("target")?,
        kind: row.get("kind")?,
        lane: row.get("lane")?,
        subject: row.get("subject")?,
        body: row.get("body")?,
        attempts: row.get("attempts")?,
        uncertain: row.get("is_uncertain")?,
        created_at: time(row, "created_at")?,
    })
}

pub(super) fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let state: String = row.get("state")?;
    Ok(Listed {
        id: row.get("id")?,
        target: row.get("target")?,
        kind: row.get("kind")?,
        lane: row.get("lane")?,
        subject: row.get("subject")?,
        state: match state.as_str() {
            "sending" => State::Sending,
            "given_up" => State::GivenUp,
            "arrived" => State::Arrived,
            "held" => State::Held,
            "gathered" => State::Gathered,
            _ => State::Waiting,
        },
        attempts: row.get("attempts")?,
        not_before: time(row, "not_before")?,
        created_at: time(row, "created_at")?,
        problem: row.get("problem")?,
    })
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    let at: i64 = row.get(column)?;
    Timestamp::from_millisecond(at)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Integer, Box::new(error)))
}

fn cut(problem: &str) -> &str {
    let mut end = problem.len().min(PROBLEM_BYTES_MAX);
    while !problem.is_char_boundary(end) {
        end -= 1;
    }
    &problem[..end]
}
