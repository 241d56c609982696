//! From observations to blocks of requests: what was counted between two of them, and which share was green's meanwhile.
//!
//! The share is the one that was realised, not the one that was set. With a handful of requests it says nothing (of one request
//! it is always 0 or 1), so a block goes on until it has some of both colours. When it ends depends on numbers of requests
//! alone, never on what became of them: otherwise the bet would not be fair.

use serde::{Deserialize, Serialize};

use super::latency::{p95_bound, slower, total};
use super::process::{Count, float};
use crate::observation::{Counters, Observation, Side};
use crate::plan::{Metric, Weight};

/// Requests of both colours that make a block.
const REQUESTS_MIN: u64 = 20;

/// Requests of blue before its 95th percentile means something.
pub(super) const P95_REQUESTS_MIN: u64 = 100;

/// What is judged at once.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Block {
    pub(super) green: Count,
    pub(super) blue: Count,
    pub(super) control: Control,
    /// What "slow" means, in microseconds.
    pub(super) slower_than: Option<u64>,
}

/// What green is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Control {
    /// Blue. If the share changed meanwhile, or two of them can be meant, it was between these: each bet takes the one that
    /// makes it harder.
    Blue {
        /// The least that green's share was.
        low: f64,
        /// The most.
        high: f64,
        /// Whether it is the realised share, so that blocks of a step can be taken together.
        is_realised: bool,
    },
    /// Nothing.
    #[default]
    Nothing,
}

/// What the next observations are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Base {
    weight: Option<Weight>,
    blue: Option<Counters>,
    green: Counters,
    restarts: Restarts,
}

/// These need no blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Restarts {
    blue: u64,
    green: u64,
}

impl Restarts {
    fn new(seen: &Observation) -> Self {
        Self { blue: seen.blue.as_ref().map_or(0, |blue| blue.restarts), green: seen.green.restarts }
    }
}

impl Base {
    pub(super) fn new(seen: &Observation) -> Self {
        Self {
            weight: seen.weight,
            blue: seen.blue.as_ref().map(|blue| blue.counters.clone()),
            green: seen.green.counters.clone(),
            restarts: Restarts::new(seen),
        }
    }

    pub(super) const fn weight(&self) -> Option<Weight> {
        self.weight
    }

    /// Whether counters have begun anew (the proxy was started again), or a colour has come or gone.
    pub(super) fn is_reset(&self, seen: &Observation) -> bool {
        let fell = |old: &Counters, new: &Counters| {
            new.requests < old.requests || new.errors < old.errors || total(&new.latency) < total(&old.latency)
        };
        let restarts = Restarts::new(seen);
        let restarts_fell = restarts.green < self.restarts.green || restarts.blue < self.restarts.blue;
        let blue_fell = match (&self.blue, &seen.blue) {
            (Some(old), Some(new)) => fell(old, &new.counters),
            (None, None) => false,
            (None, Some(_)) | (Some(_), None) => true,
        };
        blue_fell || restarts_fell || fell(&self.green, &seen.green.counters)
    }

    /// Whether a block of requests ends here.
    pub(super) fn is_over(&self, seen: &Observation) -> bool {
        if self.weight != seen.weight || !has_control(seen) || seen.weight == Some(Weight::NONE) {
            return true;
        }
        let green = seen.green.counters.requests - self.green.requests;
        let blue = self.blue_with(seen).map_or(0, |(old, new)| new.requests - old.requests);
        green > 0 && blue > 0 && green + blue >= REQUESTS_MIN
    }

    /// What was counted of a metric in the block that ends here; `None` if there is nothing to judge.
    pub(super) fn block(&self, metric: Metric, seen: &Observation) -> Option<Block> {
        match metric {
            Metric::Errors => self.of_requests(seen, None, |old, new| {
                let bad = new.errors - old.errors;
                Count { bad, of: (new.requests - old.requests).max(bad) }
            }),
            Metric::LatencyP95 => {
                let bound = self.blue.as_ref().and_then(|blue| p95_bound(&blue.latency, P95_REQUESTS_MIN));
                match bound {
                    None if has_control(seen) => None,
                    None => Some(Block { control: Control::Nothing, ..Block::default() }),
                    Some(bound) => self.of_requests(seen, Some(bound), |old, new| Count {
                        bad: slower(&new.latency, bound).saturating_sub(slower(&old.latency, bound)),
                        of: total(&new.latency) - total(&old.latency),
                    }),
                }
            }
            Metric::Restarts => self.of_restarts(seen),
        }
    }

