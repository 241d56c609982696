//! Every fact that can happen to a run. These are stored, never edited, and read again for ever: a new field gets a
//! default, a new meaning gets a new variant, and `tests/logs` keeps old logs that must still replay.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{Conclusion, JobPath, JobRunKey, QueueMode, StepIndex, Terms};

/// The version that this program writes.
pub const EVENT_VERSION: u16 = 1;

/// An event as it lies in the log.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recorded {
    /// Version of the form, see [`EVENT_VERSION`].
    pub v: u16,
    /// Place in the run's log, from 1, without holes.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The fact.
    pub event: RunEvent,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunEvent {
    /// A run, or one job run of it, asked for its concurrency group.
    GroupRequested {
        /// The job run; `None` for the run itself.
        holder: Option<JobRunKey>,
        /// Name of the group.
        group: String,
        /// `cancel-in-progress`.
        cancel_in_progress: bool,
        /// `queue`.
        queue: QueueMode,
    },
    /// It may go on.
    GroupAcquired {
        /// The job run; `None` for the run itself.
        holder: Option<JobRunKey>,
    },
    /// The run waits for somebody who lets it begin at all: its code is a stranger's.
    RunHeld {
        /// Why.
        reason: String,
    },
    /// Somebody let it begin.
    RunReleased {
        /// Who.
        by: String,
    },
    /// The run began.
    RunStarted,
    /// A job will not run.
    JobSkipped {
        /// The job.
        job: JobPath,
        /// Why.
        reason: SkipReason,
    },
    /// The legs of a job are known. A job without a matrix has one leg.
    JobExpanded {
        /// The job.
        job: JobPath,
        /// Whether `strategy.matrix` was there.
        matrix: bool,
        /// Its legs.
        legs: Vec<Leg>,
        /// `fail-fast`.
        fail_fast: bool,
        /// `max-parallel`.
        max_parallel: Option<u32>,
    },
    /// A job could not even be planned: an expression in its `if`, `strategy`, `name` … failed.
    JobRefused {
        /// The job.
        job: JobPath,
        /// What was wrong.
        message: String,
    },
    /// A called workflow began below this job run.
    CallStarted {
        /// The calling job run.
        key: JobRunKey,
        /// The values of `with:`, completed with defaults.
        inputs: Json,
    },
    /// A job run came to an environment with rules and waits.
    ReviewRequested {
        /// The job run.
        key: JobRunKey,
        /// The environment.
        environment: String,
        /// One of them has to approve; empty: nobody.
        #[serde(default)]
        reviewers: Vec<String>,
        /// How long it waits at least, in milliseconds.
        #[serde(default)]
        wait_ms: u64,
        /// What a review is bound to.
        #[serde(default)]
        terms: Terms,
    },
    /// A person let it go on, or did not.
    Reviewed {
        /// The job run.
        key: JobRunKey,
        /// Whether it may go on.
        approved: bool,
        /// Who.
        by: String,
        /// Why.
        #[serde(default)]
        comment: String,
        /// Whether no further review is wanted now.
        #[serde(default = "yes")]
        passed: bool,
    },
    /// A job run was handed to a runner and is being set up.
    JobRunStarted {
        /// The job run.
        key: JobRunKey,
    },
    /// A job run has its place; steps begin.
    JobRunPlaced {
        /// The job run.
        key: JobRunKey,
        /// What runs it, such as `docker: buildpack-deps:bookworm`.
        runner: String,
        /// How many of its steps are `pre` parts of actions, which come before those of the file.
        #[serde(default)]
        pre: u32,
    },
    /// A step began.
    StepStarted {
        /// The job run.
        key: JobRunKey,
        /// The step.
        step: StepIndex,
        /// Its name with expressions evaluated and secrets masked.
        name: String,
    },
    /// A step ended or was skipped.
    StepFinished {
        /// The job run.
        key: JobRunKey,
        /// The step.
        step: StepIndex,
        /// How.
        result: StepResult,
    },
    /// A job run ended.
    JobRunFinished {
        /// The job run.
        key: JobRunKey,
        /// How, before `continue-on-error`.
        conclusion: Conclusion,
        /// Its outputs.
        #[serde(default)]
        outputs: BTreeMap<String, String>,
        /// Why, where no step explains it: a service that was never healthy, a container that was lost.
        #[serde(default)]
        message: Option<String>,
    },
    /// The process that carried a job run was killed, and nothing of the job run goes on: it begins again from its start.
    JobRunReset {
        /// The job run.
        key: JobRunKey,
    },
    /// A job run should stop.
    JobRunCancelRequested {
        /// The job run.
        key: JobRunKey,
        /// Why.
        reason: CancelReason,
    },
    /// The whole run should stop.
    RunCancelRequested {
        /// Who or what asked.
        by: String,
        /// Whether conditions such as `always()` count no more.
        #[serde(default)]
        force: bool,
    },
    /// The run cannot go on at all; what is open of it never ends.
    RunRefused {
        /// Why.
        message: String,
    },
    /// All is over.
    RunFinished {
        /// How.
        conclusion: Conclusion,
    },
}

/// One leg of a job, with all that is evaluated before it is queued.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Leg {
    /// Display name, such as `test (node, 20)`.
    pub name: String,
    /// The `matrix` context; `null` without a matrix.
    #[serde(default)]
    pub matrix: Json,
    /// Whether a failure counts.
    #[serde(default)]
    pub continue_on_error: bool,
    /// How long it may run, in milliseconds.
    pub timeout_ms: u64,
    /// How long cancelling may take, in milliseconds.
    pub cancel_timeout_ms: u64,
}

/// Why a job does not run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `if:` was false.
    Condition {
        /// The expression.
        expression: String,
    },
    /// A job that it needs, or that one needs, did not succeed.
    Needs {
        /// The nearest one that did not.
        job: String,
        /// How that one ended.
        result: Conclusion,
    },
    /// The run was cancelled before.
    Cancelled,
    /// It was not among the jobs that were asked for.
    NotSelected,
    /// A matrix without any leg.
    EmptyMatrix,
}

/// Why a job run should stop.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Another leg failed under `fail-fast`.
    FailFast {
        /// The leg that failed.
        leg: String,
    },
    /// The run was cancelled.
    Run {
        /// By whom or what.
        by: String,
    },
    /// Something newer came into its concurrency group.
    Group {
        /// The group.
        group: String,
        /// The run that came, if it is another one and its number is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        superseded_by: Option<u64>,
    },
    /// `timeout-minutes` is over.
    Timeout {
        /// The limit in milliseconds.
        limit_ms: u64,
    },
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StepResult {
    /// What happened.
    pub outcome: Conclusion,
    /// What counts, after `continue-on-error`.
    pub conclusion: Conclusion,
    /// Its outputs.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    /// Exit code, where a process ran.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// A sentence for a person, where the outcome alone says too little.
    #[serde(default)]
    pub message: Option<String>,
}

impl StepResult {
    /// A step that ended as it counts.
    #[must_use]
    pub fn plain(conclusion: Conclusion) -> Self {
        Self { outcome: conclusion, conclusion, outputs: BTreeMap::new(), exit_code: None, message: None }
    }
}

const fn yes() -> bool {
    true
}
