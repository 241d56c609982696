//! What was found warm has ended before it got users: the rollout begins anew with what there is then.

use jiff::Timestamp;
use serde_json::Value;

use super::{Rollout, Station, words};
use crate::analysis::Judge;
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::Found;
use crate::observation::Observation;
use crate::view::StepState;

impl Rollout {
    /// Whether a target could not give users to what was found warm, since it is not there any more: `{"gone": true}`.
    pub(super) fn could_not_shift(&self, call: &Call, result: &Value) -> bool {
        matches!(call, Call::SetWeight { .. }) && self.found.green_is_warm && result["gone"] == Value::Bool(true)
    }

    /// Whether nothing is seen of what was found warm.
    pub(super) fn has_lost_green(&self, seen: &Observation) -> bool {
        self.station == Station::Healthy
            && self.pending.is_none()
            && self.found.green_is_warm
            && !self.has_looked_again
            && seen.green.wanted == 0
            && seen.green.healthy == 0
    }

    /// Finds out anew what there is. Users have seen nothing so far. It happens once.
    pub(super) fn look_again(&mut self, at: Timestamp) {
        self.tell(at, true, words::GONE.to_owned());
        (self.stands, self.has_shifted) = (None, false);
        if self.has_looked_again {
            self.failed = Some((Cause::Call, words::GONE.to_owned()));
            return;
        }
        self.has_looked_again = true;
        self.station = Station::Preflight;
        (self.found, self.is_checked) = (Found::default(), false);
        (self.has_started_green, self.starting_since) = (false, None);
        (self.healthy_since, self.times_healthy, self.restarts_before) = (None, 0, None);
        (self.seen, self.looks, self.stop, self.given_up) = (None, 0, None, None);
        self.judge = Judge::new(&self.plan.analysis);
        for step in self.steps.iter_mut().filter(|step| step.state == StepState::Running) {
            step.state = StepState::Pending;
        }
    }
}
