//! DORA's five figures over deployments: how often, how long from a commit to its users, how many fail, how long until that
//! is mended, how many were not planned. Pure: records in, figures out.
//!
//! `label` says what kind of deployment one is, `judge` which count, which failed and when that was over, `frequency` how
//! often in words. The model is that of <https://dora.dev/guides/dora-metrics/>; the words for how often are those of Four
//! Keys (<https://github.com/dora-team/fourkeys/blob/main/METRICS.md>).

mod frequency;
mod judge;
pub mod label;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::Serialize;

pub use frequency::Bucket;
pub use judge::{Judged, Recovery, Why, judge};
pub use label::Label;

use super::{Spread, Window};

/// How long after a deployment what a person marks it with counts, in hours.
pub const MARKED_WITHIN_HOURS: i64 = 24;

/// A deployment that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its number.
    pub id: u64,
    /// The run that did it. Deployments of one run to one environment of one service are one.
    pub run: u64,
    /// `owner/name`.
    pub repository: String,
    /// Where to.
    pub environment: String,
    /// What; empty: all of the repository.
    pub service: String,
    /// The commit.
    pub sha: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When what of it was.
    pub stages: Stages,
    /// Committer dates of all commits that it brought: those since the deployment before that succeeded.
    pub commits: Vec<Timestamp>,
    /// What its commits, branch and labels say it is.
    pub label: Option<Label>,
    /// When people noticed that it failed, where somebody said so.
    pub failed_at: Option<Timestamp>,
    /// Whether somebody said that it was made because of an incident.
    pub unplanned: bool,
}

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All users have it.
    Succeeded,
    /// Some users had it, and then what stood there before again.
    RolledBack {
        /// What made it go back: an alarm, a verdict over errors, a person.
        signal: Timestamp,
    },
    /// It ended before any user had it, as far as is known: refused, failed, stopped.
    Stopped,
}

/// When what of a deployment was. What did not happen is at the time of what came after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stages {
    /// Its run was made.
    pub made: Timestamp,
    /// The first job of the run began.
    pub first: Timestamp,
    /// All jobs that it needs had ended.
    pub ready: Timestamp,
    /// The rules of the environment held it up …
    pub asked: Timestamp,
    /// … and let it go on.
    pub passed: Timestamp,
    /// It began.
    pub started: Timestamp,
    /// It ended.
    pub done: Timestamp,
}

/// Where the time from a commit to its users goes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Parts<T> {
    /// From the commit until the run was made: review, merge, waiting for a push.
    pub before: T,
    /// Jobs before the deployment.
    pub ci: T,
    /// Waiting for a place.
    pub queue: T,
    /// Waiting for people, or for the time that rules ask for.
    pub approval: T,
    /// The deployment itself.
    pub rollout: T,
}

impl<T> Parts<T> {
    /// Name and value of each, in order.
    pub fn each(&self) -> [(&'static str, &T); 5] {
        let Self { before, ci, queue, approval, rollout } = self;
        [("before", before), ("ci", ci), ("queue", queue), ("approval", approval), ("rollout", rollout)]
    }
}

impl Stages {
    /// How the time since a commit was spent, in seconds. The parts together are the whole, whatever the clocks say: a
    /// moment that lies before the one before it counts as that one.
    #[must_use]
    pub fn parts(&self, committed: Timestamp) -> Parts<f64> {
        let mut parts = Parts::default();
        let mut at = committed;
        let Self { made, first, ready, asked, passed, started, done } = *self;
        // The deploying job may be the first one itself.
        let first = first.min(ready);
        let mut until = |end: Timestamp| {
            let (from, end) = (at, end.min(done).max(at));
            at = end;
            seconds(from, end)
        };
        parts.before = until(made);
        parts.queue = until(first);
        parts.ci = until(ready);
        parts.queue += until(asked);
        parts.approval = until(passed);
        parts.queue += until(started);
        parts.rollout = until(done);
        parts
    }
}

/// The five figures, and what they are made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Deployments that count.
    pub deployments: usize,
    /// Of a day of the window.
    pub per_day: f64,
    /// How often, in a word, over the three months before the window's end.
    pub bucket: Bucket,
    /// From a commit to its users, over all commits.
    pub lead_time: Option<Spread>,
    /// Where that time goes.
    pub lead_time_parts: Vec<LeadPart>,
    /// Commits that are dated after their deployment and are left out.
    pub commits_misdated: usize,
    /// Deployments that failed.
    pub failed: usize,
    /// Of those that count, from 0 to 1.
    pub change_fail_rate: Option<f64>,
    /// From the first bad sign to the end of the failure.
    pub recovery_time: Option<Spread>,
    /// Failures that are not mended yet.
    pub unrecovered: usize,
    /// Deployments that were not planned.
    pub rework: usize,
    /// Of those that count, from 0 to 1.
    pub rework_rate: Option<f64>,
    /// Deployments that ended before any user had them. They do not count.
    pub stopped: usize,
}

