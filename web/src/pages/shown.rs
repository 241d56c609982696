//! Runs and jobs as templates show them: one word for how far they are, names without deceit, seconds.

use engine::store::RunStatus;
use engine::store::listing::RunListed;
use jiff::Timestamp;
use serde::Serialize;

use super::filters::encoded;
use crate::api::view::{Job, Jobs};

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    #[serde(flatten)]
    pub(super) run: RunListed,
    /// Its conclusion, or its status as long as it has none.
    pub(super) word: String,
    /// What people call it; the workflow where nobody gave it a title.
    pub(super) name: String,
    /// The workflow's file, without its folder.
    pub(super) file: String,
    /// How long it took or takes.
    pub(super) seconds: f64,
    pub(super) is_over: bool,
    /// `branch`, `tag` or `pull`.
    pub(super) kind: &'static str,
}

impl Run {
    pub(super) fn of(run: RunListed, now: Timestamp) -> Self {
        let is_over = run.status == RunStatus::Completed;
        let word = run.conclusion.clone().filter(|_| is_over).unwrap_or_else(|| run.status.as_str().to_owned());
        let file = run.workflow.rsplit('/').next().unwrap_or_default().to_owned();
        let name = if run.title.trim().is_empty() { file.clone() } else { run.title.clone() };
        let begun = run.created_at.parse::<Timestamp>().unwrap_or(now);
        let ended = run.finished_at.as_deref().and_then(|at| at.parse().ok()).unwrap_or(now);
        let kind = match run.git_ref.split('/').nth(1) {
            Some("tags") => "tag",
            Some("pull") => "pull",
            Some(_) | None => "branch",
        };
        Self { word, name, file, seconds: seconds(begun, ended), is_over, kind, run }
    }
}

/// One job run.
#[derive(Debug, Serialize)]
pub(super) struct ShownJob {
    pub(super) key: String,
    /// The key in addresses and as the name of a place in the page.
    pub(super) link: String,
    pub(super) name: String,
    pub(super) word: String,
    pub(super) message: Option<String>,
    pub(super) runner: Option<String>,
    pub(super) calls: bool,
    pub(super) continue_on_error: bool,
    pub(super) is_over: bool,
    pub(super) seconds: Option<f64>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    /// The first step that failed.
    pub(super) failed_step: Option<String>,
    /// Where it waits for people.
    pub(super) waits_for: Option<String>,
    /// Who let it go on, or did not: `approved by ada: fine`.
    pub(super) reviewed: Option<String>,
    /// Whether the time of the whole run is this one's.
    pub(super) is_critical: bool,
    /// Begin and length of its bar, in thousandths of the run.
    pub(super) bar: Option<(f64, f64)>,
}

impl ShownJob {
    pub(super) fn of(job: &Job, now: Timestamp) -> Self {
        let is_over = job.status == "completed";
        let seconds = job.started_at.map(|begun| seconds(begun, job.finished_at.unwrap_or(now)));
        let review = job.review.as_ref();
        let is_waiting = job.status == "waiting";
        let failed = job.steps.values().find(|step| step.conclusion == Some("failure"));
        Self {
            link: encoded(&job.key.to_string()),
            key: job.key.to_string(),
            name: job.name.clone(),
            word: job.conclusion.unwrap_or(job.status).to_owned(),
            message: job.message.clone(),
            runner: job.runner.clone(),
            calls: job.calls,
            continue_on_error: job.continue_on_error,
            is_over,
            seconds,
            started_at: job.started_at,
            finished_at: job.finished_at,
            failed_step: failed.map(|step| step.name.clone()),
            waits_for: review.filter(|_| is_waiting).map(|review| review.environment.clone()),
            reviewed: review.and_then(|review| {
                let (state, by) = (review.state?, review.by.as_deref()?);
                let comment = review.comment.as_deref().filter(|comment| !comment.is_empty());
                let comment = comment.map(|comment| format!(": {comment}")).unwrap_or_default();
                Some(format!("{} {state} by {by}{comment}", review.environment))
            }),
            is_critical: false,
            bar: None,
        }
    }
}

/// Environments that jobs wait for people to review, each once.
pub(super) fn waiting(jobs: &Jobs) -> Vec<String> {
    let mut environments: Vec<String> = Vec::new();
    for job in jobs.jobs.values().filter(|job| job.status == "waiting") {
        if let Some(review) = &job.review
            && !environments.contains(&review.environment)
        {
            environments.push(review.environment.clone());
        }
    }
    environments
}

pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to - from).total(jiff::Unit::Second).unwrap_or_default().max(0.0)
}
