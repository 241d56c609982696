//! Whether green is worse than blue: a sequential test that may be looked at after every tick.
//!
//! Requests go to green by chance, with a known share. So when a bad event happened (an error, a slow request, a restart), it is
//! green's with a known probability if both colours are alike, whatever the rate of bad events is just now: an outage that both
//! share cancels out. `process::Against` bets against "green is at most `max-ratio` times as bad" and multiplies what it wins;
//! by Ville's inequality it ever reaches 1/α with probability α at most if green is that good, however often one looks
//! (<https://arxiv.org/abs/2210.01948>, section 2). The α of the plan is shared among its metrics, so it holds for all of them.
//!
//! The same turned round, `process::Bound`, bets against "green is worse than `max-ratio` times blue **and a small margin**".
//! What it refutes is what a step passes by. The margin is why a release without errors passes: with no bad event on either side
//! a *ratio* of rates can never be known, but n requests of green without one show that its rate is below ln(1/α)/n or so.
//! Errors may be 1 in 100 more, slow requests 5 in 100; at α = 5 % that takes 374 requests of green when nothing fails. Restarts have
//! no such rate: a step passes if green had none. What a step proves is proved by its own requests, at its own load.
//!
//! "Slow" is slower than blue's 95th percentile before the block of requests that is judged. The threshold moves, but it is
//! fixed before the requests that it judges, and each of them is judged by it alike, so the bet stays fair.
//!
//! At 100 % there is nothing to compare with. Then green is held against a fixed rate, labelled "absolute": it notices a release
//! that breaks under the whole load, and cannot tell it from an outage of something that both need.
//!
//! It decides nothing about time: a step's minimum is the caller's. Method and figures: `simulation.rs` beside this file.

mod block;
pub mod latency;
mod process;
#[cfg(test)]
mod simulation;
mod streak;
mod tail;
#[cfg(test)]
mod tests;
mod trial;
mod words;

use serde::{Deserialize, Serialize};

use crate::observation::Observation;
use crate::plan::{Analysis, Metric};
use crate::view::EvidenceView;
use block::{Base, Step};
use streak::Streak;
use trial::{Rules, Trial};

/// What the evidence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// It is enough to go on, once the step's time is over.
    Pass,
    /// Green is worse than the plan allows. It stays so whatever comes.
    Rollback,
    /// Neither.
    Inconclusive,
}

impl Judgement {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Rollback => "rollback",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What the evidence says, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What.
    pub judgement: Judgement,
    /// Why, for a person; of [`Judgement::Inconclusive`] what is missing.
    pub words: String,
    /// How many more requests green must at least answer to pass, at the rates so far; `None` if that is not known or not what
    /// is missing.
    pub requests_missing: Option<u64>,
}

/// All that is known about a rollout. Fed with every observation in order it is the same again, and it can be kept as JSON.
///
/// ```
/// # use rollout::{analysis::{Judge, Judgement}, plan::{Analysis, Inconclusive, Metric}};
/// let plan = Analysis { metrics: vec![Metric::Errors], max_ratio: 1.2, alpha: 0.05, min_requests: 50,
///     inconclusive: Inconclusive::Extend, max_extend: jiff::SignedDuration::from_mins(15) };
/// let judge = Judge::new(&plan);
/// assert_eq!(judge.verdict().judgement, Judgement::Inconclusive);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    rules: Rules,
    base: Option<Base>,
    step: Step,
    streak: Streak,
    trials: Vec<Trial>,
}

impl Judge {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(plan: &Analysis) -> Self {
        let mut metrics = plan.metrics.clone();
        metrics.sort_unstable();
        metrics.dedup();
        let whole: f64 = metrics.iter().copied().map(part_of_alpha).sum();
        let alpha = plan.alpha.clamp(ALPHA_MIN, ALPHA_MAX);
        Self {
            rules: Rules { alpha, max_ratio: plan.max_ratio.max(1.0), requests_min: plan.min_requests },
            base: None,
            step: Step::default(),
            streak: Streak::default(),
            trials: metrics.iter().map(|&metric| Trial::new(metric, alpha * part_of_alpha(metric) / whole)).collect(),
        }
    }

