//! Cases by hand, and what must hold for all inputs.

use jiff::Timestamp;
use proptest::prelude::*;

use super::process::{Against, Bound, Count};
use super::{Judge, Judgement, Verdict, latency};
use crate::observation::{Counters, Observation, Side};
use crate::plan::{Analysis, Inconclusive, Metric, Weight};

/// A plan with these metrics.
pub(super) fn plan(metrics: &[Metric], max_ratio: f64) -> Analysis {
    Analysis {
        metrics: metrics.to_vec(),
        max_ratio,
        alpha: 0.05,
        min_requests: 50,
        inconclusive: Inconclusive::Extend,
        max_extend: jiff::SignedDuration::from_mins(15),
    }
}

const ALL: [Metric; 3] = [Metric::Errors, Metric::LatencyP95, Metric::Restarts];

/// What a colour has: (requests, errors).
fn side((requests, errors): (u64, u64)) -> Side {
    Side { wanted: 2, healthy: 2, counters: Counters { requests, errors, ..Counters::default() }, ..Side::default() }
}

fn seen(weight: u16, green: (u64, u64), blue: (u64, u64)) -> Observation {
    let (green, blue) = (side(green), Some(side(blue)));
    Observation {
        at: Timestamp::UNIX_EPOCH,
        weight: Some(Weight(weight)),
        blue,
        green,
        alarms: Vec::new(),
        given_up: None,
    }
}

/// Observations one after the other, and what follows.
fn judge(plan: &Analysis, all: &[Observation]) -> Judge {
    let mut judge = Judge::new(plan);
    for seen in all {
        judge.observe(seen);
        // It is kept between any two ticks.
        let kept = serde_json::to_string(&judge).expect("it is JSON");
        judge = serde_json::from_str(&kept).expect("it was written by the same");
    }
    judge
}

fn check(plan: &Analysis, all: &[Observation], judgement: Judgement, words: &str) {
    let verdict = judge(plan, all).verdict();
    assert_eq!((verdict.judgement, verdict.words.as_str()), (judgement, words));
    assert_eq!(judge(plan, all).judgement(), judgement);
}

#[test]
fn the_example_of_the_research() {
    let all = [seen(100, (0, 0), (0, 0)), seen(100, (50, 7), (450, 2))];
    let expect = "green has 7 of the 9 errors at 10 % of the traffic: 1 in 330,000 if both were equal; E = 23,260 ≥ 50";
    check(&plan(&ALL, 1.0), &all, Judgement::Rollback, expect);
    let evidence = judge(&plan(&ALL, 1.0), &all).evidence();
    let errors = &evidence[0];
    assert_eq!(
        (errors.green_events, errors.blue_events, errors.limit, errors.verdict.as_str()),
        (7, 2, 50.0, "rollback")
    );
    assert!((errors.e_value - 23_260.0).abs() < 1.0, "{}", errors.e_value);
    let limits: Vec<f64> = evidence.iter().map(|evidence| evidence.limit.round()).collect();
    assert_eq!(limits, [50.0, 50.0, 100.0], "the α of all together is that of the plan");
    let alone = judge(&plan(&[Metric::Errors], 1.0), &all).evidence();
    assert_eq!(alone[0].limit.round(), 20.0);
}

#[test]
fn what_was_decided_stays_decided() {
    let all = [seen(100, (0, 0), (0, 0)), seen(100, (50, 7), (450, 2)), seen(100, (5_050, 7), (45_450, 500))];
    let verdict = judge(&plan(&[Metric::Errors], 1.2), &all).verdict();
    assert_eq!(verdict.judgement, Judgement::Rollback);
    assert!(verdict.words.starts_with("green has 7 of the 9 errors"), "{}", verdict.words);
}

