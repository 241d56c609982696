//! What people write, and what they are told.

use crate::plan::{Analysis, Hook, Inconclusive, Metric, OnActive, RollbackOn, Schedule};

/// `10/300s a p` for each step.
fn told(text: &str) -> String {
    match Schedule::read(text) {
        Ok(schedule) => {
            let steps = schedule.steps.iter().map(|step| {
                let flags = [(step.analyse, " a"), (step.pause, " p")];
                let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
                format!("{}/{}s{flags}", step.weight.0, step.hold.as_secs_f64())
            });
            steps.collect::<Vec<_>>().join(", ")
        }
        Err(mistakes) => mistakes.to_string(),
    }
}

const STEPS: &[(&str, &str)] = &[
    ("", "100/300s a, 500/300s a, 1000/300s"),
    ("# nothing\n", "100/300s a, 500/300s a, 1000/300s"),
    (
        "- { weight: 10, for: 5m, analyse: true, pause: true }\n- { weight: 12.5, for: 90s }\n- { weight: 100, bake: 1h }",
        "100/300s a p, 125/90s, 1000/3600s",
    ),
    ("[{ weight: 100 }]", "1000/0s"),
    ("[{ weight: '10%', for: 30 }, { weight: 100, for: 1m }]", "100/30s, 1000/60s"),
    ("- { weight: 20, for: 1m }\n- weight: 100\n- bake: 5m", "200/60s, 1000/300s"),
    (
        "[]",
        "steps: an empty list; write at least one step like `- { weight: 10, for: 5m, analyse: true }`, or leave it out",
    ),
    ("weight: 10", "steps: a mapping where a list was expected; begin each step with `- `"),
    (
        "[10, 50]",
        "steps[1]: `10` where keys were expected; write it like `- { weight: 10, for: 5m, analyse: true }`\n\
          steps[2]: `50` where keys were expected; write it like `- { weight: 10, for: 5m, analyse: true }`",
    ),
    (
        "[{ weight: 50 }, { weight: 10 }, { weight: 100 }]",
        "steps[2].weight: 10 % after 50 %; weights rise from step to step and end at 100",
    ),
    (
        "[{ weight: 50 }, { weight: 50 }, { weight: 100 }]",
        "steps[2].weight: 50 % after 50 %; weights rise from step to step and end at 100",
    ),
    (
        "[{ weight: 10 }, { weight: 50 }]",
        "steps[2].weight: the last step ends at 50 %; add `- { weight: 100, bake: 5m }`",
    ),
    ("[{ weight: 100 }, { weight: 100 }]", "steps[2].weight: comes after 100 %; nothing can follow"),
    ("[{ weight: 0 }, { weight: 100 }]", "steps[1].weight: 0 is not a share; weights are percents above 0, up to 100"),
    ("[{ weight: 120 }]", "steps[1].weight: 120 is not a share; weights are percents above 0, up to 100"),
    (
        "[{ weight: -5 }, { weight: 100 }]",
        "steps[1].weight: -5 is not a share; weights are percents above 0, up to 100",
    ),
    (
        "[{ weight: .nan }, { weight: 100 }]",
        "steps[1].weight: `.nan` is not a number; green's share in percent, such as `10` or `12.5`",
    ),
    (
        "[{ weight: 12.55 }, { weight: 100 }]",
        "steps[1].weight: 12.55 is too fine; weights are whole tenths of a percent, such as `12.5`",
    ),
    (
        "[{ wieght: 10 }, { weight: 100 }]",
        "steps[1]: unknown key `wieght`, did you mean `weight`?\nsteps[1].weight: missing; green's share in percent, such as `weight: 10`",
    ),
    ("[{ weight: 10, analyze: true }, { weight: 100 }]", "steps[1]: unknown key `analyze`, did you mean `analyse`?"),
    (
        "[{ weight: 10, for: soon }, { weight: 100 }]",
        "steps[1].for: `soon` is not a duration; write `90s`, `5m`, `1h30m`, or seconds",
    ),
    (
        "[{ weight: 10, for: [5m] }, { weight: 100 }]",
        "steps[1].for: `a list` is not a duration; write `90s`, `5m`, `1h30m`, or seconds",
    ),
    ("[{ weight: 10, pause: maybe }, { weight: 100 }]", "steps[1].pause: `maybe` is neither `true` nor `false`"),
    (
        "[{ weight: 10, bake: 5m }, { weight: 100 }]",
        "steps[1].bake: only at 100 % is there a `bake`; write `for` at 10 %",
    ),
    (
        "[{ weight: 100, bake: 5m, for: 5m }]",
        "steps[1].bake: `for` and `bake` are the same here; leave one of them out",
    ),
];

#[test]
fn steps_are_read_or_it_is_said_what_is_wrong_with_them() {
    for (text, expected) in STEPS {
        assert_eq!(told(text), *expected, "{text}");
    }
    assert!(told("- { weight: 10").starts_with("steps: not YAML: "), "{}", told("- { weight: 10"));
}