    fn of_requests(
        &self,
        seen: &Observation,
        slower_than: Option<u64>,
        count: impl Fn(&Counters, &Counters) -> Count,
    ) -> Option<Block> {
        let is_same_weight = self.weight == seen.weight;
        let green = count(&self.green, &seen.green.counters);
        let blue = self.blue_with(seen).map(|(old, new)| count(old, new)).unwrap_or_default();
        if !has_control(seen) {
            let block = Block { green, blue: Count::default(), control: Control::Nothing, slower_than };
            return (is_same_weight && green.of > 0).then_some(block);
        }
        if green.of == 0 || blue.of == 0 || (seen.weight == Some(Weight::NONE) && is_same_weight) {
            return None;
        }
        let realised = float(green.of) / float(green.of + blue.of);
        let set = if is_same_weight { [None, None] } else { [share(self.weight), share(seen.weight)] };
        let (low, high) = set
            .into_iter()
            .flatten()
            .fold((realised, realised), |(low, high), share| (f64::min(low, share), f64::max(high, share)));
        Some(Block { green, blue, control: Control::Blue { low, high, is_realised: is_same_weight }, slower_than })
    }

    /// A container restarts by itself, or by the requests that it gets: green's share is that of its containers or that of its
    /// requests.
    fn of_restarts(&self, seen: &Observation) -> Option<Block> {
        let now = Restarts::new(seen);
        let side = seen.blue.as_ref().filter(|_| has_control(seen))?;
        let wanted = |side: &Side| u64::from(side.wanted);
        let containers = float(wanted(&seen.green)) / float((wanted(&seen.green) + wanted(side)).max(1));
        let requests = share(seen.weight).unwrap_or(containers);
        if containers <= 0.0 || requests <= 0.0 {
            return None;
        }
        Some(Block {
            green: Count { bad: now.green - self.restarts.green, of: wanted(&seen.green) },
            blue: Count { bad: now.blue - self.restarts.blue, of: wanted(side) },
            control: Control::Blue {
                low: containers.min(requests),
                high: containers.max(requests),
                is_realised: false,
            },
            slower_than: None,
        })
    }

    fn blue_with<'a>(&'a self, seen: &'a Observation) -> Option<(&'a Counters, &'a Counters)> {
        Some((self.blue.as_ref()?, &seen.blue.as_ref()?.counters))
    }

    /// The next block begins if this one is over. Restarts need no blocks.
    pub(super) fn advance(&mut self, seen: &Observation) {
        match self.is_over(seen) {
            true => *self = Self::new(seen),
            false => self.restarts = Restarts::new(seen),
        }
    }
}

fn has_control(seen: &Observation) -> bool {
    seen.blue.is_some() && seen.weight != Some(Weight::ALL)
}

fn share(weight: Option<Weight>) -> Option<f64> {
    weight.map(|weight| f64::from(weight.0) / f64::from(Weight::ALL.0))
}

/// Green's requests in a step, whatever the metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// Before the counters began anew.
    before: u64,
    /// The counter when it began.
    start: u64,
    /// The counter now.
    now: u64,
}

impl Step {
    /// One that begins here.
    pub(super) fn new(seen: &Observation) -> Self {
        Self { before: 0, start: seen.green.counters.requests, now: seen.green.counters.requests }
    }

    pub(super) fn observe(&mut self, seen: &Observation) {
        self.now = seen.green.counters.requests;
    }

    /// The counters have begun anew.
    pub(super) fn restart(&mut self, seen: &Observation) {
        *self = Self { before: self.requests(), ..Self::new(seen) };
    }

    pub(super) const fn requests(&self) -> u64 {
        self.before + self.now.saturating_sub(self.start)
    }
}
