//! What has been counted, as it is told: one row for each service and revision. Counting itself is in `tally`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Everything that is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Differs after every start that lost the counters (a kill, not a hand-over): counters begin at 0 then.
    pub process: String,
    /// Of the table at that moment.
    pub generation: u64,
    /// By service, then revision. Revisions that left the table stay as long as they have requests in flight, and a while
    /// longer.
    pub revisions: Vec<RevisionStats>,
}

impl Stats {
    /// The counters of one revision, if it was ever in a table of this process.
    #[must_use]
    pub fn of(&self, service: &str, revision: &str) -> Option<&RevisionStats> {
        self.revisions.iter().find(|row| row.service == service && row.revision == revision)
    }
}

/// What one revision has answered. All numbers but `in_flight`, `errors_in_a_row`, `weight` and `ejected` only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionStats {
    /// Its service.
    pub service: String,
    /// Which revision.
    pub revision: String,
    /// Its colour in the table; `None` once it has left.
    pub colour: Option<String>,
    /// Its share in thousandths; 0 once it has left.
    pub weight: u16,
    /// Requests that ended: answered, or failed. Those of tests are not among them.
    pub requests: u64,
    /// Of those: answered 5xx, not reached, broken off, or not answered in time.
    pub errors: u64,
    /// Errors since the last request that was none.
    pub errors_in_a_row: u64,
    /// Attempts to reach a backend that failed, whether or not another one answered then.
    pub connection_errors: u64,
    /// Requests whose answer did not begin in time.
    pub time_outs: u64,
    /// Requests whose client went away before the answer; not among `requests`.
    pub abandoned: u64,
    /// Requests of this colour's share that another colour got since no backend of this one was left. They are errors of
    /// this one too, though their clients saw none.
    pub diverted: u64,
    /// Requests of tests: by the test port or the header.
    pub test_requests: u64,
    /// Requests that are being answered now, those of tests among them.
    pub in_flight: u64,
    /// `requests` by status class (`1xx` to `5xx`, `failed`: no answer) and method (`GET`, …, `other`).
    pub by_status: BTreeMap<String, BTreeMap<String, u64>>,
    /// Time until the answer began, or was given up: (upper bound in microseconds, how many), bounds rising, the same for
    /// everyone. Requests that reached nobody are not among them.
    pub latency: Vec<(u64, u64)>,
    /// Backends that get nothing now since they could not be reached.
    pub ejected: Vec<SocketAddr>,
}

/// Upper bounds of the histogram in microseconds: eight to each doubling from 64 µs to 67 s, so that a bound is at most
/// 12.5 % above what it stands for; the last one takes the rest.
#[must_use]
pub fn bounds() -> Vec<u64> {
    (0..BUCKETS).map(bound).collect()
}

/// How many there are.
pub(crate) const BUCKETS: usize = 1 + (LAST_OCTAVE - FIRST_OCTAVE) as usize * STEPS + 1;
/// Buckets to a doubling.
const STEPS: usize = 8;
/// The first bucket ends at two to the power of this.
const FIRST_OCTAVE: u32 = 6;
/// The last one but one ends at two to the power of this.
const LAST_OCTAVE: u32 = 26;

fn bound(index: usize) -> u64 {
    if index == BUCKETS - 1 {
        return u64::MAX;
    }
    let (octave, step) = if index == 0 { (0, 0) } else { ((index - 1) / STEPS, (index - 1) % STEPS + 1) };
    let base = 1_u64 << (FIRST_OCTAVE as usize + octave);
    base + base / STEPS as u64 * step as u64
}

/// In which bucket a duration belongs.
pub(crate) fn bucket(microseconds: u64) -> usize {
    let first = 1_u64 << FIRST_OCTAVE;
    if microseconds <= first {
        return 0;
    }
    // Bounds belong to the bucket below them.
    let value = microseconds - 1;
    let octave = value.ilog2();
    if octave >= LAST_OCTAVE {
        return BUCKETS - 1;
    }
    let step = (value - (1 << octave)) >> (octave - STEPS.ilog2());
    1 + (octave - FIRST_OCTAVE) as usize * STEPS + usize::try_from(step).unwrap_or(STEPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_the_first_bucket_that_holds_it() {
        let bounds = bounds();
        assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        assert_eq!((bounds[0], bounds[1], bounds[8], bounds[9]), (64, 72, 128, 144));
        let interesting = bounds.iter().flat_map(|bound| [bound.saturating_sub(1), *bound, bound.saturating_add(1)]);
        for value in (0..5_000).chain(interesting) {
            let expected = bounds.iter().position(|bound| value <= *bound).unwrap();
            assert_eq!(bucket(value), expected, "{value}");
        }
    }
}
