//! A run as one object: its jobs and steps, made of the facts of its log.

use engine::store::RunId;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use workflow::run::{Conclusion, JobPath, JobRunKey, Recorded, RunEvent, SkipReason, StepIndex, StepResult};

/// The jobs of a run.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    run: u64,
    jobs: IndexMap<JobRunKey, Job>,
}

/// One job run.
#[derive(Debug, Serialize)]
pub(crate) struct Job {
    /// For the pages of its log: `RUN:KEY`.
    id: String,
    /// As in events.
    key: JobRunKey,
    name: String,
    /// `queued`, `waiting` (for a review), `in_progress` or `completed`.
    status: &'static str,
    conclusion: Option<&'static str>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// What runs it.
    runner: Option<String>,
    /// Why, where no step explains it.
    message: Option<String>,
    /// Whether it calls a workflow; its jobs are listed after it.
    calls: bool,
    continue_on_error: bool,
    /// Where it came to an environment with rules.
    review: Option<Review>,
    steps: IndexMap<u32, Step>,
}

#[derive(Debug, Default, Serialize)]
struct Review {
    environment: String,
    /// One of them has to approve; empty: nobody.
    reviewers: Vec<String>,
    /// `approved` or `rejected`, once somebody said so.
    state: Option<&'static str>,
    by: Option<String>,
    comment: Option<String>,
}

#[derive(Debug, Serialize)]
struct Step {
    name: String,
    status: &'static str,
    /// What counts, after `continue-on-error`.
    conclusion: Option<&'static str>,
    outcome: Option<&'static str>,
    exit_code: Option<i32>,
    message: Option<String>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl Step {
    fn end(&mut self, result: &StepResult, at: Timestamp) {
        (self.status, self.finished_at) = ("completed", Some(at));
        self.conclusion = Some(result.conclusion.word());
        self.outcome = Some(result.outcome.word());
        self.exit_code = result.exit_code;
        self.message.clone_from(&result.message);
    }
}

impl Jobs {
    pub(crate) fn of(run: RunId) -> Self {
        Self { run: run.0, jobs: IndexMap::new() }
    }

    /// As JSON: steps as a list with their numbers.
    pub(crate) fn into_json(self) -> serde_json::Value {
        let jobs = self.jobs.into_values().map(|job| {
            let mut value = serde_json::to_value(&job).unwrap_or_default();
            let steps = job.steps.iter().map(|(number, step)| {
                let mut step = serde_json::to_value(step).unwrap_or_default();
                step["number"] = (*number).into();
                step
            });
            value["steps"] = steps.collect();
            value
        });
        jobs.collect()
    }

    pub(crate) fn add(&mut self, fact: &Recorded) {
        let at = fact.at;
        match &fact.event {
            RunEvent::JobExpanded { job, matrix, legs, .. } => {
                for (index, leg) in (0_u32..).zip(legs) {
                    let key = JobRunKey::new(job.clone(), matrix.then_some(index));
                    let continue_on_error = leg.continue_on_error;
                    self.insert(key, &leg.name).continue_on_error = continue_on_error;
                }
            }
            RunEvent::JobSkipped { reason: SkipReason::NotSelected, .. } => {}
            RunEvent::JobSkipped { job, reason } => {
                let cancelled = *reason == SkipReason::Cancelled;
                let conclusion = if cancelled { Conclusion::Cancelled } else { Conclusion::Skipped };
                self.ended(job, conclusion, None, at);
            }
            RunEvent::JobRefused { job, message } => self.ended(job, Conclusion::Failure, Some(message.clone()), at),
            RunEvent::ReviewRequested { key, environment, reviewers, .. } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    job.status = "waiting";
                    let waits =
                        Review { environment: environment.clone(), reviewers: reviewers.clone(), ..Review::default() };
                    job.review = Some(waits);
                }
            }
            RunEvent::Reviewed { key, approved, by, comment } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    job.status = "queued";
                    let review = job.review.get_or_insert_default();
                    review.state = Some(if *approved { "approved" } else { "rejected" });
                    (review.by, review.comment) = (Some(by.clone()), Some(comment.clone()));
                }
            }
            RunEvent::CallStarted { key, .. } => {
                if let Some(job) = self.begin(key, at) {
                    job.calls = true;
                }
            }
            RunEvent::JobRunStarted { key } => drop(self.begin(key, at)),
            RunEvent::JobRunPlaced { key, runner } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    job.runner = Some(runner.clone());
                }
            }
            RunEvent::StepStarted { key, step, name } => {
                let step = self.step(key, *step);
                step.name.clone_from(name);
                (step.status, step.started_at) = ("in_progress", Some(at));
            }
            RunEvent::StepFinished { key, step, result } => self.step(key, *step).end(result, at),
            RunEvent::JobRunFinished { key, conclusion, message, .. } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    (job.status, job.conclusion) = ("completed", Some(conclusion.word()));
                    job.finished_at = Some(at);
                    job.message.clone_from(message);
                }
            }
            RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::RunStarted
            | RunEvent::RunRefused { .. }
            | RunEvent::RunFinished { .. }
            | RunEvent::JobRunCancelRequested { .. }
            | RunEvent::RunCancelRequested { .. } => {}
        }
    }

    fn insert(&mut self, key: JobRunKey, name: &str) -> &mut Job {
        let run = self.run;
        self.jobs.entry(key.clone()).or_insert_with(|| Job {
            id: format!("{run}:{key}"),
            key,
            name: name.to_owned(),
            status: "queued",
            conclusion: None,
            started_at: None,
            finished_at: None,
            runner: None,
            message: None,
            calls: false,
            continue_on_error: false,
            review: None,
            steps: IndexMap::new(),
        })
    }

    fn ended(&mut self, job: &JobPath, conclusion: Conclusion, message: Option<String>, at: Timestamp) {
        let name = job.as_str().replace('/', " / ");
        let job = self.insert(JobRunKey::new(job.clone(), None), &name);
        (job.status, job.conclusion) = ("completed", Some(conclusion.word()));
        (job.finished_at, job.message) = (Some(at), message);
    }

    fn begin(&mut self, key: &JobRunKey, at: Timestamp) -> Option<&mut Job> {
        let job = self.jobs.get_mut(key)?;
        (job.status, job.started_at) = ("in_progress", Some(at));
        Some(job)
    }

    fn step(&mut self, key: &JobRunKey, step: StepIndex) -> &mut Step {
        let job = self.insert(key.clone(), key.job.as_str());
        job.steps.entry(step.0).or_insert_with(|| Step {
            name: String::new(),
            status: "queued",
            conclusion: None,
            outcome: None,
            exit_code: None,
            message: None,
            started_at: None,
            finished_at: None,
        })
    }
}
