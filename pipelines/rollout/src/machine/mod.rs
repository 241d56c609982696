//! The rollout as a machine: facts change it, and what it wants next is a value.
//!
//! [`Rollout::apply`] is the only place where it changes, and refuses what cannot follow; [`Rollout::decide`] keeps no memory, so the
//! same facts and time always give the same answer and a rollout can be replayed from any prefix of its log. The way forward is
//! a row of stations (`station.rs`), the way back a shorter one: the traffic first, green afterwards.

mod again;
mod apply;
mod decide;
mod decision;
mod paced;
mod station;
mod stops;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::analysis::Judge;
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::{Fact, Found, Outcome};
use crate::observation::Observation;
use crate::plan::{Plan, Revision, Weight};
use crate::view::{Line, StepState, View};
pub use decision::{Decision, Effect, LockWish};
pub use station::Station;

/// Green counts as healthy after it was so for this long without a restart.
const HEALTHY_FOR: SignedDuration = SignedDuration::from_millis(500);
/// While green starts it is looked at this often.
const START_TICK: SignedDuration = SignedDuration::from_millis(250);
/// Where people are waited for it is looked at less and less often, and at least so often: such a wait may take days.
const WAITING_TICK_MAX: SignedDuration = SignedDuration::from_secs(15);
/// So long nothing can be seen of the target before that is a reason to go back.
pub(crate) const UNSEEN_MAX: SignedDuration = SignedDuration::from_secs(60);

/// Why a fact cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// It does not follow from what was before.
    #[error("{fact} cannot follow at {station:?}")]
    OutOfOrder {
        /// Its kind.
        fact: &'static str,
        /// Where the rollout is.
        station: Station,
    },
    /// Nothing may be stopped that carries traffic, or of which it is not known that it does not.
    #[error("{call:?} is refused: green's share as it was last verified is {stands:?}")]
    CarriesTraffic {
        /// What was to be done.
        call: Call,
        /// Green's share as it was read back last; `None` if it was changed since, or never read.
        stands: Option<Weight>,
    },
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    words: String,
    cause: Option<Cause>,
}

/// A step as it went.
#[derive(Debug, Clone)]
struct Course {
    state: StepState,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    words: String,
    extended: bool,
}

/// How it ended.
#[derive(Debug, Clone)]
struct End {
    outcome: Outcome,
    at: Timestamp,
    words: String,
}

/// One rollout, as its facts made it.
#[derive(Debug, Clone)]
pub struct Rollout {
    id: u64,
    plan: Arc<Plan>,
    plan_hash: String,
    by: String,
    began_at: Timestamp,
    facts: u64,
    station: Station,
    token: Option<u64>,
    has_lock: bool,
    behind: Option<u64>,
    locked_at: Option<Timestamp>,
    effects: u32,
    pending: Option<Effect>,
    found: Found,
    is_checked: bool,
    /// Green's share as it was read back last; `None`: never, or it was changed since.
    stands: Option<Weight>,
    /// Users may have reached green.
    has_shifted: bool,
    has_started_green: bool,
    has_test_traffic: bool,
    is_primary: bool,
    has_looked_again: bool,
    steps: Vec<Course>,
    judge: Judge,
    seen: Option<Observation>,
    looked_at: Option<Timestamp>,
    unseen: Option<String>,
    unseen_since: Option<Timestamp>,
    /// Looks since the share stood.
    looks: u32,
    has_run_last_hook: bool,
    starting_since: Option<Timestamp>,
    healthy_since: Option<Timestamp>,
    times_healthy: u32,
    restarts_before: Option<u64>,
    bad_looks: u32,
    drifts: u32,
    given_up: Option<(Cause, String)>,
    stop: Option<(Cause, String)>,
    failed: Option<(Cause, String)>,
    stopped_by: Option<String>,
    cancelled: Option<String>,
    promoted: Option<String>,
    promoted_full: Option<String>,
    paused: Option<String>,
    question: Option<Question>,
    waits_since: Option<Timestamp>,
    overruled: BTreeSet<Cause>,
    cause: Option<(Cause, String)>,
    tries_again: Option<String>,
    leaves_it: bool,
    last_order: u64,
    end: Option<End>,
    timeline: Vec<Line>,
}

