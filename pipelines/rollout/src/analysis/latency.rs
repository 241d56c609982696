//! What a histogram of durations tells: percentiles, and how many requests took longer than a bound.

use super::process::{float, whole};

/// The duration in milliseconds below which this fraction of the requests was answered; `None` if there were none.
///
/// `latency` is (upper bound in microseconds, how many), bounds rising, as in [`crate::Counters`]. Between the bounds of a bucket
/// requests are taken to be spread evenly, as in <https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile>;
/// of a bucket without end its beginning is given.
#[must_use]
pub fn percentile_ms(latency: &[(u64, u64)], fraction: f64) -> Option<f64> {
    let rank = fraction.clamp(0.0, 1.0) * float(total(latency));
    let (mut below, mut low) = (0.0, 0_u64);
    for &(high, count) in latency {
        let reached = below + float(count);
        if count > 0 && reached >= rank {
            let inside = ((rank - below) / float(count)).clamp(0.0, 1.0);
            let width = if high >= ENDLESS_US { 0.0 } else { float(high.saturating_sub(low)) };
            return Some((float(low) + inside * width) / 1_000.0);
        }
        (below, low) = (reached, high);
    }
    None
}

/// Durations from here on (an hour) have no upper bound.
const ENDLESS_US: u64 = 3_600_000_000;

/// The upper bound in microseconds of the bucket in which the 95th percentile lies; `None` if there were fewer than `least`.
pub(super) fn p95_bound(latency: &[(u64, u64)], least: u64) -> Option<u64> {
    let all = total(latency);
    if all < least.max(1) {
        return None;
    }
    let rank = whole((float(all) * 0.95).ceil());
    let mut below = 0;
    latency
        .iter()
        .find(|(_, count)| {
            below += count;
            below >= rank
        })
        .map(|&(bound, _)| bound)
}

/// How many took longer than `bound`.
pub(super) fn slower(latency: &[(u64, u64)], bound: u64) -> u64 {
    latency.iter().filter(|(high, _)| *high > bound).map(|(_, count)| count).sum()
}

/// All of them.
pub(super) fn total(latency: &[(u64, u64)]) -> u64 {
    latency.iter().map(|(_, count)| count).sum()
}
