//! One metric: its bets, what was counted, and what that says.

use serde::{Deserialize, Serialize};

use super::block::{Block, Control, P95_REQUESTS_MIN};
use super::process::{Against, Bound, Count, float};
use super::tail::at_least;
use super::words::{count, duration, evidence, needs, odds, parts, percent, times};
use super::{Judgement, Verdict};
use crate::plan::Metric;
use crate::view::EvidenceView;

/// What the plan says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rules {
    pub(super) alpha: f64,
    pub(super) max_ratio: f64,
    pub(super) requests_min: u64,
}

/// A metric on trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) metric: Metric,
    alpha: f64,
    against: Against,
    bound: Bound,
    tallies: Vec<Tally>,
    /// The first tally of this step.
    from: usize,
    alone: Option<Alone>,
    /// What "slow" meant last, in microseconds.
    slower_than: Option<u64>,
    /// There is nothing that it could be held against.
    is_unjudged: bool,
    /// Why it goes back, as it was when that was decided.
    crossed: Option<String>,
}

/// What was counted beside blue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Tally {
    /// Green's share, if it is not the one that follows from the requests.
    set: Option<f64>,
    green: Count,
    blue: Count,
}

impl Tally {
    fn share(&self) -> f64 {
        self.set.unwrap_or_else(|| float(self.green.of) / float((self.green.of + self.blue.of).max(1)))
    }
}

/// What was counted without blue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Alone {
    /// The rate that is allowed.
    allowed: f64,
    green: Count,
}

impl Trial {
    pub(super) fn new(metric: Metric, alpha: f64) -> Self {
        Self {
            metric,
            alpha,
            against: Against::default(),
            bound: Bound::new(),
            tallies: Vec::new(),
            from: 0,
            alone: None,
            slower_than: None,
            is_unjudged: false,
            crossed: None,
        }
    }

    /// What follows is judged by itself before it passes; what speaks against green is kept.
    pub(super) fn begin_step(&mut self) {
        self.from = self.tallies.len();
        self.alone = None;
        self.bound = Bound::new();
        self.against.share_out();
    }

    pub(super) fn take(&mut self, rules: &Rules, block: &Block) {
        self.slower_than = block.slower_than.or(self.slower_than);
        match block.control {
            Control::Blue { low, high, is_realised } => {
                if high < 1.0 {
                    self.against.relative(rules.max_ratio, high, block.green.bad, block.blue.bad);
                }
                if low > 0.0 && low < 1.0 {
                    self.bound.relative(rules.max_ratio, self.margin(), low, block.green, block.blue.bad);
                }
                self.tally(Tally { set: (!is_realised).then_some(high), green: block.green, blue: block.blue });
            }
            Control::Nothing if self.metric == Metric::LatencyP95 && block.slower_than.is_none() => {
                self.is_unjudged = true
            }
            Control::Nothing => {
                let allowed = self.allowed(rules);
                let alone = self.alone.get_or_insert(Alone { allowed, green: Count::default() });
                alone.green = sum(alone.green, block.green);
                let allowed = alone.allowed;
                self.against.absolute(allowed, block.green);
                self.bound.absolute(allowed, block.green);
            }
        }
        if self.crossed.is_none() && self.against.log() >= -self.alpha.ln() {
            self.crossed = Some(self.words());
        }
    }

    fn tally(&mut self, tally: Tally) {
        let from = self.from;
        match self.tallies.iter_mut().skip(from).find(|old| old.set == tally.set) {
            Some(old) => {
                *old = Tally { set: old.set, green: sum(old.green, tally.green), blue: sum(old.blue, tally.blue) }
            }
            None => self.tallies.push(tally),
        }
    }

    /// The rate on top of `max-ratio` that does not keep a step from passing.
    const fn margin(&self) -> f64 {
        match self.metric {
            Metric::Errors => 0.01,
            Metric::LatencyP95 => 0.05,
            Metric::Restarts => 0.0,
        }
    }

