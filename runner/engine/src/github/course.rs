//! A run as its forge sees it: facts in, reports out.
//!
//! It replays the run itself, so that names of jobs and environments come out as the run has them. The same facts give
//! the same reports, whichever process asks.

mod jobs;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use workflow::command::Annotation;
use workflow::run::{Conclusion, JobPath, JobRunKey, JobStatus, Recorded, Run, RunEvent, RunFacts};

use super::report::{
    CheckConclusion, CheckStatus, DeploymentReport, DeploymentState, DeploymentStatusReport, Report, StatusReport,
    StatusState,
};
use super::text::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX, cut_chars, duration};
use super::{comment, environment};

/// What reports say of a run beside its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Number of the run.
    pub run: u64,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// `owner/name`.
    pub repository: String,
    /// The commit that reports are put on: for a pull request the tip of its head.
    pub commit: String,
    /// The workflow's name, or its path where it cannot be read.
    pub workflow: String,
    /// The event's name.
    pub event: String,
    /// What the repository lies on, such as `github`.
    pub forge: String,
    /// Such as `refs/heads/main`.
    pub git_ref: String,
    /// The pull request that it is for.
    pub pull_request: Option<u64>,
    /// Whether the code is that of a stranger: then there are no deployments, and no Markdown that its steps wrote.
    pub from_fork: bool,
    /// The run's page; `None` where the server does not know its own address.
    pub url: Option<String>,
    /// Why the run could not begin.
    pub problems: Vec<Problem>,
}

/// A diagnostic about the workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The text.
    pub message: String,
    /// Path and line, where it has a place.
    pub place: Option<(String, u32)>,
}

/// What the steps of a job left to be shown, masked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFindings {
    /// In the order in which they came.
    pub annotations: Vec<Annotation>,
    /// Markdown.
    pub summary: String,
}

/// A run on its way.
#[derive(Debug)]
pub struct Course {
    about: About,
    run: Option<Run>,
    began: Option<Timestamp>,
    cancelled_by: Option<String>,
    /// Why it cannot go on.
    refused: Option<String>,
    /// Job runs that began a deployment that has not ended.
    deploying: BTreeSet<JobRunKey>,
}

impl Course {
    /// A run of which nothing has happened. Without `facts` (its workflow cannot be read) only the run as a whole is
    /// reported.
    #[must_use]
    pub fn new(about: About, facts: Option<Arc<RunFacts>>) -> Self {
        Self {
            about,
            run: facts.map(Run::new),
            began: None,
            cancelled_by: None,
            refused: None,
            deploying: BTreeSet::new(),
        }
    }

    /// What it is about.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// The run as replayed so far.
    #[must_use]
    pub const fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// Takes a fact and says what is to be told because of it. `findings` are those of the job run whose end the fact
    /// is.
    pub fn apply(&mut self, fact: &Recorded, findings: &JobFindings) -> Vec<Report> {
        if let Some(run) = &mut self.run
            && let Err(illegal) = run.apply_stored(fact)
        {
            tracing::warn!(run = self.about.run, %illegal, "a fact does not fit its run; reports of it may lack something");
        }
        let at = fact.at;
        let mut reports = Vec::new();
        if fact.seq == 1 && self.began.is_none() {
            reports.push(self.status(StatusState::Pending, "Queued"));
        }
        match &fact.event {
            RunEvent::RunStarted => {
                self.began = Some(at);
                reports = vec![self.status(StatusState::Pending, "In progress")];
                reports.extend(self.comment(None));
            }
            RunEvent::JobExpanded { job, legs, .. } => {
                let keys = legs.iter().enumerate().filter_map(|(leg, _)| Some(self.state(job)?.key(job, leg)));
                reports.extend(keys.filter_map(|key| self.check(&key, CheckStatus::Queued, at, findings)));
            }
            RunEvent::JobSkipped { job, reason } => reports.extend(self.skipped(job, reason, at)),
            RunEvent::JobRefused { job, message } => {
                let title = format!("Not started: {message}");
                reports.push(self.job_without_legs(job, CheckConclusion::Failure, &title, at));
            }
            RunEvent::JobRunStarted { key } => {
                reports.extend(self.check(key, CheckStatus::InProgress, at, findings));
                reports.extend(self.deployment(key));
            }
            RunEvent::JobRunFinished { key, conclusion, .. } => {
                reports.extend(self.check(key, CheckStatus::Completed, at, findings));
                reports.extend(self.deployment_end(key, *conclusion));
                if *conclusion == Conclusion::Failure {
                    reports.extend(self.comment(None));
                }
            }
            RunEvent::ReviewRequested { environment, reviewers, .. } => {
                let what = if reviewers.is_empty() { "the waiting time" } else { "a review" };
                reports.push(self.status(StatusState::Pending, &format!("Waiting for {what} of {environment}")));
            }
            RunEvent::Reviewed { approved: true, passed: true, .. } => {
                reports.push(self.status(StatusState::Pending, "In progress"));
            }
            RunEvent::RunHeld { .. } => {
                reports.push(self.status(StatusState::Pending, "Waiting for somebody to let it run"));
            }
            RunEvent::RunReleased { .. } => reports.push(self.status(StatusState::Pending, "Queued")),
            RunEvent::RunRefused { message } => self.refused = Some(message.clone()),
            RunEvent::RunCancelRequested { by, .. } => self.cancelled_by = Some(by.clone()),
            RunEvent::RunFinished { conclusion } => reports.extend(self.end(*conclusion, at)),
            RunEvent::Reviewed { .. }
            | RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::CallStarted { .. }
            | RunEvent::JobRunPlaced { .. }
            | RunEvent::JobRunReset { .. }
            | RunEvent::StepStarted { .. }
            | RunEvent::StepFinished { .. }
            | RunEvent::JobRunCancelRequested { .. } => {}
        }
        reports
    }

