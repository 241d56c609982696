//! Rollouts whose target goes from weight to weight by itself: they are watched, and taken back, and never held.

use jiff::Timestamp;

use super::decide::facts;
use super::{Decision, Rollout, after, words};
use crate::call::Call;
use crate::fact::Fact;
use crate::plan::Weight;

impl Rollout {
    /// What is wanted while a share stands: before the last one, that the target goes on; with the last one, time.
    pub(super) fn decide_paced(&self, step: usize, now: Timestamp, waits: Decision) -> Decision {
        let weight = self.plan.schedule.steps[step].weight;
        let passed = || facts(Fact::Passed { step, words: words::passed(weight, None) });
        if let Some(next) = self.plan.schedule.steps.get(step + 1) {
            let has_gone_on = self.stands.is_some_and(|stands| stands >= next.weight);
            return if has_gone_on { passed() } else { waits };
        }
        let until = after(self.steps[step].started_at.unwrap_or(now), self.hold(step));
        if now < until {
            return Decision { wake_at: waits.wake_at.into_iter().chain([until]).min(), ..waits };
        }
        if self.looks == 0 { Decision { observe: true, ..waits } } else { passed() }
    }

    /// Whether somebody else has changed the share. A target that paces itself may be ahead of what is known.
    pub(super) fn is_drift(&self, seen: Weight, step: usize) -> bool {
        let wanted = self.plan.schedule.steps[step].weight;
        if self.plan.schedule.is_paced_by_target { seen < wanted } else { seen != wanted }
    }

    /// Calls that take long and change nothing that users see; the others are short, or must be known to have ended. Where
    /// the target paces itself, going on is no more than to wait for it.
    pub(super) fn can_be_given_up(&self, call: &Call) -> bool {
        match call {
            Call::Preflight | Call::StartGreen | Call::TestTraffic { .. } | Call::Hook { .. } => true,
            Call::SetWeight { weight } => self.plan.schedule.is_paced_by_target && *weight > Weight::NONE,
            Call::MakePrimary => self.plan.schedule.is_paced_by_target,
            Call::StopBlue | Call::StopGreen => false,
        }
    }
}
