//! Takes messages out of the outbox in order and sees that they arrive.
//!
//! One message of a lane at a time, a few of a repository, so that one that hangs holds up nobody else. An attempt that
//! fails is made again after a while that doubles, or as the target asks; after [`GIVE_UP_HOURS`] it is given up and
//! stays in the list.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use indexmap::IndexMap;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Outcome, Scope, Target};
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::outbox::{Again, Due, Message, Outbox};

/// How long a message is tried.
pub const GIVE_UP_HOURS: i64 = 24;
/// Attempts for a message that the target does not take for now.
const REFUSED_ATTEMPTS_MAX: u32 = 4;
/// Messages that are looked at in one round.
const DUE_MAX: usize = 10_000;
/// How often the outbox is looked at without being told.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How the worker goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The delay after the first failed attempt; it doubles with each.
    pub backoff: Duration,
    /// The longest delay that it grows to.
    pub backoff_max: Duration,
    /// The longest delay that a target can ask for.
    pub asked_max: Duration,
    /// Messages on their way at once.
    pub sending_max: usize,
    /// Messages of one repository on their way at once.
    pub per_repository_max: usize,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            backoff: Duration::from_secs(2),
            backoff_max: Duration::from_mins(5),
            asked_max: Duration::from_hours(1),
            sending_max: 64,
            per_repository_max: 4,
        }
    }
}

/// The worker. It goes on until it is told to stop; what is on its way then is brought to its end.
#[derive(Debug)]
pub struct Worker {
    outbox: Outbox,
    targets: IndexMap<String, Arc<dyn Target>>,
    clock: Arc<dyn Clock>,
    settings: WorkerSettings,
    wake: Arc<Notify>,
    random: RandomState,
    /// Until when nothing is sent: to a target, or to an owner there.
    pauses: HashMap<String, Timestamp>,
    /// Targets whose last attempt failed; only the first failure of a row is worth a warning.
    failing: HashMap<String, u32>,
    /// Attempts whose outcome the database did not take yet.
    unsettled: Vec<Sent>,
}

type Sent = (Message, Outcome);

