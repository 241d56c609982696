//! What is known of a run now, derived from its events only.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::{CancelReason, Conclusion, Gate, JobPath, JobRunKey, Leg, RunFacts, SkipReason, StepIndex, StepResult};
use crate::model::{Job, JobId, JobKind, StepsJob};

/// A run: what it was started with, and what has happened.
#[derive(Debug, Clone)]
pub struct Run {
    /// The workflow, the event and what else it was started with.
    pub facts: Arc<RunFacts>,
    /// How far it is.
    pub phase: Phase,
    /// Its concurrency group, once asked for.
    pub group: Option<HeldGroup>,
    /// Whether it was let begin, once it has waited for that.
    pub released: Option<bool>,
    /// Who cancelled it.
    pub cancel: Option<RunCancel>,
    /// Why it cannot go on.
    pub refused: Option<String>,
    /// Jobs, those of called workflows too, in the order in which they became known.
    pub jobs: IndexMap<JobPath, JobState>,
    /// Number of the last event.
    pub seq: u64,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not begun; perhaps waiting for its concurrency group.
    Created,
    /// Going on.
    Running,
    /// Over.
    Finished(Conclusion),
}

/// A concurrency group of a run or a job run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldGroup {
    /// Its name.
    pub name: String,
    /// Whether it was granted.
    pub acquired: bool,
}

/// Who cancelled a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunCancel {
    /// Who or what.
    pub by: String,
    /// Whether conditions count no more.
    pub force: bool,
}

/// One job.
#[derive(Debug, Clone)]
pub struct JobState {
    /// How far it is.
    pub status: JobStatus,
    /// Its legs; empty until they are known.
    pub runs: Vec<JobRun>,
    /// Whether it has a matrix.
    pub matrix: bool,
    /// `fail-fast`.
    pub fail_fast: bool,
    /// `max-parallel`.
    pub max_parallel: Option<u32>,
    /// Leg indexes in the order in which they finished (the last one's outputs win).
    pub finished: Vec<usize>,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStatus {
    /// Waiting for the jobs that it needs.
    Pending,
    /// It will not run.
    Skipped(SkipReason),
    /// It could not be planned.
    Refused(String),
    /// Its legs are known; see [`JobState::runs`].
    Expanded,
}

/// One execution of a job.
#[derive(Debug, Clone)]
pub struct JobRun {
    /// Its name, matrix values and limits.
    pub leg: Leg,
    /// How far it is.
    pub status: JobRunStatus,
    /// The rules of its environment, once it has come to them.
    pub gate: Option<Gate>,
    /// Its concurrency group, once asked for.
    pub group: Option<HeldGroup>,
    /// Why and when it was asked to stop.
    pub cancel: Option<(CancelReason, Timestamp)>,
    /// What runs it, once it has its place.
    pub runner: Option<String>,
    /// How many of its steps are `pre` parts of actions: the index of the first step of the file.
    pub pre: u32,
    /// Inputs of the called workflow, for a calling job.
    pub call_inputs: Option<Json>,
    /// Outputs, once it has ended.
    pub outputs: BTreeMap<String, String>,
    /// Its steps that began or were skipped.
    pub steps: BTreeMap<StepIndex, StepRun>,
    /// Why it ended, where no step explains it.
    pub message: Option<String>,
}

/// How far a job run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRunStatus {
    /// Waiting for a runner, its group, or `max-parallel`.
    Queued,
    /// It has a runner, or its called workflow goes on.
    InProgress {
        /// Since when.
        since: Timestamp,
    },
    /// Over.
    Completed {
        /// How, before `continue-on-error`.
        conclusion: Conclusion,
    },
}

/// One step.
#[derive(Debug, Clone)]
pub struct StepRun {
    /// Its name as shown.
    pub name: String,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When and how it ended.
    pub finished: Option<(Timestamp, StepResult)>,
}

impl Run {
    /// A run of which nothing has happened yet.
    #[must_use]
    pub fn new(facts: Arc<RunFacts>) -> Self {
        let jobs = facts.workflow.jobs.keys().map(|id| (JobPath::root(id), JobState::pending())).collect();
        Self { facts, phase: Phase::Created, group: None, released: None, cancel: None, refused: None, jobs, seq: 0 }
    }

