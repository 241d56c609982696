//! Green's last answers all failed while blue answered: a hard stop that needs no statistics to be understood.

use serde::{Deserialize, Serialize};

use super::process::float;
use super::words::count;
use crate::observation::Observation;

/// Failures in a row.
const FAILURES_MIN: u64 = 5;

/// How likely it may be that an outage of both colours has hit green alone so far. At 10 % of the traffic five in a row are rarer
/// than this; at 50 % it takes 14.
const CHANCE_MAX: f64 = 1e-4;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Streak {
    failures: u64,
    green_requests: u64,
    blue: Blue,
    /// Blue, before the first of the failures.
    blue_before: Blue,
    share: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Blue {
    requests: u64,
    errors: u64,
}

impl Streak {
    pub(super) fn observe(&mut self, seen: &Observation) {
        let green = &seen.green.counters;
        let answered = green.requests.saturating_sub(self.green_requests);
        let is_the_same = green.errors_in_a_row.checked_sub(self.failures) == Some(answered);
        if !is_the_same {
            self.blue_before = self.blue;
        }
        let blue = seen.blue.as_ref().map(|blue| &blue.counters);
        self.blue = blue.map_or_else(Blue::default, |blue| Blue { requests: blue.requests, errors: blue.errors });
        if green.errors_in_a_row == 0 || self.blue.requests < self.blue_before.requests {
            self.blue_before = self.blue;
        }
        (self.failures, self.green_requests) = (green.errors_in_a_row, green.requests);
        self.share = seen.weight.filter(|_| blue.is_some()).map(|weight| f64::from(weight.0) / 1_000.0);
    }

    pub(super) fn words(&self) -> Option<String> {
        let share = self.share.filter(|share| *share > 0.0 && *share < 1.0)?;
        let blue = self.blue.requests.saturating_sub(self.blue_before.requests);
        let is_enough = self.failures >= FAILURES_MIN && float(self.failures) * share.ln() <= CHANCE_MAX.ln();
        (is_enough && blue > 0 && self.blue.errors == self.blue_before.errors).then(|| {
            let (failures, blue) = (count(self.failures), count(blue));
            format!("green's last {failures} answers all failed, and none of blue's {blue} meanwhile")
        })
    }
}
