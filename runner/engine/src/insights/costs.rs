//! Minutes and money: what a run used, from its log, and what that costs by rules of one's own. Pure.
//!
//! A job counts from its start to its end, also if it failed. Billed minutes are its time rounded up to whole minutes, each
//! job by itself, as GitHub bills: <https://docs.github.com/en/billing/concepts/product-billing/github-actions>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use workflow::run::{Conclusion, JobRunKey, Recorded, RunEvent, StepIndex};

use super::timeline;

/// Longest name of a job, a step or a label that is kept, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// Most steps of a run that are counted one by one.
const STEPS_MAX: usize = 2_000;
const MINUTE_MS: u64 = 60_000;
/// How much longer the times of a bucket are than those of the one before.
const BUCKET_GROWTH: f64 = 1.05;

/// What time costs, and when people are told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostRules {
    /// Such as `EUR`; empty: only minutes are told.
    pub currency: String,
    /// Of a minute, by label of `runs-on` in lower case.
    pub prices: BTreeMap<String, f64>,
    /// Of a minute of a job none of whose labels has a price.
    pub default_price: f64,
    /// Of a month; `None`: there is none.
    pub budget: Option<f64>,
    /// At which parts of the budget people are told, in percent, the lowest first.
    pub alerts: Vec<u32>,
}

impl CostRules {
    /// The price of a minute of a job with these labels (`a, b`): that of the first one that has a price.
    #[must_use]
    pub fn price(&self, labels: &str) -> f64 {
        labels.split(", ").find_map(|label| self.prices.get(label)).copied().unwrap_or(self.default_price)
    }

    /// The parts of the budget that are reached.
    pub fn reached(&self, spent: f64) -> impl Iterator<Item = u32> {
        let budget = self.budget.filter(|budget| *budget > 0.0);
        let is_reached =
            move |percent: &u32| budget.is_some_and(|budget| spent >= budget * f64::from(*percent) / 100.0);
        self.alerts.iter().copied().filter(is_reached)
    }
}

/// What a run used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Used {
    /// Its jobs.
    pub jobs: Vec<UsedJob>,
    /// Its steps, by job and name.
    pub steps: BTreeMap<(String, String), UsedStep>,
    /// Of caches that were asked for: found as asked for, found by the beginning of the key, not found.
    pub caches: [u64; 3],
    /// From its being made to its end; `None`: it has not ended.
    pub duration_ms: Option<u64>,
}

/// What a job run used.
#[derive(Debug, Clone, PartialEq)]
pub struct UsedJob {
    /// Its job, without its leg: `test`, `deploy/push`.
    pub job: String,
    /// The service; empty: all of the repository.
    pub service: String,
    /// Its labels, `a, b`.
    pub labels: String,
    /// From its start to its end.
    pub ms: u64,
    /// The same in billed minutes.
    pub minutes: u64,
    /// How long it waited for a place.
    pub queue_ms: u64,
    /// Whether it failed.
    pub failed: bool,
    /// When it ended.
    pub ended: Timestamp,
}

/// What steps of one name used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsedStep {
    /// How many.
    pub count: u64,
    /// Together.
    pub ms: u64,
    /// The longest one.
    pub longest_ms: u64,
}

/// Counts what a run used. What an earlier attempt did, whose facts the log has too, is not counted again. `labels` are
/// those of `runs-on`.
#[must_use]
pub fn used(
    facts: &[Recorded],
    made: Timestamp,
    inputs: &serde_json::Value,
    labels: &dyn Fn(&JobRunKey) -> Vec<String>,
) -> Used {
    let mut used = Used::default();
    let mut steps: BTreeMap<(JobRunKey, StepIndex), (String, Timestamp)> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.at >= made) {
        if let RunEvent::JobRunFinished { key, conclusion, .. } = &fact.event {
            used.jobs.extend(job(facts, key, *conclusion, made, inputs, labels));
        } else if let RunEvent::StepStarted { key, step, name } = &fact.event {
            steps.insert((key.clone(), *step), (name.clone(), fact.at));
        } else if let RunEvent::StepFinished { key, step, result } = &fact.event {
            if let Some(at) = cache(&result.outputs) {
                used.caches[at] += 1;
            }
            let Some((name, began)) = steps.remove(&(key.clone(), *step)) else { continue };
            let name = (job_name(key), cut(&name));
            if used.steps.len() < STEPS_MAX || used.steps.contains_key(&name) {
                let (ms, entry) = (between(began, fact.at), used.steps.entry(name).or_default());
                *entry = UsedStep { count: entry.count + 1, ms: entry.ms + ms, longest_ms: entry.longest_ms.max(ms) };
            }
        } else if let RunEvent::RunFinished { .. } = &fact.event {
            used.duration_ms = Some(between(made, fact.at));
        }
    }
    used
}

