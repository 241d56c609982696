//! Which deployments count, which of them failed, when that was over, and which were not planned.
//!
//! It looks at the deployments of one service to one environment, in the order in which they ended. Nothing is guessed:
//! a failure is a roll-back, what a person said within a day, or a next deployment that says of itself that it mends.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Deployment, Label, MARKED_WITHIN_HOURS, Outcome, seconds};

/// A deployment, and what is to be said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The deployment.
    pub deployment: Deployment,
    /// Whether users had it, so that it counts.
    pub counts: bool,
    /// Why it failed, if it did.
    pub failed: Option<Why>,
    /// From when to when it was failing.
    pub recovery: Option<Recovery>,
    /// Why it was not planned, if it was not.
    pub rework: Option<Label>,
}

/// Why a deployment failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was rolled back while users had it.
    RolledBack,
    /// A person said so.
    Marked,
    /// The next deployment reverts it, mends it, or puts back what stood there before.
    Mended,
}

/// The time of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// The first bad sign.
    pub from: Timestamp,
    /// When what stands there was good again; `None`: it is not yet.
    pub until: Option<Timestamp>,
}

impl Recovery {
    /// How long it took.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        self.until.map(|until| seconds(self.from, until))
    }
}

impl Judged {
    /// When the deployment ended.
    #[must_use]
    pub const fn done(&self) -> Timestamp {
        self.deployment.stages.done
    }
}

/// Judges deployments of any services and environments, in any order. They come back by service and environment, each in
/// the order in which they ended.
#[must_use]
pub fn judge(deployments: Vec<Deployment>) -> Vec<Judged> {
    let mut groups: BTreeMap<(String, String, String), Vec<Deployment>> = BTreeMap::new();
    for one in deployments {
        let lower = |text: &str| text.to_lowercase();
        let key = (lower(&one.repository), lower(&one.environment), one.service.clone());
        groups.entry(key).or_default().push(one);
    }
    groups.into_values().flat_map(group).collect()
}

fn group(deployments: Vec<Deployment>) -> Vec<Judged> {
    let all = in_order(deployments);
    let places: Vec<usize> = (0..all.len()).filter(|at| counts(&all[*at])).collect();
    let mut judged: Vec<Judged> = all.iter().cloned().map(Judged::unjudged).collect();
    for (number, at) in places.iter().enumerate() {
        let later: Vec<&Deployment> = places[number + 1..].iter().map(|at| &all[*at]).collect();
        let one = &mut judged[*at];
        one.counts = true;
        one.rework = one.deployment.label.or_else(|| one.deployment.unplanned.then_some(Label::Person));
        one.failed = why(&one.deployment, later.first().copied());
        one.recovery = one.failed.map(|_| recovery(&one.deployment, &later));
    }
    judged
}

impl Judged {
    const fn unjudged(deployment: Deployment) -> Self {
        Self { deployment, counts: false, failed: None, recovery: None, rework: None }
    }
}

/// By their end, those of one run as one: it has ended when the last of them has, and as the worst of them did.
fn in_order(deployments: Vec<Deployment>) -> Vec<Deployment> {
    let mut by_run: BTreeMap<u64, Deployment> = BTreeMap::new();
    for one in deployments {
        let Some(before) = by_run.get_mut(&one.run) else {
            by_run.insert(one.run, one);
            continue;
        };
        let rank = |outcome| match outcome {
            Outcome::Succeeded => 0,
            Outcome::RolledBack { .. } => 1,
            Outcome::Stopped => 2,
        };
        if rank(one.outcome) > rank(before.outcome) {
            before.outcome = one.outcome;
        }
        let (mine, other) = (&mut before.stages, one.stages);
        mine.started = mine.started.min(other.started);
        mine.done = mine.done.max(other.done);
        before.id = before.id.min(one.id);
        before.commits.extend(one.commits);
        before.label = before.label.or(one.label);
        before.failed_at = before.failed_at.into_iter().chain(one.failed_at).min();
        before.unplanned |= one.unplanned;
    }
    let mut all: Vec<Deployment> = by_run.into_values().collect();
    all.sort_by_key(|one| (one.stages.done, one.id));
    all
}

/// Users had it: it succeeded, was rolled back after some had it, or somebody said that it hurt them.
fn counts(one: &Deployment) -> bool {
    match one.outcome {
        Outcome::Succeeded | Outcome::RolledBack { .. } => true,
        Outcome::Stopped => marked(one),
    }
}

/// Whether a person said in time that it failed.
fn marked(one: &Deployment) -> bool {
    let end = one.stages.done + SignedDuration::from_hours(MARKED_WITHIN_HOURS);
    one.failed_at.is_some_and(|at| at <= end)
}

fn why(one: &Deployment, next: Option<&Deployment>) -> Option<Why> {
    if matches!(one.outcome, Outcome::RolledBack { .. }) {
        return Some(Why::RolledBack);
    }
    if marked(one) {
        return Some(Why::Marked);
    }
    next.and_then(|next| next.label).filter(|label| label.mends()).map(|_| Why::Mended)
}

fn recovery(one: &Deployment, later: &[&Deployment]) -> Recovery {
    let done = one.stages.done;
    let mending = later.first().filter(|next| next.label.is_some_and(Label::mends));
    let signal = match one.outcome {
        Outcome::RolledBack { signal } => Some(signal),
        Outcome::Succeeded | Outcome::Stopped => None,
    };
    let noticed = one.failed_at.filter(|_| marked(one));
    // Who starts what mends has seen the failure by then.
    let ordered = mending.map(|next| next.stages.made);
    let from = [signal, noticed, ordered].into_iter().flatten().min();
    if let Outcome::RolledBack { .. } = one.outcome {
        // What stood there before stands there again.
        return Recovery { from: from.unwrap_or(done).min(done), until: Some(done) };
    }
    let from = from.unwrap_or(done).max(done);
    let good = |next: &&&Deployment| next.outcome == Outcome::Succeeded && !marked(next);
    let until = later.iter().filter(good).map(|next| next.stages.done).find(|end| *end >= from);
    Recovery { from, until }
}
