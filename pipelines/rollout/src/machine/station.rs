//! Where a rollout is, and which station comes next.

use super::Rollout;
use crate::call::Call;
use crate::plan::{Stage, Weight};

/// Where a rollout is. Those with a call wait for its end; the others for the lock, for time, or for what is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Station {
    /// Waits for the lock.
    Lock,
    /// [`Call::Preflight`].
    Preflight,
    /// The scripts of a stage on the way forward.
    Hook(Stage),
    /// [`Call::StartGreen`].
    Start,
    /// Green becomes healthy.
    Healthy,
    /// Tests may reach green.
    Test,
    /// Green gets the share of this step.
    Shift(usize),
    /// That share stands.
    Hold(usize),
    /// Tests need not reach green by itself any more.
    TestOff,
    /// [`Call::MakePrimary`].
    Primary,
    /// All is done; [`Fact::Ended`](crate::Fact::Ended) comes.
    Finish,
    /// The traffic goes back.
    BackWeight,
    /// The scripts of [`Stage::OnRollback`].
    BackHook,
    /// Tests reach green no more.
    BackTest,
    /// [`Call::StopGreen`].
    BackStop,
    /// All of it has gone back; [`Fact::Ended`](crate::Fact::Ended) comes.
    BackFinish,
    /// A person must look; the lock is held.
    Stuck,
    /// Blue is kept warm, then stopped.
    Keep,
    /// The lock is given back; [`Fact::Closed`](crate::Fact::Closed) comes.
    Done,
    /// Nothing is left.
    Closed,
}

impl Station {
    /// Whether it is on the way back.
    #[must_use]
    pub const fn is_back(self) -> bool {
        matches!(
            self,
            Self::BackWeight | Self::BackHook | Self::BackTest | Self::BackStop | Self::BackFinish | Self::Stuck
        )
    }

    /// Whether it has ended here.
    #[must_use]
    pub const fn is_after_end(self) -> bool {
        matches!(self, Self::Stuck | Self::Keep | Self::Done | Self::Closed)
    }
}

impl Rollout {
    /// The call of the station where it is.
    pub(super) fn call_here(&self) -> Option<Call> {
        match self.station {
            Station::Preflight => Some(Call::Preflight),
            Station::Hook(stage) => Some(Call::Hook { stage }),
            Station::Start => Some(Call::StartGreen),
            Station::Test => Some(Call::TestTraffic { on: true }),
            Station::Shift(step) => Some(Call::SetWeight { weight: self.plan.schedule.steps[step].weight }),
            Station::TestOff | Station::BackTest => Some(Call::TestTraffic { on: false }),
            Station::Primary => Some(Call::MakePrimary),
            Station::BackWeight => Some(Call::SetWeight { weight: Weight::NONE }),
            Station::BackHook => Some(Call::Hook { stage: Stage::OnRollback }),
            Station::BackStop => Some(Call::StopGreen),
            Station::Keep => Some(Call::StopBlue),
            Station::Lock
            | Station::Healthy
            | Station::Hold(_)
            | Station::Finish
            | Station::BackFinish
            | Station::Stuck
            | Station::Done
            | Station::Closed => None,
        }
    }

    /// The station behind this one, those left out that have nothing to do.
    pub(super) fn after(&self, station: Station) -> Station {
        let mut next = station;
        loop {
            next = self.neighbour(next);
            if self.has_work(next) {
                return next;
            }
        }
    }

    fn neighbour(&self, station: Station) -> Station {
        match station {
            Station::Lock => Station::Preflight,
            Station::Preflight => Station::Hook(Stage::BeforeInstall),
            Station::Hook(Stage::BeforeInstall) => Station::Start,
            Station::Start => Station::Healthy,
            Station::Healthy => Station::Hook(Stage::AfterInstall),
            Station::Hook(Stage::AfterInstall) => Station::Test,
            Station::Test => Station::Hook(Stage::AfterAllowTestTraffic),
            Station::Hook(Stage::AfterAllowTestTraffic) => Station::Hook(Stage::BeforeAllowTraffic),
            Station::Hook(Stage::BeforeAllowTraffic) => Station::Shift(0),
            Station::Shift(step) if step == self.last_step() => Station::Hook(Stage::AfterAllowTraffic),
            Station::Shift(step) => Station::Hold(step),
            Station::Hook(Stage::AfterAllowTraffic) => Station::Hold(self.last_step()),
            Station::Hold(step) if step == self.last_step() => Station::TestOff,
            Station::Hold(step) => Station::Shift(step + 1),
            Station::TestOff => Station::Primary,
            Station::Primary => Station::Finish,
            Station::Finish => Station::Keep,
            Station::BackWeight => Station::BackHook,
            Station::BackHook => Station::BackTest,
            Station::BackTest => Station::BackStop,
            Station::Hook(Stage::OnRollback) | Station::BackStop => Station::BackFinish,
            Station::BackFinish | Station::Keep | Station::Stuck => Station::Done,
            Station::Done | Station::Closed => Station::Closed,
        }
    }

    fn has_work(&self, station: Station) -> bool {
        let has_scripts = |wanted| self.plan.hooks.iter().any(|hook| hook.stage == wanted);
        match station {
            // What takes another one back is in a hurry, and was tested when it came.
            Station::Hook(Stage::AfterAllowTraffic) if self.has_run_last_hook => false,
            Station::Hook(stage) => has_scripts(stage) && self.plan.rollback_of.is_none(),
            Station::BackHook => has_scripts(Stage::OnRollback),
            Station::Start => !self.found.green_is_warm,
            Station::Test => self.plan.rollback_of.is_none(),
            Station::TestOff | Station::BackTest => self.has_test_traffic,
            Station::Shift(step) | Station::Hold(step) => !self.is_left_out(step),
            Station::BackWeight => self.has_shifted || self.stands.is_some_and(|weight| weight > Weight::NONE),
            Station::BackStop => self.has_started_green,
            Station::Keep => self.found.blue.as_ref().is_some_and(|blue| blue.id != self.green().id),
            Station::Lock
            | Station::Preflight
            | Station::Healthy
            | Station::Primary
            | Station::Finish
            | Station::BackFinish
            | Station::Stuck
            | Station::Done
            | Station::Closed => true,
        }
    }

    /// Whether a step that has not begun will not be taken.
    pub(super) fn is_left_out(&self, step: usize) -> bool {
        step != self.last_step() && (self.is_at_once() || self.promoted_full.is_some())
    }

    /// Where the way back begins.
    pub(super) fn first_back(&self) -> Station {
        match self.has_work(Station::BackWeight) {
            true => Station::BackWeight,
            false => self.after(Station::BackWeight),
        }
    }

    /// Nothing may be stopped of which it is not known that it has no traffic.
    pub(super) fn may_destroy(&self, call: &Call) -> bool {
        match call {
            Call::StopGreen => match self.stands {
                Some(weight) => weight == Weight::NONE,
                None => !self.has_shifted,
            },
            Call::StopBlue => self.stands == Some(Weight::ALL),
            Call::Preflight
            | Call::StartGreen
            | Call::TestTraffic { .. }
            | Call::Hook { .. }
            | Call::SetWeight { .. }
            | Call::MakePrimary => true,
        }
    }
}
