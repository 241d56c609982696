//! Clients that ask without pause, on connections that they keep.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::wire::Wire;
use crate::world::PATIENCE;

pub struct Load {
    counts: Arc<Counts>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Counts {
    done: watch::Sender<u64>,
    refused: AtomicU64,
    failed: AtomicU64,
    first_failure: std::sync::Mutex<Option<String>>,
}

/// How it went.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub done: u64,
    /// Connections that nobody took.
    pub refused: u64,
    /// Requests without an answer, or with one that is not 200.
    pub failed: u64,
    pub first_failure: Option<String>,
}

impl Load {
    /// So many clients; each asks with these requests in turn.
    pub fn start(address: SocketAddr, clients: usize, requests: &'static [&'static str]) -> Self {
        let counts = Arc::new(Counts {
            done: watch::Sender::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first_failure: std::sync::Mutex::default(),
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        for _ in 0..clients {
            tasks.spawn(client(address, requests, Arc::clone(&counts), stop.clone()));
        }
        tasks.close();
        Self { counts, stop, tasks }
    }

    /// Waits until so many more have been answered.
    pub async fn more(&self, count: u64) {
        let goal = *self.counts.done.borrow() + count;
        let mut done = self.counts.done.subscribe();
        let waited = tokio::time::timeout(PATIENCE, done.wait_for(|done| *done >= goal)).await;
        waited.expect("requests are answered").expect("somebody counts");
    }

    pub async fn stop(self) -> Outcome {
        self.stop.cancel();
        self.tasks.wait().await;
        Outcome {
            done: *self.counts.done.borrow(),
            refused: self.counts.refused.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
            first_failure: self.counts.first_failure.lock().unwrap().clone(),
        }
    }
}

async fn client(address: SocketAddr, requests: &[&str], counts: Arc<Counts>, stop: CancellationToken) {
    let fail = |what: String| {
        counts.failed.fetch_add(1, Ordering::Relaxed);
        counts.first_failure.lock().unwrap().get_or_insert(what);
    };
    let mut kept: Option<Wire> = None;
    for request in requests.iter().cycle() {
        if stop.is_cancelled() {
            return;
        }
        let mut wire = match kept.take() {
            Some(wire) => wire,
            None => match TcpStream::connect(address).await {
                Ok(stream) => Wire::new(stream),
                Err(_) => {
                    counts.refused.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    continue;
                }
            },
        };
        match wire.ask(request).await {
            Ok(answer) if answer.status() == 200 => {
                if answer.header("connection") != Some("close") {
                    kept = Some(wire);
                }
            }
            Ok(answer) => {
                fail(format!("{request:?}: {answer:?}"));
                kept = Some(wire);
            }
            Err(error) => fail(format!("{request:?}: {error}")),
        }
        counts.done.send_modify(|done| *done += 1);
    }
}
