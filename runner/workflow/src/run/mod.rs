//! A run as a state machine of facts.
//!
//! Three functions carry it. [`Run::apply`] is the only place where a run changes: it takes one [`RunEvent`] and refuses
//! what cannot follow. [`Run::decide`] says what should happen next, either another fact ([`Decision::Record`]) or work
//! for the engine ([`Decision::Do`]). [`steps::JobSteps`] does the same for the steps inside one job. Nothing here
//! waits, reads a clock or talks to anybody, so that a run can be replayed from its log and tested a million times a
//! minute.

mod apply;
mod conclusion;
mod concurrency;
mod contexts;
mod decide;
mod event;
mod expand;
mod gate;
mod id;
mod replay;
mod sentence;
mod state;
pub mod steps;
#[cfg(test)]
mod tests;
mod texts;

pub use apply::Illegal;
pub use conclusion::Conclusion;
pub use concurrency::{GroupChange, Groups, PENDING_MAX, QueueMode};
pub use contexts::{JobScope, RunFacts, strategy_context};
pub use decide::{Command, Decision, Limits};
pub use event::{CancelReason, EVENT_VERSION, Leg, Recorded, RunEvent, SkipReason, StepResult};
pub use gate::{
    EVERYBODY, Environments, Freeze, Gate, Protection, REVIEW_DAYS_MAX, REVIEW_MS_MAX, Review, TEAM, Terms, Written,
};
pub use id::{JobPath, JobRunKey, StepIndex};
pub use state::{HeldGroup, JobRun, JobRunStatus, JobState, JobStatus, Phase, Run, RunCancel, StepRun};
