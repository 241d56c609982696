//! From the log of a run to the forge: the reader killed and begun again at every fact, news for people, a trace.

use std::sync::Arc;

use engine::clock::SystemClock;
use engine::reporting::{NoFindings, Plan, ReaderSettings, Reporting};
use engine::service::{FixedSecrets, RunSpec};
use engine::store::deliveries::{Deliveries, DeliveryFilter, RunOfDelivery};
use engine::store::followers::{Followers, Following};
use engine::store::outbox::Outbox;
use engine::store::repositories::{NewRepository, Repositories};
use engine::store::{Database, Options, RunId, RunLog as _, SqliteStore};
use engine::telemetry::{Exporter, TARGET, Traces};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use workflow::event::{Event, Forge};
use workflow::run::{Conclusion, EVENT_VERSION, JobRunKey, Leg, Recorded, RunEvent, StepIndex, StepResult};

use super::fake::Fake;
use super::people;
use super::world::{World, until};

const WORKFLOW: &str = "
name: CI
on: push
jobs:
  build:
    runs-on: x
    environment: { name: prod, url: 'https://${{ vars.HOST }}/' }
    steps: [{ run: x }]
";

fn spec(problem: Option<Vec<String>>) -> RunSpec {
    let payload = json!({
        "ref": "refs/heads/main", "after": "c".repeat(40), "head_commit": { "message": "one" },
        "repository": { "full_name": "mona/shop", "default_branch": "main", "owner": { "login": "mona" } },
        "sender": { "login": "mona" },
    });
    let sources = IndexMap::from([(".github/workflows/ci.yml".to_owned(), WORKFLOW.to_owned())]);
    let event = Event::parse("push", payload).unwrap();
    RunSpec { problem, ..RunSpec::new(Forge::Github, event, ".github/workflows/ci.yml", sources) }
}

fn story() -> Vec<RunEvent> {
    let key = JobRunKey::parse("build");
    let leg = Leg {
        name: "build".into(),
        matrix: Json::Null,
        continue_on_error: false,
        timeout_ms: 60_000,
        cancel_timeout_ms: 1_000,
    };
    let (job, conclusion) = (key.job.clone(), Conclusion::Success);
    let result = StepResult::plain(conclusion);
    vec![
        RunEvent::RunStarted,
        RunEvent::JobExpanded { job, matrix: false, legs: vec![leg], fail_fast: true, max_parallel: None },
        RunEvent::JobRunStarted { key: key.clone() },
        RunEvent::JobRunPlaced { key: key.clone(), runner: "docker: x".into(), pre: 0 },
        RunEvent::StepStarted { key: key.clone(), step: StepIndex(0), name: "Run x".into() },
        RunEvent::StepFinished { key: key.clone(), step: StepIndex(0), result },
        RunEvent::JobRunFinished { key, conclusion, outputs: Default::default(), message: None },
        RunEvent::RunFinished { conclusion },
    ]
}

struct Server {
    _folder: tempfile::TempDir,
    store: SqliteStore,
    forge: World,
    collector: Fake,
}

