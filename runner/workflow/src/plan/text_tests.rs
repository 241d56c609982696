//! From the text of workflow files to plans and reasons: reader, trigger and plan together.

use std::sync::Arc;

use serde_json::{Map, json};

use super::{Explanation, Plan, PlanFacts, explain, not_triggered};
use crate::event::{ChangedFiles, Event, GithubFacts, github_context};
use crate::read::{ReadOptions, Reading, WorkflowFiles, read_workflow};
use crate::source::SourceFile;
use crate::trigger::tests::facts;
use crate::trigger::{TriggerDecision, decide};

const CALLER: &str = "\
name: Ship
on:
  push:
    branches: [main, 'release/**']
    paths: ['services/**', '!**/*.md']
env:
  WIDE: ${{ secrets.WIDE }}
jobs:
  test:
    strategy:
      matrix:
        service: [orders, products]
        node: [20]
        include:
          - service: orders
            database: true
    runs-on: ubuntu-latest
    steps:
      - run: echo ${{ secrets.TEST_KEY }} ${{ matrix.service }}
  deploy:
    name: Deploy
    needs: test
    if: github.ref == 'refs/heads/main'
    uses: ./.github/workflows/deploy.yml
    with:
      site: prod
    secrets:
      key: ${{ secrets.DEPLOY_KEY }}
  tell:
    needs: [deploy, test]
    if: always()
    runs-on: [self-hosted, '${{ vars.SIZE }}']
    steps:
      - uses: actions/checkout@v4
";

const CALLED: &str = "\
on:
  workflow_call:
    inputs:
      site: { type: string, required: true }
    secrets:
      key: { required: true }
jobs:
  push:
    if: inputs.site == 'prod'
    environment: ${{ inputs.site }}
    runs-on: ubuntu-latest
    steps:
      - run: push
        env:
          KEY: ${{ secrets.key }}
";

struct Called;

impl WorkflowFiles for Called {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        (reference == "./.github/workflows/deploy.yml").then(|| Ok(SourceFile::new(reference, CALLED)))
    }
}

fn read(text: &str) -> Reading {
    let file = SourceFile::new(".github/workflows/ship.yml", text);
    let reading = read_workflow(file, &Called, &ReadOptions::default());
    assert!(reading.errors.is_empty(), "{:?}", reading.errors);
    reading
}

fn push(git_ref: &str, files: &[&str]) -> Arc<Event> {
    let files = ChangedFiles::Known(files.iter().map(|file| (*file).to_owned()).collect());
    Arc::new(Event::push(&facts(git_ref)).unwrap().with_changed_files(files))
}

fn told(git_ref: &str) -> (Plan, Explanation) {
    let reading = read(CALLER);
    let workflow = reading.workflow.unwrap();
    let TriggerDecision::Runs { event, inputs } = decide(&workflow, &push(git_ref, &["services/a/b.js"])) else {
        panic!("it should run")
    };
    let github = github_context(&event, &GithubFacts::default());
    let vars = Map::from_iter([("SIZE".to_owned(), json!("large"))]);
    let plan = Plan::new(&workflow, &PlanFacts { event, inputs, github, vars }).unwrap();
    let told = explain(&plan, &reading.sources);
    (plan, told)
}

#[test]
fn a_text_becomes_a_plan() {
    let (plan, told) = told("refs/heads/main");
    let lines: Vec<String> = told
        .jobs
        .iter()
        .map(|job| format!("{} [{}] {} {}", job.id, job.name, job.status, job.secrets.join(",")))
        .collect();
    assert_eq!(
        lines,
        [
            "test [test] runs WIDE,TEST_KEY",
            "deploy [Deploy] runs DEPLOY_KEY",
            "deploy/push [Deploy / push] runs KEY",
            "tell [tell] runs WIDE",
        ]
    );
    assert_eq!(told.jobs[2].environment.as_deref(), Some("prod"));
    assert_eq!(told.jobs[3].runs_on, Some(vec!["self-hosted".to_owned(), "large".to_owned()]));
    let legs = serde_json::to_value(&told.jobs[0].legs).unwrap();
    assert_eq!(legs["legs"][0]["name"], "test (orders, 20)");
    assert_eq!(legs["legs"][0]["matrix"], json!({ "service": "orders", "node": 20, "database": true }));
    let mut some = told.clone();
    some.pick_legs(&[("service".to_owned(), "products".to_owned()), ("other".to_owned(), "1".to_owned())]);
    assert_eq!(serde_json::to_value(&some.jobs[0].legs).unwrap()["legs"], json!([legs["legs"][1]]));
    let push = plan.find("deploy/push").unwrap();
    assert_eq!(plan.secrets_of_run(push).named.into_keys().collect::<Vec<_>>(), ["DEPLOY_KEY"]);
    assert_eq!(told.secrets, ["WIDE", "TEST_KEY", "DEPLOY_KEY"]);
}

#[test]
fn skipped_jobs_say_why() {
    let (_, told) = told("refs/heads/release/1");
    let reasons: Vec<Option<&str>> = told.jobs.iter().map(|job| job.reason.as_deref()).collect();
    assert_eq!(
        reasons,
        [
            None,
            Some("`if` is false: `github.ref == 'refs/heads/main'` with github.ref = 'refs/heads/release/1'"),
            Some("`deploy` is skipped"),
            None,
        ]
    );
}

#[test]
fn reasons_point_at_the_filter() {
    let reading = read(CALLER);
    let workflow = reading.workflow.unwrap();
    let event = push("refs/heads/feature/x", &["services/README.md"]);
    let TriggerDecision::DoesNotRun(reasons) = decide(&workflow, &event) else { panic!("it should not run") };
    let told = not_triggered(&workflow, &reasons, &reading.sources);
    let lines: Vec<String> = told
        .reasons
        .iter()
        .map(|reason| {
            let at = reason.at.unwrap();
            format!("{}:{} {}", at.line, at.column, reason.message)
        })
        .collect();
    assert_eq!(
        lines,
        [
            "4:16 `branches: [main, release/**]` does not match `feature/x`",
            "5:13 `paths: [services/**, !**/*.md]` does not match `services/README.md`",
        ]
    );
}