#[test]
fn a_release_without_errors_passes_when_enough_was_seen() {
    let errors = plan(&[Metric::Errors], 1.2);
    let first = seen(100, (0, 0), (0, 0));
    let few = [first.clone(), seen(100, (20, 0), (180, 0))];
    let words = "green has answered 20 of the 50 requests that the plan asks for: needs ≥ 354 more requests of green";
    check(&errors, &few, Judgement::Inconclusive, words);
    let some = [first.clone(), seen(100, (373, 0), (3_357, 0))];
    let counted = "no errors in 373 requests of green and 3,357 of blue; needs ≥ 1 more request of green";
    check(&errors, &some, Judgement::Inconclusive, counted);
    assert_eq!(judge(&errors, &some).verdict().requests_missing, Some(1));
    let enough = [first, seen(100, (374, 0), (3_357, 0))];
    let words = "no errors in 374 requests of green and 3,357 of blue; at most 1.2 times blue's rate and 1 % of the requests \
                 (95 % sure)";
    check(&errors, &enough, Judgement::Pass, words);
    // Each step anew.
    let mut next = enough.to_vec();
    next.push(seen(500, (374, 0), (3_357, 0)));
    assert_eq!(judge(&errors, &next).verdict().judgement, Judgement::Inconclusive);
    next.push(seen(500, (774, 0), (3_757, 0)));
    assert_eq!(judge(&errors, &next).verdict().judgement, Judgement::Pass);
}

#[test]
fn a_shared_outage_cancels_out() {
    let all = [seen(100, (0, 0), (0, 0)), seen(100, (500, 0), (4_500, 0)), seen(100, (1_000, 500), (9_000, 4_500))];
    let verdict = judge(&plan(&[Metric::Errors], 1.2), &all).verdict();
    assert_ne!(verdict.judgement, Judgement::Rollback, "{}", verdict.words);
    assert!(!verdict.words.contains("if both were equal"), "{}", verdict.words);
}

#[test]
fn errors_of_a_tick_in_which_the_share_rose_are_not_held_against_green() {
    // Nine ticks' worth of blue at 10 %, then all that failed did so at 50 %, half of it green's.
    let all = [seen(100, (0, 0), (0, 0)), seen(500, (150, 50), (1_350, 50))];
    let judged = judge(&plan(&[Metric::Errors], 1.0), &all);
    assert!(judged.evidence()[0].e_value <= 1.0, "{}", judged.evidence()[0].e_value);
    // And it would be, if the share had been that of the requests.
    let all = [seen(100, (0, 0), (0, 0)), seen(100, (150, 50), (1_350, 50))];
    assert!(judge(&plan(&[Metric::Errors], 1.0), &all).evidence()[0].e_value > 1e9);
}

#[test]
fn counters_that_begin_anew_lose_a_tick_and_nothing_else() {
    let errors = plan(&[Metric::Errors], 1.0);
    let before = [seen(100, (0, 0), (0, 0)), seen(100, (50, 3), (450, 2))];
    let known = judge(&errors, &before).evidence();
    let mut after = before.to_vec();
    after.push(seen(100, (9, 3), (90, 0)));
    assert_eq!(judge(&errors, &after).evidence(), known, "nobody knows what was lost");
    after.push(seen(100, (59, 7), (540, 0)));
    let words = "green has 7 of the 9 errors at 10 % of the traffic: 1 in 330,000 if both were equal; E = 23,260 ≥ 20";
    check(&errors, &after, Judgement::Rollback, words);
    // The requests of the step are not forgotten.
    let calm = [
        seen(100, (0, 0), (0, 0)),
        seen(100, (30, 0), (300, 0)),
        seen(100, (2, 0), (20, 0)),
        seen(100, (25, 0), (220, 0)),
    ];
    let Verdict { words, .. } = judge(&errors, &calm).verdict();
    assert!(!words.contains("that the plan asks for"), "30 and 23 are 53: {words}");
}

#[test]
fn few_requests_are_taken_together() {
    // One request a tick: each by itself has a share of 0 or 1 and says nothing.
    let mut all = vec![seen(500, (0, 0), (0, 0))];
    for n in 1..=40 {
        all.push(seen(500, (n / 2, n / 2), (n.div_ceil(2), 0)));
    }
    let verdict = judge(&plan(&[Metric::Errors], 1.0), &all).verdict();
    assert_eq!(verdict.judgement, Judgement::Rollback, "{}", verdict.words);
}

