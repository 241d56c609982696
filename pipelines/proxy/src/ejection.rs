//! Backends that cannot be reached: they get nothing for a while, and are tried before they get something again.
//!
//! Only what never reached the backend tells against it here. What it answers is counted, and judged elsewhere.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::event::Happening;
use crate::shared::Shared;

/// How long one is left alone after its first failure; each failed try doubles it.
const EJECTION_FIRST: Duration = Duration::from_secs(1);
/// The most.
const EJECTION_MAX: Duration = Duration::from_secs(60);

/// Takes a backend out that could not be reached. It is tried until it can be, or no table names it any more.
pub(crate) fn eject(shared: &Arc<Shared>, backend: &Arc<Backend>, reason: &str) {
    if !backend.take_out() {
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
            return backend.put_in();
        }
        let connected = tokio::time::timeout(shared.options.times.connect, TcpStream::connect(backend.address)).await;
        if matches!(connected, Ok(Ok(_))) {
            backend.put_in();
            shared.events.add(Happening::Returned { backend: backend.address });
            shared.look_at_colours();
            return;
        }
        pause = (pause * 2).min(EJECTION_MAX);
        tracing::debug!(backend = %backend.address, next = ?pause, "still not reached");
    }
}
