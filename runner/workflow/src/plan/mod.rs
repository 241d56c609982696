//! Workflow and event to a plan: every job, in order, with what is known before anything runs.
//!
//! A [`Plan`] is immutable. Jobs of called workflows stand in the same list as the jobs that call them, in a frame of
//! their own. It decides nothing that depends on results; that is [`run`](crate::run).
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax> and
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/reusing-workflow-configurations>.

mod build;
#[cfg(test)]
mod by_hand;
mod explain;
mod graph;
mod known;
mod layout;
mod order;
mod predict;
mod secrets;
mod select;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;

pub use build::{CALL_DEPTH_MAX, JOBS_MAX, PlanFacts, STEPS_MANY, STEPS_MAX};
pub use explain::{
    Explanation, JobExplanation, LegsExplanation, NotTriggered, Reason, StepExplanation, explain, not_triggered,
};
pub use graph::{dot, levels, mermaid};
pub use known::Known;
pub use layout::{Edge, Layout, Node, layout};
pub use order::CYCLE;
pub use predict::Prediction;
pub use secrets::UNDEFINED_SECRET;
pub use select::UNKNOWN_JOB;

use std::sync::Arc;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::event::Event;
use crate::matrix;
use crate::model::{CallInput, CallOutput, CallSecret, Job, JobId, Permissions, Secrets};
use crate::source::Span;
use crate::template::Token;

/// Place of a job in [`Plan::jobs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct JobIndex(pub u32);

/// Place of a frame in [`Plan::frames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct FrameIndex(pub u16);

/// What a workflow will do for an event.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Path of the workflow's file in the repository.
    pub path: String,
    /// `name:`, or the path.
    pub name: String,
    /// `run-name:`.
    pub run_name: Option<Token>,
    /// What started it.
    pub event: Arc<Event>,
    /// Frame 0 is the workflow itself, the others are one for each call of a reusable workflow.
    pub frames: Vec<Frame>,
    /// Every job, a calling job before the jobs that it calls, else in file order.
    pub jobs: Vec<PlannedJob>,
    /// The jobs so that each comes after those that it needs, a calling job before the jobs that it calls, and what
    /// needs a calling job after those. Among equals file order.
    pub order: Vec<JobIndex>,
    /// What is odd, but keeps nothing from running.
    pub warnings: Vec<Diagnostic>,
}

/// One workflow of a plan: the one that was triggered, or a called one. Its jobs see its `env`, `defaults` and inputs,
/// never those of the caller.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The job that calls it; `None` for frame 0.
    pub caller: Option<JobIndex>,
    /// Its jobs, in file order.
    pub jobs: Vec<JobIndex>,
    /// `env:` of the workflow.
    pub env: Option<Token>,
    /// `defaults:` of the workflow.
    pub defaults: Option<Token>,
    /// `name:` of the workflow.
    pub name: Option<String>,
    /// What its expressions may know before the run: `github`, `vars`, and `inputs` where they are known.
    pub known: Arc<Known>,
    /// `concurrency:` of the workflow.
    pub concurrency: Option<Token>,
    /// `permissions:` of the workflow.
    pub permissions: Option<Permissions>,
    /// Declared inputs: `workflow_call` in a called workflow, none in frame 0.
    pub inputs: IndexMap<String, CallInput>,
    /// Declared secrets of a called workflow.
    pub secrets: IndexMap<String, CallSecret>,
    /// Outputs of a called workflow, evaluated over its `jobs` when they are done.
    pub outputs: IndexMap<String, CallOutput>,
    /// `with:` of the caller.
    pub with: Option<Token>,
    /// `secrets:` of the caller; in frame 0 [`Secrets::Inherit`], since it sees the secrets of the run.
    pub passed_secrets: Secrets,
}