#[test]
fn at_all_of_the_traffic_it_is_absolute_and_says_so() {
    let errors = plan(&[Metric::Errors], 1.2);
    let first = seen(1_000, (0, 0), (9_000, 40));
    let bad = [first.clone(), seen(1_000, (500, 75), (9_000, 40))];
    let verdict = judge(&errors, &bad).verdict();
    assert_eq!(verdict.judgement, Judgement::Rollback);
    let words =
        "absolute, there is no blue to compare with: 75 errors in 500 requests of green, 5 % are allowed, 1 in ";
    assert!(verdict.words.starts_with(words), "{}", verdict.words);
    let good = [first.clone(), seen(1_000, (500, 3), (9_000, 40))];
    let words = "absolute, there is no blue to compare with: 3 errors in 500 requests of green, 5 % are allowed; \
                 E = 0.00 < 20; at most 5 % of green's (95 % sure)";
    check(&errors, &good, Judgement::Pass, words);
    let little = [first, seen(1_000, (55, 3), (9_000, 40))];
    let verdict = judge(&errors, &little).verdict();
    assert_eq!(verdict.judgement, Judgement::Inconclusive, "{}", verdict.words);
    // Nothing stood before: the same, and latency cannot be judged.
    let without = |mut seen: Observation| {
        seen.blue = None;
        seen
    };
    let all = [without(seen(1_000, (0, 0), (0, 0))), without(seen(1_000, (500, 1), (0, 0)))];
    let verdict = judge(&plan(&ALL, 1.2), &all).verdict();
    assert_eq!(verdict.judgement, Judgement::Pass, "{}", verdict.words);
    assert!(verdict.words.contains("latency is not judged"), "{}", verdict.words);
}

#[test]
fn restarts_count_by_containers() {
    let restarts = plan(&[Metric::Restarts], 1.0);
    let with = |requests: u64, green: u64, blue: u64| {
        let mut all = seen(100, (requests, 0), (requests * 9, 0));
        all.green.restarts = green;
        if let Some(side) = &mut all.blue {
            side.restarts = blue;
        }
        all
    };
    // Restarts before the first look are not counted.
    check(&restarts, &[with(0, 3, 0), with(60, 3, 0)], Judgement::Pass, "no restarts");
    let one = "green has the only restart at 50 % of the containers or of the traffic: 1 in 2 if both were equal; E = 1.57 < 20: \
               too few to tell, and none is expected";
    check(&restarts, &[with(0, 3, 0), with(60, 4, 0)], Judgement::Inconclusive, one);
    assert_eq!(judge(&restarts, &[with(0, 0, 0), with(60, 8, 0)]).verdict().judgement, Judgement::Rollback);
    assert_ne!(judge(&restarts, &[with(0, 0, 0), with(60, 8, 8)]).verdict().judgement, Judgement::Rollback);
}

#[test]
fn slow_is_slower_than_blue_was() {
    let slow = plan(&[Metric::LatencyP95], 1.2);
    // (fast, slow) of green and of blue.
    let with = |green: (u64, u64), blue: (u64, u64)| {
        let mut all = seen(100, (green.0 + green.1, 0), (blue.0 + blue.1, 0));
        let latency = |(fast, slow): (u64, u64)| vec![(50_000, fast), (100_000, 0), (500_000, slow)];
        all.green.counters.latency = latency(green);
        if let Some(side) = &mut all.blue {
            side.counters.latency = latency(blue);
        }
        all
    };
    let unknown = [with((0, 0), (0, 0)), with((60, 0), (600, 0))];
    let words = "blue's p95 is not known yet: that takes 100 requests of blue before";
    check(&slow, &unknown, Judgement::Inconclusive, words);
    let bad = [with((0, 0), (970, 30)), with((60, 40), (1_840, 60))];
    let verdict = judge(&slow, &bad).verdict();
    assert_eq!(verdict.judgement, Judgement::Rollback);
    let words = "green has 40 of the 70 slow requests (slower than blue's p95, 50 ms) at 10 % of the traffic: 1 in ";
    assert!(verdict.words.starts_with(words), "{}", verdict.words);
    let good = [with((0, 0), (970, 30)), with((970, 30), (9_700, 300))];
    assert_eq!(judge(&slow, &good).verdict().judgement, Judgement::Pass, "{}", judge(&slow, &good).verdict().words);
    // What was slow before the first look is blue's past, not evidence.
    let all_slow = [with((0, 0), (1_000, 0)), with((0, 100), (1_000, 900))];
    assert_ne!(judge(&slow, &all_slow).verdict().judgement, Judgement::Rollback, "both became slow");
}