fn job(
    facts: &[Recorded],
    key: &JobRunKey,
    conclusion: Conclusion,
    made: Timestamp,
    inputs: &serde_json::Value,
    labels: &dyn Fn(&JobRunKey) -> Vec<String>,
) -> Option<UsedJob> {
    let stages = timeline::stages(facts, key, made)?;
    if stages.started < made {
        return None;
    }
    let ms = between(stages.started, stages.done);
    let mut labels = labels(key);
    labels.iter_mut().for_each(|label| *label = label.to_lowercase());
    Some(UsedJob {
        job: job_name(key),
        service: timeline::service(facts, key, inputs),
        labels: cut(&labels.join(", ")),
        ms,
        minutes: ms.div_ceil(MINUTE_MS).max(1),
        queue_ms: between(stages.ready, stages.asked) + between(stages.passed, stages.started),
        failed: conclusion == Conclusion::Failure,
        ended: stages.done,
    })
}

/// Of a step that asked for a cache: 0 found, 1 found by the beginning of its key, 2 not found.
fn cache(outputs: &BTreeMap<String, String>) -> Option<usize> {
    let get = |name: &str| outputs.get(name).map(String::as_str);
    match (get("cache-hit"), get("cache-matched-key")) {
        (Some("true"), _) => Some(0),
        (_, Some(key)) if !key.is_empty() => Some(1),
        (Some(_), _) => Some(2),
        (None, _) => get("cache-primary-key").map(|_| 2),
    }
}

/// `deploy(1)/push(0)` as `deploy/push`.
fn job_name(key: &JobRunKey) -> String {
    let name = key.job.ids().collect::<Vec<_>>().join("/");
    cut(&name)
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(NAME_BYTES_MAX)].to_owned()
}

fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}

/// The bucket of a time: times in one are within a twentieth of each other, so that many days of them can be kept.
#[must_use]
pub fn bucket(ms: u64) -> u32 {
    ((ms as f64 + 1.0).ln() / BUCKET_GROWTH.ln()).round() as u32
}

/// The time in the middle of a bucket, in seconds.
#[must_use]
pub fn seconds_of(bucket: u32) -> f64 {
    (BUCKET_GROWTH.powi(i32::try_from(bucket).unwrap_or(i32::MAX)) - 1.0) / 1_000.0
}