    /// Takes note of what is seen. The first observation is what the next ones are compared with, as is the first one after
    /// counters have begun anew; another weight begins a step of its own.
    pub fn observe(&mut self, seen: &Observation) {
        self.streak.observe(seen);
        let Some(mut base) = self.base.take() else {
            self.base = Some(Base::new(seen));
            self.step = Step::new(seen);
            return;
        };
        let is_same_weight = base.weight() == seen.weight;
        if base.is_reset(seen) {
            // What was counted in between is lost on both sides, and nothing is known about it.
            self.step.restart(seen);
            base = Base::new(seen);
        } else {
            let is_over = base.is_over(seen);
            for trial in self.trials.iter_mut().filter(|trial| is_over || trial.metric == Metric::Restarts) {
                if let Some(block) = base.block(trial.metric, seen) {
                    trial.take(&self.rules, &block);
                }
            }
            self.step.observe(seen);
            base.advance(seen);
        }
        self.base = Some(base);
        if !is_same_weight {
            self.step = Step::new(seen);
            self.trials.iter_mut().for_each(Trial::begin_step);
        }
    }

    /// [`Self::verdict`] without its words, which take a thousand times as long.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        let mut each = self.trials.iter().map(|trial| trial.judgement(&self.rules));
        if each.clone().any(|judgement| judgement == Judgement::Rollback) {
            return Judgement::Rollback;
        }
        let is_enough =
            self.step.requests() >= self.rules.requests_min && each.all(|judgement| judgement == Judgement::Pass);
        if is_enough { Judgement::Pass } else { Judgement::Inconclusive }
    }

    /// What all of it says.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let each: Vec<Verdict> = self.trials.iter().map(|trial| trial.verdict(&self.rules)).collect();
        let words_of = |wanted| {
            let words: Vec<&str> = each
                .iter()
                .filter(|verdict| verdict.judgement == wanted)
                .map(|verdict| verdict.words.as_str())
                .collect();
            words.join("; ")
        };
        if each.iter().any(|verdict| verdict.judgement == Judgement::Rollback) {
            let words = words_of(Judgement::Rollback);
            return Verdict { judgement: Judgement::Rollback, words, requests_missing: None };
        }
        let too_few = self.rules.requests_min.saturating_sub(self.step.requests());
        let missing =
            each.iter().filter_map(|verdict| verdict.requests_missing).chain([too_few]).max().filter(|&n| n > 0);
        if too_few > 0 {
            let words = words::too_few(self.step.requests(), self.rules.requests_min, missing.unwrap_or(too_few));
            return Verdict { judgement: Judgement::Inconclusive, words, requests_missing: missing };
        }
        if each.iter().any(|verdict| verdict.judgement == Judgement::Inconclusive) {
            let words = words_of(Judgement::Inconclusive);
            return Verdict { judgement: Judgement::Inconclusive, words, requests_missing: missing };
        }
        let words = match each.is_empty() {
            true => "nothing is compared: the plan has no metrics".to_owned(),
            false => words_of(Judgement::Pass),
        };
        Verdict { judgement: Judgement::Pass, words, requests_missing: None }
    }

    /// What is known about each metric.
    #[must_use]
    pub fn evidence(&self) -> Vec<EvidenceView> {
        self.trials.iter().map(|trial| trial.view(&self.rules)).collect()
    }

    /// Why green is to go at once: its last answers all failed, and so many of them that it cannot be the luck of the draw, while
    /// blue answered without an error. Catches what is broken even if errors are not among the plan's metrics.
    #[must_use]
    pub fn failures(&self) -> Option<String> {
        self.streak.words()
    }
}

/// A level beyond these is no level.
const ALPHA_MIN: f64 = 1e-9;
const ALPHA_MAX: f64 = 0.5;

/// Restarts are few and have a hard stop of their own, so they get less.
const fn part_of_alpha(metric: Metric) -> f64 {
    match metric {
        Metric::Errors | Metric::LatencyP95 => 2.0,
        Metric::Restarts => 1.0,
    }
}
