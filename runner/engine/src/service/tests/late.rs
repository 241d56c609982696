//! Deliveries come in any order and end in the same state (X16), with real git and with nothing placed.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::*;
use crate::mirror::tests::World as Git;
use crate::store::SqliteStore;
use crate::store::followers::Followers;
use crate::store::listing::Listing;
use crate::store::repositories::{NewRepository, Repositories};
use crate::store::schedules::Schedules;
use crate::triggering::{Ended, Found, RunMaker as _, Triggering, TrustPolicy};

const NONE: &str = "0000000000000000000000000000000000000000";
const OF_PUSHES: &str = "on: push\nconcurrency: { group: 'r-${{ github.ref }}', cancel-in-progress: true }\n\
                         jobs: { a: { runs-on: x, steps: [{ run: hang }] } }";
const OF_PULLS: &str = "on: { pull_request: { types: [opened, synchronize, closed] } }\n\
                        concurrency: { group: 'p-${{ github.event.number }}', cancel-in-progress: true }\n\
                        jobs: { a: { runs-on: x, steps: [{ run: hang }] } }";

/// A forge with one repository, under as many names as are wanted, and a server.
struct Forged {
    git: Git,
    life: Life,
    triggering: Triggering,
}

impl Forged {
    async fn new(world: &World) -> Self {
        let git = Git::new();
        git.there.write(".github/workflows/push.yml", OF_PUSHES).write(".github/workflows/pull.yml", OF_PULLS);
        git.there.commit("workflows");
        // As forges do, also commits are given out that no branch has any more.
        git.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let life = world.begin();
        let database = life.database.clone();
        let triggering = Triggering {
            mirrors: git.mirrors.clone(),
            repositories: Repositories::on(database.clone()),
            schedules: Schedules::on(database.clone()),
            followers: Followers::on(database.clone()),
            store: SqliteStore::on(database),
            trust: TrustPolicy::default(),
            actions: Arc::default(),
        };
        Self { git, life, triggering }
    }

    /// Registers it once more, with a mirror and groups of its own.
    async fn name(&self, full_name: String) -> String {
        let url = self.git.there.root().display().to_string();
        let (secret, created_at) = (b"sealed".to_vec(), Timestamp::now());
        let new =
            NewRepository { forge: Forge::Github, full_name: full_name.clone(), url, secret, fetch: None, created_at };
        self.triggering.repositories.put(new).await.unwrap();
        full_name
    }

    /// What becomes of a delivery, as the server does it.
    async fn deliver(&self, repository: &str, event: &str, payload: &Json) -> Vec<RunId> {
        let mut payload = payload.clone();
        payload["repository"] = json!({ "full_name": repository, "default_branch": "main" });
        payload["sender"] = json!({ "login": "ada" });
        if payload["pull_request"].is_object() {
            payload["pull_request"]["head"]["repo"] = json!({ "full_name": repository });
        }
        let event = Event::parse(event, payload).unwrap();
        let (forge, now) = (Forge::Github, Timestamp::now());
        match self.triggering.ended(forge, repository, &event, now, now).await.unwrap() {
            Ended::No => {}
            Ended::Ref(of) => drop(self.life.service.end_of_ref(&of).await.unwrap()),
            Ended::Later(_, reason) => panic!("{reason}"),
        }
        match self.triggering.look(forge, repository, event, now, now).await.unwrap() {
            Found::Runs { specs, .. } => {
                let made = self.life.service.make(None, specs).await.unwrap().unwrap();
                made.iter().map(|numbers| numbers.id).collect()
            }
            Found::Nothing(_) => Vec::new(),
            other @ (Found::Rerun(_) | Found::Failed(_) | Found::Later(..)) => panic!("{other:?}"),
        }
    }

    /// Delivers in this order; every run but those that are meant is cancelled, and says why. Those that are left.
    async fn left(&self, name: String, events: &[&(&str, Json)], stays: impl Fn(&RunSpec) -> bool) -> Vec<RunId> {
        let repository = self.name(name).await;
        let mut made = Vec::new();
        for (event, payload) in events {
            made.extend(self.deliver(&repository, event, payload).await);
        }
        let (mut left, listing) = (Vec::new(), Listing::on(self.life.database.clone()));
        for run in made {
            if stays(&self.life.service.0.store.spec(run).await.unwrap().unwrap()) {
                self.life.until(run, "job_run_started").await;
                assert_ne!(self.life.status(run).await, RunStatus::Completed, "{events:?}");
                left.push(run);
                continue;
            }
            assert_eq!(ends(&self.life.until(run, "run_finished").await).last().unwrap(), "run cancelled");
            let reason = listing.one(run).await.unwrap().unwrap().reason.unwrap_or_default();
            assert!(reason.contains(", superseded by run ") || reason.contains("the deletion of `"), "{reason}");
        }
        left
    }
}

fn orders<T: Copy>(all: &[T]) -> Vec<Vec<T>> {
    if all.is_empty() {
        return vec![Vec::new()];
    }
    let mut orders = Vec::new();
    for (index, first) in all.iter().enumerate() {
        let rest: Vec<T> = all.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, one)| *one).collect();
        orders.extend(self::orders(&rest).into_iter().map(|mut order| {
            order.insert(0, *first);
            order
        }));
    }
    orders
}

