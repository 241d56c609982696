//! What carries connections: a runtime on threads of its own, with its own connections to backends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::link::Link;
use crate::options::Threads;
use crate::pool::Pool;
use crate::shared::Shared;
use crate::upstream::Upstream;

/// How often idle connections are looked through.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);

/// What a connection's requests need.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    /// Of what goes through hyper.
    pub(crate) pool: Pool<Upstream>,
    /// Of plain requests.
    pub(crate) links: Pool<Link>,
}

/// All of them. Dropped, their threads end.
#[derive(Debug)]
pub(crate) struct Workers {
    all: Vec<(Handle, Arc<Worker>)>,
    end: CancellationToken,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Workers {
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (runtimes, threads) = match shared.options.threads {
            Threads::EachItsOwn(count) => (count.max(1), None),
            Threads::Shared(count) => (1, Some(count.max(1))),
        };
        let mut this = Self { all: Vec::new(), end: CancellationToken::new(), threads: Vec::new() };
        for number in 0..runtimes {
            let name = format!("proxy-{number}");
            let mut builder =
                if threads.is_some() { Builder::new_multi_thread() } else { Builder::new_current_thread() };
            let runtime =
                builder.worker_threads(threads.unwrap_or(1)).thread_name(name.clone()).enable_all().build()?;
            let limits = &shared.options.limits;
            let kept = shared.options.times.kept;
            let (pool, links) = (Pool::new(limits.idle_each_max, kept), Pool::new(limits.idle_each_max, kept));
            let worker = Arc::new(Worker { shared: Arc::clone(shared), pool, links });
            this.all.push((runtime.handle().clone(), Arc::clone(&worker)));
            let end = this.end.clone();
            let run = move || runtime.block_on(sweep_until(&worker, end));
            this.threads.push(std::thread::Builder::new().name(name).spawn(run)?);
        }
        Ok(this)
    }

    /// In turn: as many connections for each.
    pub(crate) fn of(&self, number: usize) -> (&Handle, &Arc<Worker>) {
        let (handle, worker) = &self.all[number % self.all.len()];
        (handle, worker)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end.cancel();
        for thread in self.threads.drain(..) {
            // One that panicked has said so already.
            let _panicked = thread.join();
        }
    }
}

async fn sweep_until(worker: &Worker, end: CancellationToken) {
    let mut period = tokio::time::interval(SWEEP_PERIOD);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = period.tick() => {
                worker.pool.sweep();
                worker.links.sweep();
            }
        }
    }
}
