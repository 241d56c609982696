//! Which runs are carried now, which wait for it, and which are put aside until something comes for them.
//!
//! Only so many are in memory at once; a run that has been carried once and waits costs a few numbers. New runs are taken
//! by priority, in turn between repositories; those that something has come for go before them.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Inner, carry};
use crate::dispatcher::Control;
use crate::slots::{FairQueue, Party};
use crate::store::RunId;

/// Runs that are looked at besides those whose jobs go on.
const LOOKED_AT_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    changed: Notify,
    carried_max: usize,
    woken: tokio::sync::Mutex<mpsc::UnboundedReceiver<RunId>>,
}

#[derive(Debug, Default)]
struct State {
    new: FairQueue<RunId>,
    ticket: u64,
    /// Something has come for them.
    next: VecDeque<RunId>,
    /// In `new` or `next`.
    waiting: HashSet<RunId>,
    carried: HashMap<RunId, Carried>,
    /// What has come for runs that are not carried.
    orders: HashMap<RunId, Vec<Control>>,
    /// When a run that was put aside wants to be looked at.
    times: BTreeSet<(Timestamp, RunId)>,
    draining: bool,
}

#[derive(Debug)]
struct Carried {
    control: mpsc::UnboundedSender<Control>,
    /// Something came that it may not have seen.
    woken: bool,
}

impl Desk {
    pub(super) fn new(jobs_max: usize, woken: mpsc::UnboundedReceiver<RunId>) -> Self {
        let carried_max = jobs_max + LOOKED_AT_MAX;
        Self { state: Mutex::default(), changed: Notify::new(), carried_max, woken: tokio::sync::Mutex::new(woken) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new run, or one that nothing is known of.
    pub(super) fn queue(&self, run: RunId, party: &Party) {
        let mut state = self.state();
        if state.carried.contains_key(&run) || !state.waiting.insert(run) {
            return;
        }
        state.ticket += 1;
        let ticket = state.ticket;
        state.new.push(party, ticket, run);
        drop(state);
        self.changed.notify_one();
    }

    /// Something has come for a run.
    pub(super) fn wake(&self, run: RunId) {
        let mut state = self.state();
        if let Some(carried) = state.carried.get_mut(&run) {
            carried.woken = true;
            return;
        }
        if state.waiting.insert(run) {
            state.next.push_back(run);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Passes an order to a run, which is woken for it.
    pub(super) fn order(&self, run: RunId, order: Control) {
        let mut state = self.state();
        let unsent = match state.carried.get(&run) {
            Some(carried) => carried.control.send(order).err().map(|unsent| unsent.0),
            None => Some(order),
        };
        if let Some(order) = unsent {
            state.orders.entry(run).or_default().push(order);
        }
        drop(state);
        self.wake(run);
    }

    pub(super) fn carried(&self) -> usize {
        self.state().carried.len()
    }

    /// Carries runs until told to stop or the database is broken; then nothing is carried any more.
    pub(super) async fn serve(&self, inner: &Arc<Inner>, stop: &CancellationToken) {
        let mut woken = self.woken.lock().await;
        let mut tasks = JoinSet::new();
        loop {
            while let Some((run, control)) = self.take_next() {
                let inner = Arc::clone(inner);
                tasks.spawn(async move { carry::carry(&inner, run, control).await });
            }
            let time = self.state().times.first().map(|(time, _)| *time);
            let clock = &inner.parts.clock;
            tokio::select! {
                () = stop.cancelled() => break,
                () = inner.broken.cancelled() => {
                    // To drop what carries a run would stop its jobs, which the next start takes up.
                    tasks.detach_all();
                    break;
                }
                Some(run) = woken.recv() => self.wake(run),
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a bug in pipe ended the carrying of a run; the next start takes it up");
                    }
                }
                () = self.changed.notified() => {}
                () = clock.wait_until(time.unwrap_or(Timestamp::MAX)), if time.is_some() => self.wake_due(clock.now()),
            }
        }
        tasks.shutdown().await;
    }

    fn take_next(&self) -> Option<(RunId, mpsc::UnboundedReceiver<Control>)> {
        let mut state = self.state();
        if state.draining || state.carried.len() >= self.carried_max {
            return None;
        }
        let run = match state.next.pop_front() {
            Some(run) => run,
            None => {
                state.new.first(&|_| true)?;
                state.new.pop()?
            }
        };
        state.waiting.remove(&run);
        state.times.retain(|(_, other)| *other != run);
        let (control, orders) = mpsc::unbounded_channel();
        for order in state.orders.remove(&run).unwrap_or_default() {
            let _open = control.send(order);
        }
        state.carried.insert(run, Carried { control, woken: false });
        Some((run, orders))
    }

    fn wake_due(&self, now: Timestamp) {
        let due: Vec<_> = self.state().times.iter().take_while(|(time, _)| *time <= now).map(|(_, run)| *run).collect();
        for run in due {
            self.wake(run);
        }
    }

    /// A run is not carried any more: it is over, or put aside until a time.
    pub(super) fn put_down(
        &self,
        run: RunId,
        aside: Option<Option<Timestamp>>,
        orders: &mut mpsc::UnboundedReceiver<Control>,
    ) {
        let mut state = self.state();
        let carried = state.carried.remove(&run);
        if let Some(until) = aside {
            state.times.extend(until.map(|until| (until, run)));
            let mut missed = false;
            while let Ok(order) = orders.try_recv() {
                state.orders.entry(run).or_default().push(order);
                missed = true;
            }
            if (missed || carried.is_some_and(|carried| carried.woken)) && state.waiting.insert(run) {
                state.next.push_back(run);
            }
        }
        drop(state);
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    /// Nothing new is carried; waits until nothing is carried any more, or for so long. How many still are.
    pub(super) async fn drain(&self, deadline: Duration) -> usize {
        self.state().draining = true;
        let empty = async {
            loop {
                let changed = self.changed.notified();
                if self.state().carried.is_empty() {
                    return;
                }
                changed.await;
            }
        };
        let _late = tokio::time::timeout(deadline, empty).await;
        self.carried()
    }
}
