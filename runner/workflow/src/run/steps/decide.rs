//! What the steps of a job need next.

use super::{BACKGROUND_STEPS_MAX, JobSteps, Progress, Role, StepFact};
use crate::run::{Conclusion, StepIndex, StepResult};

/// One thing that should happen to a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepDecision {
    /// Run it; report `StepFact::Started`, later `StepFact::Finished`.
    Start(StepIndex),
    /// Its condition is false; report `Finished` as skipped.
    Skip(StepIndex),
    /// Its condition could not be evaluated; report `Finished` as failed with this message.
    Refuse(StepIndex, String),
    /// Ask it to stop; report `StepFact::CancelAsked`.
    Cancel(StepIndex),
    /// A wait or cancel step is done with this outcome; apply its `continue-on-error` and report `Finished`.
    Complete(StepIndex, Conclusion),
    /// Everything has ended.
    Done(Conclusion),
}

impl JobSteps {
    /// What should happen now, in order. `holds` evaluates a step's `if:` with the status that [`JobSteps::status`]
    /// gives at that moment; it is asked once when a step's turn has come, and again for the running step when the job
    /// is cancelled.
    pub fn decide(&mut self, holds: &mut dyn FnMut(&Self, StepIndex) -> Result<bool, String>) -> Vec<StepDecision> {
        let mut decisions = Vec::new();
        if self.cancelled {
            self.cancel_running(holds, &mut decisions);
        }
        self.advance(holds, &mut decisions);
        self.fill_places(&mut decisions);
        decisions
    }

    fn advance(
        &mut self,
        holds: &mut dyn FnMut(&Self, StepIndex) -> Result<bool, String>,
        decisions: &mut Vec<StepDecision>,
    ) {
        loop {
            if self.next < self.main {
                let index = index_of(self.next);
                match self.states[self.next].progress {
                    Progress::Finished(_) | Progress::Queued => self.next += 1,
                    Progress::Running { .. } if self.steps[self.next].role == Role::Background => self.next += 1,
                    Progress::Running { .. } => return,
                    Progress::Open => match self.take_turn(index, holds) {
                        Some(StepDecision::Start(step)) if self.steps[self.next].role == Role::Background => {
                            self.apply(&StepFact::Queued(step));
                        }
                        Some(decision) => {
                            decisions.push(decision);
                            return;
                        }
                        None => return,
                    },
                }
            } else {
                decisions.extend(self.end(holds));
                return;
            }
        }
    }

    fn take_turn(
        &mut self,
        index: StepIndex,
        holds: &mut dyn FnMut(&Self, StepIndex) -> Result<bool, String>,
    ) -> Option<StepDecision> {
        match self.steps[index.0 as usize].role.clone() {
            Role::Foreground | Role::Background | Role::Post => Some(match holds(self, index) {
                Ok(true) => StepDecision::Start(index),
                Ok(false) => StepDecision::Skip(index),
                Err(message) => StepDecision::Refuse(index, message),
            }),
            Role::Wait(steps) => self.wait(index, &steps),
            Role::WaitAll => {
                let before = self.background().filter(|step| step.0 < index.0).collect::<Vec<_>>();
                self.wait(index, &before)
            }
            Role::Cancel(None) => Some(StepDecision::Complete(index, Conclusion::Success)),
            Role::Cancel(Some(step)) => match self.states[step.0 as usize].progress {
                Progress::Running { cancel_asked: false } => Some(StepDecision::Cancel(step)),
                Progress::Running { cancel_asked: true } => None,
                Progress::Queued => {
                    self.apply(&StepFact::CancelAsked(step));
                    self.states[step.0 as usize].flushed = true;
                    Some(StepDecision::Complete(index, Conclusion::Success))
                }
                Progress::Open | Progress::Finished(_) => {
                    self.states[step.0 as usize].flushed = true;
                    Some(StepDecision::Complete(index, Conclusion::Success))
                }
            },
        }
    }

    fn wait(&mut self, index: StepIndex, steps: &[StepIndex]) -> Option<StepDecision> {
        let mut all = Conclusion::Success;
        for step in steps {
            match &self.states[step.0 as usize].progress {
                Progress::Finished(result) => all = all.merge(result.conclusion),
                Progress::Open => {}
                Progress::Queued | Progress::Running { .. } => return None,
            }
        }
        for step in steps {
            self.states[step.0 as usize].flushed = true;
        }
        Some(StepDecision::Complete(index, all))
    }

    /// All steps of the file are passed: wait for what runs in the background, then run the post steps, last first.
    fn end(&mut self, holds: &mut dyn FnMut(&Self, StepIndex) -> Result<bool, String>) -> Option<StepDecision> {
        let background: Vec<_> = self.background().collect();
        let open = |step: &StepIndex| {
            matches!(self.states[step.0 as usize].progress, Progress::Queued | Progress::Running { .. })
        };
        if background.iter().any(open) {
            return None;
        }
        self.count_background(&background);
        let posts = (self.main..self.steps.len()).rev();
        for index in posts {
            match self.states[index].progress {
                Progress::Finished(_) => {}
                Progress::Running { .. } | Progress::Queued => return None,
                Progress::Open => return self.take_turn(index_of(index), holds),
            }
        }
        Some(StepDecision::Done(self.conclusion()))
    }

    fn count_background(&mut self, background: &[StepIndex]) {
        for step in background {
            let state = &mut self.states[step.0 as usize];
            state.flushed = true;
            if let Progress::Finished(StepResult { conclusion, .. }) = state.progress
                && !(state.cancel_expected && conclusion == Conclusion::Cancelled)
            {
                self.result = self.result.merge(conclusion);
            }
        }
    }

    /// The job is cancelled: the step that runs goes on only where its `if:` still holds, background steps never do.
    fn cancel_running(
        &self,
        holds: &mut dyn FnMut(&Self, StepIndex) -> Result<bool, String>,
        decisions: &mut Vec<StepDecision>,
    ) {
        for (index, state) in self.states.iter().enumerate() {
            let step = index_of(index);
            match state.progress {
                Progress::Queued => decisions.push(StepDecision::Cancel(step)),
                Progress::Running { cancel_asked: false } => {
                    let goes_on = self.steps[index].role != Role::Background && holds(self, step).unwrap_or(false);
                    if !goes_on {
                        decisions.push(StepDecision::Cancel(step));
                    }
                }
                Progress::Running { cancel_asked: true } | Progress::Open | Progress::Finished(_) => {}
            }
        }
    }

    /// Gives places to background steps that wait for one.
    fn fill_places(&self, decisions: &mut Vec<StepDecision>) {
        if self.cancelled {
            return;
        }
        let running = |step: &StepIndex| matches!(self.states[step.0 as usize].progress, Progress::Running { .. });
        let free = BACKGROUND_STEPS_MAX.saturating_sub(self.background().filter(running).count());
        let queued = self.background().filter(|step| self.states[step.0 as usize].progress == Progress::Queued);
        decisions.extend(queued.take(free).map(StepDecision::Start));
    }

    fn background(&self) -> impl Iterator<Item = StepIndex> + '_ {
        let is_background = |(_, step): &(usize, &super::FlatStep)| step.role == Role::Background;
        self.steps.iter().enumerate().filter(is_background).map(|(index, _)| index_of(index))
    }
}

fn index_of(index: usize) -> StepIndex {
    StepIndex(u32::try_from(index).unwrap_or(u32::MAX))
}