/// The time that a part (from 0 to 1) of all does not exceed, of buckets with how many are in each, the lowest first.
#[must_use]
pub fn percentile_of(buckets: &[(u32, u64)], part: f64) -> Option<f64> {
    let all: u64 = buckets.iter().map(|(_, count)| count).sum();
    let wanted = ((all as f64 * part).ceil() as u64).max(1);
    let mut seen = 0;
    let found = buckets.iter().find(|(_, count)| {
        seen += count;
        seen >= wanted
    });
    found.map(|(bucket, _)| seconds_of(*bucket))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use workflow::run::{EVENT_VERSION, Leg, StepResult};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn a_run_is_counted() {
        let (build, old) = (JobRunKey::parse("call(0)/build"), JobRunKey::parse("lint"));
        let leg =
            |matrix| Leg { name: "b".into(), matrix, continue_on_error: false, timeout_ms: 1, cancel_timeout_ms: 1 };
        let end = |key: &JobRunKey, conclusion| RunEvent::JobRunFinished {
            key: key.clone(),
            conclusion,
            outputs: BTreeMap::new(),
            message: None,
        };
        let step = |number: u32, outputs: &[(&str, &str)]| {
            let mut result = StepResult::plain(Conclusion::Success);
            result.outputs = outputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            RunEvent::StepFinished { key: build.clone(), step: StepIndex(number), result }
        };
        let begin = |number: u32, name: &str| RunEvent::StepStarted {
            key: build.clone(),
            step: StepIndex(number),
            name: name.into(),
        };
        let expanded = RunEvent::JobExpanded {
            job: build.job.clone(),
            matrix: false,
            legs: vec![leg(json!({ "service": "orders" }))],
            fail_fast: true,
            max_parallel: None,
        };
        let events = [
            // The attempt before did this.
            (-100, RunEvent::JobRunStarted { key: old.clone() }),
            (-50, end(&old, Conclusion::Success)),
            (5, expanded),
            (15, RunEvent::JobRunStarted { key: build.clone() }),
            (16, begin(0, "Cache")),
            (17, step(0, &[("cache-hit", "true"), ("cache-matched-key", "a")])),
            (17, begin(1, "Test")),
            (67, step(1, &[("cache-hit", "false"), ("cache-matched-key", "b")])),
            (67, begin(2, "Test")),
            (70, step(2, &[("cache-primary-key", "c")])),
            (76, end(&build, Conclusion::Failure)),
            (80, RunEvent::RunFinished { conclusion: Conclusion::Failure }),
        ];
        let facts: Vec<_> = (1..)
            .zip(events)
            .map(|(seq, (second, event))| Recorded { v: EVENT_VERSION, seq, at: at(second), event })
            .collect();
        let labels = |_: &JobRunKey| vec!["Self-Hosted".to_owned(), "GPU".to_owned()];
        let used = used(&facts, at(0), &json!({}), &labels);
        let job = UsedJob {
            job: "call/build".into(),
            service: "orders".into(),
            labels: "self-hosted, gpu".into(),
            ms: 61_000,
            minutes: 2,
            queue_ms: 10_000,
            failed: true,
            ended: at(76),
        };
        assert_eq!((used.jobs, used.caches, used.duration_ms), (vec![job], [1, 1, 1], Some(80_000)));
        let tests = used.steps[&("call/build".to_owned(), "Test".to_owned())];
        assert_eq!(tests, UsedStep { count: 2, ms: 53_000, longest_ms: 50_000 });
    }

    #[test]
    fn prices_and_budgets() {
        let rules = CostRules {
            currency: "EUR".into(),
            prices: BTreeMap::from([("gpu".to_owned(), 0.5), ("ubuntu-latest".to_owned(), 0.01)]),
            default_price: 0.002,
            budget: Some(200.0),
            alerts: vec![50, 80, 100],
        };
        for (labels, price) in [("ubuntu-latest", 0.01), ("self-hosted, gpu", 0.5), ("other", 0.002), ("", 0.002)] {
            assert!((rules.price(labels) - price).abs() < 1e-12, "{labels}");
        }
        for (spent, reached) in [(99.9, &[][..]), (100.0, &[50]), (170.0, &[50, 80]), (999.0, &[50, 80, 100])] {
            assert_eq!(rules.reached(spent).collect::<Vec<_>>(), reached, "{spent}");
        }
        assert_eq!(CostRules { budget: None, ..rules }.reached(1e9).count(), 0);
    }

    #[test]
    fn buckets_are_near_their_times() {
        for ms in [0, 3, 40, 999, 61_000, 3_600_000, 86_400_000] {
            let near = seconds_of(bucket(ms)) * 1_000.0;
            assert!((near - ms as f64).abs() <= 0.5_f64.max(ms as f64 * 0.026), "{ms}: {near}");
        }
        let buckets = [(bucket(1_000), 50), (bucket(60_000), 45), (bucket(600_000), 5)];
        let near = |part, seconds: f64| (percentile_of(&buckets, part).unwrap() - seconds).abs() < seconds * 0.03;
        assert!(near(0.5, 1.0) && near(0.51, 60.0) && near(0.95, 60.0) && near(0.951, 600.0) && near(1.0, 600.0));
        assert_eq!(percentile_of(&[], 0.5), None);
    }
}
