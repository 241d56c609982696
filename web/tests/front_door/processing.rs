//! From a hook to the runs that it starts, with real git; schedules by a clock that is set; the corpus to its end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::clock::Clock;
use engine::mirror::{Anonymous, MirrorOptions, Mirrors};
use engine::service::RunSpec;
use engine::store::deliveries::{Deliveries, DeliveryState};
use engine::store::followers::Followers;
use engine::store::repositories::{NewRepository, Repositories};
use engine::store::schedules::Schedules;
use engine::store::{RefOf, RunNumbers, SqliteStore, StoreError};
use engine::triggering::{Found, RerunAsked, RunMaker, Scheduler, Triggering, TrustPolicy};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use web::{Processor, Pump};
use workflow::event::{Event, Forge};

use crate::corpus;
use crate::world::{PATIENCE, Post, REPOSITORY, Setup, World, secret_of, signature};

const WORKFLOW: &str = "on: [push, create, delete, release, issue_comment, check_run, deployment, deployment_status, \
                        merge_group, workflow_run, repository_dispatch, workflow_dispatch, pull_request]\n\
                        jobs: { a: { runs-on: x, steps: [{ run: 'true' }] } }";
const NIGHTLY: &str = "on: { schedule: [{ cron: '30 2 * * *', timezone: Europe/Berlin }] }\n\
                       jobs: { a: { runs-on: x, steps: [{ run: 'true' }] } }";

/// A clock that is set.
#[derive(Debug)]
struct Hands {
    now: Mutex<Timestamp>,
    moved: Notify,
}

impl Hands {
    fn at(text: &str) -> Arc<Self> {
        Arc::new(Self { now: Mutex::new(text.parse().unwrap()), moved: Notify::new() })
    }

    fn set(&self, text: &str) {
        *self.now.lock().unwrap() = text.parse().unwrap();
        self.moved.notify_waiters();
    }
}

#[async_trait]
impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    async fn wait_until(&self, at: Timestamp) {
        loop {
            let moved = self.moved.notified();
            if self.now() >= at {
                return;
            }
            moved.await;
        }
    }
}

/// Remembers what it is asked to make.
#[derive(Debug)]
struct Made {
    deliveries: Deliveries,
    specs: Mutex<Vec<RunSpec>>,
}

#[async_trait]
impl RunMaker for Made {
    async fn make(&self, delivery: Option<u64>, specs: Vec<RunSpec>) -> Result<Option<Vec<RunNumbers>>, StoreError> {
        self.specs.lock().unwrap().extend(specs);
        self.deliveries.finish(delivery.unwrap(), DeliveryState::Processed).await?;
        Ok(Some(Vec::new()))
    }

    async fn again(&self, asked: &RerunAsked) -> Result<String, StoreError> {
        Ok(format!("{asked:?}"))
    }

    async fn end_of_ref(&self, _of: &RefOf) -> Result<usize, StoreError> {
        Ok(0)
    }
}

struct Build {
    world: World,
    made: Arc<Made>,
    triggering: Triggering,
    clock: Arc<Hands>,
    there: PathBuf,
}

fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

impl Build {
    async fn new(names: &[(Forge, String)]) -> Self {
        let world = World::start(Setup::default()).await;
        let there = world.folder.path().join("there");
        std::fs::create_dir(&there).unwrap();
        git(&there, &["init", "-q"]);
        write(&there, ".github/workflows/ci.yml", WORKFLOW);
        git(&there, &["add", "-A"]);
        git(&there, &["commit", "-qm", "first"]);
        let database = world.deliveries.database().clone();
        let repositories = Repositories::on(database.clone());
        for (forge, name) in names {
            let new = NewRepository {
                forge: *forge,
                full_name: name.clone(),
                url: there.display().to_string(),
                secret: b"sealed".to_vec(),
                fetch: None,
                created_at: Timestamp::UNIX_EPOCH,
            };
            repositories.put(new).await.unwrap();
        }
        let folder = world.folder.path().join("mirrors");
        let mirrors = Mirrors::open(&folder, MirrorOptions::default(), Arc::new(Anonymous)).unwrap();
        let (schedules, followers) = (Schedules::on(database.clone()), Followers::on(database.clone()));
        let (store, trust) = (SqliteStore::on(database), TrustPolicy::default());
        let triggering =
            Triggering { mirrors, repositories, schedules, followers, store, trust, actions: Arc::default() };
        let made = Arc::new(Made { deliveries: world.deliveries.clone(), specs: Mutex::default() });
        Self { world, made, triggering, clock: Hands::at("2026-03-27T12:00:00Z"), there }
    }

