//! How facts change a rollout. Nothing else does.

use jiff::Timestamp;

use super::{Course, Effect, End, Illegal, Question, Rollout, Station, words};
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::{Fact, Found, Outcome};
use crate::observation::Observation;
use crate::order::Order;
use crate::plan::{Stage, Weight};
use crate::view::StepState;

impl Rollout {
    /// Changes it by what happened then.
    ///
    /// # Errors
    /// If that cannot follow; nothing has changed.
    pub fn apply(&mut self, at: Timestamp, fact: &Fact) -> Result<(), Illegal> {
        if !self.may_follow(fact) {
            return Err(Illegal::OutOfOrder { fact: words::kind(fact), station: self.station });
        }
        if let Fact::Intent { call, .. } = fact
            && !self.may_destroy(call)
        {
            return Err(Illegal::CarriesTraffic { call: call.clone(), stands: self.stands });
        }
        self.facts += 1;
        match fact {
            Fact::Planned { .. } => {}
            Fact::Waits { behind } => {
                self.behind = Some(*behind);
                self.tell(at, false, words::waits(*behind));
            }
            Fact::Locked { token } => self.locked(at, *token),
            Fact::Intent { effect, call } => self.intent(at, *effect, call),
            Fact::Done { result, .. } => self.done(at, result),
            Fact::Failed { reason, .. } => self.call_failed(at, reason),
            Fact::Observed(seen) => self.observed(at, seen),
            Fact::Unseen { reason } => self.unseen(at, reason),
            Fact::Passed { step, words } => self.passed(at, *step, words),
            Fact::Extended { step, words } => {
                self.steps[*step].extended = true;
                self.steps[*step].words.clone_from(words);
                self.tell(at, false, words.clone());
            }
            Fact::Asks { words, cause, step } => {
                self.question = Some(Question { words: words.clone(), cause: *cause });
                self.waits_since = Some(at);
                if let Some(step) = self.steps.get_mut(*step) {
                    step.words.clone_from(words);
                }
                self.tell(at, cause.is_some(), words.clone());
            }
            Fact::Ordered { order, by, comment, number } => {
                self.last_order = *number;
                self.tell(at, false, words::ordered(*order, by, comment));
                self.ordered(at, *order, words::by(by, comment));
            }
            Fact::Cancelled { words } => {
                self.cancelled = Some(words.clone());
                self.tell(at, true, words.clone());
            }
            Fact::TurnsBack { cause, words } => self.turns_back(at, *cause, words),
            Fact::Ended { outcome, words } => self.ended(at, *outcome, words),
            Fact::Closed => {
                self.has_lock = false;
                self.station = Station::Closed;
            }
        }
        Ok(())
    }

    fn may_follow(&self, fact: &Fact) -> bool {
        let is_idle = self.pending.is_none();
        let is_now = |effect: u32| self.pending.as_ref().is_some_and(|pending| pending.number == effect);
        if matches!(self.station, Station::Closed) {
            return matches!(fact, Fact::Ordered { number, .. } if *number > self.last_order);
        }
        match fact {
            Fact::Planned { .. } => false,
            Fact::Waits { .. } => matches!(self.station, Station::Lock | Station::Keep),
            Fact::Locked { token } => self.token.is_none_or(|last| *token > last),
            Fact::Intent { effect, call } => {
                is_idle && self.has_lock && *effect == self.effects && self.call_here().as_ref() == Some(call)
            }
            Fact::Done { effect, .. } | Fact::Failed { effect, .. } => is_now(*effect),
            Fact::Observed(_) | Fact::Unseen { .. } => self.is_watched(),
            Fact::Passed { step, .. } | Fact::Extended { step, .. } => is_idle && self.station == Station::Hold(*step),
            Fact::Asks { .. } => is_idle && self.question.is_none() && self.end.is_none() && !self.station.is_back(),
            Fact::Ordered { number, .. } => *number > self.last_order,
            Fact::Cancelled { .. } => self.end.is_none() && self.cancelled.is_none(),
            Fact::TurnsBack { .. } => {
                let may_go_back = self.end.is_none() && !self.station.is_back() && self.station != Station::Finish;
                is_idle && (self.station == Station::Stuck || may_go_back)
            }
            Fact::Ended { .. } => is_idle && self.end.is_none(),
            Fact::Closed => is_idle && self.end.is_some(),
        }
    }

    fn locked(&mut self, at: Timestamp, token: u64) {
        if self.has_lock {
            self.tell(at, false, words::TAKEN_UP);
            // What nobody looked at meanwhile is nothing that could not be seen.
            self.unseen_since = None;
        }
        (self.token, self.has_lock, self.behind) = (Some(token), true, None);
        if self.station == Station::Lock {
            self.locked_at = Some(at);
            self.station = self.after(Station::Lock);
        }
    }

