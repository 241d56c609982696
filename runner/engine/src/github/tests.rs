//! Facts of runs and the reports that come of them.

use std::sync::Arc;

use serde_json::json;
use workflow::command::{Annotation, AnnotationLevel};
use workflow::expression::Value;
use workflow::read::{ReadOptions, WorkflowFiles, read_workflow};
use workflow::run::{
    CancelReason, Conclusion, EVENT_VERSION, JobRunKey, Leg, Recorded, RunEvent, RunFacts, SkipReason, StepIndex,
    StepResult,
};
use workflow::source::SourceFile;

use super::*;

const WORKFLOW: &str = "
name: CI
on: push
jobs:
  test:
    strategy: { matrix: { os: [a, b] } }
    runs-on: x
    steps: [{ run: x }]
  deploy:
    needs: test
    runs-on: x
    environment: { name: 'prod-${{ github.actor }}', url: '${{ steps.up.outputs.url }}' }
    steps: [{ id: up, run: x }]
  quiet:
    runs-on: x
    environment: { name: x, deployment: false }
    steps: [{ run: x }]
";

struct NoFiles;

impl WorkflowFiles for NoFiles {
    fn read(&self, _reference: &str) -> Option<Result<SourceFile, String>> {
        None
    }
}

pub(super) fn facts() -> Arc<RunFacts> {
    let reading = read_workflow(SourceFile::new("ci.yml", WORKFLOW), &NoFiles, &ReadOptions::default());
    Arc::new(RunFacts {
        workflow: Arc::new(reading.workflow.unwrap()),
        github: Value::from_json(&json!({ "actor": "mona" })),
        inputs: Value::from_json(&json!({})),
        vars: Value::from_json(&json!({})),
        selected: None,
        legs: Vec::new(),
        environments: Arc::default(),
        workflow_hash: String::new(),
        held: None,
    })
}

fn about() -> About {
    About {
        run: 7,
        attempt: 2,
        repository: "mona/shop".into(),
        commit: "c".repeat(40),
        workflow: "CI".into(),
        event: "push".into(),
        forge: "github".into(),
        git_ref: "refs/heads/main".into(),
        pull_request: None,
        from_fork: false,
        url: Some("https://ci.example/runs/7".into()),
        problems: Vec::new(),
    }
}

struct World {
    course: Course,
    seq: u64,
    findings: JobFindings,
}

impl World {
    fn new(about: About, facts: Option<Arc<RunFacts>>) -> Self {
        Self { course: Course::new(about, facts), seq: 0, findings: JobFindings::default() }
    }

    fn tell(&mut self, event: RunEvent) -> Vec<Report> {
        self.seq += 1;
        let at = jiff::Timestamp::from_second(i64::try_from(self.seq * 10).unwrap()).unwrap();
        self.course.apply(&Recorded { v: EVENT_VERSION, seq: self.seq, at, event }, &self.findings)
    }

    /// Runs one job from its start to its end.
    fn job(&mut self, key: &str, conclusion: Conclusion, outputs: &[(&str, &str)]) -> Vec<Report> {
        let key = JobRunKey::parse(key);
        let mut reports = self.tell(RunEvent::JobRunStarted { key: key.clone() });
        reports.extend(self.tell(RunEvent::JobRunPlaced { key: key.clone(), runner: "docker".into(), pre: 0 }));
        let step = StepIndex(0);
        reports.extend(self.tell(RunEvent::StepStarted { key: key.clone(), step, name: "make `all`".into() }));
        let outputs = outputs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let exit_code = Some(i32::from(conclusion == Conclusion::Failure) * 2);
        let result = StepResult { outputs, exit_code, ..StepResult::plain(conclusion) };
        reports.extend(self.tell(RunEvent::StepFinished { key: key.clone(), step, result }));
        let end = RunEvent::JobRunFinished { key, conclusion, outputs: Default::default(), message: None };
        reports.extend(self.tell(end));
        reports
    }
}

fn expanded(job: &str, names: &[&str]) -> RunEvent {
    let leg = |name: &&str| Leg {
        name: (*name).into(),
        matrix: json!(null),
        continue_on_error: false,
        timeout_ms: 60_000,
        cancel_timeout_ms: 1_000,
    };
    let job = JobRunKey::parse(job).job;
    let matrix = names.len() > 1;
    RunEvent::JobExpanded { job, matrix, legs: names.iter().map(leg).collect(), fail_fast: true, max_parallel: None }
}