/// A part of the lead time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LeadPart {
    /// `before`, `ci`, `queue`, `approval` or `rollout`.
    pub part: &'static str,
    /// How long it takes.
    #[serde(flatten)]
    pub spread: Spread,
    /// Of the lead time of all commits together, from 0 to 1. Other than medians, shares add up.
    pub share: f64,
}

impl Figures {
    /// Over what was judged, of a window.
    #[must_use]
    pub fn of<'a>(judged: impl IntoIterator<Item = &'a Judged>, window: &Window) -> Self {
        let judged: Vec<&Judged> = judged.into_iter().collect();
        let all: Vec<&Judged> = judged.iter().copied().filter(|one| window.holds(one.done())).collect();
        let counted: Vec<&Judged> = all.iter().copied().filter(|one| one.counts).collect();
        let count = counted.len();
        let rate = |part: usize| (count > 0).then(|| part as f64 / count as f64);
        let (lead_time, lead_time_parts, commits_misdated) = lead_time(&counted);
        let failed = counted.iter().filter(|one| one.failed.is_some()).count();
        let recoveries = || counted.iter().filter_map(|one| one.recovery);
        let rework = counted.iter().filter(|one| one.rework.is_some()).count();
        Self {
            deployments: count,
            per_day: count as f64 / window.days(),
            bucket: Bucket::of(judged.iter().filter(|one| one.counts).map(|one| one.done()), window),
            lead_time,
            lead_time_parts,
            commits_misdated,
            failed,
            change_fail_rate: rate(failed),
            recovery_time: Spread::of(recoveries().filter_map(|one| one.seconds()).collect()),
            unrecovered: recoveries().filter(|one| one.until.is_none()).count(),
            rework,
            rework_rate: rate(rework),
            stopped: all.len() - count,
        }
    }
}

fn lead_time(counted: &[&Judged]) -> (Option<Spread>, Vec<LeadPart>, usize) {
    let (mut whole, mut parts, mut misdated) = (Vec::new(), <[Vec<f64>; 5]>::default(), 0);
    for one in counted {
        let stages = &one.deployment.stages;
        // What was taken back has not stayed with its users.
        if one.deployment.outcome != Outcome::Succeeded {
            continue;
        }
        for committed in &one.deployment.commits {
            if *committed > stages.done {
                misdated += 1;
                continue;
            }
            whole.push(seconds(*committed, stages.done));
            for (values, (_, part)) in parts.iter_mut().zip(stages.parts(*committed).each()) {
                values.push(*part);
            }
        }
    }
    let total: f64 = whole.iter().sum();
    let names = Parts::<()>::default();
    let part = |((part, ()), values): ((&'static str, &()), Vec<f64>)| {
        let share = if total > 0.0 { values.iter().sum::<f64>() / total } else { 0.0 };
        Spread::of(values).map(|spread| LeadPart { part, spread, share })
    };
    let parts = names.each().into_iter().zip(parts).filter_map(part).collect();
    (Spread::of(whole), parts, misdated)
}

/// From a moment to a later one.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_millisecond() - from.as_millisecond()) as f64 / 1_000.0
}