fn push(git_ref: &str, before: &str, after: &str) -> (&'static str, Json) {
    let more = json!({
        "ref": git_ref, "before": before, "after": after, "created": before == NONE, "deleted": after == NONE,
    });
    ("push", more)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x16_pushes_in_any_order_leave_the_newest() {
    let world = World::new(1_000);
    let forged = Forged::new(&world).await;
    let git = &forged.git;
    let (first, second) = (git.commit("a", "1"), git.commit("a", "2"));
    // A push over it, which has nothing of the second, and a branch that was there for a moment.
    git.git(&["reset", "-q", "--hard", &first]);
    let third = git.commit("a", "3");
    git.git(&["checkout", "-q", "-b", "topic"]);
    let topic = git.commit("a", "4");
    git.git(&["checkout", "-q", "main"]);
    git.git(&["branch", "-qD", "topic"]);
    let events = [
        push("refs/heads/main", NONE, &first),
        push("refs/heads/main", &first, &second),
        push("refs/heads/main", &second, &third),
        push("refs/heads/topic", NONE, &topic),
        push("refs/heads/topic", &topic, NONE),
    ];
    let orders = orders(&events.each_ref());
    assert_eq!(orders.len(), 120);
    for (index, order) in orders.iter().enumerate() {
        let stays = |spec: &RunSpec| spec.event.sha.as_ref() == Some(&third);
        let left = forged.left(format!("local/shop-{index}"), order, stays).await;
        assert_eq!(left.len(), 1, "{order:?}");
    }
    forged.life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x16_events_of_a_pull_request_in_any_order_leave_the_last() {
    let world = World::new(1_000);
    let forged = Forged::new(&world).await;
    let git = &forged.git;
    git.git(&["checkout", "-q", "-b", "topic"]);
    let (first, second) = (git.commit("b", "1"), git.commit("b", "2"));
    git.git(&["update-ref", "refs/pull/5/head", &second]);
    git.git(&["checkout", "-q", "main"]);
    let pull = |action: &str, head: &str, at: Option<&str>| {
        let head = json!({ "ref": "topic", "sha": head });
        let state = if action == "closed" { "closed" } else { "open" };
        let pull = json!({ "number": 5, "state": state, "base": { "ref": "main" }, "head": head, "updated_at": at });
        ("pull_request", json!({ "action": action, "number": 5, "pull_request": pull }))
    };
    for timed in [false, true] {
        let at = |time| Some(time).filter(|_| timed);
        let events = [
            pull("opened", &first, at("2026-05-01T12:00:00Z")),
            pull("synchronize", &second, at("2026-05-01T12:01:00Z")),
            pull("closed", &second, at("2026-05-01T12:02:00Z")),
        ];
        for (index, order) in orders(&events.each_ref()).iter().enumerate() {
            let stays = |spec: &RunSpec| spec.event.action.as_deref() == Some("closed");
            let left = forged.left(format!("local/pull-{timed}-{index}"), order, stays).await;
            assert_eq!(left.len(), 1, "{order:?}");
        }
    }
    forged.life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x16_what_goes_on_for_a_ref_ends_with_it_and_not_before() {
    let world = World::new(10);
    let forged = Forged::new(&world).await;
    let git = &forged.git;
    let repository = forged.name("local/shop".to_owned()).await;
    let first = git.commit("a", "1");
    git.git(&["branch", "topic"]);
    let (_, pushed) = push("refs/heads/topic", NONE, &first);
    let (_, deleted) = push("refs/heads/topic", &first, NONE);
    let [run] = forged.deliver(&repository, "push", &pushed).await[..] else { panic!("one run") };
    forged.life.until(run, "step_started").await;
    // The deletion is of an earlier branch of that name: it is there.
    assert_eq!(forged.deliver(&repository, "push", &deleted).await, []);
    assert_eq!(forged.life.status(run).await, RunStatus::InProgress);
    git.git(&["branch", "-qD", "topic"]);
    assert_eq!(forged.deliver(&repository, "push", &deleted).await, []);
    assert_eq!(ends(&forged.life.until(run, "run_finished").await), ["a cancelled", "run cancelled"]);
    let told = Listing::on(forged.life.database.clone()).one(run).await.unwrap().unwrap();
    assert_eq!(told.reason.as_deref(), Some("cancelled by the deletion of `refs/heads/topic`"));
    // A branch that was put back to an older commit, whose commit the mirror has already.
    let second = git.commit("a", "2");
    let mut made = HashSet::new();
    for (before, after) in [(NONE, &first), (first.as_str(), &second), (second.as_str(), &first)] {
        git.git(&["update-ref", "refs/heads/main", after]);
        let (_, payload) = push("refs/heads/main", before, after);
        made.extend(forged.deliver(&repository, "push", &payload).await);
    }
    let last = *made.iter().max().unwrap();
    for run in made.into_iter().filter(|run| *run != last) {
        assert_eq!(ends(&forged.life.until(run, "run_finished").await), ["a cancelled", "run cancelled"]);
    }
    assert_ne!(forged.life.status(last).await, RunStatus::Completed, "it is the newest though its commit is older");
    forged.life.end().await;
}
