//! Environments with rules: a job run waits for a reviewer, a timer, or both, before it asks for its group or a runner.
//!
//! Who may review is checked by whoever takes the review; here only what follows from it. A job run that waits holds
//! nothing. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/deployments-and-environments>.

mod freeze;
mod hold;
mod protection;
mod subject;

use std::time::Duration;

use jiff::Timestamp;

pub use freeze::Freeze;
pub use protection::{EVERYBODY, Environments, Protection, REVIEW_DAYS_MAX, REVIEW_MS_MAX, TEAM, Written};

use super::contexts::JobScope;
use super::decide::failed_before;
use super::{Command, Conclusion, Decision, JobRun, JobRunKey, JobRunStatus, Run, RunEvent};
use crate::expression::Value;
use crate::model::JobKind;
use crate::template::evaluate;

/// What a review is bound to. It stands in the log beside the request, so that it counts as it was when it was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Terms {
    /// How many different people have to approve.
    #[serde(default = "one")]
    pub required: u32,
    /// Who began the run and may not approve it, in lower case.
    #[serde(default)]
    pub barred: Vec<String>,
    /// Who wrote what is not in the environment yet and may not approve it either, in lower case; `None`: they may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authors: Option<Vec<String>>,
    /// After how long it is too late, in milliseconds.
    #[serde(default = "longest")]
    pub expires_ms: u64,
    /// A digest of all that is approved: commit, workflow, environment and its rules, attempt, results of the jobs before.
    /// Empty in old logs.
    #[serde(default)]
    pub subject: String,
}

impl Default for Terms {
    fn default() -> Self {
        Self { required: one(), barred: Vec::new(), authors: None, expires_ms: longest(), subject: String::new() }
    }
}

const fn one() -> u32 {
    1
}

const fn longest() -> u64 {
    REVIEW_MS_MAX
}

