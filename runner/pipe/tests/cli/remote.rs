//! Verbs that ask the API: on a folder, on what `pipe run` left, and on a server that goes away and comes back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use engine::folders::Folders;
use engine::job::log_path;
use engine::sealing::{KeySource, Vault};
use engine::service::Reviewer;
use engine::store::audit::Audit;
use engine::store::rollouts::Rollouts;
use engine::store::secrets::Settings;
use engine::store::tokens::Tokens;
use engine::store::{Database, NewRun, Options, RunId, RunLog as _, SqliteStore};
use tokio_util::sync::CancellationToken;
use web::api::{Api, Dispatch, LocalAccess, Rerun, Review, SteerError, Steering};
use web::{Drained, Entrance, Server, ServerOptions};
use workflow::run::{Conclusion, EVENT_VERSION, JobRunKey, Recorded, RunEvent, StepIndex, StepResult};

use crate::world::World;

/// Does what is asked, to run 1.
#[derive(Debug)]
struct Obeys;

#[async_trait]
impl Steering for Obeys {
    async fn cancel(&self, _run: RunId, force: bool, _by: &str) -> Result<(), SteerError> {
        if force { Err(SteerError::Conflict("the run is over".into())) } else { Ok(()) }
    }

    async fn release(&self, run: RunId, _by: &str) -> Result<(), SteerError> {
        Err(SteerError::Conflict(format!("run {run} does not wait")))
    }

    async fn rerun(&self, run: RunId, _which: Rerun, _by: &str) -> Result<RunId, SteerError> {
        Ok(run)
    }

    async fn review(&self, _run: RunId, _review: Review, by: &Reviewer) -> Result<(), SteerError> {
        Err(SteerError::Forbidden(format!("{} is no reviewer", by.name)))
    }

    async fn dispatch(&self, dispatch: Dispatch, _by: &str) -> Result<Vec<RunId>, SteerError> {
        match dispatch {
            Dispatch::Workflow { inputs, .. } if inputs.len() == 1 => Ok(vec![RunId(1)]),
            Dispatch::Workflow { .. } => Err(SteerError::Invalid("the input `a` is missing".into())),
            Dispatch::Repository { .. } => Ok(Vec::new()),
        }
    }
}

/// A server on a folder.
struct Running {
    database: Database,
    store: SqliteStore,
    address: SocketAddr,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<Drained>,
    _access: LocalAccess,
}

impl Running {
    async fn start(data: &Path, address: &str) -> Self {
        std::fs::create_dir_all(data).unwrap();
        let vault = Arc::new(Vault::new(KeySource::choose(&|_| None, data).read(true).unwrap()));
        let database = Database::open(&data.join("pipe.db"), Options::SERVER).unwrap();
        let audit = Audit::open(database.clone(), &*vault).await.unwrap();
        let tokens = Tokens::on(database.clone(), audit.clone());
        let stop = CancellationToken::new();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let access = LocalAccess::open(data, address, &tokens, "ada").unwrap();
        let api = Api {
            entrance: Entrance::on(database.clone(), audit.clone()),
            database: database.clone(),
            folders: Folders { state: data.to_owned(), runtime: data.join("runtime") },
            registry: None,
            environments: Arc::default(),
            rollouts: Rollouts::on(database.clone()),
            settings: Settings::on(database.clone(), vault, audit.clone()),
            tokens,
            audit,
            steering: Arc::new(Obeys),
            herald: None,
            arrivals: Arc::default(),
            stop: stop.clone(),
        };
        let serving = tokio::spawn(Server::new(api.routes(), ServerOptions::default()).serve(listener, stop.clone()));
        Self { store: SqliteStore::on(database.clone()), database, address, stop, serving, _access: access }
    }

    async fn stop(self) -> SocketAddr {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.database.close().await;
        self.address
    }

    async fn facts(&self, from: u64, events: &[RunEvent]) {
        let facts = events.iter().zip(from..).map(|(event, seq)| Recorded {
            v: EVENT_VERSION,
            seq,
            at: jiff::Timestamp::UNIX_EPOCH,
            event: event.clone(),
        });
        self.store.append(RunId(1), &facts.collect::<Vec<_>>()).await.unwrap();
    }
}

/// A job with one step, that ends well.
fn course() -> Vec<RunEvent> {
    let key = JobRunKey::parse("build");
    let leg = serde_json::from_value(serde_json::json!({ "name": "Build", "timeout_ms": 1, "cancel_timeout_ms": 1 }));
    let (step, result) = (StepIndex(0), StepResult::plain(Conclusion::Success));
    vec![
        RunEvent::RunStarted,
        RunEvent::JobExpanded {
            job: key.job.clone(),
            matrix: false,
            legs: vec![leg.unwrap()],
            fail_fast: true,
            max_parallel: None,
        },
        RunEvent::JobRunStarted { key: key.clone() },
        RunEvent::StepStarted { key: key.clone(), step, name: "Compile".into() },
        RunEvent::StepFinished { key: key.clone(), step, result },
        RunEvent::JobRunFinished {
            key,
            conclusion: Conclusion::Success,
            outputs: std::collections::BTreeMap::new(),
            message: None,
        },
        RunEvent::RunFinished { conclusion: Conclusion::Success },
    ]
}