    fn intent(&mut self, at: Timestamp, number: u32, call: &Call) {
        self.effects = number + 1;
        match call {
            Call::StartGreen => {
                self.has_started_green = true;
                self.starting_since = Some(at);
            }
            Call::TestTraffic { on } => self.has_test_traffic |= *on,
            Call::SetWeight { weight } => {
                self.stands = None;
                self.has_shifted |= *weight > Weight::NONE;
            }
            Call::Preflight | Call::Hook { .. } | Call::MakePrimary | Call::StopBlue | Call::StopGreen => {}
        }
        if let Station::Shift(step) = self.station {
            for skipped in self.steps[..step].iter_mut().filter(|step| step.state == StepState::Pending) {
                skipped.state = StepState::Skipped;
            }
            self.steps[step].state = StepState::Running;
        }
        self.pending = Some(Effect { number, call: call.clone(), since: at });
    }

    fn done(&mut self, at: Timestamp, result: &serde_json::Value) {
        let Some(Effect { call, .. }) = self.pending.take() else { return };
        if self.could_not_shift(&call, result) {
            return self.look_again(at);
        }
        let (is_bad, said) = words::done(self, &call, result);
        match &call {
            Call::Preflight => {
                self.is_checked = true;
                self.found = serde_json::from_value::<Found>(result.clone()).unwrap_or_default();
                if self.found.green_is_warm {
                    // It counts as ours from here on: what began has an end.
                    self.has_started_green = true;
                    self.starting_since = Some(at);
                }
            }
            Call::SetWeight { weight } => self.stands = Some(*weight),
            Call::TestTraffic { on } => self.has_test_traffic = *on,
            Call::MakePrimary => self.is_primary = true,
            Call::StartGreen | Call::Hook { .. } | Call::StopBlue | Call::StopGreen => {}
        }
        if let Some(said) = said {
            self.tell(at, is_bad, said);
        }
        if let Station::Shift(step) = self.station {
            self.steps[step].started_at = Some(at);
            self.looks = 0;
        }
        self.has_run_last_hook |= self.station == Station::Hook(Stage::AfterAllowTraffic);
        self.station = self.after(self.station);
        self.has_lock &= self.station != Station::Done;
    }

    fn call_failed(&mut self, at: Timestamp, reason: &str) {
        let Some(Effect { call, .. }) = self.pending.take() else { return };
        self.tell(at, true, words::failed(&call, reason));
        match self.station {
            // It has gone back as far as users are concerned.
            Station::BackHook | Station::BackTest | Station::BackStop | Station::Keep => {
                self.station = self.after(self.station);
                self.has_lock &= self.station != Station::Done;
            }
            Station::Lock
            | Station::Preflight
            | Station::Hook(_)
            | Station::Start
            | Station::Healthy
            | Station::Test
            | Station::Shift(_)
            | Station::Hold(_)
            | Station::TestOff
            | Station::Primary
            | Station::Finish
            | Station::BackWeight
            | Station::BackFinish
            | Station::Stuck
            | Station::Done
            | Station::Closed => {
                let cause = if matches!(call, Call::Hook { .. }) { Cause::Hook } else { Cause::Call };
                self.failed = Some((cause, words::failed(&call, reason)));
            }
        }
    }

    fn observed(&mut self, at: Timestamp, seen: &Observation) {
        self.looked_at = Some(at);
        self.looks += 1;
        (self.unseen, self.unseen_since) = (None, None);
        if self.has_lost_green(seen) {
            return self.look_again(at);
        }
        if let Some(weight) = seen.weight
            && !matches!(self.pending, Some(Effect { call: Call::SetWeight { .. }, .. }))
        {
            self.stands = Some(weight);
        }
        self.judge.observe(seen);
        if let Station::Hold(step) = self.station
            && self.pending.is_none()
            && self.paused.is_none()
            && self.question.is_none()
            && seen.weight.is_some_and(|weight| self.is_drift(weight, step))
        {
            self.drifts += 1;
            self.station = Station::Shift(step);
            self.tell(at, true, words::drifted(seen.weight, self.plan.schedule.steps[step].weight));
        }
        self.has_shifted |= self.plan.schedule.is_paced_by_target && seen.weight > Some(Weight::NONE);
        self.given_up = seen.given_up.as_ref().map(|given_up| (given_up.cause, given_up.words.clone()));
        self.stop = self.stop_by(seen);
        self.health(at, seen);
        self.seen = Some(seen.clone());
    }