#[test]
fn failures_in_a_row_are_seen_at_once() {
    let with = |weight: u16, requests: u64, in_a_row: u64, blue: (u64, u64)| {
        let mut all = seen(weight, (requests, in_a_row), blue);
        all.green.counters.errors_in_a_row = in_a_row;
        all
    };
    let none = plan(&[], 1.2);
    let failures = |all: &[Observation]| judge(&none, all).failures();
    let words = "green's last 5 answers all failed, and none of blue's 45 meanwhile";
    assert_eq!(failures(&[with(100, 0, 0, (10, 1)), with(100, 5, 5, (55, 1))]).as_deref(), Some(words));
    let calm = [
        vec![with(100, 0, 0, (10, 1)), with(100, 4, 4, (55, 1))],
        vec![with(100, 0, 0, (10, 1)), with(100, 5, 5, (55, 2))],
        vec![with(100, 0, 0, (10, 1)), with(100, 5, 5, (10, 1))],
        // At 50 % five in a row happen by chance when an outage of both begins.
        vec![with(500, 0, 0, (10, 1)), with(500, 13, 13, (55, 1))],
        // The streak began in this tick, and blue failed in the one before: that does not excuse it, but here it failed in it.
        vec![with(100, 0, 0, (0, 0)), with(100, 9, 3, (81, 0)), with(100, 13, 7, (117, 4))],
    ];
    for all in calm {
        assert_eq!(failures(&all), None, "{all:?}");
    }
    assert!(failures(&[with(500, 0, 0, (10, 1)), with(500, 14, 14, (55, 1))]).is_some());
    let later = [with(100, 0, 0, (0, 0)), with(100, 9, 0, (81, 4)), with(100, 20, 7, (180, 4))];
    assert!(failures(&later).is_some(), "blue's errors were before");
}

#[test]
fn without_metrics_there_is_nothing_to_wait_for_but_requests() {
    let none = plan(&[], 1.2);
    check(
        &none,
        &[seen(100, (0, 0), (0, 0)), seen(100, (50, 50), (450, 0))],
        Judgement::Pass,
        "nothing is compared: the plan has no metrics",
    );
}

#[test]
fn percentiles_of_histograms() {
    let histogram = [(1_000, 0), (2_000, 50), (4_000, 40), (8_000, 10)];
    let cases = [(0.5, 2.0), (0.25, 1.5), (0.9, 4.0), (0.95, 6.0), (1.0, 8.0)];
    for (fraction, expect) in cases {
        assert_eq!(latency::percentile_ms(&histogram, fraction), Some(expect), "{fraction}");
    }
    assert_eq!(latency::percentile_ms(&[], 0.5), None);
    assert_eq!(latency::percentile_ms(&[(1_000, 0)], 0.5), None);
    assert_eq!(latency::percentile_ms(&[(1_000, 1), (u64::MAX, 9)], 0.5), Some(1.0), "a bucket without end");
    assert_eq!(latency::p95_bound(&histogram, 100), Some(8_000));
    assert_eq!(latency::p95_bound(&histogram, 101), None);
}

/// P(X = k) for all k.
fn binomial(n: u64, p: f64) -> Vec<f64> {
    let mut all = vec![1.0];
    for _ in 0..n {
        all.push(0.0);
        for k in (1..all.len()).rev() {
            all[k] = all[k] * (1.0 - p) + all[k - 1] * p;
        }
        all[0] *= 1.0 - p;
    }
    all
}

