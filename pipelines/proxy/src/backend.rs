//! Whether a backend can be reached: who cannot be gets nothing for a while, and is tried before it gets something again.
//!
//! Only what never reached the backend tells against it here. What it answers is counted, and judged elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::event::Happening;
use crate::shared::Shared;

/// How long one is left alone after its first failure; each failed try doubles it.
const EJECTION_FIRST: Duration = Duration::from_secs(1);
/// The most.
const EJECTION_MAX: Duration = Duration::from_secs(60);

/// An address that answers, or not.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    is_out: AtomicBool,
    /// Connections that requests wait for or use.
    busy: AtomicU64,
}

impl Backend {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, is_out: AtomicBool::new(false), busy: AtomicU64::new(0) }
    }

    pub(crate) fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Acquire)
    }

    pub(crate) fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a backend out that could not be reached. It is tried until it can be, or no table names it any more.
pub(crate) fn eject(shared: &Arc<Shared>, backend: &Arc<Backend>, reason: &str) {
    if backend.is_out.swap(true, Ordering::AcqRel) {
        return;
    }
    let milliseconds = u64::try_from(EJECTION_FIRST.as_millis()).unwrap_or(u64::MAX);
    shared.events.add(Happening::Ejected { backend: backend.address, reason: reason.to_owned(), milliseconds });
    shared.look_at_colours();
    let (shared, backend) = (Arc::clone(shared), Arc::clone(backend));
    let tasks = shared.tasks.clone();
    tasks.spawn_on(probe(Arc::clone(&shared), backend), &shared.runtime);
}

async fn probe(shared: Arc<Shared>, backend: Arc<Backend>) {
    let mut pause = EJECTION_FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.stop.rung() => return,
        }
        // The table that named it is gone; another one may name it again, and finds out for itself.
        if !shared.knows(&backend) {
            return backend.is_out.store(false, Ordering::Release);
        }
        let connected = tokio::time::timeout(shared.options.times.connect, TcpStream::connect(backend.address)).await;
        if matches!(connected, Ok(Ok(_))) {
            backend.is_out.store(false, Ordering::Release);
            shared.events.add(Happening::Returned { backend: backend.address });
            shared.look_at_colours();
            return;
        }
        pause = (pause * 2).min(EJECTION_MAX);
        tracing::debug!(backend = %backend.address, next = ?pause, "still not reached");
    }
}