impl Worker {
    /// A worker for these targets. `wake` is told when messages were made.
    #[must_use]
    pub fn new(
        outbox: Outbox,
        targets: IndexMap<String, Arc<dyn Target>>,
        clock: Arc<dyn Clock>,
        settings: WorkerSettings,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            outbox,
            targets,
            clock,
            settings,
            wake,
            random: RandomState::new(),
            pauses: HashMap::new(),
            failing: HashMap::new(),
            unsettled: Vec::new(),
        }
    }

    /// Sends until `stop`. While the database cannot be used it waits and tries again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut sending: JoinSet<Sent> = JoinSet::new();
        let mut busy: HashMap<u64, String> = HashMap::new();
        loop {
            let next = match self.start(&mut sending, &mut busy).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "messages cannot be sent");
                    self.clock.now() + LOOK_EVERY
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
                () = self.clock.wait_until(next) => {}
                Some(sent) = sending.join_next() => self.finish(sent, &mut busy).await,
            }
        }
        while let Some(sent) = sending.join_next().await {
            self.finish(sent, &mut busy).await;
        }
    }

    /// Starts what may be started; gives the time of the next look.
    async fn start(
        &mut self,
        sending: &mut JoinSet<Sent>,
        busy: &mut HashMap<u64, String>,
    ) -> Result<Timestamp, StoreError> {
        while let Some((message, outcome)) = self.unsettled.pop() {
            if let Err(error) = self.settle(&message, outcome.clone()).await {
                self.unsettled.push((message, outcome));
                return Err(error);
            }
        }
        let now = self.clock.now();
        self.pauses.retain(|_, until| *until > now);
        for due in self.outbox.due(now, DUE_MAX).await? {
            if sending.len() >= self.settings.sending_max {
                break;
            }
            let repository = repository_key(&due);
            let of_repository = busy.values().filter(|other| **other == repository).count();
            if of_repository >= self.settings.per_repository_max || self.is_paused(&due) {
                continue;
            }
            let Some(target) = self.targets.get(&due.target).cloned() else {
                self.outbox.give_up(due.id, format!("no target `{}` is configured any more", due.target)).await?;
                continue;
            };
            let Some(message) = self.outbox.begin(due.id).await? else { continue };
            busy.insert(message.id, repository);
            let outbox = self.outbox.clone();
            sending.spawn(async move {
                let attempt = std::panic::AssertUnwindSafe(target.send(&message, &outbox)).catch_unwind();
                let bug = |_| Outcome::Refused { problem: "sending it failed by a bug".to_owned(), for_now: true };
                let outcome = attempt.await.unwrap_or_else(bug);
                (message, outcome)
            });
        }
        let next = [self.outbox.next_due(now).await?, self.pauses.values().min().copied()];
        Ok(next.into_iter().flatten().min().unwrap_or(now + LOOK_EVERY).min(now + LOOK_EVERY))
    }

    fn is_paused(&self, due: &Due) -> bool {
        self.pauses.contains_key(&due.target) || self.pauses.contains_key(&owner_key(&due.target, &due.lane))
    }

    async fn finish(&mut self, sent: Result<Sent, tokio::task::JoinError>, busy: &mut HashMap<u64, String>) {
        // Panics were caught, and nobody aborts.
        let Ok((message, outcome)) = sent else { return };
        busy.remove(&message.id);
        if let Err(error) = self.settle(&message, outcome.clone()).await {
            tracing::error!(%error, message = message.id, "what became of a message cannot be kept");
            self.unsettled.push((message, outcome));
        }
    }

    async fn settle(&mut self, message: &Message, outcome: Outcome) -> Result<(), StoreError> {
        let now = self.clock.now();
        let result = match &outcome {
            Outcome::Arrived { .. } => "arrived",
            Outcome::Unwanted => "unwanted",
            Outcome::Refused { .. } => "refused",
            Outcome::Later { .. } => "later",
        };
        crate::metrics::metrics().message(&message.target, result);
        match outcome {
            Outcome::Arrived { remote } => {
                self.failing.remove(&message.target);
                self.outbox.arrived(message.id, remote, now).await
            }
            Outcome::Unwanted => self.outbox.drop_message(message.id).await,
            Outcome::Refused { problem, for_now } => {
                if !for_now || message.attempts + 1 >= REFUSED_ATTEMPTS_MAX {
                    return self.give_up(message, problem).await;
                }
                let not_before = now + self.backoff(message);
                self.outbox.failed(message.id, Again { not_before, uncertain: false, counts: true, problem }).await
            }
            Outcome::Later { problem, after, scope, uncertain } => {
                if now.duration_since(message.created_at).as_hours() >= GIVE_UP_HOURS {
                    return self.give_up(message, problem).await;
                }
                let failures = self.failing.entry(message.target.clone()).or_default();
                *failures += 1;
                if *failures == 1 {
                    tracing::warn!(target = message.target, lane = message.lane, %problem, "a message will be tried again");
                } else {
                    tracing::debug!(target = message.target, lane = message.lane, %problem, "a message will be tried again");
                }
                let not_before = now + after.map_or_else(|| self.backoff(message), |after| self.asked(message, after));
                match scope {
                    Scope::Lane => {}
                    Scope::Owner => drop(self.pauses.insert(owner_key(&message.target, &message.lane), not_before)),
                    Scope::Target => drop(self.pauses.insert(message.target.clone(), not_before)),
                }
                self.outbox.failed(message.id, Again { not_before, uncertain, counts: true, problem }).await
            }
        }
    }

    async fn give_up(&self, message: &Message, problem: String) -> Result<(), StoreError> {
        let Message { target, lane, subject, attempts, .. } = message;
        tracing::error!(target, lane, subject, attempts, problem, "a message is given up");
        self.outbox.give_up(message.id, problem).await
    }

    /// Doubled with each attempt, and somewhere between a half and one and a half of that, so that many do not come
    /// back together.
    fn backoff(&self, message: &Message) -> Duration {
        let doubled = self.settings.backoff.saturating_mul(1 << message.attempts.min(20));
        doubled.min(self.settings.backoff_max).mul_f64(0.5 + self.share(message))
    }

    /// As asked, a little later for some than for others, and within reason.
    fn asked(&self, message: &Message, after: Duration) -> Duration {
        after.min(self.settings.asked_max) + self.settings.backoff.mul_f64(self.share(message) / 4.0)
    }

    /// From 0 to 1.
    fn share(&self, message: &Message) -> f64 {
        f64::from(u32::try_from(self.random.hash_one((message.id, message.attempts)) >> 32).unwrap_or(0))
            / f64::from(u32::MAX)
    }
}

fn repository_key(due: &Due) -> String {
    format!("{} {}", due.target, due.lane.split(' ').next().unwrap_or_default())
}

fn owner_key(target: &str, lane: &str) -> String {
    format!("{target} {}", lane.split('/').next().unwrap_or_default())
}
