//! What a server's database says of rollouts, read from outside while the server writes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use serde_json::Value as Json;

/// The database of a server. Only read, and never through the server.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(Arc<Path>);

/// The facts of a rollout, in order, without what was seen at each look.
#[derive(Debug)]
pub(crate) struct Facts(pub(crate) Vec<Json>);

impl Facts {
    fn of(&self, kind: &str, effect: u64) -> usize {
        self.0.iter().filter(|fact| fact["fact"] == kind && fact["effect"] == effect).count()
    }

    pub(crate) fn is_begun(&self, effect: u64) -> bool {
        self.of("intent", effect) > 0
    }

    pub(crate) fn is_done(&self, effect: u64) -> bool {
        self.of("done", effect) + self.of("failed", effect) > 0
    }

    /// The effect that was begun and has no end.
    pub(crate) fn open(&self) -> Option<u64> {
        let begun = self.0.iter().rev().find(|fact| fact["fact"] == "intent")?["effect"].as_u64()?;
        (!self.is_done(begun)).then_some(begun)
    }

    /// Each effect with what it is, and how often it was begun and ended.
    pub(crate) fn effects(&self) -> Vec<String> {
        let begun = self.0.iter().filter(|fact| fact["fact"] == "intent");
        let told = begun.map(|fact| {
            let effect = fact["effect"].as_u64().unwrap();
            let more = ["stage", "weight", "on"].map(|name| fact[name].to_string()).join(" ").replace("null", "");
            let call = fact["call"].as_str().unwrap();
            let (done, failed) = (self.of("done", effect), self.of("failed", effect));
            format!("{effect} {call} {} begun {} done {done} failed {failed}", more.trim(), self.of("intent", effect))
        });
        told.collect()
    }
}

impl Ledger {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path.into())
    }

    fn open(&self) -> Option<Connection> {
        // One that may write would fold the log into the file when a killed server has left it.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(&self.0, flags).ok()
    }

    /// Of the second rollout of a service; `None`: there is none yet.
    pub(crate) fn facts(&self, service: &str) -> Option<Facts> {
        let connection = self.open()?;
        let query = "SELECT fact FROM rollout_facts WHERE rollout =
             (SELECT id FROM rollouts WHERE service = ?1 ORDER BY id LIMIT 1 OFFSET 1) ORDER BY seq";
        let mut select = connection.prepare(query).ok()?;
        let rows = select.query_map([service], |row| row.get::<_, String>(0)).ok()?;
        let facts: Vec<Json> = rows.map_while(Result::ok).map(|fact| serde_json::from_str(&fact).unwrap()).collect();
        let kept: Vec<_> = facts.into_iter().filter(|fact| fact["fact"] != "observed").collect();
        (!kept.is_empty()).then_some(Facts(kept))
    }

    /// The state and the view of the newest rollout of a service.
    pub(crate) fn newest(&self, service: &str) -> Option<(String, Json)> {
        let query = "SELECT state, view FROM rollouts WHERE service = ?1 ORDER BY id DESC LIMIT 1";
        let connection = self.open()?;
        let found = connection.query_row(query, [service], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
        let (state, view) = found.optional().ok()??;
        Some((state, serde_json::from_str(&view).unwrap()))
    }

    /// Who has the lock of a service.
    pub(crate) fn holder(&self, service: &str) -> Option<u64> {
        let query = "SELECT holder FROM rollout_locks WHERE service = ?1";
        self.open()?.query_row(query, [service], |row| row.get(0)).optional().ok()?.flatten()
    }
}
