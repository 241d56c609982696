//! Connections to backends that wait for the next request, looked at before they are used again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A connection that can be kept.
pub(crate) trait Kept {
    /// Where it leads.
    fn address(&self) -> SocketAddr;
    /// Whether another request can be sent; not on one that was idle for longer than `kept`.
    fn is_usable(&mut self, kept: Duration) -> bool;
    /// Nobody uses it from now on. Whether somebody may later.
    fn rest(&mut self) -> bool;
}

/// Whether a connection is idle for less than `kept`, and than the backend keeps it. One second less, since its end and a
/// request would meet.
pub(crate) fn is_fresh(idle_since: Instant, theirs: Option<Duration>, kept: Duration) -> bool {
    let kept = theirs.map_or(kept, |theirs| kept.min(theirs.saturating_sub(Duration::from_secs(1))));
    idle_since.elapsed() <= kept
}

/// Idle connections of one worker.
#[derive(Debug)]
pub(crate) struct Pool<Connection> {
    idle: Mutex<BTreeMap<SocketAddr, Vec<Connection>>>,
    each_max: usize,
    kept: Duration,
}

impl<Connection: Kept> Pool<Connection> {
    pub(crate) fn new(each_max: usize, kept: Duration) -> Self {
        Self { idle: Mutex::default(), each_max, kept }
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, if one is left that was used within `kept`.
    pub(crate) fn take(&self, address: SocketAddr, kept: Duration) -> Option<Connection> {
        loop {
            let mut connection = self.idle().get_mut(&address)?.pop()?;
            if connection.is_usable(kept) {
                return Some(connection);
            }
        }
    }

    /// For the next request.
    pub(crate) fn give(&self, mut connection: Connection) {
        if !connection.rest() {
            return;
        }
        let mut idle = self.idle();
        let waiting = idle.entry(connection.address()).or_default();
        if waiting.len() < self.each_max {
            waiting.push(connection);
        }
    }

    /// Ends what nobody has used for long, and what the other side has ended.
    pub(crate) fn sweep(&self) {
        let mut idle = self.idle();
        idle.retain(|_, waiting| {
            waiting.retain_mut(|connection| connection.is_usable(self.kept));
            !waiting.is_empty()
        });
    }
}