    fn health(&mut self, at: Timestamp, seen: &Observation) {
        let green = &seen.green;
        let is_healthy = green.wanted > 0 && green.healthy >= green.wanted && green.failed == 0;
        let restarted = self.seen.as_ref().is_some_and(|before| before.green.restarts < green.restarts);
        match (is_healthy, self.healthy_since) {
            (false, _) => self.healthy_since = None,
            (true, Some(_)) if !restarted => {}
            (true, _) => {
                self.times_healthy += 1;
                self.healthy_since = Some(at);
            }
        }
        // For how long is up to `decide`, which says so by going on: here it only becomes known.
        if self.station == Station::Healthy && self.is_healthy_for_long(at) {
            self.tell(at, false, words::healthy(green));
            self.station = self.after(Station::Healthy);
        }
    }

    pub(super) fn is_healthy_for_long(&self, at: Timestamp) -> bool {
        let long = if self.found.green_is_warm { jiff::SignedDuration::ZERO } else { super::HEALTHY_FOR };
        self.stop.as_ref().is_none_or(|(cause, _)| !self.counts(*cause))
            && self.healthy_since.is_some_and(|since| at.duration_since(since) >= long)
    }

    fn unseen(&mut self, at: Timestamp, reason: &str) {
        let since = *self.unseen_since.get_or_insert(at);
        if self.unseen.is_none() {
            self.tell(at, true, words::unseen(reason));
        }
        self.unseen = Some(reason.to_owned());
        self.looked_at = Some(at);
        if at.duration_since(since) >= super::UNSEEN_MAX {
            self.stop = Some((Cause::Call, words::unseen_for_long(reason)));
        }
    }

    fn passed(&mut self, at: Timestamp, step: usize, words: &str) {
        self.end_step(at, StepState::Passed, words);
        self.tell(at, false, words.to_owned());
        (self.question, self.promoted, self.drifts) = (None, None, 0);
        self.overruled.clear();
        self.station = self.after(Station::Hold(step));
    }

    fn end_step(&mut self, at: Timestamp, state: StepState, words: &str) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.state == StepState::Running) {
            *step = Course { state, ended_at: Some(at), words: words.to_owned(), ..step.clone() };
        }
    }

    fn ordered(&mut self, at: Timestamp, order: Order, who: String) {
        if let Some(end) = &self.end {
            if end.outcome == Outcome::Stuck {
                match order {
                    Order::Rollback => self.tries_again = Some(who),
                    Order::Abort => self.leaves_it = true,
                    Order::Promote | Order::PromoteFull | Order::Pause | Order::Resume => {}
                }
            }
            return;
        }
        if self.station.is_back() {
            return;
        }
        match order {
            Order::Pause => {
                self.paused = Some(who);
                self.waits_since = Some(at);
            }
            Order::Resume => {
                self.paused = None;
                // A gate of the plan has nothing to stay for.
                let is_gate = self.question.as_ref().is_some_and(|question| question.cause.is_none());
                self.promoted = is_gate.then_some(who);
                self.answer();
            }
            Order::Promote | Order::PromoteFull => {
                if order == Order::PromoteFull {
                    self.promoted_full = Some(who.clone());
                }
                if matches!(self.station, Station::Hold(_)) {
                    self.promoted = Some(who);
                }
                self.paused = None;
                self.answer();
            }
            Order::Abort | Order::Rollback => self.stopped_by = Some(who),
        }
    }

    /// A person has said that it goes on: what it asked for is not asked again in this step, and what failed is tried again.
    fn answer(&mut self) {
        if let Some(cause) = self.question.take().and_then(|question| question.cause) {
            self.overruled.insert(cause);
            if self.failed.as_ref().is_some_and(|(failed, _)| *failed == cause) {
                self.failed = None;
                self.overruled.remove(&cause);
            }
        }
    }

    fn turns_back(&mut self, at: Timestamp, cause: Cause, words: &str) {
        self.end_step(at, StepState::Failed, words);
        for step in self.steps.iter_mut().filter(|step| step.state == StepState::Pending) {
            step.state = StepState::Skipped;
        }
        self.tell(at, true, words::turns_back(cause, words, self.has_shifted));
        if self.cause.is_none() {
            self.cause = Some((cause, words.to_owned()));
        }
        (self.failed, self.question, self.paused, self.end, self.tries_again) = (None, None, None, None, None);
        self.given_up = None;
        self.station = self.first_back();
    }

    fn ended(&mut self, at: Timestamp, outcome: Outcome, words: &str) {
        self.tell(at, outcome != Outcome::Succeeded, words.to_owned());
        self.end = Some(End { outcome, at, words: words.to_owned() });
        self.has_lock &= outcome == Outcome::Stuck;
        self.station = match outcome {
            Outcome::Succeeded => self.after(Station::Finish),
            Outcome::Stuck => Station::Stuck,
            Outcome::RolledBack | Outcome::Rejected => Station::Done,
        };
    }
}
