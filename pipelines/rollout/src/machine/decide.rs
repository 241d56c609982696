//! What a rollout wants next, of its state and the time alone.

use jiff::{SignedDuration, Timestamp};

use super::{Decision, LockWish, Rollout, START_TICK, Station, WAITING_TICK_MAX, after, words};
use crate::analysis::Judgement;
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::{Fact, Outcome};
use crate::plan::Inconclusive;
use crate::view::StepState;

impl Rollout {
    /// What is to be done now. The same state and time give the same answer.
    #[must_use]
    pub fn decide(&self, now: Timestamp) -> Decision {
        match self.station {
            Station::Closed => Decision { is_over: true, ..Decision::default() },
            Station::Done => facts_and_release(Fact::Closed),
            Station::Keep => self.decide_keep(now),
            Station::Stuck => self.decide_stuck(),
            Station::BackWeight | Station::BackHook | Station::BackTest | Station::BackStop | Station::BackFinish => {
                self.decide_back()
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
            | Station::Primary => self.decide_forward(now),
            // From here on it is what stands: whoever wants it gone takes it back by a rollout of its own.
            Station::Finish => facts(Fact::Ended { outcome: Outcome::Succeeded, words: words::succeeded(self) }),
        }
    }

    fn decide_forward(&self, now: Timestamp) -> Decision {
        let is_due = self.is_watched() && self.next_look().is_none_or(|at| now >= at);
        let reasons = self.reasons(now);
        // What has been said and seen comes first; what only time says, after one more look.
        if let Some((cause, words)) = reasons.iter().find(|(cause, _)| self.goes_back_for(*cause))
            && !(is_due && is_of_time(*cause) && self.pending.is_none())
        {
            return match &self.pending {
                Some(effect) if self.can_be_given_up(&effect.call) => {
                    Decision { call: self.pending.clone(), give_up: true, ..Decision::default() }
                }
                Some(_) => Decision { call: self.pending.clone(), ..Decision::default() },
                None => facts(Fact::TurnsBack { cause: *cause, words: words.clone() }),
            };
        }
        let wake_at = self
            .next_look()
            .into_iter()
            .filter(|_| self.is_watched())
            .chain(self.deadlines())
            .filter(|at| *at > now)
            .min();
        if self.pending.is_some() || is_due {
            return Decision { call: self.pending.clone(), observe: is_due, wake_at, ..Decision::default() };
        }
        if self.question.is_none()
            && let Some((cause, words)) = reasons.into_iter().find(|(cause, _)| !self.overruled.contains(cause))
        {
            let words = words::may_not_go_back(&words, self.plan.irreversible.as_deref());
            return facts(Fact::Asks { step: self.step_here(), words, cause: Some(cause) });
        }
        let waits = Decision { wake_at, ..Decision::default() };
        if self.station == Station::Lock {
            return Decision { lock: Some(LockWish::Turn), ..waits };
        }
        if self.paused.is_some() || self.question.is_some() {
            return waits;
        }
        if let Station::Hold(step) = self.station {
            return self.decide_hold(step, now, waits);
        }
        match self.call_here() {
            Some(call) => facts(Fact::Intent { effect: self.effects, call }),
            None => waits,
        }
    }

    fn decide_hold(&self, step: usize, now: Timestamp, waits: Decision) -> Decision {
        let (course, plan) = (&self.steps[step], &self.plan.schedule.steps[step]);
        if self.plan.schedule.is_paced_by_target {
            return self.decide_paced(step, now, waits);
        }
        let passed = |words: String| facts(Fact::Passed { step, words });
        let go_on = self.promoted.as_ref().or(self.promoted_full.as_ref().filter(|_| step != self.last_step()));
        if let Some(who) = go_on {
            return passed(words::passed_by(plan.weight, who));
        }
        let began = course.started_at.unwrap_or(now);
        let until = after(began, self.hold(step));
        if now < until {
            return Decision { wake_at: waits.wake_at.into_iter().chain([until]).min(), ..waits };
        }
        if self.plan.rollback_of.is_some() {
            return passed(words::passed(plan.weight, None));
        }
        if self.looks == 0 {
            return Decision { observe: true, ..waits };
        }
        let analyse = plan.analyse && !self.is_at_once();
        let verdict = analyse.then(|| self.judge.verdict());
        if let Some(verdict) = verdict.as_ref().filter(|verdict| verdict.judgement == Judgement::Inconclusive) {
            let missing = verdict.words.clone();
            let extended_until = after(until, self.plan.analysis.max_extend);
            match self.plan.analysis.inconclusive {
                Inconclusive::Extend if !course.extended => {
                    let words = words::extended(plan.weight, self.plan.analysis.max_extend, &missing);
                    return facts(Fact::Extended { step, words });
                }
                Inconclusive::Extend if now < extended_until => {
                    return Decision { wake_at: waits.wake_at.into_iter().chain([extended_until]).min(), ..waits };
                }
                Inconclusive::Extend | Inconclusive::Ask => {
                    return facts(Fact::Asks {
                        step,
                        words: words::asks_for_evidence(plan.weight, &missing),
                        cause: None,
                    });
                }
                Inconclusive::Rollback if self.goes_back_for(Cause::Inconclusive) => {
                    return facts(Fact::TurnsBack { cause: Cause::Inconclusive, words: words::not_enough(&missing) });
                }
                Inconclusive::Rollback => {
                    let words = words::may_not_go_back(&words::not_enough(&missing), self.plan.irreversible.as_deref());
                    return facts(Fact::Asks { step, words, cause: None });
                }
                Inconclusive::Promote => {}
            }
        }
        if plan.pause {
            let words = words::gate(plan.weight, verdict.as_ref().map(|verdict| verdict.words.as_str()));
            return facts(Fact::Asks { step, words, cause: None });
        }
        passed(words::passed(plan.weight, verdict.as_ref().map(|verdict| verdict.words.as_str())))
    }

    fn decide_back(&self) -> Decision {
        if self.pending.is_some() {
            return Decision { call: self.pending.clone(), ..Decision::default() };
        }
        if let Some((_, words)) = &self.failed {
            return facts(Fact::Ended { outcome: Outcome::Stuck, words: words::stuck(self, words) });
        }
        match self.call_here() {
            Some(call) if !self.may_destroy(&call) => {
                let words = words::stuck(self, "nobody knows which share of the traffic green has");
                facts(Fact::Ended { outcome: Outcome::Stuck, words })
            }
            Some(call) => facts(Fact::Intent { effect: self.effects, call }),
            None => {
                let outcome = if self.has_shifted { Outcome::RolledBack } else { Outcome::Rejected };
                facts(Fact::Ended { outcome, words: words::went_back(self) })
            }
        }
    }

    fn decide_stuck(&self) -> Decision {
        match (&self.tries_again, self.leaves_it) {
            (_, true) => facts_and_release(Fact::Closed),
            (Some(who), false) => facts(Fact::TurnsBack { cause: Cause::Ordered, words: words::tries_again(who) }),
            (None, false) => Decision::default(),
        }
    }

    fn decide_keep(&self, now: Timestamp) -> Decision {
        if self.pending.is_some() {
            return Decision { call: self.pending.clone(), ..Decision::default() };
        }
        let until = self.blue_until();
        match (until.is_some_and(|until| now < until), self.has_lock) {
            (true, _) => Decision { release: true, wake_at: until, ..Decision::default() },
            (false, false) => Decision { release: true, lock: Some(LockWish::Background), ..Decision::default() },
            (false, true) if self.may_destroy(&Call::StopBlue) => {
                facts(Fact::Intent { effect: self.effects, call: Call::StopBlue })
            }
            (false, true) => facts_and_release(Fact::Closed),
        }
    }

    /// Until when blue stays warm.
    pub(super) fn blue_until(&self) -> Option<Timestamp> {
        let end = self.end.as_ref().filter(|_| self.station == Station::Keep)?;
        Some(after(end.at, self.plan.keep_blue))
    }

    /// All that would make it go back now, weightiest first.
    fn reasons(&self, now: Timestamp) -> Vec<(Cause, String)> {
        let mut reasons = Vec::new();
        reasons.extend(self.given_up.clone());
        reasons.extend(self.stopped_by.clone().map(|who| (Cause::Ordered, who)));
        reasons.extend(self.cancelled.clone().map(|words| (Cause::Cancelled, words)));
        reasons.extend(self.stop.clone().filter(|(cause, _)| self.counts(*cause)));
        let running = self.steps.iter().position(|step| step.state == StepState::Running);
        if running.is_some_and(|step| self.plan.schedule.steps[step].analyse) && !self.is_at_once() {
            let verdict = self.judge.verdict();
            if verdict.judgement == Judgement::Rollback {
                reasons.push((Cause::Analysis, verdict.words));
            }
        }
        if self.start_deadline().is_some_and(|at| now >= at) {
            reasons.push((Cause::Unhealthy, words::not_healthy_in_time(self)));
        }
        if self.deadline().is_some_and(|at| now >= at) {
            reasons.push((Cause::Timeout, words::timed_out(self.plan.timeout)));
        }
        reasons.extend(self.failed.clone());
        reasons
    }

    /// What takes another one back goes on under alarms and errors: they are why it is there.
    pub(super) fn counts(&self, cause: Cause) -> bool {
        self.plan.rollback_of.is_none() || matches!(cause, Cause::Unhealthy | Cause::CrashLoop | Cause::Call)
    }

    /// Whether it goes back by itself for this.
    fn goes_back_for(&self, cause: Cause) -> bool {
        let on = &self.plan.rollback_on;
        let is_wanted = match cause {
            Cause::Ordered | Cause::Superseded | Cause::Busy => return true,
            Cause::Call | Cause::Hook | Cause::Unhealthy | Cause::CrashLoop | Cause::Failures => on.failure,
            Cause::Alarm => on.alarm,
            Cause::Analysis | Cause::Inconclusive => on.analysis,
            Cause::Timeout | Cause::Cancelled => on.cancel,
        };
        // As long as no user can have seen it there is nothing that could not be undone; a target that goes back has not asked.
        !self.has_shifted || self.given_up.is_some() || (is_wanted && self.plan.irreversible.is_none())
    }

    fn start_deadline(&self) -> Option<Timestamp> {
        let since = self.starting_since.filter(|_| matches!(self.station, Station::Start | Station::Healthy))?;
        Some(after(since, self.plan.start_timeout))
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.locked_at.map(|at| after(at, self.plan.timeout))
    }

    fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        self.start_deadline().into_iter().chain(self.deadline())
    }