/// One job of a plan.
#[derive(Debug, Clone)]
pub struct PlannedJob {
    /// The id in the whole plan: for a job of a called workflow `caller/inner`.
    pub id: JobId,
    /// The job as written; its own id is the one within its workflow.
    pub job: Arc<Job>,
    /// The workflow that it belongs to.
    pub frame: FrameIndex,
    /// The jobs that it needs, of the same frame, in the order written, each once.
    pub needs: Vec<JobIndex>,
    /// The jobs that need it, of the same frame.
    pub dependents: Vec<JobIndex>,
    /// The frame that it calls, if it is a call of a reusable workflow that could be read.
    pub calls: Option<FrameIndex>,
    /// Its legs, as far as known.
    pub legs: PlannedLegs,
    /// The display name as far as known: the text of `name:`, or the id. `None` where `name:` depends on something
    /// that only a run knows.
    pub name: Option<String>,
    /// The secrets that it names, its workflow's `env:` included. In a called workflow these are the names there; see
    /// [`Plan::secrets_of_run`].
    pub secrets: SecretNames,
    /// Whether it will run, as far as `if:` and the jobs that it needs tell.
    pub prediction: Prediction,
}

/// The legs of a job before the run.
#[derive(Debug, Clone, PartialEq)]
pub enum PlannedLegs {
    /// No `strategy:` (or one without a matrix that says nothing): one leg.
    Single,
    /// They depend on nothing that only a run knows.
    Static(Arc<matrix::Legs>),
    /// They depend on `needs` or another fact of the run.
    Dynamic,
}

/// The secrets that expressions name. GitHub writes secret names in capitals, so these are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretNames {
    /// `secrets.NAME` and `secrets['NAME']`, each with the first place that names it.
    pub named: IndexMap<String, Span>,
    /// Whether an expression uses `secrets` as a whole or with a computed name: then it needs all of them.
    pub all: bool,
}

impl Plan {
    /// The job at a place of this plan.
    #[must_use]
    pub fn job(&self, index: JobIndex) -> &PlannedJob {
        &self.jobs[index.0 as usize]
    }

    /// The frame at a place of this plan.
    #[must_use]
    pub fn frame(&self, index: FrameIndex) -> &Frame {
        &self.frames[usize::from(index.0)]
    }

    /// The place of a job by its id in the whole plan.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<JobIndex> {
        (0u32..).zip(&self.jobs).find(|(_, job)| job.id.as_str() == id).map(|(index, _)| JobIndex(index))
    }

    /// A job's display name as far as known: `caller / inner` for a job of a called workflow. What only a run knows is
    /// shown as its id.
    #[must_use]
    pub fn display_name(&self, index: JobIndex) -> String {
        let job = self.job(index);
        self.below_caller(job, job.name.as_deref().unwrap_or_else(|| job.job.id.value.as_str()))
    }

    /// The display name of one of a job's static legs: `test (1, ubuntu)`, or what the job's `name:` makes of it if that
    /// holds an expression.
    #[must_use]
    pub fn leg_name(&self, index: JobIndex, legs: &matrix::Legs, leg: &matrix::MatrixLeg) -> String {
        let job = self.job(index);
        let computed = job.job.name.as_ref().filter(|name| name.has_expression()).map(|name| {
            let known = self.frame(job.frame).known.leg(legs, leg);
            known.text(name).filter(|text| !text.trim().is_empty())
        });
        let own = match computed {
            Some(Some(name)) => name,
            Some(None) => matrix::leg_name(job.job.id.value.as_str(), &leg.segments),
            None => matrix::leg_name(job.name.as_deref().unwrap_or_default(), &leg.segments),
        };
        self.below_caller(job, &own)
    }

    fn below_caller(&self, job: &PlannedJob, own: &str) -> String {
        match self.frame(job.frame).caller {
            None => own.to_owned(),
            Some(caller) => format!("{} / {own}", self.display_name(caller)),
        }
    }

    /// The jobs with their places.
    pub fn indexed(&self) -> impl Iterator<Item = (JobIndex, &PlannedJob)> {
        (0u32..).map(JobIndex).zip(&self.jobs)
    }
}