impl Rollout {
    /// The rollout with this number, of its first fact.
    ///
    /// # Errors
    /// If that is not [`Fact::Planned`].
    pub fn new(id: u64, at: Timestamp, first: &Fact) -> Result<Self, Illegal> {
        let Fact::Planned { plan, by } = first else {
            return Err(Illegal::OutOfOrder { fact: words::kind(first), station: Station::Lock });
        };
        let step = Course {
            state: StepState::Pending,
            started_at: None,
            ended_at: None,
            words: String::new(),
            extended: false,
        };
        let mut rollout = Self {
            id,
            plan_hash: plan.hash(),
            steps: vec![step; plan.schedule.steps.len()],
            judge: Judge::new(&plan.analysis),
            plan: Arc::new((**plan).clone()),
            by: by.clone(),
            began_at: at,
            facts: 1,
            station: Station::Lock,
            token: None,
            has_lock: false,
            behind: None,
            locked_at: None,
            effects: 0,
            pending: None,
            found: Found::default(),
            is_checked: false,
            stands: None,
            has_shifted: false,
            has_started_green: false,
            has_test_traffic: false,
            is_primary: false,
            has_looked_again: false,
            seen: None,
            looked_at: None,
            unseen: None,
            unseen_since: None,
            looks: 0,
            has_run_last_hook: false,
            starting_since: None,
            healthy_since: None,
            times_healthy: 0,
            restarts_before: None,
            bad_looks: 0,
            drifts: 0,
            given_up: None,
            stop: None,
            failed: None,
            stopped_by: None,
            cancelled: None,
            promoted: None,
            promoted_full: None,
            paused: None,
            question: None,
            waits_since: None,
            overruled: BTreeSet::new(),
            cause: None,
            tries_again: None,
            leaves_it: false,
            last_order: 0,
            end: None,
            timeline: Vec::new(),
        };
        rollout.tell(at, false, words::planned(&rollout));
        Ok(rollout)
    }

    /// The same, of all facts so far.
    ///
    /// # Errors
    /// If there are none, or one cannot follow.
    pub fn replay(id: u64, facts: &[(Timestamp, Fact)]) -> Result<Self, Illegal> {
        let Some(((at, first), rest)) = facts.split_first() else {
            return Err(Illegal::OutOfOrder { fact: "nothing", station: Station::Lock });
        };
        let mut rollout = Self::new(id, *at, first)?;
        for (at, fact) in rest {
            rollout.apply(*at, fact)?;
        }
        Ok(rollout)
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// What is asked for.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How many facts made it.
    #[must_use]
    pub const fn facts(&self) -> u64 {
        self.facts
    }

    /// Where it is.
    #[must_use]
    pub const fn station(&self) -> Station {
        self.station
    }

    /// The newest fencing token that it was given.
    #[must_use]
    pub const fn token(&self) -> Option<u64> {
        self.token
    }

    /// Whether it has the lock, as far as its facts tell.
    #[must_use]
    pub const fn has_lock(&self) -> bool {
        self.has_lock
    }

    /// What stood when it began; `None` before that was found, and at a first deployment.
    #[must_use]
    pub const fn blue(&self) -> Option<&Revision> {
        self.found.blue.as_ref()
    }

    /// What comes: what is used again if that was found warm, else a revision with this rollout's number.
    #[must_use]
    pub fn green(&self) -> Revision {
        match &self.plan.reuse {
            Some(reuse) if self.found.green_is_warm => reuse.clone(),
            Some(_) | None => Revision {
                id: self.id,
                image: self.plan.image.clone(),
                version: self.plan.version.clone(),
                commit: self.plan.commit.clone(),
            },
        }
    }

    /// Green's share as it was read back last; `None`: never, or it was changed since and not read back.
    #[must_use]
    pub const fn stands(&self) -> Option<Weight> {
        self.stands
    }

    /// The call whose outcome is not known.
    #[must_use]
    pub const fn pending(&self) -> Option<&Effect> {
        self.pending.as_ref()
    }

    /// The number of the last order that it took note of.
    #[must_use]
    pub const fn last_order(&self) -> u64 {
        self.last_order
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.end.as_ref().map(|end| end.outcome)
    }

    /// The rollout that it waits for.
    #[must_use]
    pub const fn behind(&self) -> Option<u64> {
        self.behind
    }

    /// Whether it knows that its job was cancelled, or that does not matter any more.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        self.cancelled.is_some() || self.end.is_some()
    }

    /// Whether something is still to do, in the background too.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.station, Station::Closed)
    }

    /// As people see it.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> View {
        view::view(self, now)
    }

    fn tell(&mut self, at: Timestamp, is_bad: bool, words: impl Into<String>) {
        self.timeline.push(Line { at, words: words.into(), is_bad });
    }

    /// Whether steps are left out: it takes another one back, or there is nothing to share the traffic with.
    fn is_at_once(&self) -> bool {
        self.plan.rollback_of.is_some() || (self.is_checked && self.found.blue.is_none())
    }

    fn hold(&self, step: usize) -> SignedDuration {
        match self.plan.rollback_of {
            Some(_) => SignedDuration::ZERO,
            None if self.is_at_once() && self.plan.schedule.is_usual() => FIRST_HOLD,
            None => self.plan.schedule.steps[step].hold,
        }
    }

    fn last_step(&self) -> usize {
        self.plan.schedule.steps.len().saturating_sub(1)
    }

    /// Whether what is seen of the target means something now.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.has_started_green && self.station != Station::Start && self.end.is_none() && !self.station.is_back()
    }
}

/// How long a first deployment is looked at where nobody wrote steps. There is nothing to compare it with and nothing to go back
/// to, so time brings no evidence: what is left to see is that it stays up under its first requests.
const FIRST_HOLD: SignedDuration = SignedDuration::from_secs(10);

/// So many later; the end of time if there is none.
fn after(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
