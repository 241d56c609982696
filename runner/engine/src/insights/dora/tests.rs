//! Recorded histories with figures that were computed by hand; the arithmetic stands beside each in `histories/`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value as Json;

use super::label::{Said, Signs};
use super::*;
use crate::insights::WindowWish;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct History {
    about: String,
    window: WindowWish,
    now: Timestamp,
    #[serde(default = "production")]
    environment: String,
    deployments: Vec<Written>,
    expected: BTreeMap<String, Expected>,
}

fn production() -> String {
    "production".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: u64,
    #[serde(default, rename = "about")]
    _about: String,
    run: Option<u64>,
    #[serde(default = "production")]
    environment: String,
    #[serde(default)]
    service: String,
    #[serde(default, rename = "ref")]
    git_ref: String,
    outcome: Option<String>,
    signal: Option<Timestamp>,
    made: Timestamp,
    first: Option<Timestamp>,
    ready: Option<Timestamp>,
    asked: Option<Timestamp>,
    passed: Option<Timestamp>,
    started: Option<Timestamp>,
    done: Timestamp,
    #[serde(default)]
    commits: Vec<WrittenCommit>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    inputs: Json,
    #[serde(default)]
    goes_back: bool,
    failed_at: Option<Timestamp>,
    #[serde(default)]
    unplanned: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCommit {
    at: Timestamp,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(rename = "arithmetic")]
    _arithmetic: Vec<String>,
    deployments: usize,
    per_day: f64,
    bucket: String,
    /// How many, median, p90.
    lead_time: Option<[f64; 3]>,
    #[serde(default)]
    parts: BTreeMap<String, [f64; 2]>,
    #[serde(default)]
    commits_misdated: usize,
    failed: usize,
    recovery_time: Option<[f64; 3]>,
    #[serde(default)]
    unrecovered: usize,
    rework: usize,
    stopped: usize,
}

impl Written {
    fn deployment(&self) -> Deployment {
        let said: Vec<Said<'_>> =
            self.commits.iter().map(|commit| Said { sha: "?", message: &commit.message }).collect();
        let signs = Signs {
            git_ref: &self.git_ref,
            labels: &self.labels,
            inputs: &self.inputs,
            commits: &said,
            goes_back: self.goes_back,
        };
        let first = self.first.unwrap_or(self.made);
        let ready = self.ready.unwrap_or(first);
        let started = self.started.unwrap_or(ready);
        let passed = self.passed.unwrap_or(ready);
        Deployment {
            id: self.id,
            run: self.run.unwrap_or(self.id),
            repository: "octo/shop".into(),
            environment: self.environment.clone(),
            service: self.service.clone(),
            sha: format!("{:040}", self.id),
            outcome: match self.outcome.as_deref() {
                None => Outcome::Succeeded,
                Some("rolled_back") => Outcome::RolledBack { signal: self.signal.unwrap() },
                Some("stopped") => Outcome::Stopped,
                Some(other) => panic!("{other} is no outcome"),
            },
            stages: Stages {
                made: self.made,
                first,
                ready,
                asked: self.asked.unwrap_or(passed),
                passed,
                started,
                done: self.done,
            },
            commits: self.commits.iter().map(|commit| commit.at).collect(),
            label: signs.label(),
            failed_at: self.failed_at,
            unplanned: self.unplanned,
        }
    }
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6 * one.abs().max(1.0)
}

fn check(history: &History) {
    let window = Window::of(&history.window, history.now).unwrap();
    let all = history.deployments.iter().filter(|one| one.environment == history.environment);
    let judged = judge(all.map(Written::deployment).collect());
    for (service, expected) in &history.expected {
        let of = judged.iter().filter(|one| service.is_empty() || one.deployment.service == *service);
        let figures = Figures::of(of, &window);
        let about = format!("{} / {service}: {figures:#?}", history.about);
        assert_eq!(figures.deployments, expected.deployments, "{about}");
        assert!(near(figures.per_day, expected.per_day), "{about}");
        assert_eq!(figures.bucket.word(), expected.bucket, "{about}");
        let spread = |it: Option<Spread>| it.map(|it| [it.count as f64, it.median_seconds, it.p90_seconds]);
        let same = |one: Option<Spread>, other: Option<[f64; 3]>| match (spread(one), other) {
            (None, None) => true,
            (Some(one), Some(other)) => one.iter().zip(other).all(|(one, other)| near(*one, other)),
            (Some(_), None) | (None, Some(_)) => false,
        };
        assert!(same(figures.lead_time, expected.lead_time), "{about}");
        assert!(same(figures.recovery_time, expected.recovery_time), "{about}");
        for part in figures.lead_time_parts.iter().filter(|_| !expected.parts.is_empty()) {
            let [median, p90] = expected.parts[part.part];
            assert!(
                near(part.spread.median_seconds, median) && near(part.spread.p90_seconds, p90),
                "{}: {about}",
                part.part
            );
        }
        let shares: f64 = figures.lead_time_parts.iter().map(|part| part.share).sum();
        assert!(figures.lead_time.is_none() || near(shares, 1.0), "{about}");
        let counts = (figures.failed, figures.rework, figures.stopped, figures.unrecovered, figures.commits_misdated);
        let Expected { failed, rework, stopped, unrecovered, commits_misdated, .. } = *expected;
        assert_eq!(counts, (failed, rework, stopped, unrecovered, commits_misdated), "{about}");
        let rate = |part: usize| (figures.deployments > 0).then(|| part as f64 / figures.deployments as f64);
        assert_eq!((figures.change_fail_rate, figures.rework_rate), (rate(failed), rate(rework)), "{about}");
    }
}

#[test]
fn a_week_of_a_shop_is_as_computed_by_hand() {
    check(&serde_json::from_str(include_str!("histories/shop.json")).unwrap());
}

#[test]
fn edges_are_as_computed_by_hand() {
    let all: Vec<History> = serde_json::from_str(include_str!("histories/edges.json")).unwrap();
    all.iter().for_each(check);
}
