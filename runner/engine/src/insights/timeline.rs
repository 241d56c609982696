//! When what of a deployment was, and of which service it is, from the log of its run.
//!
//! A service is the value of `service` in the job's matrix; without one the input `service` of the called workflow that the
//! job is in; without that the input of the whole run. Where there is none, a deployment is of all of the repository.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;
use workflow::run::{JobRunKey, Recorded, RunEvent};

use super::dora::Stages;

/// The key of a matrix, and the input, that names a service.
const SERVICE: &str = "service";
/// Longest name that is kept, in bytes.
const SERVICE_BYTES_MAX: usize = 200;

/// When what of a job run was. `None` where it has not ended, or never began.
pub(super) fn stages(facts: &[Recorded], key: &JobRunKey, made: Timestamp) -> Option<Stages> {
    let (mut first, mut ready, mut started, mut done) = (None, None, None, None);
    let (mut asked, mut passed): (Option<Timestamp>, Option<Timestamp>) = (None, None);
    for fact in facts {
        let at = fact.at;
        if let RunEvent::JobRunStarted { key: other } = &fact.event {
            first = first.or(Some(at));
            if other == key {
                started = Some(at);
            }
        } else if is_expansion(&fact.event, key) {
            ready = Some(at);
        } else if let RunEvent::ReviewRequested { key: other, wait_ms, .. } = &fact.event {
            let wait = SignedDuration::from_millis(i64::try_from(*wait_ms).unwrap_or(i64::MAX));
            if other == key {
                asked = asked.or(Some(at));
                passed = passed.max(Some(at.checked_add(wait).unwrap_or(at)));
            }
        } else if let RunEvent::Reviewed { key: other, passed: true, .. } = &fact.event {
            if other == key {
                passed = passed.max(Some(at));
            }
        } else if let RunEvent::JobRunFinished { key: other, .. } = &fact.event
            && other == key
        {
            done = Some(at);
        }
    }
    let (started, done) = (started?, done?);
    let ready = ready.unwrap_or(started);
    let passed = passed.map_or(started, |at| at.min(started));
    Some(Stages { made, first: first.unwrap_or(started), ready, asked: asked.unwrap_or(passed), passed, started, done })
}

/// The service of a job run; empty where none is named. `inputs` are those of the whole run.
pub(super) fn service(facts: &[Recorded], key: &JobRunKey, inputs: &Json) -> String {
    let of_leg = |key: &JobRunKey| {
        let mut expansions = facts.iter().rev().filter(|fact| is_expansion(&fact.event, key));
        let RunEvent::JobExpanded { legs, .. } = &expansions.next()?.event else { return None };
        word(legs.get(key.leg.unwrap_or(0) as usize)?.matrix.get(SERVICE)?)
    };
    let of_call = |key: &JobRunKey| {
        facts.iter().rev().find_map(|fact| {
            let RunEvent::CallStarted { key: other, inputs } = &fact.event else { return None };
            if other == key { word(inputs.get(SERVICE)?) } else { None }
        })
    };
    let mut found = of_leg(key);
    let mut caller = key.job.parent();
    while let (None, Some(key)) = (&found, caller) {
        found = of_call(&key).or_else(|| of_leg(&key));
        caller = key.job.parent();
    }
    found.or_else(|| word(inputs.get(SERVICE)?)).unwrap_or_default()
}

fn is_expansion(event: &RunEvent, key: &JobRunKey) -> bool {
    matches!(event, RunEvent::JobExpanded { job, .. } if *job == key.job)
}

fn word(value: &Json) -> Option<String> {
    let text = value.as_str()?.trim();
    (!text.is_empty()).then(|| text[..text.floor_char_boundary(SERVICE_BYTES_MAX)].to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use workflow::run::{Conclusion, EVENT_VERSION, Leg, Terms};

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 60 * minute).unwrap()
    }

    fn facts(events: Vec<(i64, RunEvent)>) -> Vec<Recorded> {
        let fact = |(seq, (minute, event))| Recorded { v: EVENT_VERSION, seq, at: at(minute), event };
        (1..).zip(events).map(fact).collect()
    }

    fn expanded(job: &str, matrix: &[Json]) -> RunEvent {
        let leg = |matrix: &Json| Leg {
            name: job.into(),
            matrix: matrix.clone(),
            continue_on_error: false,
            timeout_ms: 1,
            cancel_timeout_ms: 1,
        };
        let legs = matrix.iter().map(leg).collect();
        let job = JobRunKey::parse(job).job;
        RunEvent::JobExpanded { job, matrix: matrix.len() > 1, legs, fail_fast: true, max_parallel: None }
    }

    #[test]
    fn times_of_a_deployment_with_a_gate_and_one_without() {
        let (build, deploy) = (JobRunKey::parse("build"), JobRunKey::parse("deploy(1)"));
        let asked = |wait_ms| RunEvent::ReviewRequested {
            key: deploy.clone(),
            environment: "production".into(),
            reviewers: vec!["ada".into()],
            wait_ms,
            terms: Terms::default(),
        };
        let said = |approved, passed| RunEvent::Reviewed {
            key: deploy.clone(),
            approved,
            by: "ada".into(),
            comment: String::new(),
            passed,
        };
        let end = |key: &JobRunKey| RunEvent::JobRunFinished {
            key: key.clone(),
            conclusion: Conclusion::Success,
            outputs: std::collections::BTreeMap::new(),
            message: None,
        };
        let log = facts(vec![
            (0, RunEvent::RunStarted),
            (1, RunEvent::JobRunStarted { key: build.clone() }),
            (9, end(&build)),
            (10, expanded("deploy", &[json!({ "service": "a" }), json!({ "service": "b" })])),
            (11, asked(0)),
            // Rules changed: it is asked for again, and waits for a quarter of an hour.
            (20, asked(15 * 60_000)),
            (25, said(true, true)),
            (40, RunEvent::JobRunStarted { key: deploy.clone() }),
            (50, end(&deploy)),
        ]);
        let minutes = |it: Stages| {
            let minute = |moment: Timestamp| (moment.as_second() - at(0).as_second()) / 60;
            [it.made, it.first, it.ready, it.asked, it.passed, it.started, it.done].map(minute)
        };
        assert_eq!(stages(&log, &deploy, at(-1)).map(minutes), Some([-1, 1, 10, 11, 35, 40, 50]));
        assert_eq!(stages(&log, &build, at(0)).map(minutes), Some([0, 1, 1, 1, 1, 1, 9]));
        assert_eq!(stages(&log[..8], &deploy, at(0)), None);
        assert_eq!(service(&log, &deploy, &json!({ "service": "c" })), "b");
    }

    #[test]
    fn services_are_named_by_matrix_call_or_run() {
        let call = |key: &str, service: &str| RunEvent::CallStarted {
            key: JobRunKey::parse(key),
            inputs: json!({ "service": service }),
        };
        let log = facts(vec![
            (0, expanded("ship", &[json!({ "service": "orders" }), json!({ "service": "products" })])),
            (1, call("ship(1)", "from-call")),
            (1, call("ship(0)", "")),
            (2, expanded("ship(1)/go", &[Json::Null])),
            (2, expanded("ship(0)/go", &[json!({ "region": "eu" })])),
        ]);
        for (key, expected) in [("ship(1)/go", "from-call"), ("ship(0)/go", "orders"), ("other", "all")] {
            assert_eq!(service(&log, &JobRunKey::parse(key), &json!({ "service": " all " })), expected, "{key}");
        }
        assert_eq!(service(&log, &JobRunKey::parse("other"), &Json::Null), "");
    }
}
