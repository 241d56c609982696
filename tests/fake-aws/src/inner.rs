//! What the server, the actors and the handle of a fake share: the world behind a lock, the clock, faults and the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, machine_time};
use crate::faults::{Faults, Journal};
use crate::model::Models;
use crate::value::Time;
use crate::world::World;

/// What is shared.
#[derive(Debug)]
pub(crate) struct Inner {
    world: Mutex<World>,
    clock: Mutex<Clock>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) journal: Mutex<Journal>,
    pub(crate) models: Option<Arc<Models>>,
    /// Operations that were held against them.
    pub(crate) compared: Mutex<BTreeSet<String>>,
    /// What calls or answers had that AWS's models do not.
    pub(crate) mistakes: Mutex<Vec<String>>,
    /// Where users' requests come in, by listener.
    pub(crate) listeners: Mutex<BTreeMap<String, SocketAddr>>,
    /// How far the server's clock is from the machine's, in milliseconds.
    pub(crate) skew: Mutex<Time>,
    /// Something has changed that actors may have to act on.
    pub(crate) changed: Notify,
    /// Actors have taken results in; who waits for the world looks again.
    pub(crate) seen: Seen,
    pub(crate) stop: CancellationToken,
}

/// How often something was seen to change, for threads that wait for the next time.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    count: Mutex<u64>,
    more: Condvar,
}

impl Seen {
    pub(crate) fn tell(&self) {
        *lock(&self.count) += 1;
        self.more.notify_all();
    }

    pub(crate) fn count(&self) -> u64 {
        *lock(&self.count)
    }

    /// Waits until more was seen than `count`, but not longer than `limit`.
    pub(crate) fn wait(&self, count: u64, limit: Duration) {
        let guard = lock(&self.count);
        let waited = self.more.wait_timeout_while(guard, limit, |now| *now <= count);
        drop(waited);
    }
}

/// A panic elsewhere leaves what is locked as it was; tests go on to their own failure.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    pub(crate) fn new(world: World, clock: Clock, models: Option<Arc<Models>>) -> Self {
        Self {
            world: Mutex::new(world),
            clock: Mutex::new(clock),
            faults: Mutex::default(),
            journal: Mutex::default(),
            models,
            compared: Mutex::default(),
            mistakes: Mutex::default(),
            listeners: Mutex::default(),
            skew: Mutex::default(),
            changed: Notify::new(),
            seen: Seen::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Works on the world at the present moment.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        let mut world = lock(&self.world);
        let now = lock(&self.clock).now();
        world.advance(now);
        let result = work(&mut world);
        drop(world);
        self.changed.notify_one();
        self.seen.tell();
        result
    }

    /// The same without telling anybody, for those who only look.
    pub(crate) fn look<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        let mut world = lock(&self.world);
        let now = lock(&self.clock).now();
        world.advance(now);
        work(&mut world)
    }

    /// Puts the clock forward; all that falls due happens in its order.
    pub(crate) fn advance(&self, by: Time) -> Time {
        lock(&self.clock).advance(by);
        self.with(|world| world.now)
    }

    pub(crate) fn set_speed(&self, speed: f64) {
        lock(&self.clock).set_speed(speed);
        self.changed.notify_one();
    }

    pub(crate) fn speed(&self) -> f64 {
        lock(&self.clock).speed()
    }

    /// What the server believes the time is, when it looks at signatures.
    pub(crate) fn server_time(&self) -> Time {
        machine_time() + *lock(&self.skew)
    }
}