    /// The rate that is allowed without blue: one that hurts whoever is to blame, and well above what blue had.
    fn allowed(&self, rules: &Rules) -> f64 {
        let floor = match self.metric {
            Metric::Errors | Metric::Restarts => 0.05,
            Metric::LatencyP95 => 0.25,
        };
        let blue = self.tallies.iter().fold(Count::default(), |blue, tally| sum(blue, tally.blue));
        (2.0 * rules.max_ratio * blue.rate()).clamp(floor, 0.5)
    }

    pub(super) fn judgement(&self, rules: &Rules) -> Judgement {
        let here = &self.tallies[self.from..];
        let had_no_restart = self.metric == Metric::Restarts && here.iter().all(|tally| tally.green.bad == 0);
        let is_proved = || self.bound.looser(rules.alpha).is_some_and(|looser| looser <= 1.0);
        match self.crossed {
            Some(_) => Judgement::Rollback,
            None if self.is_unjudged || had_no_restart || is_proved() => Judgement::Pass,
            None => Judgement::Inconclusive,
        }
    }

    pub(super) fn verdict(&self, rules: &Rules) -> Verdict {
        let judgement = self.judgement(rules);
        let (words, requests_missing) = match (judgement, &self.crossed) {
            (Judgement::Rollback, crossed) => (crossed.clone().unwrap_or_default(), None),
            (Judgement::Pass, _) if self.is_unjudged => {
                ("latency is not judged: blue's p95 is not known".to_owned(), None)
            }
            (Judgement::Pass, _) if self.metric == Metric::Restarts => (self.words(), None),
            (Judgement::Pass, _) => (format!("{}; {}", self.words(), self.at_most(rules, 1.0)), None),
            (Judgement::Inconclusive, _) => self.inconclusive(rules),
        };
        Verdict { judgement, words, requests_missing }
    }

    fn inconclusive(&self, rules: &Rules) -> (String, Option<u64>) {
        if self.metric == Metric::LatencyP95 && self.slower_than.is_none() {
            let words = format!("blue's p95 is not known yet: that takes {P95_REQUESTS_MIN} requests of blue before");
            return (words, None);
        }
        if self.metric == Metric::Restarts {
            return (format!("{}: too few to tell, and none is expected", self.words()), None);
        }
        let looser = self.bound.looser(rules.alpha);
        let so_far = looser.map(|looser| format!("; {}", self.at_most(rules, looser))).unwrap_or_default();
        let missing = self.missing(rules);
        (format!("{}{so_far}; {}", self.words(), needs(missing)), missing)
    }

    fn missing(&self, rules: &Rules) -> Option<u64> {
        if let Some(alone) = &self.alone {
            return self.bound.missing_absolute(rules.alpha, alone.allowed, alone.green);
        }
        let here = Tally { set: None, green: Count::default(), blue: Count::default() };
        let here = self.tallies[self.from..].iter().fold(here, |all, tally| Tally {
            set: None,
            green: sum(all.green, tally.green),
            blue: sum(all.blue, tally.blue),
        });
        let share = if here.green.of == 0 || here.blue.of == 0 { 0.5 } else { here.share() };
        self.bound.missing_relative(rules.alpha, rules.max_ratio, self.margin(), (share, here.green, here.blue))
    }

    /// `at most 1.2 times as often as blue and 1 % (95 % sure)`.
    fn at_most(&self, rules: &Rules, looser: f64) -> String {
        let sure = percent(1.0 - rules.alpha);
        match (&self.alone, self.metric) {
            (Some(alone), _) => {
                format!("at most {} of green's ({sure} sure)", percent((alone.allowed * looser).min(1.0)))
            }
            (None, Metric::Errors | Metric::LatencyP95) => {
                let (ratio, margin) = (times(rules.max_ratio * looser), percent(self.margin()));
                format!("at most {ratio} times blue's rate and {margin} of the requests ({sure} sure)")
            }
            (None, Metric::Restarts) => {
                format!("at most {} times blue's rate ({sure} sure)", times(rules.max_ratio * looser))
            }
        }
    }

