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
    /// A wait or cancel step is done with this outcome, or a background step was cancelled before it had a place; apply
    /// its `continue-on-error` and report `Finished`.
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
                            self.fill_places(decisions);
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
            Role::Pre | Role::Foreground | Role::Background | Role::Post => Some(match holds(self, index) {
                Ok(true) => StepDecision::Start(index),
                Ok(false) => StepDecision::Skip(index),
                Err(message) => StepDecision::Refuse(index, message),
            }),
            Role::Wait(steps) => self.wait(index, &steps),
            Role::WaitAll => {
                // One that was waited for has been answered for: by that wait, or by the `cancel:` that named it.
                let waits = |step: &StepIndex| step.0 < index.0 && !self.states[step.0 as usize].flushed;
                let before: Vec<_> = self.background.iter().copied().filter(waits).collect();
                self.wait(index, &before)
            }
            Role::Cancel(None) => Some(StepDecision::Complete(index, Conclusion::Success)),
            Role::Cancel(Some(step)) => match self.states[step.0 as usize].progress {
                Progress::Running { cancel_asked: false } => Some(StepDecision::Cancel(step)),
                Progress::Running { cancel_asked: true } => None,
                Progress::Queued => {
                    self.apply(&StepFact::CancelAsked(step));
                    Some(StepDecision::Complete(step, Conclusion::Cancelled))
                }
                Progress::Open | Progress::Finished(_) => {
                    let state = &mut self.states[step.0 as usize];
                    state.flushed = true;
                    // A process that was killed since may have cancelled it for this step.
                    state.cancel_expected = true;
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
        let in_background = |step: &StepIndex| self.steps[step.0 as usize].role == Role::Background;
        if !self.queued.is_empty() || self.running.iter().any(in_background) {
            return None;
        }
        self.count_background();
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

    fn count_background(&mut self) {
        for step in &self.background {
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
        let never_began = |step: &StepIndex| StepDecision::Complete(*step, Conclusion::Cancelled);
        decisions.extend(self.queued.iter().map(never_began));
        for step in &self.running {
            let index = step.0 as usize;
            let asked = self.states[index].progress == Progress::Running { cancel_asked: true };
            let goes_on = self.steps[index].role != Role::Background && holds(self, *step).unwrap_or(false);
            if !asked && !goes_on {
                decisions.push(StepDecision::Cancel(*step));
            }
        }
    }

    /// Gives places to background steps that wait for one; they count as begun at once, so that a `cancel:` right behind
    /// finds them running.
    fn fill_places(&mut self, decisions: &mut Vec<StepDecision>) {
        if self.cancelled {
            return;
        }
        let in_background = |step: &&StepIndex| self.steps[step.0 as usize].role == Role::Background;
        let free = BACKGROUND_STEPS_MAX.saturating_sub(self.running.iter().filter(in_background).count());
        let wanted = |step: &&StepIndex| !self.states[step.0 as usize].cancel_expected;
        let next: Vec<_> = self.queued.iter().filter(wanted).take(free).copied().collect();
        for step in next {
            self.apply(&StepFact::Started(step));
            decisions.push(StepDecision::Start(step));
        }
    }
}

fn index_of(index: usize) -> StepIndex {
    StepIndex(u32::try_from(index).unwrap_or(u32::MAX))
}
