//! The action as a workflow calls it: a real keeper and database, the real engine, a proxy in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::clock::SystemClock;
use engine::step::trial::{Trial, Tried};
use engine::store::rollouts::{RolloutState, Rollouts};
use engine::store::verdicts::ScanRule;
use engine::store::{Database, Options};
use rollout::Order;
use tokio_util::sync::CancellationToken;

use super::DeployLocal;
use crate::action::Deploying;
use crate::action::job_here::JobHere;
use crate::rollout::{Keeper, Target};
use crate::scan::RequireScan;
use crate::target::Clouds;
use crate::target::local::Local;
use crate::target::local::tests::world::{World, image};

/// A server's parts, and a job.
struct Place {
    world: World,
    folder: tempfile::TempDir,
    action: DeployLocal,
}

impl Place {
    async fn new(name: &str) -> Self {
        Self::of(World::new(name).await)
    }

    fn of(world: World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("w/r/r")).unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let targets = BTreeMap::from([(Local::NAME, Arc::new(world.local.clone()) as Arc<dyn Target>)]);
        let keeper = Keeper::new(Rollouts::on(database), folder.path().join("locks"), targets, Arc::new(SystemClock));
        let deploying = Some(Deploying { keeper, local: world.local.clone(), clouds: Clouds::default() });
        let action = DeployLocal { deploying, ..DeployLocal::default() };
        Self { world, folder, action }
    }

    fn trial(&self, step: &str) -> Trial {
        let workspace = self.folder.path().join("w/r/r");
        let mut trial = Trial::new(workspace.clone(), workspace.clone(), self.folder.path());
        trial.workspace.inside = workspace.to_string_lossy().into_owned();
        trial.run.environment = Some(self.world.environment.clone());
        // Another step of another job, by which its rollout is known.
        trial.run.job = step.to_owned();
        trial.job = Some(Arc::new(JobHere::new(workspace)));
        trial
    }

    async fn run(&self, step: &str, given: &[(&str, &str)]) -> Tried {
        self.run_as(&self.trial(step), step, given).await
    }

    async fn run_as(&self, trial: &Trial, step: &str, given: &[(&str, &str)]) -> Tried {
        let about = self.world.about.as_ref().unwrap();
        let (proxy_port, test_port) = (about.listen.port().to_string(), about.test_listen.unwrap().port().to_string());
        let version = format!("VERSION={step}");
        let mut inputs = vec![
            ("service", "orders"),
            ("image", image()),
            ("port", "8080"),
            ("version", step),
            ("env", version.as_str()),
            ("proxy-port", proxy_port.as_str()),
            ("test-port", test_port.as_str()),
            ("health-interval", "20ms"),
            ("health-threshold", "1"),
            ("start-period", "5s"),
            ("stop-timeout", "0"),
            ("keep-blue", "1h"),
            ("tick", "100ms"),
            ("steps", "- { weight: 50, for: 300ms }\n- { weight: 100 }"),
        ];
        inputs.retain(|(name, _)| !given.iter().any(|(other, _)| other == name));
        inputs.extend(given);
        trial.run(&self.action, &inputs).await
    }
}

