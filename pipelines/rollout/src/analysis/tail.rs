//! How likely it is that green gets so many of the bad events if both colours are alike.

use super::process::float;

/// A probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tail {
    /// Its natural logarithm.
    pub(super) log: f64,
    /// Whether it is exact; else it is at most this.
    pub(super) is_exact: bool,
}

/// Above this many events in groups of different shares the probability is bounded, not added up.
const EVENTS_MAX: u64 = 500;

/// The probability that at least `least` events of all groups are green's; a group is (green's share, events). Exact for one group;
/// for several ones up to [`EVENTS_MAX`], beyond by Chernoff's bound.
pub(super) fn at_least(groups: &[(f64, u64)], least: u64) -> Tail {
    let all: u64 = groups.iter().map(|(_, events)| events).sum();
    if least == 0 || all < least {
        return Tail { log: if least == 0 { 0.0 } else { f64::MIN }, is_exact: true };
    }
    let exact = match groups {
        [(share, events)] => Some(of_one(*share, *events, least)),
        _ if all <= EVENTS_MAX => of_all(groups, least),
        _ => None,
    };
    exact.map_or_else(|| Tail { log: chernoff(groups, least), is_exact: false }, |log| Tail { log, is_exact: true })
}

/// ln P(X ≥ least), X binomial.
fn of_one(share: f64, events: u64, least: u64) -> f64 {
    let (share, rest) = (share.clamp(f64::MIN_POSITIVE, 1.0), (1.0 - share).max(f64::MIN_POSITIVE));
    let first = log_choose(events, least) + float(least) * share.ln() + float(events - least) * rest.ln();
    let (mut term, mut sum) = (1.0, 1.0);
    for k in least..events {
        term *= float(events - k) / float(k + 1) * share / rest;
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    (first + f64::ln(sum)).min(0.0)
}

/// The same by adding the groups up, one event after the other; `None` if it is too small for that.
fn of_all(groups: &[(f64, u64)], least: u64) -> Option<f64> {
    let mut chances = vec![1.0];
    for &(share, events) in groups {
        for _ in 0..events {
            chances.push(0.0);
            for k in (1..chances.len()).rev() {
                chances[k] = chances[k] * (1.0 - share) + chances[k - 1] * share;
            }
            chances[0] *= 1.0 - share;
        }
    }
    let from = usize::try_from(least).ok()?;
    let sum: f64 = chances.iter().skip(from).rev().sum();
    (sum > 1e-290).then(|| sum.ln().min(0.0))
}

/// ln of min over t of E[exp(t·X)]·exp(−t·least); its derivative rises, so its root is found by halving.
fn chernoff(groups: &[(f64, u64)], least: u64) -> f64 {
    let slope = |t: f64| {
        let mean: f64 =
            groups.iter().map(|(share, events)| float(*events) * super::process::chance(*share, t.exp())).sum();
        mean - float(least)
    };
    let (mut low, mut high) = (0.0, 50.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    let log: f64 =
        groups.iter().map(|(share, events)| float(*events) * (1.0 - share + share * f64::exp(low)).ln()).sum();
    (log - low * float(least)).min(0.0)
}

fn log_choose(n: u64, k: u64) -> f64 {
    log_factorial(n) - log_factorial(k) - log_factorial(n - k)
}

/// Stirling's series (<https://dlmf.nist.gov/5.11>), exact below 20.
fn log_factorial(n: u64) -> f64 {
    if n < 20 {
        return (2..=n).map(|k| float(k).ln()).sum();
    }
    let x = float(n) + 1.0;
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1_260.0 * x.powi(5));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_binomial() {
        // By hand: 36·0.1^7·0.9^2 + 9·0.1^8·0.9 + 0.1^9.
        let seven_of_nine = 36.0 * 1e-7 * 0.81 + 9.0 * 1e-8 * 0.9 + 1e-9;
        let cases = [
            (vec![(0.1, 9)], 7, seven_of_nine),
            (vec![(0.1, 4), (0.1, 5)], 7, seven_of_nine),
            (vec![(0.5, 3)], 3, 0.125),
            (vec![(0.5, 1), (0.1, 1)], 2, 0.05),
            (vec![(0.5, 1), (0.1, 1)], 1, 0.55),
            (vec![(0.3, 100)], 0, 1.0),
            // The sum of all terms from the most likely one on.
            (vec![(0.5, 101)], 51, 0.5),
        ];
        for (groups, least, expect) in cases {
            let tail = at_least(&groups, least);
            assert!(
                tail.is_exact && (tail.log.exp() / expect - 1.0).abs() < 1e-9,
                "{groups:?} {least}: {}",
                tail.log.exp()
            );
        }
    }

    #[test]
    fn bounds_are_bounds() {
        for (share, events, least) in [(0.1, 900, 130), (0.5, 1_500, 800), (0.02, 1_000, 60)] {
            let exact = of_one(share, events, least);
            let bound = chernoff(&[(share, events / 2), (share, events - events / 2)], least);
            assert!(bound >= exact && bound < exact * 0.6, "{exact} {bound}");
        }
        let many = at_least(&[(0.1, 500_000), (0.5, 500_000)], 400_000);
        assert!(!many.is_exact && many.log < -1_000.0);
    }
}