    /// Runs pump and scheduler until no delivery waits.
    async fn settle(&self) {
        let stop = CancellationToken::new();
        let processor = Processor {
            triggering: self.triggering.clone(),
            runs: self.made.clone(),
            deliveries: self.world.deliveries.clone(),
            clock: self.clock.clone(),
        };
        let arrivals = Arc::clone(&self.world.arrivals);
        let schedules = self.triggering.schedules.clone();
        let scheduler = Scheduler { schedules, clock: self.clock.clone(), arrivals: arrivals.clone() };
        scheduler.fire().await.unwrap();
        let pump =
            tokio::spawn(Pump::new(self.world.deliveries.clone(), Arc::new(processor), arrivals).run(stop.clone()));
        let settled = async {
            while !self.world.deliveries.waiting().await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("deliveries come to an end");
        stop.cancel();
        pump.await.unwrap();
    }

    fn push(&self, id: &str) -> Post {
        let body = json!({
            "ref": "refs/heads/main", "before": "0".repeat(40), "after": git(&self.there, &["rev-parse", "HEAD"]),
            "repository": { "full_name": REPOSITORY }, "pusher": { "name": "ada" }, "id": id,
        });
        let body = body.to_string();
        let mut post = Post::github("push", id, body.as_bytes()).at("/webhooks/push");
        post = post.with("X-Pipe-Event", "push").with("X-Pipe-Delivery", id);
        post.with("X-Pipe-Signature-256", &signature(&secret_of(REPOSITORY), body.as_bytes()))
    }

    fn made(&self) -> Vec<String> {
        let made = self.made.specs.lock().unwrap();
        made.iter().map(|spec| format!("{} {} {}", spec.workflow, spec.event.name, spec.requested_by)).collect()
    }

    async fn states(&self) -> Vec<DeliveryState> {
        self.world.list().await.into_iter().map(|delivery| delivery.state).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_becomes_runs_of_its_commit() {
    let build = Build::new(&[(Forge::Push, REPOSITORY.to_owned())]).await;
    assert_eq!(build.world.post(&build.push("one")).await.status, 202);
    build.settle().await;
    assert_eq!(build.made(), [".github/workflows/ci.yml push ada"]);
    assert_eq!(build.states().await, [DeliveryState::Processed]);
    write(&build.there, ".github/workflows/ci.yml", "on: release\njobs: { a: { runs-on: x, steps: [{ run: a }] } }");
    git(&build.there, &["commit", "-qam", "no pushes"]);
    assert_eq!(build.world.post(&build.push("two")).await.status, 202);
    build.settle().await;
    let reason = ".github/workflows/ci.yml: `on` lists `release`, not `push`".to_owned();
    assert_eq!(build.states().await[0], DeliveryState::Ignored(reason), "the reason is kept");
    assert_eq!(build.made().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_happen_once_a_time_and_only_the_latest_is_caught_up() {
    let build = Build::new(&[(Forge::Push, REPOSITORY.to_owned())]).await;
    write(&build.there, ".github/workflows/nightly.yml", NIGHTLY);
    git(&build.there, &["add", "-A"]);
    git(&build.there, &["commit", "-qm", "nightly"]);
    assert_eq!(build.world.post(&build.push("one")).await.status, 202);
    build.settle().await;
    let next = || async { build.triggering.schedules.next().await.unwrap().unwrap().to_string() };
    assert_eq!(next().await, "2026-03-28T01:30:00Z");
    let nightly = || build.made().iter().filter(|made| made.contains("schedule")).count();
    // Not yet; then on time, however often somebody looks; then summer time, two nights late.
    build.clock.set("2026-03-28T01:29:59Z");
    build.settle().await;
    assert_eq!(nightly(), 0);
    build.clock.set("2026-03-28T01:30:00Z");
    build.settle().await;
    build.settle().await;
    assert_eq!((nightly(), next().await), (1, "2026-03-29T01:00:00Z".to_owned()));
    build.clock.set("2026-03-30T09:00:00Z");
    build.settle().await;
    assert_eq!((nightly(), next().await), (2, "2026-03-31T00:30:00Z".to_owned()));
    assert_eq!(build.made().last().unwrap(), ".github/workflows/nightly.yml schedule schedule");
    let waiting = build.world.list().await;
    assert!(waiting[0].guid.ends_with("2026-03-30T00:30:00Z"), "{}", waiting[0].guid);
    // The workflow goes, and its schedule with it.
    git(&build.there, &["rm", "-q", ".github/workflows/nightly.yml"]);
    git(&build.there, &["commit", "-qm", "by day"]);
    assert_eq!(build.world.post(&build.push("two")).await.status, 202);
    build.settle().await;
    assert_eq!(build.triggering.schedules.all().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_is_due_makes_one_delivery_whoever_was_killed() {
    let build = Build::new(&[(Forge::Push, REPOSITORY.to_owned())]).await;
    write(&build.there, ".github/workflows/nightly.yml", NIGHTLY);
    git(&build.there, &["add", "-A"]);
    git(&build.there, &["commit", "-qm", "nightly"]);
    let repository = build.triggering.repositories.find(Forge::Push, REPOSITORY).await.unwrap().unwrap();
    build.triggering.refresh(repository, build.clock.now()).await.unwrap();
    build.clock.set("2026-03-28T01:30:00Z");
    // Several that saw the same line as due: as after a crash between seeing and doing, or two schedulers.
    let schedulers = (0..8).map(|_| {
        let (schedules, clock) = (build.triggering.schedules.clone(), build.clock.clone());
        let scheduler = Scheduler { schedules, clock, arrivals: Arc::default() };
        async move { scheduler.fire().await.unwrap() }
    });
    futures_util::future::join_all(schedulers).await;
    assert_eq!(build.states().await, [DeliveryState::Received]);
    build.settle().await;
    assert_eq!(build.made(), [".github/workflows/nightly.yml schedule schedule"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_corpus_is_looked_at_to_its_end() {
    let payloads = corpus::payloads();
    if payloads.is_empty() {
        eprintln!("SKIPPED the_corpus_is_looked_at_to_its_end: the corpus is not here");
        return;
    }
    let known = payloads.iter().filter_map(|one| Some((one.forge?, corpus::repository(one.forge?, &one.body))));
    let mut known: Vec<_> = known.collect();
    known.sort();
    known.dedup();
    let build = Build::new(&known).await;
    for branch in ["master", "change/main/1"] {
        git(&build.there, &["branch", branch]);
    }
    let now = build.clock.now();
    let (mut runs, mut nothing) = (0, 0);
    for payload in &payloads {
        let Some(forge) = payload.forge else { continue };
        let json = serde_json::from_slice(&payload.body).unwrap();
        let Ok(event) = Event::from_forge(forge, &payload.event, json) else { continue };
        let name = corpus::repository(forge, &payload.body);
        match build.triggering.look(forge, &name, event, now, now).await.unwrap() {
            Found::Runs { specs, .. } => {
                assert!(specs.iter().all(|spec| spec.event.sha.is_some()), "{}", payload.path.display());
                runs += 1;
            }
            // Its commits are not in this repository, or its activity starts nothing.
            Found::Nothing(reason) => {
                assert!(!reason.is_empty(), "{}", payload.path.display());
                nothing += 1;
            }
            Found::Rerun(_) => nothing += 1,
            other @ (Found::Failed(_) | Found::Later(..)) => panic!("{}: {other:?}", payload.path.display()),
        }
    }
    eprintln!("corpus: {runs} start runs, {nothing} start nothing and say why");
    assert!(runs >= 20 && nothing >= 20, "{runs} {nothing}");
}