fn failed(tried: &Tried, expected: &[&str]) {
    let error = tried.result.as_ref().expect_err(&tried.log).to_string();
    for part in expected {
        assert!(error.contains(part), "{part}\n{error}\n{}", tried.log);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_nothing_to_the_second_version() {
    let place = Place::new("action").await;
    let dry = place.run("v0", &[("dry-run", "true")]).await;
    assert!(dry.result.is_ok(), "{}", dry.log);
    for part in ["nothing of the service stands yet", "plan hash    sha256:", "step 1       50 %"] {
        assert!(dry.log.contains(part), "{part}\n{}", dry.log);
    }
    assert_eq!(place.world.containers(true), "", "a dry run makes nothing");

    let rules = RequireScan::new([(place.world.environment.clone(), ScanRule::default())]);
    let guarded = DeployLocal { require: rules, ..place.action.clone() };
    let inputs = [("service", "orders"), ("image", image()), ("port", "8080")];
    let refused = place.trial("v1").run(&guarded, &inputs).await;
    failed(&refused, &["takes only images that a scan has let pass"]);
    assert_eq!(place.world.containers(true), "", "what no scan has seen is not started");

    let begun = Instant::now();
    let first = place.run("v1", &[]).await;
    assert!(first.result.is_ok(), "{}", first.log);
    println!("first deployment: {:?}\n{}", begun.elapsed(), first.log);
    assert_eq!((first.outputs["status"].as_str(), first.outputs["color"].as_str()), ("succeeded", "green"));
    assert_eq!(place.world.get("/cgi-bin/version").await, "v1");

    let script = "AfterAllowTestTraffic:\n- |\n  env | grep ^PIPE_ | sort > hook.txt; echo smoke is fine\n- probe: {max-requests: 20}";
    let trial = place.trial("v2");
    let second = place.run_as(&trial, "v2", &[("hooks", script)]).await;
    assert!(second.result.is_ok(), "{}", second.log);
    println!("{}", second.log);
    let outputs = &second.outputs;
    assert_eq!((outputs["previous-image"].as_str(), outputs["final-weight"].as_str()), (image(), "100"));
    assert_eq!(outputs["rollback-reason"], "");
    let visited = ["Visiting green at AfterAllowTestTraffic", "Asked 20 times in"];
    for part in visited.into_iter().chain(["Running the script of AfterAllowTestTraffic", "smoke is fine", "50 %"]) {
        assert!(second.log.contains(part), "{part}\n{}", second.log);
    }
    let hook = std::fs::read_to_string(place.folder.path().join("w/r/r/hook.txt")).unwrap();
    for part in
        ["PIPE_COLOR=green", "PIPE_TEST_URL=http://127.0.0.1:", "PIPE_URL=http", "PIPE_REVISION=2", "PIPE_STAGE="]
    {
        assert!(hook.contains(part), "{part}\n{hook}");
    }
    assert_eq!(place.world.get("/cgi-bin/version").await, "v2");

    // The same step once more, as after a crash: its rollout is found and nothing is done.
    let again = place.run_as(&Trial { again: true, ..trial }, "v2", &[("hooks", script)]).await;
    assert!(again.result.is_ok() && again.log.contains("taken up"), "{}", again.log);
    assert_eq!(again.outputs["deployment-id"], outputs["deployment-id"]);
    assert_eq!(place.world.containers(true), "orders-1-1 orders-2-1");

    let dry = place.run("v3", &[("dry-run", "true")]).await;
    assert!(dry.log.contains("look whether rollout 2") && dry.log.contains("keep the old one warm"), "{}", dry.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_goes_back_with_the_reason() {
    let place = Place::new("fails").await;
    assert!(place.run("v1", &[]).await.result.is_ok());
    let crash = place.run("v2", &[("env", "MODE=crash")]).await;
    failed(&crash, &["orders-2-1 ended with exit code 3", "no DATABASE_URL"]);
    assert_eq!(crash.outputs["status"], "rejected");
    assert!(crash.outputs["rollback-reason"].contains("exit code 3"), "{:?}", crash.outputs);
    assert_eq!(
        (place.world.get("/cgi-bin/version").await.as_str(), place.world.containers(true).as_str()),
        ("v1", "orders-1-1")
    );

    let sick = place.run("v3", &[("env", "MODE=sick"), ("start-period", "5s")]).await;
    failed(&sick, &["rejected", "HTTP 404"]);
    let port = place.run("v4", &[("port", "7070"), ("start-period", "5s")]).await;
    failed(&port, &["nothing listens at port 7070", "8080/tcp"]);
    let flaps =
        place.run("v5", &[("health-path", "/cgi-bin/flap"), ("health-threshold", "2"), ("start-period", "1s")]).await;
    failed(&flaps, &["rejected", "is not healthy: GET http", "/cgi-bin/flap: HTTP 503: warming up"]);
    let hook = place.run("v6", &[("hooks", "BeforeAllowTraffic: echo no stock left; exit 7")]).await;
    failed(&hook, &["the script of BeforeAllowTraffic ended with exit code 7", "no stock left"]);
    let probe = place.run("v8", &[("hooks", "AfterAllowTestTraffic: {probe: {openapi: /cgi-bin/version}}")]).await;
    failed(
        &probe,
        &["the probe at AfterAllowTestTraffic says", "/cgi-bin/version cannot be used: it is no description"],
    );
    let absent =
        place.run("v9", &[("hooks", "BeforeAllowTraffic: {probe: {gate: gate.yml}}"), ("test-port", "")]).await;
    failed(
        &absent,
        &["the probe at BeforeAllowTraffic says", "`gate: gate.yml`: there is no such file in the workspace"],
    );
    assert_eq!(place.world.containers(true), "orders-1-1");
    assert_eq!(place.world.get("/cgi-bin/version").await, "v1");

    let trial = place.trial("v7");
    let cancel = trial.cancel.clone();
    let steps = [("steps", "- { weight: 50, for: 1h }\n- { weight: 100 }")];
    let cancelled = async {
        place.until_split().await;
        cancel.cancel();
    };
    let (tried, ()) = tokio::join!(place.run_as(&trial, "v7", &steps), cancelled);
    failed(&tried, &["rolled-back"]);
    assert_eq!((tried.outputs["final-weight"].as_str(), place.world.containers(true).as_str()), ("0", "orders-1-1"));
}

impl Place {
    fn client(&self) -> proxy::client::Client {
        proxy::client::Client::at(self.world.local.proxy_folder(&self.world.environment).join("control.sock"))
    }

    /// Returns once two colours share the requests.
    async fn until_split(&self) {
        let client = self.client();
        loop {
            let last = client.events(0).await.unwrap().last().map_or(0, |event| event.number);
            let table = client.table().await.unwrap();
            if table.routes.iter().any(|route| route.colours.iter().any(|colour| colour.weight == 500)) {
                return;
            }
            client.wait_events(last, Duration::from_secs(30)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_fails_is_stuck_and_tried_again_when_it_is_ordered() {
    let place = Place::new("stuck").await;
    assert!(place.run("v1", &[]).await.result.is_ok());
    let (trial, client) = (place.trial("v2"), place.client());
    let cancel = trial.cancel.clone();
    let meddled = async {
        place.until_split().await;
        // Somebody takes blue out of the table, and there is no way back.
        let whole = client.table().await.unwrap();
        let mut other = whole.clone();
        other.routes[0].colours.retain(|colour| colour.name == "green");
        other.routes[0].colours[0].weight = 1_000;
        client.replace(whole.generation, &other).await.unwrap();
        cancel.cancel();
        whole
    };
    let steps = [("steps", "- { weight: 50, for: 1h }\n- { weight: 100 }")];
    let (tried, whole) = tokio::join!(place.run_as(&trial, "v2", &steps), meddled);
    let to_do = "order `rollback` to try again, or `abort` to leave all as it is and free the lock";
    failed(&tried, &["ended stuck", "blue of `orders`", "is not in the proxy's table", "look at the target", to_do]);
    assert_eq!(tried.outputs["status"], "stuck");
    assert_eq!(place.world.containers(false), "orders-1-1 orders-2-1", "nothing is stopped that may have users");
    let next = place.run("v3", &[("on-active-deployment", "fail")]).await;
    failed(&next, &["rejected", "rollout 2 of orders goes on", "asked not to wait"]);
    assert_eq!(place.world.get("/cgi-bin/version").await, "v2");

    let generation = client.table().await.unwrap().generation;
    client.replace(generation, &whole).await.unwrap();
    let keeper = &place.action.deploying.as_ref().unwrap().keeper;
    keeper.order(2, Order::Rollback, "ada", "the table is as it was").await.unwrap();
    let mut changed = keeper.rollouts().changed();
    let row = loop {
        changed.mark_unchanged();
        let row = keeper.rollouts().get(2).await.unwrap().unwrap();
        if row.state == RolloutState::Closed {
            break row;
        }
        changed.changed().await.unwrap();
    };
    assert_eq!(row.view["outcome"], "rolled-back", "{}", row.view);
    assert_eq!(place.world.get("/cgi-bin/version").await, "v1");
    assert_eq!(place.world.containers(true), "orders-1-1");
    assert!(place.run("v4", &[]).await.result.is_ok(), "the lock is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_is_not_changed_afterwards() {
    let place = Place::new("plan").await;
    let trial = place.trial("v1");
    let first = place.run_as(&trial, "v1", &[]).await;
    assert!(first.result.is_ok(), "{}", first.log);
    let other = place.run_as(&Trial { again: true, ..trial }, "v1", &[("env", "VERSION=v2")]).await;
    let hash = first.outputs["plan-hash"].as_str();
    assert_ne!(other.outputs["plan-hash"], hash);
    failed(
        &other,
        &["rollout 1 was asked for by this step before, with another plan", hash, &other.outputs["plan-hash"]],
    );
    assert_eq!(place.world.containers(true), "orders-1-1");
    assert_eq!(place.world.get("/cgi-bin/version").await, "v1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy_but_slow() {
    let place = Place::new("slow").await;
    assert!(place.run("v1", &[]).await.result.is_ok());
    let over = CancellationToken::new();
    let users = (0..6).map(|_| async {
        while !over.is_cancelled() {
            place.world.get("/cgi-bin/version").await;
        }
    });
    let steps = "- { weight: 50, for: 40s, analyse: true }\n- { weight: 100 }";
    let inputs = [("steps", steps), ("env", "MODE=slow"), ("analysis", "{ min-requests: 10 }"), ("tick", "500ms")];
    let deployed = async {
        let tried = place.run("v2", &inputs).await;
        over.cancel();
        tried
    };
    let (tried, _) = tokio::join!(deployed, futures_util::future::join_all(users));
    println!("{}", tried.log);
    failed(&tried, &["rolled-back", "slow"]);
    assert_eq!(tried.outputs["final-weight"], "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_follow_each_other_or_one_gives_way() {
    let place = Place::new("two").await;
    let (first, second) = tokio::join!(place.run("v1", &[]), place.run("v2", &[]));
    assert!(first.result.is_ok() && second.result.is_ok(), "{}\n{}", first.log, second.log);
    let steps = [("steps", "- { weight: 50, for: 1h }\n- { weight: 100 }")];
    let trial = place.trial("v3");
    let cancel: CancellationToken = trial.cancel.clone();
    let busy = async {
        place.until_split().await;
        let busy = place.run("v4", &[("on-active-deployment", "fail")]).await;
        failed(&busy, &["rejected"]);
        cancel.cancel();
    };
    let (tried, ()) = tokio::join!(place.run_as(&trial, "v3", &steps), busy);
    failed(&tried, &["rolled-back"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_wrong() {
    let place = Place::new("wrong").await;
    failed(&place.run("v1", &[("replcas", "2")]).await, &["has no input `replcas`", "did you mean `replicas`?"]);
    failed(&place.run("v1", &[("steps", "- { weight: 50 }")]).await, &["steps[1].weight", "ends at 50 %"]);
    failed(
        &place.run("v1", &[("image", "pipe-tests/never-made:1")]).await,
        &["is not on this machine", "pipe/docker-build"],
    );
    failed(&place.run("v1", &[("env-file", "none.env")]).await, &["`env-file: none.env` cannot be read"]);
    let mut trial = place.trial("v1");
    trial.run.environment = None;
    failed(&place.run_as(&trial, "v1", &[]).await, &["where to?", "`environment:`"]);
    let (trial, nobody) = (place.trial("v1"), DeployLocal::default());
    let nobody = trial.run(&nobody, &[("service", "a"), ("image", "b"), ("port", "1")]);
    failed(&nobody.await, &["keeps no rollouts"]);
}