/// One line a report.
fn lines(reports: &[Report]) -> Vec<String> {
    let line = |report: &Report| match report {
        Report::Status(status) => format!("{} {}: {}", status.context, status.state.word(), status.description),
        Report::Check(check) => {
            let end = check.conclusion.map(|end| json!(end).to_string()).unwrap_or_default();
            format!("{} [{}] {} {end}: {}", check.name, check.external_id, json!(check.status), check.title)
        }
        Report::Deployment(deployment) => format!("deploy {} [{}]", deployment.environment, deployment.external_id),
        Report::DeploymentStatus(status) => {
            let url = status.environment_url.as_deref().unwrap_or("-");
            format!("{} {} {url}", status.environment, status.state.word())
        }
        Report::Comment(comment) => format!("#{}: {}", comment.number, comment.comment.body),
    };
    reports.iter().map(|report| line(report).replace('"', "")).collect()
}

#[test]
fn a_run_from_its_beginning_to_its_end() {
    let mut world = World::new(about(), Some(facts()));
    assert_eq!(lines(&world.tell(RunEvent::RunStarted)), ["CI (push) pending: In progress"]);
    assert_eq!(
        lines(&world.tell(expanded("test", &["test (a)", "test (b)"]))),
        ["CI / test (a) (push) [7/2/test(0)] queued : Queued", "CI / test (b) (push) [7/2/test(1)] queued : Queued"]
    );
    world.findings.annotations = vec![Annotation::new(AnnotationLevel::Warning, "w"); 600];
    world.findings.summary = "# Tests".into();
    let reports = world.job("test(0)", Conclusion::Failure, &[]);
    assert_eq!(
        lines(&reports),
        [
            "CI / test (a) (push) [7/2/test(0)] in_progress : In progress",
            "CI / test (a) (push) [7/2/test(0)] completed failure: Failed in the step make `all`"
        ]
    );
    let Some(Report::Check(check)) = reports.last() else { panic!("{reports:?}") };
    assert_eq!(check.annotations.len(), 500);
    assert_eq!(check.summary, "- step `make 'all'` failed with exit code 2\n\n# Tests");
    assert_eq!(check.details_url.as_deref(), Some("https://ci.example/runs/7#test-0-"));
    let key = JobRunKey::parse("test(1)");
    let reason = CancelReason::FailFast { leg: "test (a)".into() };
    world.tell(RunEvent::JobRunCancelRequested { key: key.clone(), reason });
    let end =
        RunEvent::JobRunFinished { key, conclusion: Conclusion::Cancelled, outputs: Default::default(), message: None };
    assert_eq!(
        lines(&world.tell(end)),
        ["CI / test (b) (push) [7/2/test(1)] completed cancelled: Cancelled since test (a) failed"]
    );
    let needs = SkipReason::Needs { job: "test".into(), result: Conclusion::Failure };
    assert_eq!(
        lines(&world.tell(RunEvent::JobSkipped { job: JobRunKey::parse("deploy").job, reason: needs })),
        ["CI / deploy (push) [7/2/deploy] completed skipped: Skipped: test ended as failure"]
    );
    let not_selected = RunEvent::JobSkipped { job: JobRunKey::parse("quiet").job, reason: SkipReason::NotSelected };
    assert_eq!(lines(&world.tell(not_selected)), Vec::<String>::new());
    assert_eq!(
        lines(&world.tell(RunEvent::RunFinished { conclusion: Conclusion::Failure })),
        ["CI (push) failure: Failed after 1m 50s: test (a)"]
    );
}