    /// `green has 7 of the 9 errors at 10 % of the traffic: 1 in 330,000 if both were equal; E = 23,260 ≥ 50`.
    fn words(&self) -> String {
        let evidence = evidence(self.against.log(), self.alpha);
        let (one, many) = match (self.metric, self.slower_than) {
            (Metric::Errors, _) => ("error".to_owned(), "errors".to_owned()),
            (Metric::Restarts, _) => ("restart".to_owned(), "restarts".to_owned()),
            (Metric::LatencyP95, bound) => {
                let than = bound.map_or_else(String::new, |us| format!(" (slower than blue's p95, {})", duration(us)));
                (format!("slow request{than}"), format!("slow requests{than}"))
            }
        };
        if let Some(alone) = &self.alone {
            let Count { bad, of } = alone.green;
            let chance = odds(at_least(&[(alone.allowed, of)], bad));
            let chance =
                if alone.green.rate() > alone.allowed { format!(", {chance} if that were so") } else { String::new() };
            let allowed = percent(alone.allowed);
            let counted =
                format!("{} {} in {} requests of green", count(bad), if bad == 1 { one } else { many }, count(of));
            return format!(
                "absolute, there is no blue to compare with: {counted}, {allowed} are allowed{chance}; {evidence}"
            );
        }
        let (green, blue) = self.events();
        let shares = self.tallies.iter().filter(|tally| tally.green.bad + tally.blue.bad > 0).map(Tally::share);
        let (low, high) =
            shares.clone().fold((1.0_f64, 0.0_f64), |(low, high), share| (low.min(share), high.max(share)));
        let parts = parts(green, blue, &one, &many);
        if green + blue == 0 {
            return match self.metric {
                Metric::Restarts => parts,
                Metric::Errors | Metric::LatencyP95 => {
                    let (green, blue) = self
                        .tallies
                        .iter()
                        .fold((0, 0), |(green, blue), tally| (green + tally.green.of, blue + tally.blue.of));
                    format!("{parts} in {} requests of green and {} of blue", count(green), count(blue))
                }
            };
        }
        let share = match high - low < 0.01 {
            true => percent(high),
            false => format!("{} to {}", percent(low), percent(high)),
        };
        let of = match self.metric {
            Metric::Errors | Metric::LatencyP95 => "of the traffic",
            Metric::Restarts => "of the containers or of the traffic",
        };
        let groups: Vec<(f64, u64)> = self
            .tallies
            .iter()
            .map(|tally| (tally.share(), tally.green.bad + tally.blue.bad))
            .filter(|(_, n)| *n > 0)
            .collect();
        let expected: f64 = groups.iter().map(|(share, events)| share * float(*events)).sum();
        let chance = match float(green) > expected {
            true => format!(": {} if both were equal", odds(at_least(&groups, green))),
            false => String::new(),
        };
        format!("{parts} at {share} {of}{chance}; {evidence}")
    }

    /// Green's bad events and blue's.
    fn events(&self) -> (u64, u64) {
        let beside =
            self.tallies.iter().fold((0, 0), |(green, blue), tally| (green + tally.green.bad, blue + tally.blue.bad));
        (beside.0 + self.alone.map_or(0, |alone| alone.green.bad), beside.1)
    }

    pub(super) fn view(&self, rules: &Rules) -> EvidenceView {
        let verdict = self.verdict(rules);
        let (green_events, blue_events) = self.events();
        EvidenceView {
            metric: self.metric,
            e_value: self.against.log().min(E_LOG_MAX).exp(),
            limit: 1.0 / self.alpha,
            green_events,
            blue_events,
            verdict: verdict.judgement.word().to_owned(),
            words: verdict.words,
        }
    }
}

/// What JSON can hold.
const E_LOG_MAX: f64 = 690.0;

const fn sum(one: Count, other: Count) -> Count {
    Count { bad: one.bad + other.bad, of: one.of + other.of }
}