/// A job run at an environment with rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The environment.
    pub environment: String,
    /// Who may approve; empty: nobody has to.
    pub reviewers: Vec<String>,
    /// What a review is bound to.
    pub terms: Terms,
    /// Since when it waits.
    pub since: Timestamp,
    /// How long it waits at least, in milliseconds.
    pub wait_ms: u64,
    /// What reviewers said, in order; nobody twice, and nothing behind a rejection.
    pub reviews: Vec<Review>,
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
    /// When.
    pub at: Timestamp,
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
        self.missing() > 0 && self.rejection().is_none()
    }

    /// How many approvals it still needs.
    #[must_use]
    pub fn missing(&self) -> usize {
        if self.reviewers.is_empty() {
            return 0;
        }
        let approved = self.reviews.iter().filter(|review| review.approved).count();
        usize::try_from(self.terms.required).unwrap_or(usize::MAX).saturating_sub(approved)
    }

    /// Whether this review would end the waiting.
    #[must_use]
    pub fn would_pass(&self, approved: bool) -> bool {
        !approved || self.missing() <= 1
    }

    /// Whether somebody has had their say.
    #[must_use]
    pub fn has_review_of(&self, by: &str) -> bool {
        self.reviews.iter().any(|review| review.by.eq_ignore_ascii_case(by))
    }

    /// When it is too late for a review.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        later(self.since, Duration::from_millis(self.terms.expires_ms))
    }

    /// Until when it waits because of its timer.
    #[must_use]
    pub fn timer(&self) -> Timestamp {
        later(self.since, Duration::from_millis(self.wait_ms))
    }

    fn rejection(&self) -> Option<&Review> {
        self.reviews.iter().find(|review| !review.approved)
    }

    /// When it may have something to say though nothing happened.
    fn times(&self) -> impl Iterator<Item = Timestamp> {
        [Some(self.timer()), self.wants_review().then(|| self.end())].into_iter().flatten()
    }

    fn passage(&self, now: Timestamp) -> Passage {
        if let Some(Review { by, comment, .. }) = self.rejection() {
            let because = if comment.is_empty() { String::new() } else { format!(": {comment}") };
            return Passage::Fail(format!("{by} rejected the deployment to `{}`{because}", self.environment));
        }
        if self.wants_review() && now >= self.end() {
            let whom = if self.reviews.is_empty() { "nobody" } else { "not enough people" };
            let within = period(self.terms.expires_ms);
            return Passage::Fail(format!("{whom} reviewed `{}` within {within}", self.environment));
        }
        if self.wants_review() || now < self.timer() { Passage::Wait } else { Passage::Open }
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
            return self.at_gate(key, gate, now);
        }
        let environments = &self.facts.environments;
        if environments.rules.is_empty() {
            return Passage::Open;
        }
        let environment = match self.environment(key) {
            None => return Passage::Open,
            Some(Err(message)) => return Passage::Fail(message),
            Some(Ok(environment)) => environment,
        };
        if let Some(unknown) = environments.unknown(&environment) {
            return Passage::Fail(unknown);
        }
        match environments.protection(&environment) {
            None => Passage::Open,
            Some(rules) => self.ask(key, environment, rules),
        }
    }

    /// Comes to an environment's rules.
    fn ask(&self, key: &JobRunKey, environment: String, rules: &Protection) -> Passage {
        let git_ref = self.github_text("ref");
        if !rules.allows(&git_ref) {
            let name = git_ref.strip_prefix("refs/heads/").unwrap_or(&git_ref);
            // GitHub's own sentence.
            return Passage::Fail(format!(
                "Branch \"{name}\" is not allowed to deploy to {environment} due to environment protection rules."
            ));
        }
        if !rules.waits() {
            return Passage::Open;
        }
        let barred = if rules.self_review { Vec::new() } else { self.began_by() };
        let authors = match self.facts.environments.authors(&environment, rules).transpose() {
            Ok(authors) => authors,
            Err(why) => {
                return Passage::Fail(format!(
                    "who wrote what would go to `{environment}` may not approve it, and nobody knows who did: {why}"
                ));
            }
        };
        if let Some(why) = rules.nobody_left(&barred, authors.as_deref()) {
            return Passage::Fail(format!("nobody can let this go on to `{environment}`: {why}"));
        }
        let subject = self.subject(key, &environment, rules);
        let terms = Terms { required: rules.required, barred, authors, expires_ms: rules.expires_ms, subject };
        let (reviewers, wait_ms) = (rules.reviewers.clone(), rules.wait_ms);
        Passage::Record(RunEvent::ReviewRequested { key: key.clone(), environment, reviewers, wait_ms, terms })
    }

    /// Stands at a gate. What was approved is what happens: after a change of the rules all begins again.
    fn at_gate(&self, key: &JobRunKey, gate: &Gate, now: Timestamp) -> Passage {
        let passage = gate.passage(now);
        let rules = self.facts.environments.protection(&gate.environment);
        let Some(rules) = rules.filter(|_| !matches!(passage, Passage::Fail(_))) else { return passage };
        let known = !gate.terms.subject.is_empty();
        if known && gate.terms.subject != self.subject(key, &gate.environment, rules) {
            return self.ask(key, gate.environment.clone(), rules);
        }
        let frozen = matches!(passage, Passage::Open) && rules.frozen(now).is_some();
        if frozen { Passage::Wait } else { passage }
    }

    /// When a gate may have something to say.
    pub(super) fn gate_times(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let queued = self.job_runs().filter(|(_, run)| run.status == JobRunStatus::Queued);
        queued.filter_map(|(_, run)| run.gate.as_ref()).flat_map(move |gate| {
            let rules = self.facts.environments.protection(&gate.environment);
            gate.times().chain(rules.and_then(|rules| rules.frozen(now)).map(|(end, _)| end))
        })
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

/// A time as a person would say it.
fn period(milliseconds: u64) -> String {
    let minutes = milliseconds.div_ceil(60_000);
    let (count, unit) = match minutes {
        minutes if minutes % (24 * 60) == 0 => (minutes / (24 * 60), "day"),
        minutes if minutes % 60 == 0 => (minutes / 60, "hour"),
        minutes => (minutes, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