impl Server {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let (forge, collector) = (World::new().await, Fake::start().await);
        Self { _folder: folder, store: SqliteStore::on(database), forge, collector }
    }

    async fn begin(&self) -> Reporting {
        let exporter = Exporter::new(&self.collector.url(), vec![("x-key".into(), "k".into())]).unwrap();
        let reader = ReaderSettings {
            targets: [("github".to_owned(), "github".to_owned())].into(),
            url: Some("https://ci.example/".into()),
            comments: true,
            traces: Some(Traces { instance: "test".into() }),
            ..ReaderSettings::default()
        };
        let mut targets: IndexMap<String, Arc<dyn engine::reporting::Target>> = IndexMap::new();
        targets.insert("github".into(), self.forge.by_token());
        targets.insert(TARGET.into(), Arc::new(exporter));
        let vars = IndexMap::from([("HOST".to_owned(), "shop.example".to_owned())]);
        let secrets = Arc::new(FixedSecrets { vars, ..FixedSecrets::default() });
        let plan = Plan { reader, targets, ..Plan::default() };
        Reporting::start(self.store.clone(), plan, secrets, Arc::new(NoFindings), Arc::new(SystemClock)).await.unwrap()
    }

    async fn make(&self, spec: RunSpec) -> RunId {
        let run = spec.row("2026-01-01T00:00:00Z".into());
        let new = RunOfDelivery { run, spec: Some(spec), facts: Box::new(|_| Vec::new()) };
        self.store.make_runs(vec![new]).await.unwrap()[0].id
    }

    async fn record(&self, run: RunId, seq: u64, event: RunEvent) {
        let at = jiff::Timestamp::from_second(1_800_000_000 + i64::try_from(seq).unwrap()).unwrap();
        self.store.append(run, &[Recorded { v: EVENT_VERSION, seq, at, event }]).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_is_told_whole_whenever_the_server_begins_again() {
    for restart in 0..=story().len() {
        let server = Server::new().await;
        let mut reporting = server.begin().await;
        let run = server.make(spec(None)).await;
        for (at, event) in story().into_iter().enumerate() {
            if at == restart {
                reporting.stop().await;
                reporting = server.begin().await;
            }
            server.record(run, at as u64 + 1, event).await;
            reporting.recorded().notify_one();
        }
        if restart == story().len() {
            // Nothing was told yet, or all: either way it is told once.
            drop(reporting);
            reporting = server.begin().await;
            reporting.recorded().notify_one();
        }
        let done = |seen: &Json| {
            let states = seen["statuses"].as_object().unwrap().values().next().cloned().unwrap_or_default();
            states.as_array().is_some_and(|states| states.last() == Some(&json!("success")))
        };
        until(async || done(&server.forge.fake.state().seen()) && !server.collector.state().requests.is_empty()).await;
        let seen = server.forge.fake.state().seen();
        assert_eq!(seen["checks"], json!([["1/1/build", "completed", "success", 0]]), "restart at {restart}");
        let deployment = &seen["deployments"]["\"1/1/build\""];
        assert_eq!(
            (&deployment[0], deployment[1].as_array().unwrap().last()),
            (&json!("prod"), Some(&json!("success")))
        );
        assert_eq!(seen["deployments_made"], 1);
        {
            let state = server.forge.fake.state();
            let (_, status) = state.statuses.last().unwrap();
            assert_eq!(
                (&status["context"], &status["target_url"]),
                (&json!("CI (push)"), &json!("https://ci.example/runs/1"))
            );
            let (_, status) = state.deployment_statuses.last().unwrap();
            assert_eq!(status["environment_url"], "https://shop.example/");
        }
        reporting.stop().await;
    }
}

#[tokio::test]
async fn a_trace_has_a_span_for_run_job_and_step() {
    let server = Server::new().await;
    let reporting = server.begin().await;
    let run = server.make(spec(None)).await;
    for (event, seq) in story().into_iter().zip(1..) {
        server.record(run, seq, event).await;
    }
    reporting.recorded().notify_one();
    until(async || !server.collector.state().bodies.is_empty()).await;
    let (path, body) = server.collector.state().bodies[0].clone();
    assert_eq!(path, "/v1/traces");
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Run x", "build", "RUN CI"]);
    let ids = Traces { instance: "test".into() }.ids("mona/shop", run.0);
    let key = JobRunKey::parse("build");
    assert_eq!(spans[2]["spanId"], ids.span(None, None));
    assert_eq!((&spans[1]["spanId"], &spans[1]["parentSpanId"]), (&spans[0]["parentSpanId"], &spans[2]["spanId"]));
    assert_eq!(ids.traceparent(Some(&key), None), format!("00-{}-{}-01", ids.trace(), ids.span(Some(&key), None)));
    assert_eq!((ids.trace().len(), spans[0]["kind"].as_u64(), spans[2]["kind"].as_u64()), (32, Some(1), Some(2)));
    let attribute = |attributes: &Json, name: &str| {
        let found = attributes.as_array().unwrap().iter().find(|one| one["key"] == name);
        found.map(|one| one["value"]["stringValue"].as_str().unwrap().to_owned())
    };
    for (name, value) in [
        ("cicd.pipeline.task.run.result", "success"),
        ("cicd.pipeline.task.name", "build"),
        ("cicd.pipeline.task.type", "deploy"),
        ("deployment.environment.name", "prod"),
        ("cicd.worker.name", "docker: x"),
    ] {
        assert_eq!(attribute(&spans[1]["attributes"], name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(attribute(&spans[2]["attributes"], "cicd.pipeline.result").as_deref(), Some("success"));
    let resource = &body["resourceSpans"][0]["resource"]["attributes"];
    for (name, value) in [
        ("service.name", "pipe"),
        ("cicd.pipeline.name", "CI"),
        ("vcs.owner.name", "mona"),
        ("vcs.repository.name", "shop"),
        ("vcs.ref.head.name", "main"),
        ("vcs.ref.head.type", "branch"),
    ] {
        assert_eq!(attribute(resource, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(spans[2]["startTimeUnixNano"], "1800000001000000000");
    reporting.stop().await;
}

#[tokio::test]
async fn a_workflow_that_cannot_be_read_is_told_with_its_places() {
    let server = Server::new().await;
    let reporting = server.begin().await;
    let problem = "error[P0103]: unknown key `stesp`\n  --> .github/workflows/ci.yml:4:5\n".to_owned();
    let run = server.make(spec(Some(vec![problem]))).await;
    server.record(run, 1, RunEvent::RunFinished { conclusion: Conclusion::Failure }).await;
    reporting.recorded().notify_one();
    until(async || !server.forge.fake.state().checks.is_empty()).await;
    until(async || server.forge.fake.state().statuses.iter().any(|(_, status)| status["state"] == "failure")).await;
    let state = server.forge.fake.state();
    let (_, status) = state.statuses.last().unwrap();
    assert_eq!(status["description"], "The workflow cannot be run: 1 problem");
    assert_eq!(state.checks[0]["output"]["annotations_count"], 1);
}

/// What people are told of a run, where the server is begun again before the fact of that number.
async fn told(restart: usize) -> (Vec<String>, Vec<Vec<String>>) {
    let folder = tempfile::tempdir().unwrap();
    let inbox = super::inbox::Inbox::start().await;
    let store = SqliteStore::on(Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap());
    let text =
        format!("{}on = ['failure', 'deployment', 'approval']\n{}on = ['approval']\n", people::HOOK, people::BOT);
    let begin = async || {
        let plan = people::plan(folder.path(), &inbox, &text);
        let secrets = [("KEY".to_owned(), workflow::secret::Secret::new("hunter22"))].into_iter().collect();
        let secrets = Arc::new(FixedSecrets { secrets, ..FixedSecrets::default() });
        let clock = Arc::new(SystemClock);
        Reporting::start(store.clone(), plan, secrets, Arc::new(NoFindings), clock).await.unwrap()
    };
    let mut spec = spec(None);
    spec.event.head_message = Some("<!channel> uses hunter22\n\nbody".into());
    let row = spec.row("2026-01-01T00:00:00Z".into());
    let new = RunOfDelivery { run: row, spec: Some(spec), facts: Box::new(|_| Vec::new()) };
    let mut reporting = begin().await;
    let run = store.make_runs(vec![new]).await.unwrap()[0].id;
    let key = JobRunKey::parse("build");
    let ask = |reviewers: &[&str]| RunEvent::ReviewRequested {
        key: key.clone(),
        environment: "prod".into(),
        reviewers: reviewers.iter().map(|name| (*name).to_owned()).collect(),
        wait_ms: 0,
        terms: workflow::run::Terms::default(),
    };
    let mut facts = story();
    facts.splice(
        2..2,
        [
            ask(&["ada"]),
            // The same once more, as another job of the environment would.
            ask(&["ada"]),
            RunEvent::Reviewed {
                key: key.clone(),
                approved: true,
                by: "ada".into(),
                comment: String::new(),
                passed: true,
            },
        ],
    );
    for (at, event) in facts.into_iter().enumerate() {
        if at == restart {
            reporting.stop().await;
            reporting = begin().await;
        }
        let seq = at as u64 + 1;
        let at = jiff::Timestamp::from_second(1_800_000_000 + at as i64).unwrap();
        store.append(run, &[Recorded { v: EVENT_VERSION, seq, at, event }]).await.unwrap();
        reporting.recorded().notify_one();
    }
    let texts = || inbox.state().messages.values().cloned().collect::<Vec<_>>();
    let hooks = || inbox.state().came.iter().filter(|came| came.path == "/hook").cloned().collect::<Vec<_>>();
    until(async || {
        hooks().len() >= 2
            && texts().first().and_then(|texts| texts.last()).is_some_and(|last| last.contains("succeeded"))
    })
    .await;
    reporting.stop().await;
    assert!(hooks().iter().all(|came| !came.body.contains("hunter22") && came.body.contains("<!channel> uses ***")));
    (hooks().iter().map(|came| came.headers["x-pipe-event"].clone()).collect(), texts())
}

#[tokio::test]
async fn people_are_told_once_whenever_the_server_begins_again() {
    for restart in [0, 2, 3, 4, 5, 6, 9, 11] {
        let (hooks, slack) = told(restart).await;
        assert_eq!(hooks, ["review_requested", "deployment"], "restart at {restart}");
        assert_eq!(slack.len(), 1, "one message a run: {slack:?}");
        assert_eq!(slack[0][0], "Review wanted for prod: CI #1 on main (mona/shop)");
        assert_eq!(slack[0].last().unwrap(), "CI #1 on main succeeded (mona/shop)", "restart at {restart}");
    }
}

/// A run that is followed makes each delivery once, whenever the server begins again; one that is not makes none.
#[tokio::test]
async fn followers_are_told_once_whenever_the_server_begins_again() {
    let guids = async |server: &Server| {
        let all = Deliveries::on(server.store.database().clone());
        let list = all.list(DeliveryFilter { limit: 100, ..DeliveryFilter::default() }).await.unwrap();
        list.into_iter().rev().map(|one| one.guid).collect::<Vec<_>>()
    };
    for restart in 0..=story().len() {
        let server = Server::new().await;
        let database = server.store.database().clone();
        let new = NewRepository {
            forge: Forge::Github,
            full_name: "Mona/Shop".into(),
            url: "https://github.com/mona/shop".into(),
            secret: Vec::new(),
            fetch: None,
            created_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let repository = Repositories::on(database.clone()).put(new).await.unwrap();
        let followers = Followers::on(database.clone());
        let following = |name: &str, activity: &str| Following { name: name.into(), activity: activity.into() };
        let all = ["requested", "in_progress", "completed"];
        let mut wanted: Vec<_> = all.iter().map(|activity| following("CI", activity)).collect();
        wanted.extend([following("CI", "completed"), following("", "completed")]);
        followers.set(repository, wanted).await.unwrap();
        let mut reporting = server.begin().await;
        let run = server.make(spec(None)).await;
        for (at, event) in story().into_iter().enumerate() {
            if at == restart {
                reporting.stop().await;
                reporting = server.begin().await;
            }
            server.record(run, at as u64 + 1, event).await;
            reporting.recorded().notify_one();
        }
        if restart == story().len() {
            drop(reporting);
            reporting = server.begin().await;
        }
        let expected = all.map(|what| format!("workflow_run 1 {what}"));
        until(async || guids(&server).await.len() >= expected.len()).await;
        // Nobody follows it any more.
        followers.set(repository, vec![following("Other", "completed")]).await.unwrap();
        let other = server.make(spec(None)).await;
        for (event, seq) in story().into_iter().zip(1..) {
            server.record(other, seq, event).await;
        }
        let outbox = Outbox::on(database);
        until(async || outbox.open_runs().await.unwrap().is_empty()).await;
        reporting.stop().await;
        assert_eq!(guids(&server).await, expected, "restart at {restart}");
    }
}
