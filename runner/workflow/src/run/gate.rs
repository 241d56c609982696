//! Environments with rules: a job run waits for a reviewer, a timer, or both, before it asks for its group or a runner.
//!
//! Who may review is checked by whoever takes the review; here only what follows from it. A job run that waits holds
//! nothing. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/deployments-and-environments>.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::contexts::JobScope;
use super::decide::failed_before;
use super::{Command, Conclusion, Decision, JobRun, JobRunKey, JobRunStatus, Run, RunEvent};
use crate::expression::Value;
use crate::model::JobKind;
use crate::template::evaluate;

/// A review that does not come within this time fails the job, as on GitHub.
pub const REVIEW_DAYS_MAX: u64 = 30;
const REVIEW_MAX: Duration = Duration::from_secs(REVIEW_DAYS_MAX * 24 * 3600);

/// What an environment asks for before a job may go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protection {
    /// One of them has to approve; empty: nobody.
    pub reviewers: Vec<String>,
    /// How long a job waits, in milliseconds.
    pub wait_ms: u64,
}

/// The environments that have rules, by name in lower case, as GitHub compares them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environments(pub BTreeMap<String, Protection>);

impl Environments {
    /// The rules of an environment; `None` where it has none.
    #[must_use]
    pub fn protection(&self, name: &str) -> Option<&Protection> {
        self.0.get(&name.to_lowercase()).filter(|it| !it.reviewers.is_empty() || it.wait_ms > 0)
    }
}

/// A job run at an environment with rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The environment.
    pub environment: String,
    /// One of them has to approve; empty: nobody.
    pub reviewers: Vec<String>,
    /// Since when it waits.
    pub since: Timestamp,
    /// How long it waits at least, in milliseconds.
    pub wait_ms: u64,
    /// What a reviewer said.
    pub review: Option<Review>,
}

/// What a reviewer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Whether the job may go on.
    pub approved: bool,
    /// Who.
    pub by: String,
    /// Why, possibly empty.
    pub comment: String,
}

/// What a queued job run may do.
enum Passage {
    /// Go on.
    Open,
    /// Nothing until a review or a time.
    Wait,
    /// This happens.
    Record(RunEvent),
    /// It fails with this.
    Fail(String),
}

impl Gate {
    /// Whether a review is still wanted.
    #[must_use]
    pub fn wants_review(&self) -> bool {
        !self.reviewers.is_empty() && self.review.is_none()
    }

    fn timer(&self) -> Timestamp {
        later(self.since, Duration::from_millis(self.wait_ms))
    }

    fn end(&self) -> Timestamp {
        later(self.since, REVIEW_MAX)
    }

    /// When it may have something to say though nothing happened.
    fn times(&self) -> impl Iterator<Item = Timestamp> {
        [Some(self.timer()), self.wants_review().then(|| self.end())].into_iter().flatten()
    }

    fn passage(&self, now: Timestamp) -> Passage {
        match &self.review {
            Some(Review { approved: false, by, comment }) => {
                let because = if comment.is_empty() { String::new() } else { format!(": {comment}") };
                Passage::Fail(format!("{by} rejected the deployment to `{}`{because}", self.environment))
            }
            None if self.wants_review() && now >= self.end() => {
                Passage::Fail(format!("nobody reviewed `{}` within {REVIEW_DAYS_MAX} days", self.environment))
            }
            None if self.wants_review() => Passage::Wait,
            Some(_) | None if now < self.timer() => Passage::Wait,
            Some(_) | None => Passage::Open,
        }
    }
}

impl Run {
    /// The name of a job run's environment; `None` for a job without one, an error as a sentence.
    #[must_use]
    pub fn environment(&self, key: &JobRunKey) -> Option<Result<String, String>> {
        let JobKind::Steps(steps) = &self.job(&key.job)?.kind else { return None };
        let token = steps.environment.as_ref()?;
        // The URL may name steps, which are not there yet.
        let token = if token.as_mapping().is_some() { token.get("name")? } else { token };
        let scope = JobScope::of_leg(self, key)?;
        let text = |value: Value| value.get("name").unwrap_or(&value).to_display_string().to_string();
        let name = evaluate(token, &scope).map(text).map_err(|error| format!("`environment`: {}", error.message));
        Some(name).filter(|name| !name.as_ref().is_ok_and(String::is_empty))
    }

    /// What has to happen before a queued job run may go on because of its environment; `None`: it may.
    pub(super) fn gate_first(&self, key: &JobRunKey, run: &JobRun, now: Timestamp) -> Option<Option<Decision>> {
        match self.passage(key, run.gate.as_ref(), now) {
            Passage::Open => None,
            Passage::Wait => Some(None),
            Passage::Record(event) => Some(Some(Decision::Record(event))),
            Passage::Fail(message) => Some(Some(Decision::Record(failed_before(key, message)))),
        }
    }

    fn passage(&self, key: &JobRunKey, gate: Option<&Gate>, now: Timestamp) -> Passage {
        if let Some(gate) = gate {
            return gate.passage(now);
        }
        if self.facts.environments.0.is_empty() {
            return Passage::Open;
        }
        let environment = match self.environment(key) {
            None => return Passage::Open,
            Some(Err(message)) => return Passage::Fail(message),
            Some(Ok(environment)) => environment,
        };
        let Some(Protection { reviewers, wait_ms }) = self.facts.environments.protection(&environment).cloned() else {
            return Passage::Open;
        };
        Passage::Record(RunEvent::ReviewRequested { key: key.clone(), environment, reviewers, wait_ms })
    }

    /// When a gate may have something to say.
    pub(super) fn gate_times(&self) -> impl Iterator<Item = Timestamp> {
        let queued = self.job_runs().filter(|(_, run)| run.status == JobRunStatus::Queued);
        queued.filter_map(|(_, run)| run.gate.as_ref()).flat_map(Gate::times)
    }

    /// A run that cannot go on: what still runs of it is stopped first.
    pub(super) fn give_up(&self) -> Vec<Decision> {
        let going_on = self.job_runs().filter(|(key, run)| run.in_progress() && !self.is_call(key));
        let kills: Vec<_> = going_on.map(|(key, _)| Decision::Do(Command::KillJobRun { key })).collect();
        let end = || vec![Decision::Record(RunEvent::RunFinished { conclusion: Conclusion::Failure })];
        if kills.is_empty() { end() } else { kills }
    }

    /// Job runs that wait for a review, with their gates.
    pub fn waiting_for_review(&self) -> impl Iterator<Item = (JobRunKey, &Gate)> {
        self.job_runs().filter_map(|(key, run)| {
            run.conclusion().is_none().then_some(())?;
            Some((key, run.gate.as_ref().filter(|gate| gate.wants_review())?))
        })
    }
}

fn later(at: Timestamp, time: Duration) -> Timestamp {
    at.checked_add(time).unwrap_or(Timestamp::MAX)
}
