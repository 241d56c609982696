//! Who performs what the world wishes for: containers, probes, and the proxies that are the balancer's data plane. The world
//! says what should be; what comes of it is told back to it.

mod balancer;
mod containers;
mod leftovers;
mod probes;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::inner::Inner;

pub(crate) use containers::Containers;
pub(crate) use leftovers::{Mark, remove_all};

/// The clock is looked at this often, and whatever it has made due is done.
const TICK: Duration = Duration::from_millis(50);

/// Performs until the fake stops. `containers` is `None` in a world that only behaves as if.
pub(crate) async fn perform(inner: Arc<Inner>, containers: Option<Arc<Containers>>) {
    let tasks = TaskTracker::new();
    let mut balancer = balancer::Balancer::new();
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = inner.stop.cancelled() => break,
            () = inner.changed.notified() => {}
            _ = clock.tick() => {}
        }
        let Some(containers) = &containers else {
            inner.look(|_| ());
            inner.seen.tell();
            continue;
        };
        let (launches, halts, due, wishes) =
            inner.look(|world| (world.launches(), world.halts(), world.due_probes(), world.listener_wishes()));
        for launch in launches {
            tasks.spawn(Arc::clone(containers).run(Arc::clone(&inner), launch));
        }
        for task in halts {
            tasks.spawn(Arc::clone(containers).halt(Arc::clone(&inner), task));
        }
        for probe in due {
            tasks.spawn(probes::probe(Arc::clone(&inner), probe));
        }
        balancer.fit(&inner, &wishes).await;
        balancer.count(&inner, &wishes).await;
    }
    balancer.stop().await;
    tasks.close();
    tasks.wait().await;
}