fn log(data: &Path, text: &str) {
    let path = log_path(&data.join("runs/1/logs"), &JobRunKey::parse("build"), Some(StepIndex(0)));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn make_run(running: &Running) {
    let new = NewRun {
        repository: "octo/shop".into(),
        workflow: ".github/workflows/ci.yml".into(),
        started_at: "2026-01-01T00:00:00Z".into(),
        ..NewRun::default()
    };
    running.store.create_run(new).await.unwrap();
}

fn data(world: &World) -> PathBuf {
    world.root().join("data")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn check(output: &Output, code: i32, expected: &str) -> String {
    let text = text(output);
    assert!(output.status.code() == Some(code) && text.contains(expected), "{:?}: {text}", output.status);
    text
}

#[test]
fn a_folder_is_asked_without_a_server() {
    let world = World::new(&[]);
    let run = |line: &str, input: &str| {
        let words: Vec<_> = line.split(' ').chain(["--data", "data"]).collect();
        world.output(&words, input)
    };
    std::fs::create_dir(data(&world)).unwrap();
    check(&run("secret set key --repo a/b", "hunter22\n"), 0, "secret KEY is set");
    check(&run("secret set 1key", "hunter22"), 2, "may not begin with a digit");
    check(&run("secret set short", "abc"), 2, "cannot be hidden");
    assert!(!check(&run("secret ls", ""), 0, "KEY").contains("hunter22"));
    check(&run("secret rm key", ""), 2, "there is no secret key for all");
    check(
        &run("secret set pipe_notify_team_url --notify", "https://hooks.example/x"),
        0,
        "PIPE_NOTIFY_TEAM_URL is set",
    );
    check(&run("secret set key --notify --repo a/b", "hunter22"), 2, "cannot be used with");
    check(&run("secret ls --json", ""), 0, "\"repository\": \"notify\"");
    check(&run("secret rm pipe_notify_team_url --notify", ""), 0, "is removed");
    check(&run("var set region eu-west-1", ""), 0, "variable REGION is set");
    check(&run("var ls --json", ""), 0, "\"value\": \"eu-west-1\"");
    check(&run("token create bot --scope runs:raed", ""), 2, "scopes are runs:read");
    check(&run("token create bot --scope runs:read", ""), 0, "pipe_");
    check(&run("token revoke bot", ""), 0, "taken back");
    check(&run("user add ada --role admin", "short"), 2, "at least 12 characters");
    check(&run("user add ada --role admin", "correct horse battery\n"), 0, "user ada is made");
    check(&run("user add bob --no-password", ""), 0, "user bob is made");
    check(&run("user role bob approver --repo octo/shop --env staging", ""), 0, "bob is approver");
    check(&run("user role bob king", ""), 2, "roles are viewer");
    check(&run("team add shop", ""), 0, "team shop is made");
    check(&run("team join shop bob", ""), 0, "bob is in the team shop");
    check(&run("team role shop developer", ""), 0, "shop is developer");
    check(&run("user ls", ""), 0, "approver in octo/shop for staging");
    check(&run("team ls", ""), 0, "developer");
    check(&run("user role bob approver --remove --repo octo/shop --env staging", ""), 0, "no more");
    check(&run("user role bob viewer --remove", ""), 2, "has no such role");
    check(&run("user rm ada", ""), 1, "no administrator");
    check(&run("user passwd bob", "another horse battery"), 0, "is set");
    check(&run("team rm shop", ""), 0, "is removed");
    check(&run("audit ls", ""), 0, "token.revoke");
    let anchor = check(&run("audit verify --json", ""), 0, "anchor");
    let anchor = anchor.split('"').find(|word| word.contains(':') && word.len() > 60).unwrap().to_owned();
    check(&run(&format!("audit verify --anchor {anchor}"), ""), 0, "rows hold together");
    let exported = check(&run("audit export", ""), 0, "\"signature\"");
    assert!(exported.lines().count() > 5 && exported.contains("\"hash\""), "{exported}");
    std::fs::write(world.root().join("kept"), exported).unwrap();
    check(&run("audit verify --checkpoint kept", ""), 0, "are those of 1 checkpoints");
    std::fs::write(world.root().join("none"), "{}").unwrap();
    check(&run("audit verify --checkpoint none", ""), 2, "no signed checkpoint");
    check(&run("secret rekey", ""), 0, "3 values are sealed with the key");
    check(&run("runs", ""), 0, "no runs");
    check(&run("cancel 1", ""), 2, "there is no run 1");
    check(&run("doctor", ""), 6, "✔ key");
    check(&world.output(&["backup", "copy", "--data", "data"], ""), 0, "the master key is not in it");
    check(&world.output(&["restore", "copy", "--data", "data", "--verify"], ""), 0, "it is whole");
    check(&world.output(&["restore", "copy", "--data", "data"], ""), 6, "empty folder");
    check(&world.output(&["restore", "copy", "--data", "other"], ""), 0, "put the master key there as well");
    std::fs::write(data(&world).join("key"), "pipe-key-1:x").unwrap();
    check(&run("secret ls", ""), 6, "is no list of");
}

#[test]
fn nobody_is_asked_without_an_address_or_a_token() {
    let world = World::new(&[]);
    check(&world.output(&["cancel", "1"], ""), 2, "there is no run 1");
    check(&world.output(&["runs", "--server", "http://127.0.0.1:1"], ""), 2, "there is no token");
    let mut command = world.command(&["runs", "--server", "http://127.0.0.1:1"]);
    check(&command.env("PIPE_TOKEN", "x").output().unwrap(), 6, "cannot be reached");
    let mut command = world.command(&["runs", "--server", "ci.example.com"]);
    check(&command.env("PIPE_TOKEN", "x").output().unwrap(), 2, "no address of a server");
    check(&world.output(&["secret", "set", "A", "value"], ""), 2, "unexpected argument");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_asked_as_its_folder_is() {
    let world = World::new(&[]);
    let running = Running::start(&data(&world), "127.0.0.1:0").await;
    make_run(&running).await;
    running.facts(1, &course()).await;
    log(&data(&world), "one\ntwo");
    let run = |line: &str| {
        let words: Vec<_> = line.split(' ').chain(["--data", "data"]).collect();
        world.output(&words, "hunter22")
    };
    check(&run("runs"), 0, "octo/shop");
    check(&run("show"), 0, "✔ Build");
    check(&run("logs 1 --job Build"), 0, "one\ntwo\n");
    let mark = [0_u64.to_le_bytes(), 1_700_000_000_250_u64.to_le_bytes()].concat();
    std::fs::write(
        log_path(&data(&world).join("runs/1/logs"), &JobRunKey::parse("build"), Some(StepIndex(0)))
            .with_extension("times"),
        mark,
    )
    .unwrap();
    check(&run("logs 1 --timestamps"), 0, "2023-11-14T22:13:20.250Z one\n2023-11-14T22:13:20.250Z two\n");
    check(&run("logs 1 -f -t"), 2, "cannot be used with");
    check(&run("logs 1 --job other"), 2, "its jobs: build");
    check(&run("watch 1"), 0, "[1/1] ✔ Build");
    check(&run("watch 1"), 0, "Run again: pipe rerun 1 --");
    check(&run("watch 1 --json"), 0, "\"type\":\"log\"");
    check(&run("watch 7"), 2, "there is no run 7");
    check(&run("logs latest -f"), 0, "[Build]   two");
    check(&run("cancel latest"), 0, "is being cancelled");
    check(&run("cancel 1 --force"), 1, "the run is over");
    check(&run("rerun 1 --failed"), 0, "run 1 is queued");
    check(&run("rerun 1 --watch"), 0, "[1/1] ✔ Build");
    check(&run("approve 1 production -m fine"), 6, "ada is no reviewer");
    check(&run("dispatch ci.yml --repo octo/shop --input a=1"), 0, "run 1 is queued");
    check(&run("dispatch ci.yml --repo octo/shop"), 2, "the input `a` is missing");
    check(&run("dispatch --type go --repo octo/shop"), 0, "no workflow runs on it");
    check(&run("secret set KEY"), 0, "secret KEY is set");
    check(&run("deliveries list"), 0, "no deliveries");
    check(&run("deliveries replay 7"), 2, "there is no delivery 7");
    let token = check(&run("token create bot --scope runs:read"), 0, "pipe_");
    let url = format!("http://{}", running.address);
    let mut command = world.command(&["runs", "--server", &url]);
    check(&command.env("PIPE_TOKEN", token.trim()).output().unwrap(), 0, "octo/shop");
    let mut command = world.command(&["cancel", "1", "--server", &url]);
    check(&command.env("PIPE_TOKEN", token.trim()).output().unwrap(), 6, "runs:write");
    check(&run("secret rekey"), 6, "uses it");
    check(&run("audit verify"), 0, "rows hold together");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_goes_on_when_the_server_comes_back() {
    let world = World::new(&[]);
    let running = Running::start(&data(&world), "127.0.0.1:0").await;
    make_run(&running).await;
    let course = course();
    running.facts(1, &course[..4]).await;
    log(&data(&world), "one\nha");
    let mut command = world.command(&["watch", "1", "--json", "--data", "data"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut seen = Vec::new();
    while !seen.last().is_some_and(|line: &String| line.contains("\"one\"")) {
        seen.push(lines.next().unwrap().unwrap());
    }
    let token = std::fs::read(data(&world).join("local.json")).unwrap();
    let address = running.stop().await;
    log(&data(&world), "one\nhalf\nthree\n");
    let running = Running::start(&data(&world), &address.to_string()).await;
    assert_ne!(std::fs::read(data(&world).join("local.json")).unwrap(), token);
    running.facts(5, &course[4..]).await;
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    let kinds = |lines: &[String]| {
        let kind = |line: &String| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            event["text"].as_str().or(event["type"].as_str()).unwrap().to_owned()
        };
        lines.iter().map(kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&rest), ["half", "three", "step_finished", "job_run_finished", "run_finished"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    running.stop().await;
}