    /// The job of the workflow file (or of the called one) at a path.
    #[must_use]
    pub fn job(&self, path: &JobPath) -> Option<&Job> {
        let mut jobs: &IndexMap<JobId, Job> = &self.facts.workflow.jobs;
        let mut found = None;
        for id in path.ids() {
            let job = jobs.get(id)?;
            found = Some(job);
            if let JobKind::Call(call) = &job.kind
                && let Some(called) = &call.called
            {
                jobs = &called.jobs;
            }
        }
        found
    }

    /// The job's steps and runner, if it is not a call.
    #[must_use]
    pub fn steps_job(&self, path: &JobPath) -> Option<&StepsJob> {
        match &self.job(path)?.kind {
            JobKind::Steps(steps) => Some(steps),
            JobKind::Call(_) => None,
        }
    }

    /// One job run.
    #[must_use]
    pub fn job_run(&self, key: &JobRunKey) -> Option<&JobRun> {
        self.jobs.get(&key.job)?.runs.get(key.leg.unwrap_or(0) as usize)
    }

    pub(super) fn job_run_mut(&mut self, key: &JobRunKey) -> Option<&mut JobRun> {
        self.jobs.get_mut(&key.job)?.runs.get_mut(key.leg.unwrap_or(0) as usize)
    }

    /// All job runs with their keys.
    pub fn job_runs(&self) -> impl Iterator<Item = (JobRunKey, &JobRun)> {
        self.jobs
            .iter()
            .flat_map(|(path, job)| job.runs.iter().enumerate().map(move |(index, run)| (job.key(path, index), run)))
    }

    /// Whether it is over.
    #[must_use]
    pub const fn conclusion(&self) -> Option<Conclusion> {
        match self.phase {
            Phase::Finished(conclusion) => Some(conclusion),
            Phase::Created | Phase::Running => None,
        }
    }
}

impl JobState {
    pub(super) const fn pending() -> Self {
        Self {
            status: JobStatus::Pending,
            runs: Vec::new(),
            matrix: false,
            fail_fast: true,
            max_parallel: None,
            finished: Vec::new(),
        }
    }

    /// The key of its run at an index.
    #[must_use]
    pub fn key(&self, path: &JobPath, index: usize) -> JobRunKey {
        JobRunKey::new(path.clone(), self.matrix.then(|| u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// What `needs.<job>.result` shows, once it is over. A failure under `continue-on-error` shows as success.
    #[must_use]
    pub fn result(&self) -> Option<Conclusion> {
        match &self.status {
            JobStatus::Pending => None,
            JobStatus::Skipped(SkipReason::Cancelled) => Some(Conclusion::Cancelled),
            JobStatus::Skipped(_) => Some(Conclusion::Skipped),
            JobStatus::Refused(_) => Some(Conclusion::Failure),
            JobStatus::Expanded => self
                .runs
                .iter()
                .map(JobRun::result)
                .try_fold(Conclusion::Skipped, |all, one| one.map(|one| all.merge(one))),
        }
    }

    /// Outputs of all legs together: the leg that finished last wins, empty values do not overwrite.
    #[must_use]
    pub fn outputs(&self) -> BTreeMap<&str, &str> {
        let mut all = BTreeMap::new();
        for run in self.finished.iter().filter_map(|index| self.runs.get(*index)) {
            for (name, value) in &run.outputs {
                if !value.is_empty() || !all.contains_key(name.as_str()) {
                    all.insert(name.as_str(), value.as_str());
                }
            }
        }
        all
    }
}

impl JobRun {
    pub(super) const fn queued(leg: Leg) -> Self {
        Self {
            leg,
            status: JobRunStatus::Queued,
            gate: None,
            group: None,
            cancel: None,
            runner: None,
            pre: 0,
            call_inputs: None,
            outputs: BTreeMap::new(),
            steps: BTreeMap::new(),
            message: None,
        }
    }

    /// How it ended, before `continue-on-error`.
    #[must_use]
    pub const fn conclusion(&self) -> Option<Conclusion> {
        match self.status {
            JobRunStatus::Completed { conclusion } => Some(conclusion),
            JobRunStatus::Queued | JobRunStatus::InProgress { .. } => None,
        }
    }

    /// How it counts, after `continue-on-error`.
    #[must_use]
    pub fn result(&self) -> Option<Conclusion> {
        self.conclusion().map(|conclusion| {
            if self.leg.continue_on_error && conclusion == Conclusion::Failure {
                Conclusion::Success
            } else {
                conclusion
            }
        })
    }

    /// Whether it runs now.
    #[must_use]
    pub const fn in_progress(&self) -> bool {
        matches!(self.status, JobRunStatus::InProgress { .. })
    }
}