#[test]
fn analysis_is_read_or_it_is_said_what_is_wrong_with_it() {
    assert_eq!(Analysis::read("").unwrap(), Analysis::default());
    let all =
        "{ metrics: [errors], max-ratio: 1.5, alpha: 0.01, min-requests: 200, inconclusive: ask, max-extend: 1m }";
    let read = Analysis::read(all).unwrap();
    assert_eq!((read.metrics, read.max_ratio, read.alpha), (vec![Metric::Errors], 1.5, 0.01));
    assert_eq!((read.min_requests, read.inconclusive, read.max_extend.as_secs()), (200, Inconclusive::Ask, 60));
    let table = [
        (
            "[errors]",
            "analysis: a list where keys were expected; write it like `{ metrics: [errors, latency-p95, restarts], max-ratio: 1.2, alpha: 0.05 }`",
        ),
        ("{ max_ratio: 2 }", "analysis: unknown key `max_ratio`, did you mean `max-ratio`?"),
        (
            "{ metrics: [latency, errors, errors] }",
            "analysis.metrics: unknown metric `latency`, did you mean `latency-p95`?\nanalysis.metrics: `errors` twice",
        ),
        (
            "{ metrics: [] }",
            "analysis.metrics: empty; name at least one of `errors`, `latency-p95`, `restarts`, or leave `analyse` out of the steps",
        ),
        ("{ alpha: 5 }", "analysis.alpha: 5 is out of bounds; the chance of a false alarm, from 0.0001 to 0.5"),
        (
            "{ max-ratio: low }",
            "analysis.max-ratio: `low` is not a number; how many times as bad as blue green may be, from 1 to 100",
        ),
        ("{ min-requests: -1 }", "analysis.min-requests: `-1` is not a whole number of requests"),
        ("{ inconclusive: extent }", "analysis.inconclusive: unknown word `extent`, did you mean `extend`?"),
    ];
    for (text, expected) in table {
        assert_eq!(Analysis::read(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn words_and_scripts_are_read() {
    assert_eq!(RollbackOn::read("").unwrap(), RollbackOn::ALL);
    let some = RollbackOn::read("failure, analysis").unwrap();
    assert_eq!((some.failure, some.alarm, some.analysis, some.cancel), (true, false, true, false));
    assert!(!RollbackOn::read("none").unwrap().failure);
    assert_eq!(
        RollbackOn::read("failures").unwrap_err().to_string(),
        "rollback-on: unknown cause `failures`, did you mean `failure`?"
    );
    assert_eq!(OnActive::read("supersede").unwrap(), OnActive::Supersede);
    assert_eq!(
        OnActive::read("cancel").unwrap_err().to_string(),
        "on-active-deployment: unknown word `cancel`; it may be `wait`, `supersede`, `fail`"
    );
    let hooks = Hook::read_all("AfterAllowTestTraffic: ./smoke.sh\nOnRollback: [a, b]").unwrap();
    assert_eq!(hooks.iter().map(Hook::words).collect::<Vec<_>>(), ["./smoke.sh", "a", "b"]);
    assert_eq!(serde_json::to_string(&hooks[0]).unwrap(), r#"{"stage":"AfterAllowTestTraffic","script":"./smoke.sh"}"#);
    let text = "AfterAllowTestTraffic: [./smoke.sh, {probe: {openapi: /openapi.json, max-requests: 9}}]\nOnRollback: {probe: }";
    let probes = Hook::read_all(text).unwrap();
    let words: Vec<_> = probes.iter().map(Hook::words).collect();
    assert_eq!(words, ["./smoke.sh", "probe with max-requests, openapi", "probe"]);
    let stored = serde_json::to_string(&probes).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Hook>>(&stored).unwrap(), probes);
    for (text, expected) in [
        ("OnRollback: {prob: {}}", "hooks.OnRollback: unknown deed `prob`, did you mean `probe`?"),
        ("OnRollback: {probe: {openapi: [a]}}", "hooks.OnRollback: a list of `openapi` is no text"),
        (
            "OnRollback: {probe: 5}",
            "hooks.OnRollback: `5` where keys were expected; write it like `probe: {openapi: /openapi.json}`",
        ),
        ("OnRollback: {probe: {}, a: b}", "hooks.OnRollback: a mapping is not a script"),
    ] {
        assert_eq!(Hook::read_all(text).unwrap_err().to_string(), expected, "{text}");
    }
    assert_eq!(
        Hook::read_all("AfterAllowTestTrafic: x\nOnRollback: 5").unwrap_err().to_string(),
        "hooks: unknown key `AfterAllowTestTrafic`, did you mean `AfterAllowTestTraffic`?\nhooks.OnRollback: `5` is not a script"
    );
}