    fn state(&self, job: &JobPath) -> Option<&workflow::run::JobState> {
        self.run.as_ref()?.jobs.get(job)
    }

    /// Whose status it is. Runs of different events on one commit stand beside each other.
    fn context(&self) -> String {
        cut_chars(&format!("{} ({})", self.about.workflow, self.about.event), NAME_CHARS_MAX)
    }

    fn status(&self, state: StatusState, description: &str) -> Report {
        Report::Status(StatusReport {
            state,
            context: self.context(),
            description: cut_chars(description, DESCRIPTION_CHARS_MAX),
            target_url: self.about.url.clone(),
        })
    }

    fn end(&self, conclusion: Conclusion, at: Timestamp) -> Vec<Report> {
        let took = duration(self.began.unwrap_or(at), at);
        let (state, text) = match conclusion {
            Conclusion::Success => (StatusState::Success, format!("Successful in {took}")),
            Conclusion::Skipped => (StatusState::Success, "Skipped".to_owned()),
            Conclusion::Failure => (StatusState::Failure, self.failure_text(&took)),
            Conclusion::Cancelled => match &self.cancelled_by {
                Some(by) => (StatusState::Error, format!("Cancelled after {took} by {by}")),
                None => (StatusState::Error, format!("Cancelled after {took}")),
            },
        };
        let mut reports = vec![self.status(state, &text)];
        if !self.about.problems.is_empty() {
            reports.push(self.problem_check(at));
        }
        reports.extend(self.comment(Some((conclusion, took))));
        reports
    }

    fn failure_text(&self, took: &str) -> String {
        match self.about.problems.len() {
            0 => {}
            1 => return "The workflow cannot be run: 1 problem".to_owned(),
            many => return format!("The workflow cannot be run: {many} problems"),
        }
        if let Some(message) = &self.refused {
            return format!("Cannot go on: {}", message.lines().next().unwrap_or_default());
        }
        let mut failed = Vec::new();
        for (path, job) in self.run.iter().flat_map(|run| &run.jobs) {
            match &job.status {
                JobStatus::Refused(_) => failed.push(path.as_str()),
                JobStatus::Pending | JobStatus::Skipped(_) => {}
                JobStatus::Expanded => {
                    let bad = job.runs.iter().filter(|run| run.result() == Some(Conclusion::Failure));
                    failed.extend(bad.filter(|run| run.call_inputs.is_none()).map(|run| run.leg.name.as_str()));
                }
            }
        }
        if failed.is_empty() {
            return format!("Failed after {took}");
        }
        format!("Failed after {took}: {}", failed.join(", "))
    }

    fn deployment(&mut self, key: &JobRunKey) -> Vec<Report> {
        let Some(environment) = self.environment(key) else { return Vec::new() };
        self.deploying.insert(key.clone());
        let begin = DeploymentReport {
            external_id: self.external_id(key),
            environment: environment.clone(),
            description: cut_chars(&format!("{} of run {}", key, self.about.run), DESCRIPTION_CHARS_MAX),
        };
        vec![Report::Deployment(begin), self.deployment_status(key, environment, DeploymentState::InProgress)]
    }

    fn deployment_end(&mut self, key: &JobRunKey, conclusion: Conclusion) -> Option<Report> {
        // One that was cancelled in the queue has no deployment.
        if !self.deploying.remove(key) {
            return None;
        }
        let state = match conclusion {
            Conclusion::Success => DeploymentState::Success,
            Conclusion::Failure => DeploymentState::Failure,
            Conclusion::Cancelled | Conclusion::Skipped => DeploymentState::Error,
        };
        Some(self.deployment_status(key, self.environment(key)?, state))
    }

    /// The environment of a job run, where its deployments are told.
    pub(crate) fn environment(&self, key: &JobRunKey) -> Option<String> {
        let run = self.run.as_ref().filter(|_| !self.about.from_fork)?;
        environment::name(run, key).map(|name| cut_chars(&name, NAME_CHARS_MAX))
    }

    fn deployment_status(&self, key: &JobRunKey, environment: String, state: DeploymentState) -> Report {
        let url = (state == DeploymentState::Success).then(|| environment::url(self.run.as_ref()?, key)).flatten();
        let word = match state {
            DeploymentState::InProgress => "Deploying",
            DeploymentState::Success => "Deployed",
            DeploymentState::Failure => "Failed",
            DeploymentState::Error => "Stopped",
        };
        Report::DeploymentStatus(DeploymentStatusReport {
            external_id: self.external_id(key),
            environment,
            state,
            description: cut_chars(&format!("{word} by run {}", self.about.run), DESCRIPTION_CHARS_MAX),
            log_url: self.job_url(key),
            environment_url: url,
        })
    }

    fn comment(&self, end: Option<(Conclusion, String)>) -> Option<Report> {
        let number = self.about.pull_request?;
        Some(Report::Comment(comment::comment(number, &self.about, self.run.as_ref(), end)))
    }
}