    fn next_look(&self) -> Option<Timestamp> {
        let tick = self.plan.tick.max(SignedDuration::from_millis(10));
        let tick = if self.station == Station::Healthy { tick.min(START_TICK) } else { tick };
        let at = self.looked_at?;
        let is_waiting = self.paused.is_some() || self.question.is_some();
        let tick = match self.waits_since.filter(|_| is_waiting) {
            Some(since) => tick.max((at.duration_since(since) / 60).min(WAITING_TICK_MAX)),
            None => tick,
        };
        Some(after(at, tick))
    }

    /// The step of which is spoken now.
    pub(super) fn step_here(&self) -> usize {
        match self.station {
            Station::Shift(step) | Station::Hold(step) => step,
            Station::Lock
            | Station::Preflight
            | Station::Hook(_)
            | Station::Start
            | Station::Healthy
            | Station::Test
            | Station::TestOff
            | Station::Primary
            | Station::Finish
            | Station::BackWeight
            | Station::BackHook
            | Station::BackTest
            | Station::BackStop
            | Station::BackFinish
            | Station::Stuck
            | Station::Keep
            | Station::Done
            | Station::Closed => self.steps.iter().rposition(|step| step.state != StepState::Pending).unwrap_or(0),
        }
    }
}

pub(super) fn facts(fact: Fact) -> Decision {
    Decision { facts: vec![fact], ..Decision::default() }
}

fn facts_and_release(fact: Fact) -> Decision {
    Decision { release: true, ..facts(fact) }
}

/// What may have become good since somebody looked last.
const fn is_of_time(cause: Cause) -> bool {
    matches!(cause, Cause::Unhealthy)
}
