//! Plans of workflows made by hand from JSON.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::by_hand::workflow;
use super::{JobIndex, Plan, PlanFacts, PlannedLegs, Prediction, dot, explain, layout, levels, mermaid};
use crate::diagnostic::Diagnostic;
use crate::event::{Event, GithubFacts, github_context};
use crate::source::SourceMap;
use crate::trigger::tests::facts;

fn plan_facts() -> PlanFacts {
    let event = Event::push(&facts("refs/heads/x")).unwrap();
    let github = github_context(&event, &GithubFacts { run_id: 7, ..GithubFacts::default() });
    let vars = Map::from_iter([("LIST".to_owned(), json!("[1,2]"))]);
    PlanFacts { event: Arc::new(event), inputs: Map::new(), github, vars }
}

fn plan(jobs: Json) -> Result<Plan, Vec<Diagnostic>> {
    Plan::new(&workflow(&json!({ "jobs": jobs })), &plan_facts())
}

fn order(plan: &Plan) -> String {
    ids(plan, &plan.order)
}

fn ids(plan: &Plan, jobs: &[JobIndex]) -> String {
    jobs.iter().map(|index| plan.job(*index).id.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn order_follows_needs_then_the_file() {
    for (jobs, expected) in [
        (json!({ "c": {}, "b": {}, "a": {} }), "c b a"),
        (
            json!({ "deploy": { "needs": ["test", "build"] }, "test": { "needs": ["build"] }, "build": {} }),
            "build test deploy",
        ),
        (json!({ "d": { "needs": ["b"] }, "a": {}, "b": { "needs": ["A", "a"] }, "c": {} }), "a b d c"),
        (
            json!({ "last": { "needs": ["call"] }, "call": { "needs": ["first"], "calls": { "jobs": { "y": { "needs": ["x"] }, "x": {} } } }, "first": {} }),
            "first call call/x call/y last",
        ),
    ] {
        assert_eq!(order(&plan(jobs.clone()).unwrap()), expected, "{jobs}");
    }
}

#[test]
fn wrong_needs_are_named() {
    for (jobs, expected) in [
        (json!({ "a": { "needs": ["b"] }, "b": { "needs": ["a"] } }), "jobs wait for each other: a → b → a"),
        (json!({ "a": { "needs": ["a"] } }), "jobs wait for each other: a → a"),
        (
            json!({ "x": {}, "p": { "needs": ["q"] }, "q": { "needs": ["x", "r"] }, "r": { "needs": ["s"] }, "s": { "needs": ["q"] } }),
            "jobs wait for each other: q → r → s → q",
        ),
        (
            json!({ "build": {}, "t": { "needs": ["biuld", "zzz"] } }),
            "job `t` needs `biuld`, which is no job; job `t` needs `zzz`, which is no job",
        ),
    ] {
        let errors = plan(jobs.clone()).unwrap_err();
        let texts: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(texts.join("; "), expected, "{jobs}");
        assert!(errors.iter().all(|error| error.span.is_some_and(|span| span.start > 0)));
    }
    let errors = plan(json!({ "build": {}, "t": { "needs": ["biuld"] } })).unwrap_err();
    assert_eq!(errors[0].help.as_deref(), Some("did you mean `build`?"));
}

#[test]
fn legs_are_static_where_nothing_depends_on_the_run() {
    for (matrix, expected) in [
        (json!({ "a": [1, 2] }), "2"),
        (json!({ "a": "${{ fromJSON(vars.LIST) }}" }), "2"),
        (json!({ "a": ["${{ github.ref }}"] }), "1"),
        (json!({ "a": ["${{ github.run_id }}"] }), "dynamic"),
        (json!({ "a": ["${{ toJSON(github) }}"] }), "dynamic"),
        (json!({ "a": "${{ fromJSON(needs.x.outputs.y) }}" }), "dynamic"),
    ] {
        let plan = plan(json!({ "j": { "strategy": { "matrix": matrix } } })).unwrap();
        let actual = match &plan.jobs[0].legs {
            PlannedLegs::Single => "single".to_owned(),
            PlannedLegs::Dynamic => "dynamic".to_owned(),
            PlannedLegs::Static(legs) => legs.legs.len().to_string(),
        };
        assert_eq!(actual, expected, "{matrix}");
    }
    let errors = plan(json!({ "j": { "strategy": { "matrix": { "a": [] } } } })).unwrap_err();
    assert_eq!(errors[0].message, "Matrix vector 'a' does not contain any values");
}

/// What is predicted of the last job.
#[track_caller]
fn predicted(jobs: Json, expected: &str) {
    let plan = plan(jobs.clone()).unwrap();
    let prediction = &plan.jobs.last().unwrap().prediction;
    let actual = prediction.why_skipped().unwrap_or_else(|| format!("{prediction:?}"));
    assert_eq!(actual, expected, "{jobs}");
}

#[test]
fn conditions_are_decided_where_they_can_be() {
    let alone = |condition: &str, expected| predicted(json!({ "j": { "if": condition } }), expected);
    alone("", "Runs");
    alone("github.ref == 'refs/heads/x'", "Runs");
    alone(
        "github.ref == 'refs/heads/main'",
        "`if` is false: `github.ref == 'refs/heads/main'` with github.ref = 'refs/heads/x'",
    );
    alone(
        "always() && github.event_name == 'pull_request'",
        "`if` is false: `github.event_name == 'pull_request'` with github.event_name = 'push'",
    );
    alone("false", "`if` is false: `false`");
    alone("!github.event.forced", "Runs");
    alone("github.run_id == 1", "Depends");
    alone("failure() && github.ref == 'a'", "`if` is false: `github.ref == 'a'` with github.ref = 'refs/heads/x'");
    alone("failure()", "`if` is false: `failure()`");
    alone("cancelled()", "Depends");
    alone("!failure() && !cancelled()", "Runs");
    alone("vars.MISSING", "`if` is false: `vars.MISSING` with vars.MISSING = null");
    alone("github.run_id == 1 || true", "Runs");
    alone(
        "needs.a.outputs.b == 'c' && github.ref == 'd'",
        "`if` is false: `github.ref == 'd'` with github.ref = 'refs/heads/x'",
    );
}

#[test]
fn skipping_goes_on_to_what_needs_it() {
    let skipped = json!({ "if": "false" });
    predicted(json!({ "a": skipped, "b": { "needs": ["a"] } }), "`a` is skipped");
    predicted(json!({ "a": skipped, "b": { "needs": ["a"] }, "c": { "needs": ["b"] } }), "`b` is skipped");
    predicted(json!({ "a": skipped, "b": { "needs": ["a"], "if": "always()" } }), "Runs");
    predicted(json!({ "a": skipped, "b": { "needs": ["a"], "if": "!cancelled()" } }), "Runs");
    predicted(json!({ "a": skipped, "b": { "needs": ["a"], "if": "failure()" } }), "Depends");
    predicted(json!({ "a": {}, "b": { "needs": ["a"], "if": "failure()" } }), "Depends");
    predicted(json!({ "a": {}, "b": { "needs": ["a"], "if": "!failure()" } }), "Runs");
    predicted(
        json!({ "a": skipped, "b": { "needs": ["a"], "if": "github.ref == 'y'" } }),
        "`if` is false: `github.ref == 'y'` with github.ref = 'refs/heads/x'",
    );
    predicted(json!({ "a": {}, "b": { "needs": ["a"] } }), "Runs");
    predicted(json!({ "a": { "if": "false", "calls": { "jobs": { "x": {} } } } }), "`a` is skipped");
}

#[test]
fn inputs_of_called_workflows_are_known_or_not() {
    let inner = json!({ "inputs": { "go": "boolean", "name": "string" }, "jobs": { "x": { "if": "inputs.go" } } });
    predicted(json!({ "c": { "with": { "go": true }, "calls": inner } }), "Runs");
    predicted(json!({ "c": { "calls": inner } }), "`if` is false: `inputs.go` with inputs.go = false");
    predicted(json!({ "c": { "with": { "go": "${{ needs.a.outputs.b }}" }, "calls": inner } }), "Depends");
}

fn named(plan: &Plan, id: &str) -> (Vec<String>, bool) {
    let names = plan.secrets_of_run(plan.find(id).unwrap());
    (names.named.into_keys().collect(), names.all)
}

#[test]
fn jobs_are_given_the_secrets_that_they_name() {
    let run = |script: &str| json!({ "steps": [{ "run": script }] });
    let inner = json!({ "env": { "E": "${{ secrets.inner_env }}" }, "jobs": { "x": run("${{ secrets.KEY }}") } });
    let jobs = json!({
        "a": run("${{ secrets.token || secrets['Other'] }}"),
        "b": run("${{ toJSON(secrets) }}"),
        "c": run("${{ secrets[matrix.name] }}"),
        "d": { "steps": [{ "run": "x", "if": "env.A", "env": { "A": "${{ secrets.A }}" } }] },
        "none": { "calls": inner },
        "inherit": { "calls": inner, "secrets": "inherit" },
        "mapped": { "calls": inner, "secrets": { "key": "${{ secrets.OUTER }}", "unused": "${{ secrets.U }}" } },
    });
    let workflow = workflow(&json!({ "env": { "W": "${{ secrets.WIDE }}" }, "jobs": jobs }));
    let plan = Plan::new(&workflow, &plan_facts()).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(named(&plan, "a"), (names(&["WIDE", "TOKEN", "OTHER"]), false));
    assert_eq!(named(&plan, "b"), (names(&["WIDE"]), true));
    assert_eq!(named(&plan, "c"), (names(&["WIDE"]), true));
    assert_eq!(named(&plan, "d"), (names(&["WIDE", "A"]), false));
    assert_eq!(named(&plan, "none/x"), (names(&[]), false));
    assert_eq!(named(&plan, "inherit/x"), (names(&["INNER_ENV", "KEY"]), false));
    assert_eq!(named(&plan, "mapped/x"), (names(&["OUTER"]), false));
    let known = ["WIDE", "TOKEN", "OTHER", "A", "INNER_ENV", "OUTER", "U"].map(str::to_owned);
    let missing: Vec<String> =
        plan.undefined_secrets(&BTreeSet::from(known)).into_iter().map(|warning| warning.message).collect();
    assert_eq!(missing, ["secret `KEY` is not defined and will be empty"]);
}

#[test]
fn selected_jobs() {
    let plan = plan(json!({
        "a": {}, "b": { "needs": ["a"] }, "c": { "needs": ["b"], "calls": { "jobs": { "x": {}, "y": { "needs": ["x"] } } } },
        "d": { "needs": ["c"] }, "e": {},
    }))
    .unwrap();
    for (asked, with_needs, expected) in [
        (&["b"][..], true, "a b"),
        (&["B"], false, "b"),
        (&["c"], false, "c c/x c/y"),
        (&["c/y"], true, "a b c c/x c/y"),
        (&["c/y"], false, "c c/y"),
        (&["d"], true, "a b c c/x c/y d"),
        (&["e", "a"], true, "a e"),
    ] {
        assert_eq!(ids(&plan, &plan.select(asked, with_needs).unwrap()), expected, "{asked:?} {with_needs}");
    }
    let errors = plan.select(&["c/z", "zzzzzz"], true).unwrap_err();
    assert_eq!(errors[0].help.as_deref(), Some("did you mean `c/x`?"));
    assert!(errors[1].help.as_ref().unwrap().contains("`c/y`"));
}

#[test]
fn explained() {
    let plan = plan(json!({
        "test": {
            "name": "${{ format('Test {0} {1}', github.ref_name, matrix.n) }}", "runs-on": "${{ matrix.n }}",
            "strategy": { "matrix": { "n": [1, 2] } },
            "steps": [{ "run": "\n  make test\n" }, { "run": "x", "name": "Say", "if": "failure()" }],
        },
        "ship": {
            "needs": ["test"], "if": "github.ref == 'refs/heads/main'", "environment": { "name": "production" },
            "runs-on": ["self-hosted", "${{ needs.test.outputs.label }}"], "concurrency": { "group": "${{ github.ref }}" },
        },
    }))
    .unwrap();
    insta::assert_json_snapshot!(explain(&plan, &SourceMap::default()));
}

fn drawn() -> Plan {
    plan(json!({
        "lint": {}, "test": { "name": "Test \"all\"", "strategy": { "matrix": { "n": [1, 2] } } },
        "build": { "needs": ["lint", "test"] },
        "deploy": { "needs": ["build"], "if": "false", "calls": { "jobs": { "push": {}, "check": { "needs": ["push"] } } } },
    }))
    .unwrap()
}

#[test]
fn graphs() {
    let plan = drawn();
    insta::assert_snapshot!(mermaid(&plan));
    insta::assert_snapshot!(dot(&plan));
    let levels: Vec<String> = levels(&plan, super::FrameIndex(0)).iter().map(|level| ids(&plan, level)).collect();
    assert_eq!(levels, ["lint test", "build", "deploy"]);
}

#[test]
fn nothing_overlaps_in_a_layout() {
    let layout = layout(&drawn());
    assert_eq!(layout.nodes.len(), 6);
    for (place, node) in layout.nodes.iter().enumerate() {
        assert!(node.x >= 0.0 && node.y >= 0.0 && node.x + node.w <= layout.width && node.y + node.h <= layout.height);
        for other in &layout.nodes[place + 1..] {
            let apart = node.x + node.w <= other.x || other.x + other.w <= node.x;
            let above = node.y + node.h <= other.y || other.y + other.h <= node.y;
            let inside = |inner: &super::Node, outer: &super::Node| {
                outer.is_group
                    && inner.x >= outer.x
                    && inner.y >= outer.y
                    && inner.x + inner.w <= outer.x + outer.w
                    && inner.y + inner.h <= outer.y + outer.h
            };
            assert!(apart || above || inside(other, node) || inside(node, other), "{node:?} {other:?}");
        }
    }
    assert!(layout.edges.iter().all(|edge| edge.start.0 < edge.end.0));
}

fn diamond(count: usize) -> Json {
    let needs =
        |at: usize| (1..=3).filter_map(|back| at.checked_sub(back)).map(|need| format!("j{need}")).collect::<Vec<_>>();
    (0..count).map(|at| (format!("j{at}"), json!({ "needs": needs(at) }))).collect::<Map<String, Json>>().into()
}

#[test]
fn large_plans() {
    let plan = plan(diamond(500)).unwrap();
    assert_eq!(plan.order.len(), 500);
    assert_eq!(layout(&plan).nodes.len(), 500);
    let errors = self::plan(diamond(1_001)).unwrap_err();
    assert_eq!(errors[0].message, "the workflow has more than 1000 jobs across all called workflows");
    let steps: Vec<Json> = (0..1_001).map(|_| json!({ "run": "x" })).collect();
    let many = self::plan(json!({ "j": { "steps": steps } })).unwrap();
    assert_eq!(many.warnings[0].message, "job `j` has 1001 steps, more than 1000");
    let mut nested = json!({ "jobs": { "x": {} } });
    for _ in 0..9 {
        nested = json!({ "jobs": { "x": { "calls": nested } } });
    }
    assert_eq!(self::plan(nested["jobs"].clone()).unwrap().jobs.len(), 10);
    let errors = self::plan(json!({ "x": { "calls": nested } })).unwrap_err();
    assert_eq!(errors[0].message, "workflows are nested more than 10 levels deep");
    assert!(matches!(many.jobs[0].prediction, Prediction::Runs));
}