#[test]
fn deployments_follow_the_job_that_names_an_environment() {
    for (conclusion, output, from_fork, expected) in [
        (Conclusion::Success, "https://shop.example", false, Some("success https://shop.example")),
        (Conclusion::Success, "javascript:alert(1)", false, Some("success -")),
        (Conclusion::Success, "https://***", false, Some("success -")),
        (Conclusion::Failure, "https://shop.example", false, Some("failure -")),
        (Conclusion::Cancelled, "", false, Some("error -")),
        (Conclusion::Success, "https://shop.example", true, None),
    ] {
        let mut world = World::new(About { from_fork, ..about() }, Some(facts()));
        world.tell(RunEvent::RunStarted);
        world.tell(expanded("deploy", &["deploy"]));
        world.findings.summary = "<img src=x>".into();
        let reports = world.job("deploy", conclusion, &[("url", output)]);
        let deployments: Vec<_> = lines(&reports).into_iter().filter(|line| !line.starts_with("CI")).collect();
        let Some(expected) = expected else {
            assert_eq!(deployments, Vec::<String>::new());
            assert!(!format!("{reports:?}").contains("img"));
            continue;
        };
        let begin = ["deploy prod-mona [7/2/deploy]".to_owned(), "prod-mona in_progress -".to_owned()];
        assert_eq!(deployments, begin.into_iter().chain([format!("prod-mona {expected}")]).collect::<Vec<_>>());
        world.tell(expanded("quiet", &["quiet"]));
        assert!(lines(&world.job("quiet", Conclusion::Success, &[])).iter().all(|line| line.starts_with("CI")));
    }
}

#[test]
fn a_pull_request_gets_one_comment_without_the_words_of_strangers() {
    let mut world = World::new(About { pull_request: Some(5), ..about() }, Some(facts()));
    let begin = lines(&world.tell(RunEvent::RunStarted));
    assert!(begin[1].contains("is in progress"), "{begin:?}");
    world.tell(expanded("deploy", &["@everyone | <b>`"]));
    world.job("deploy", Conclusion::Success, &[]);
    let end = lines(&world.tell(RunEvent::RunFinished { conclusion: Conclusion::Success }));
    let body = end[1].strip_prefix("#5: ").unwrap();
    assert!(
        body.starts_with("<!-- pipe: run 7 attempt 2 of mona/shop -->\n**[Run 7](https://ci.example/runs/7)**"),
        "{body}"
    );
    assert!(body.contains("| `@everyone ¦ <b>'` | ✅ success |"), "{body}");
    assert!(body.contains("succeeded in 1m 10s"), "{body}");
}

#[test]
fn a_workflow_that_cannot_be_read_is_a_failed_status_with_places() {
    let place = |line| Some((".github/workflows/ci.yml".to_owned(), line));
    let problems = vec![
        Problem { message: "unknown key `stesp`".into(), place: place(3) },
        Problem { message: "```".into(), place: None },
    ];
    let mut world = World::new(About { problems, ..about() }, None);
    let end = world.tell(RunEvent::RunFinished { conclusion: Conclusion::Failure });
    assert_eq!(
        lines(&end),
        [
            "CI (push) pending: Queued",
            "CI (push) failure: The workflow cannot be run: 2 problems",
            "CI (push) [7/2/workflow] completed failure: The workflow cannot be run"
        ]
    );
    let Some(Report::Check(check)) = end.last() else { panic!("{end:?}") };
    assert_eq!((check.annotations[0].path.as_str(), check.annotations[0].start_line), (".github/workflows/ci.yml", 3));
    assert_eq!(check.summary, "```text\nunknown key `stesp`\n\n'''\n```");
}

#[test]
fn limits_hold() {
    let mut world = World::new(About { workflow: "w".repeat(400), ..about() }, Some(facts()));
    world.tell(RunEvent::RunStarted);
    world.tell(expanded("deploy", &["ü".repeat(500).as_str()]));
    world.findings.summary = "é".repeat(60_000);
    let mut reports = world.job("deploy", Conclusion::Failure, &[]);
    reports.extend(world.tell(RunEvent::RunFinished { conclusion: Conclusion::Failure }));
    for report in reports {
        match report {
            Report::Status(status) => {
                assert!(status.description.chars().count() <= 140 && status.context.chars().count() <= 255);
            }
            Report::Check(check) => {
                assert!(check.name.chars().count() <= 255 && check.title.chars().count() <= 255);
                assert!(check.summary.len() <= 65_535);
            }
            Report::Deployment(_) | Report::DeploymentStatus(_) | Report::Comment(_) => {}
        }
    }
}

#[test]
fn subjects_tell_things_apart() {
    let mut world = World::new(About { pull_request: Some(1), ..about() }, Some(facts()));
    let mut reports = world.tell(RunEvent::RunStarted);
    reports.extend(world.tell(expanded("test", &["a", "b"])));
    reports.extend(world.tell(expanded("deploy", &["deploy"])));
    let subjects: std::collections::BTreeSet<_> = reports.iter().map(Report::subject).collect();
    assert_eq!(subjects.len(), reports.len(), "{subjects:?}");
    for report in reports {
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
