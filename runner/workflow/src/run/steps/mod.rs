//! The steps of one job as a state machine: in order, in the background, waited for, cancelled.
//!
//! The engine tells what happened ([`StepFact`]), [`JobSteps::decide`] says what comes next ([`StepDecision`]). Whether
//! a step's `if:` holds is asked through a closure, since only the engine has the contexts of a running job.
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idsteps> and
//! GitHub's decision on outcome and conclusion (actions/runner, ADR 0274).

mod decide;
mod flat;
mod recall;

pub use decide::StepDecision;
pub use flat::{FlatStep, Role, flatten, with_pre};

use std::collections::BTreeSet;

use super::{Conclusion, StepIndex, StepResult};
use crate::expression::Status;

/// How many background steps run at once; more wait for a place.
pub const BACKGROUND_STEPS_MAX: usize = 10;

/// What is known of a job's steps.
#[derive(Debug, Clone)]
pub struct JobSteps {
    steps: Vec<FlatStep>,
    states: Vec<StepState>,
    /// The step that the job stands at.
    next: usize,
    /// How many of `steps` were there from the start; those after it are post steps, run last to first.
    main: usize,
    result: Conclusion,
    cancelled: bool,
    /// Background steps in their order.
    background: Vec<StepIndex>,
    /// Background steps that wait for a place.
    queued: BTreeSet<StepIndex>,
    /// Steps that go on.
    running: BTreeSet<StepIndex>,
}

#[derive(Debug, Clone, PartialEq)]
struct StepState {
    progress: Progress,
    /// A `cancel:` step named it: that it was cancelled does not count against the job.
    cancel_expected: bool,
    /// Its outputs and environment are visible to others.
    flushed: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Progress {
    /// Not reached.
    Open,
    /// A background step without a place yet.
    Queued,
    /// Goes on.
    Running { cancel_asked: bool },
    /// Over.
    Finished(StepResult),
}

/// Something that happened to the steps of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum StepFact {
    /// A background step was passed and waits for a place.
    Queued(StepIndex),
    /// A step began.
    Started(StepIndex),
    /// A step was asked to stop.
    CancelAsked(StepIndex),
    /// What a background step set is visible from now on.
    Flushed(StepIndex),
    /// A step ended, or was skipped.
    Finished(StepIndex, StepResult),
    /// An action that ran wants its post step run at the end of the job.
    PostAdded,
    /// What comes before the first step failed, such as a service.
    SetUpFailed,
    /// The whole job should stop.
    JobCancelled,
}

impl JobSteps {
    /// Steps of which none has begun.
    #[must_use]
    pub fn new(steps: Vec<FlatStep>) -> Self {
        let state = StepState { progress: Progress::Open, cancel_expected: false, flushed: false };
        let states = vec![state; steps.len()];
        let main = steps.len();
        let indexed = (0..).map(StepIndex).zip(&steps);
        let background = indexed.filter(|(_, step)| step.role == Role::Background).map(|(index, _)| index).collect();
        Self {
            steps,
            states,
            next: 0,
            main,
            result: Conclusion::Success,
            cancelled: false,
            background,
            queued: BTreeSet::new(),
            running: BTreeSet::new(),
        }
    }

    /// All steps, post steps at the end.
    #[must_use]
    pub fn steps(&self) -> &[FlatStep] {
        &self.steps
    }

    /// How things stand for the status functions of the next step's `if:` and for `job.status`.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self.result {
            _ if self.cancelled => Status::Cancelled,
            Conclusion::Failure => Status::Failure,
            Conclusion::Cancelled => Status::Cancelled,
            Conclusion::Success | Conclusion::Skipped => Status::Success,
        }
    }

    /// How the job ends as far as is known: cancelled once it was cancelled, whatever failed before.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        if self.cancelled { Conclusion::Cancelled } else { self.result }
    }

    /// How a step ended, if it has.
    #[must_use]
    pub fn finished(&self, step: StepIndex) -> Option<&StepResult> {
        match &self.states.get(step.0 as usize)?.progress {
            Progress::Finished(result) => Some(result),
            Progress::Open | Progress::Queued | Progress::Running { .. } => None,
        }
    }

    /// Whether others may see what a step set. Only background steps ever hide it.
    #[must_use]
    pub fn is_visible(&self, step: StepIndex) -> bool {
        let index = step.0 as usize;
        let background = self.steps.get(index).is_some_and(|step| step.role == Role::Background);
        !background || self.states.get(index).is_some_and(|state| state.flushed)
    }

    /// Index of the post step that [`StepFact::PostAdded`] would add.
    #[must_use]
    pub fn next_post(&self) -> StepIndex {
        StepIndex(u32::try_from(self.steps.len()).unwrap_or(u32::MAX))
    }

    /// Adds a fact. One that does not fit is ignored, since it can only repeat what is known.
    pub fn apply(&mut self, fact: &StepFact) {
        match fact {
            StepFact::JobCancelled => self.cancelled = true,
            StepFact::SetUpFailed => self.result = Conclusion::Failure,
            StepFact::PostAdded => {
                self.steps.push(FlatStep::post());
                self.states.push(StepState { progress: Progress::Open, cancel_expected: false, flushed: false });
            }
            StepFact::Queued(step) => self.set(*step, Progress::Queued),
            StepFact::Started(step) => self.set(*step, Progress::Running { cancel_asked: false }),
            StepFact::CancelAsked(step) => self.cancel_asked(*step),
            StepFact::Flushed(step) => {
                if let Some(state) = self.states.get_mut(step.0 as usize) {
                    state.flushed = true;
                }
            }
            StepFact::Finished(step, result) => self.finish(*step, result),
        }
    }

    fn set(&mut self, step: StepIndex, progress: Progress) {
        if let Some(state) = self.states.get_mut(step.0 as usize)
            && !matches!(state.progress, Progress::Finished(_))
        {
            self.queued.remove(&step);
            self.running.remove(&step);
            match &progress {
                Progress::Queued => drop(self.queued.insert(step)),
                Progress::Running { .. } => drop(self.running.insert(step)),
                Progress::Open | Progress::Finished(_) => {}
            }
            state.progress = progress;
        }
    }

    fn cancel_asked(&mut self, step: StepIndex) {
        let by_step = self.current().is_some_and(|current| matches!(current.role, Role::Cancel(_)));
        if let Some(state) = self.states.get_mut(step.0 as usize) {
            state.cancel_expected |= by_step && !self.cancelled;
            if let Progress::Running { cancel_asked } = &mut state.progress {
                *cancel_asked = true;
            }
        }
    }

    fn finish(&mut self, step: StepIndex, result: &StepResult) {
        let index = step.0 as usize;
        self.set(step, Progress::Finished(result.clone()));
        let background = self.steps.get(index).is_some_and(|step| step.role == Role::Background);
        // A background step counts when it is waited for, and again at the end of the job.
        if !background && result.conclusion == Conclusion::Failure {
            self.result = self.result.merge(Conclusion::Failure);
        }
    }

    fn current(&self) -> Option<&FlatStep> {
        self.steps.get(self.position())
    }

    /// The first step, in running order, that the job has not got past.
    fn position(&self) -> usize {
        self.next
    }
}