/// The expectation of what a bet has won after a tick, over all that can happen in it.
fn mean(green: (u64, f64), blue: (u64, f64), won: impl Fn(Count, u64) -> f64) -> f64 {
    let (greens, blues) = (binomial(green.0, green.1), binomial(blue.0, blue.1));
    let mut sum = 0.0;
    for (bad, chance) in (0..).zip(&greens) {
        for (bad_blue, chance_blue) in (0..).zip(&blues) {
            sum += chance * chance_blue * won(Count { bad, of: green.0 }, bad_blue);
        }
    }
    sum
}

proptest! {
    /// The heart of it: while green is as good as allowed, no tick is expected to win anything, whatever the rates. Ville does the
    /// rest.
    #[test]
    fn a_bet_against_a_good_green_is_fair_at_best(
        n_green in 1..9_u64, n_blue in 1..9_u64, rate in 0.0..1.0_f64, ratio in 1.0..3.0_f64, as_bad in 0.0..=1.0_f64,
        is_shared_out: bool,
    ) {
        let share = n_green as f64 / (n_green + n_blue) as f64;
        let green_rate = (rate * ratio * as_bad).min(1.0);
        let won = |green: Count, blue| {
            let mut against = Against::default();
            if is_shared_out {
                against.share_out();
            }
            against.relative(ratio, share, green.bad, blue);
            against.log().exp()
        };
        prop_assert!(mean((n_green, green_rate), (n_blue, rate), won) <= 1.0 + 1e-9);
    }

    /// And the other one, while green is worse than allowed and the margin.
    #[test]
    fn a_bet_on_a_bad_green_is_fair_at_best(
        n_green in 1..9_u64, n_blue in 1..9_u64, rate in 0.0..0.3_f64, ratio in 1.0..3.0_f64, margin in 0.0..0.1_f64, worse in 0.0..0.5_f64,
    ) {
        let share = n_green as f64 / (n_green + n_blue) as f64;
        let green_rate = (rate * ratio + margin + worse).min(1.0);
        // A rate above 1 is none.
        prop_assume!(rate * ratio + margin <= 1.0);
        let won = |green: Count, blue| {
            let mut bound = Bound::new();
            bound.relative(ratio, margin, share, green, blue);
            bound.log().exp()
        };
        prop_assert!(mean((n_green, green_rate), (n_blue, rate), won) <= 1.0 + 1e-9);
    }

    /// Both, where there is no blue.
    #[test]
    fn absolute_bets_are_fair_at_best(n in 1..30_u64, allowed in 0.01..0.5_f64, part in 0.0..=1.0_f64) {
        let against = |green: Count, _| {
            let mut against = Against::default();
            against.absolute(allowed, green);
            against.log().exp()
        };
        prop_assert!(mean((n, allowed * part), (0, 0.0), against) <= 1.0 + 1e-9);
        let bound = |green: Count, _| {
            let mut bound = Bound::new();
            bound.absolute(allowed, green);
            bound.log().exp()
        };
        prop_assert!(mean((n, allowed + (1.0 - allowed) * part), (0, 0.0), bound) <= 1.0 + 1e-9);
    }

    /// Whatever comes, nothing breaks: counters that jump, shares that change, and it can be kept and taken up again.
    #[test]
    fn any_sequence_is_survived(
        all in prop::collection::vec((prop::sample::select(vec![0_u16, 100, 500, 950, 1_000]), 0..500_u64, 0..90_u64, 0..500_u64, 0..90_u64), 1..12),
    ) {
        let all: Vec<Observation> = all.iter().map(|&(weight, n, e, m, f)| {
            let mut all = seen(weight, (n, e), (m, f));
            all.green.counters.latency = vec![(1_000, n), (2_000, e)];
            if let Some(side) = &mut all.blue {
                side.counters.latency = vec![(1_000, m), (2_000, f)];
                side.restarts = f / 9;
            }
            all
        }).collect();
        let judged = judge(&plan(&ALL, 1.2), &all);
        for evidence in judged.evidence() {
            prop_assert!(evidence.e_value.is_finite() && evidence.e_value >= 0.0);
            prop_assert!(!evidence.words.contains("NaN") && !evidence.words.contains("inf"), "{}", evidence.words);
            let kept = serde_json::to_string(&evidence).expect("it is JSON");
            prop_assert!(!kept.contains("null"), "{}", kept);
        }
    }
}
