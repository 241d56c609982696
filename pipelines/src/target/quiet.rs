//! Keeps a target in AWS from asking too often: its limits are of an account, which others use too.
//!
//! A rollout asks one question a second at most, whichever call or look it is for, each try included. While all is well and nothing
//! changes it looks more seldom. A look that takes long goes on when nobody waits for it any more, and the next one gets what
//! came of it; what was seen before a call, or while it went on, is forgotten.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws::{Turns, in_turn};
use engine::clock::Clock;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use rollout::{Call, Observation, Side};
use serde_json::Value;

use crate::rollout::{CallError, CallOrder, Subject, Target};

/// Between two questions of a rollout.
const APART: SignedDuration = SignedDuration::from_secs(1);
/// For so long the first look at which all is well stands; for twice as long the next one that is the same.
const CALM_MIN: SignedDuration = SignedDuration::from_secs(5);
/// The longest that one stands.
const CALM_MAX: SignedDuration = SignedDuration::from_secs(15);
/// Rollouts that are this much older than one that asks have ended long ago.
const OLD: u64 = 1_000;

/// A target that asks at a pace.
#[derive(Debug)]
pub struct Quiet<T> {
    target: T,
    clock: Arc<dyn Clock>,
    rollouts: Mutex<HashMap<u64, Arc<Course>>>,
}

/// A look that goes on, whoever waits for it.
type Look = Shared<BoxFuture<'static, Result<Observation, CallError>>>;

/// One rollout.
struct Course {
    turns: Arc<dyn Turns>,
    looks: Mutex<Looks>,
}

#[derive(Default)]
struct Looks {
    /// What was seen last while all was well, until when that does, and for how long.
    calm: Option<(Observation, Timestamp, SignedDuration)>,
    going_on: Option<(Look, tokio::task::AbortHandle)>,
}

impl fmt::Debug for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Course").field("turns", &self.turns).finish_non_exhaustive()
    }
}

/// One question after another, so far apart.
#[derive(Debug)]
struct Pace {
    clock: Arc<dyn Clock>,
    next: tokio::sync::Mutex<Option<Timestamp>>,
}

impl Turns for Pace {
    /// Who stops waiting takes nobody's turn.
    fn turn(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let mut next = self.next.lock().await;
            if let Some(at) = *next {
                self.clock.wait_until(at).await;
            }
            *next = Some(after(self.clock.now(), APART));
        })
    }
}

impl Course {
    fn looks(&self) -> std::sync::MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing of what was seen counts any more.
    fn forget(&self) {
        let mut looks = self.looks();
        looks.calm = None;
        if let Some((_, look)) = looks.going_on.take() {
            look.abort();
        }
    }
}

impl<T: Target + Clone + 'static> Quiet<T> {
    /// This target at a pace.
    pub fn new(target: T, clock: Arc<dyn Clock>) -> Self {
        Self { target, clock, rollouts: Mutex::default() }
    }

    fn course(&self, rollout: u64) -> Arc<Course> {
        let mut all = self.rollouts.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known, _| known.saturating_add(OLD) > rollout);
        let made = || {
            let turns = Pace { clock: Arc::clone(&self.clock), next: tokio::sync::Mutex::default() };
            Arc::new(Course { turns: Arc::new(turns), looks: Mutex::default() })
        };
        Arc::clone(all.entry(rollout).or_insert_with(made))
    }

    /// A look that goes on, or a new one.
    fn look(&self, course: &Course, subject: &Subject) -> Look {
        let mut looks = course.looks();
        if let Some((look, _)) = &looks.going_on {
            return look.clone();
        }
        let (target, subject, turns) = (self.target.clone(), subject.clone(), Arc::clone(&course.turns));
        let task = tokio::spawn(in_turn(turns, async move { target.observe(&subject).await }));
        let abort = task.abort_handle();
        let look =
            async move { task.await.unwrap_or_else(|_| Err(CallError::transient("the look was given up for a call"))) };
        let look = look.boxed().shared();
        looks.going_on = Some((look.clone(), abort));
        look
    }
}

#[async_trait]
impl<T: Target + Clone + 'static> Target for Quiet<T> {
    async fn perform(&self, order: &CallOrder) -> Result<Value, CallError> {
        let course = self.course(order.subject.rollout);
        course.forget();
        let done = in_turn(Arc::clone(&course.turns), self.target.perform(order)).await;
        course.forget();
        done
    }

    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError> {
        let course = self.course(order.subject.rollout);
        in_turn(Arc::clone(&course.turns), self.target.look_up(order)).await
    }

    fn patience(&self, call: &Call) -> Option<SignedDuration> {
        self.target.patience(call)
    }

    async fn observe(&self, subject: &Subject) -> Result<Observation, CallError> {
        let course = self.course(subject.rollout);
        if let Some((seen, until, _)) = &course.looks().calm
            && self.clock.now() < *until
        {
            return Ok(seen.clone());
        }
        let seen = self.look(&course, subject).await;
        let mut looks = course.looks();
        looks.going_on = None;
        let now = self.clock.now();
        looks.calm = seen.as_ref().ok().filter(|seen| is_well(seen)).map(|seen| {
            let last = looks.calm.take().filter(|(last, _, _)| is_same(last, seen));
            let calm = last.map_or(CALM_MIN, |(_, _, calm)| calm.saturating_add(calm).min(CALM_MAX));
            (seen.clone(), after(now, calm), calm)
        });
        seen
    }
}

fn after(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Nothing is there that somebody would want to know more of soon.
fn is_well(seen: &Observation) -> bool {
    let side = |side: &Side| side.healthy >= side.wanted && side.failed == 0 && side.trouble.is_none();
    seen.alarms.is_empty() && seen.given_up.is_none() && side(&seen.green) && seen.blue.as_ref().is_none_or(side)
}

/// Whether nothing has changed but counters, which CloudWatch has by the minute.
fn is_same(one: &Observation, other: &Observation) -> bool {
    let side = |side: &Side| (side.wanted, side.healthy, side.restarts);
    one.weight == other.weight
        && side(&one.green) == side(&other.green)
        && one.blue.as_ref().map(side) == other.blue.as_ref().map(side)
}
