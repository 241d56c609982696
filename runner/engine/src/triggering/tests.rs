//! Events against real repositories: which runs they start, at which commit, trusted how far, and why not.

use serde_json::{Map, Value as Json, json};
use workflow::catalogue::{ActionFacts, Catalogue, InputFacts};
use workflow::event::Event;
use workflow::model::JobKind;

use super::*;
use crate::actions::{ActionStore, FetchOptions, LocalRepository};
use crate::mirror::tests::World as MirrorWorld;
use crate::service::Trust;
use crate::store::repositories::NewRepository;
use crate::store::{Database, Options};

const NONE: &str = "0000000000000000000000000000000000000000";
const CI: &str = "on: { push: { paths: ['src/**'] }, pull_request: , workflow_dispatch: { inputs: { n: { type: number, \
                  required: true }, who: { default: all } } } }\njobs: { a: { runs-on: x, steps: [{ run: 'true' }] } }";
const CALLS: &str = "on: { push: { branches: [main] }, issue_comment: , schedule: [{ cron: '0 3 * * *' }], \
                     repository_dispatch: { types: [go] } }\n\
                     jobs: { a: { uses: ./.github/workflows/called.yml } }";
const CALLED: &str = "on: { workflow_call: }\njobs: { b: { runs-on: x, steps: [{ run: 'true' }] } }";

static INPUTS: [InputFacts; 1] = [InputFacts::new("paths", "", "").switch()];

fn known() -> Catalogue {
    [ActionFacts { name: "pipe/changes", inputs: &INPUTS, refuses_unknown: true }].into_iter().collect()
}

struct World {
    git: MirrorWorld,
    triggering: Triggering,
    _folder: tempfile::TempDir,
}

fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

impl World {
    async fn new() -> Self {
        let git = MirrorWorld::new();
        git.there.write(".github/workflows/ci.yml", CI).write(".github/workflows/calls.yml", CALLS);
        git.there.write(".github/workflows/called.yml", CALLED).write("src/a", "0").commit("first");
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let repositories = Repositories::on(database.clone());
        for forge in [Forge::Github, Forge::Push] {
            let url = git.there.root().display().to_string();
            let (full_name, secret) = ("Local/Shop".to_owned(), b"sealed".to_vec());
            let new = NewRepository { forge, full_name, url, secret, fetch: None, created_at: now() };
            repositories.put(new).await.unwrap();
        }
        let (schedules, followers) = (Schedules::on(database.clone()), Followers::on(database.clone()));
        let (mirrors, trust, store) = (git.mirrors.clone(), TrustPolicy::default(), SqliteStore::on(database));
        let triggering =
            Triggering { mirrors, repositories, schedules, followers, store, trust, actions: Arc::new(known().into()) };
        Self { git, triggering, _folder: folder }
    }

    fn head(&self) -> String {
        self.git.git(&["rev-parse", "HEAD"])
    }

    async fn look(&self, forge: Forge, name: &str, payload: Json) -> Found {
        let event = Event::from_forge(forge, name, payload).unwrap();
        self.triggering.look(forge, "local/shop", event, now(), now()).await.unwrap()
    }

    /// `file trust sha` of each run, with `!` where it has a problem; or why there is none.
    async fn told(&self, name: &str, more: Json) -> String {
        let mut payload = base("local/shop");
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tell(&self.look(Forge::Github, name, payload).await)
    }

    async fn pushed(&self, before: &str, git_ref: &str) -> String {
        let more = json!({ "ref": git_ref, "before": before, "after": self.head(), "created": before == NONE });
        self.told("push", more).await
    }
}

fn base(name: &str) -> Json {
    json!({ "repository": { "full_name": name, "default_branch": "main" }, "sender": { "login": "ada" } })
}

fn tell(found: &Found) -> String {
    match found {
        Found::Runs { specs, others } => {
            let spec = |spec: &RunSpec| {
                let file = spec.workflow.rsplit('/').next().unwrap();
                let trust = if spec.trust == Trust::Fork { " fork" } else { "" };
                let held = if spec.held.is_some() { " held" } else { "" };
                format!("{file}{}{trust}{held}", if spec.problem.is_some() { "!" } else { "" })
            };
            let specs: Vec<_> = specs.iter().map(spec).collect();
            assert!(others.iter().all(|reason| reason.starts_with(".github/workflows/")), "{others:?}");
            specs.join(" ")
        }
        Found::Nothing(reason) => format!("nothing: {reason}"),
        Found::Rerun(asked) => format!("again: {:?} {}", asked.external_id, asked.by),
        Found::Failed(reason) => format!("failed: {reason}"),
        Found::Later(pause, _) => format!("later: {}", pause.as_secs()),
    }
}

#[tokio::test]
async fn pushes_start_what_their_commit_says() {
    let world = World::new().await;
    let first = world.head();
    assert_eq!(world.pushed(NONE, "refs/heads/main").await, "calls.yml ci.yml");
    world.git.commit("doc", "1");
    assert_eq!(world.pushed(&first, "refs/heads/main").await, "calls.yml");
    // A branch without a word about pushes but for paths.
    world.git.git(&["checkout", "-q", "-b", "topic"]);
    let before = world.head();
    world.git.commit("doc", "2");
    let nothing = world.pushed(&before, "refs/heads/topic").await;
    assert!(nothing.starts_with("nothing: .github/workflows/called.yml: `on` lists `workflow_call`"), "{nothing}");
    assert!(nothing.contains("ci.yml: `paths: [src/**]` does not match `doc`"), "{nothing}");
    let before = world.head();
    world.git.commit("src/a", "1");
    assert_eq!(world.pushed(&before, "refs/heads/topic").await, "ci.yml");
    let before = world.head();
    world.git.there.write("src/a", "2").commit("quick [skip ci]");
    assert!(world.pushed(&before, "refs/heads/topic").await.contains("the head commit's message has `[skip ci]`"));
    // A tag of its own object; deleted refs; a commit that nobody has.
    world.git.git(&["tag", "-a", "v1", "-m", "one", &before]);
    let tag = world.git.git(&["rev-parse", "v1"]);
    let more = json!({ "ref": "refs/tags/v1", "before": NONE, "after": tag, "created": true });
    assert_eq!(world.told("push", more).await, "ci.yml");
    let gone = json!({ "ref": "refs/tags/v1", "before": tag, "after": NONE, "deleted": true });
    assert_eq!(world.told("push", gone.clone()).await, "nothing: `refs/tags/v1` was deleted, and is there again");
    world.git.git(&["tag", "-d", "v1"]);
    assert_eq!(world.told("push", gone).await, "nothing: the push deleted `refs/tags/v1`");
    let never = json!({ "ref": "refs/heads/x", "before": NONE, "after": "1".repeat(40) });
    assert!(world.told("push", never).await.starts_with("nothing: commit 1111"));
    world.git.git(&["rm", "-qr", ".github"]);
    let before = world.head();
    world.git.there.commit("no more");
    assert!(world.pushed(&before, "refs/heads/topic").await.ends_with("has no workflows"));
}

#[tokio::test]
async fn a_run_carries_its_sources_and_its_commit() {
    let world = World::new().await;
    let sha = world.head();
    let payload = json!({
        "repository": { "full_name": "local/shop" }, "ref": "refs/heads/main", "before": NONE, "after": sha,
        "pusher": { "name": "ada" },
    });
    let Found::Runs { specs, .. } = world.look(Forge::Push, "push", payload).await else { panic!("it runs") };
    let spec = &specs[0];
    let sources: Vec<_> = spec.sources.keys().map(String::as_str).collect();
    assert_eq!(sources, [".github/workflows/calls.yml", ".github/workflows/called.yml"]);
    assert_eq!((spec.repository.as_str(), spec.forge, spec.trust), ("Local/Shop", Forge::Push, Trust::Trusted));
    assert_eq!((spec.event.sha.as_deref(), spec.event.head_message.as_deref()), (Some(sha.as_str()), Some("first")));
    assert_eq!(spec.event.payload["repository"]["default_branch"], "main");
}

#[tokio::test]
async fn workflows_of_other_repositories_are_kept_with_the_run() {
    let mut world = World::new().await;
    let there = tempfile::tempdir().unwrap();
    let path = there.path().join(".github/workflows");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("b.yml"), CALLED).unwrap();
    let reference = "octo/flows/.github/workflows/b.yml@v1";
    let calls = format!("on: push\njobs: {{ a: {{ uses: {reference} }} }}");
    world.git.there.write(".github/workflows/elsewhere.yml", &calls).commit("calls");
    let look = async |world: &World| {
        let payload = json!({
            "repository": { "full_name": "local/shop" }, "ref": "refs/heads/main", "before": NONE, "after": world.head(),
            "pusher": { "name": "ada" },
        });
        let Found::Runs { specs, .. } = world.look(Forge::Push, "push", payload).await else { panic!("it runs") };
        specs.into_iter().find(|spec| spec.workflow.ends_with("elsewhere.yml")).expect("it is one of them")
    };
    let with = |local: Vec<LocalRepository>, world: &mut World| {
        let options = FetchOptions { offline: true, local, ..FetchOptions::default() };
        let store = Arc::new(ActionStore::new(there.path().join("kept"), options));
        world.triggering.actions = Arc::new(Known { elsewhere: Some(store), ..Known::default() });
    };
    with(vec![format!("octo/flows@v1={}", there.path().display()).parse().unwrap()], &mut world);
    let spec = look(&world).await;
    assert_eq!(spec.problem, None);
    assert_eq!(spec.sources[reference], CALLED, "as it was, wherever the tag leads later");
    let jobs = spec.workflow().unwrap().jobs;
    let JobKind::Call(call) = &jobs[0].kind else { panic!("it calls") };
    assert!(call.called.is_some(), "what was kept is read again");
    // Where nobody has it the run says so.
    with(Vec::new(), &mut world);
    let told = look(&world).await.problem.expect("it cannot begin").join("\n");
    for words in
        ["elsewhere.yml:2:20: ", "`octo/flows@v1` is not in the store of actions", "brings it where there is a network"]
    {
        assert!(told.contains(words), "{words}\n{told}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_failed_run() {
    let world = World::new().await;
    let before = world.head();
    world.git.there.write(".github/workflows/ci.yml", "on: push\njbos: {}");
    world.git.there.write(".github/workflows/empty.yml", "\n").commit("broken");
    let more = json!({ "ref": "refs/heads/main", "before": before, "after": world.head() });
    let mut payload = base("local/shop");
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let found = world.look(Forge::Github, "push", payload.clone()).await;
    assert_eq!(tell(&found), "calls.yml ci.yml! empty.yml!");
    let Found::Runs { specs, .. } = found else { unreachable!() };
    let problem = specs[1].problem.as_ref().unwrap().join("\n");
    assert!(problem.starts_with(".github/workflows/ci.yml:2:1: ") && problem.contains("jobs"), "{problem}");
    assert!(specs[2].problem.as_ref().unwrap()[0].starts_with("`.github/workflows/empty.yml` is empty [P0003]"));
    // One that can be read, and has a step that would fail.
    let step = "on: push\njobs: { a: { runs-on: x, steps: [{ uses: pipe/changes, with: { pahts: true } }] } }";
    world.git.there.write(".github/workflows/empty.yml", step).commit("broken otherwise");
    let more = json!({ "ref": "refs/heads/main", "before": before, "after": world.head() });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let Found::Runs { specs, .. } = world.look(Forge::Github, "push", payload).await else { panic!("it runs") };
    let problem = specs[2].problem.as_ref().unwrap().join("\n");
    assert!(problem.contains("empty.yml:2:") && problem.contains("did you mean `paths`?"), "{problem}");
    assert!(problem.contains("[P0419]"), "{problem}");
    // Who comments has not broken it.
    let comment = json!({ "action": "created", "comment": { "author_association": "NONE" }, "issue": { "number": 1 } });
    assert_eq!(world.told("issue_comment", comment).await, "calls.yml fork");
    world.git.there.write(".pipe.toml", "workflows = 1").commit("settings");
    assert_eq!(world.pushed(&before, "refs/heads/main").await, ".pipe.toml!");
}

#[tokio::test]
async fn pull_requests_run_at_their_merge() {
    let world = World::new().await;
    world.git.git(&["checkout", "-q", "-b", "topic"]);
    let head = world.git.commit("src/b", "1");
    world.git.git(&["update-ref", "refs/pull/5/head", &head]);
    world.git.git(&["checkout", "-q", "main"]);
    let base_sha = world.git.commit("doc", "1");
    let pull = |from: &str, head: &str, action: &str| {
        json!({ "action": action, "number": 5, "pull_request": {
            "number": 5, "state": if action == "closed" { "closed" } else { "open" },
            "base": { "ref": "main", "sha": base_sha }, "head": { "ref": "topic", "sha": head, "repo": { "full_name": from } },
        }})
    };
    assert_eq!(world.told("pull_request", pull("local/shop", &head, "opened")).await, "ci.yml");
    assert_eq!(world.told("pull_request", pull("else/shop", &head, "opened")).await, "ci.yml fork held");
    let closed = world.told("pull_request", pull("local/shop", &head, "closed")).await;
    assert!(closed.contains("activity type `closed`"), "{closed}");
    let mut payload = base("local/shop");
    payload.as_object_mut().unwrap().extend(pull("local/shop", &head, "opened").as_object().unwrap().clone());
    let Found::Runs { specs, .. } = world.look(Forge::Github, "pull_request", payload).await else { panic!("it runs") };
    let merged = specs[0].event.sha.clone().unwrap();
    assert!(merged != head && merged != base_sha);
    assert_eq!(specs[0].event.changed_files, workflow::event::ChangedFiles::Known(vec!["src/b".into()]));
    let of = merged.clone();
    let parents =
        world.git.mirrors.read(1, move |git| crate::mirror::CommitText::read(git, &of)).await.unwrap().parents;
    assert_eq!(parents, [base_sha.clone(), head.clone()]);
    // The other side changed the same file.
    world.git.git(&["checkout", "-q", "topic"]);
    let other = world.git.commit("doc", "2");
    world.git.git(&["update-ref", "refs/pull/5/head", &other]);
    let conflict = world.told("pull_request", pull("local/shop", &other, "synchronize")).await;
    assert_eq!(conflict, "nothing: pull request 5 has a merge conflict with `main`");
}

#[tokio::test]
async fn checks_run_again_and_repositories_are_known() {
    let world = World::new().await;
    let check = json!({ "action": "rerequested", "check_run": { "external_id": "run 7", "head_sha": "1".repeat(40) } });
    assert_eq!(world.told("check_run", check).await, "again: Some(\"run 7\") ada");
    let suite = json!({ "action": "rerequested", "check_suite": { "head_sha": "1".repeat(40) } });
    assert_eq!(world.told("check_suite", suite).await, "again: None ada");
    let event = Event::parse("watch", base("local/shop")).unwrap();
    let found = world.triggering.look(Forge::Github, "no/body", event, now(), now()).await.unwrap();
    assert_eq!(tell(&found), "failed: no/body is not registered any more");
}

#[tokio::test]
async fn what_cannot_be_reached_is_tried_again_for_a_while() {
    for (minutes, expected) in [
        (0, "later: 5"),
        (2, "later: 30"),
        (14, "later: 120"),
        (15, "failed: the repository cannot be reached: no route"),
    ] {
        let at = now().saturating_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
        assert_eq!(tell(&answer(&MirrorError::Unreachable("no route".into()), now(), at)), expected);
    }
    assert_eq!(
        tell(&answer(&MirrorError::Empty, now(), now())),
        "failed: the repository is empty: it has no commit yet"
    );
}

#[tokio::test]
async fn dispatches_are_checked() {
    let world = World::new().await;
    let order = |workflow: &str, git_ref: Option<&str>, inputs: Json| DispatchOrder {
        forge: Some(Forge::Github),
        repository: "local/shop".into(),
        workflow: workflow.into(),
        git_ref: git_ref.map(str::to_owned),
        inputs: inputs.as_object().unwrap().clone(),
        actor: "ada".into(),
    };
    let told = |order: DispatchOrder| async {
        match world.triggering.dispatch(order).await {
            Ok(spec) => format!("{} {} {}", spec.workflow, spec.event.git_ref, spec.inputs),
            Err(error) => error.to_string(),
        }
    };
    world.git.git(&["tag", "v1"]);
    let found = r#".github/workflows/ci.yml refs/heads/main {"n":3,"who":"all"}"#;
    assert_eq!(told(order("ci.yml", None, json!({ "n": "3" }))).await, found);
    assert_eq!(told(order(".github/workflows/ci.yml", Some("main"), json!({ "n": 3 }))).await, found);
    assert!(told(order("ci.yml", Some("v1"), json!({ "n": 3 }))).await.contains("refs/tags/v1"));
    for (workflow, git_ref, inputs, expected) in [
        ("ci.yml", None, json!({}), "required input `n` not provided"),
        ("ci.yml", None, json!({ "n": "x" }), "input `n` is `x`, but must be a number"),
        ("ci.yml", None, json!({ "n": 1, "wo": 1 }), "unexpected input `wo`, did you mean `who`?"),
        ("ci.yml", Some("none"), json!({}), "No ref found for: none"),
        ("ci.yml", Some("-x"), json!({}), "No ref found for: -x"),
        ("ci.yml", Some("a..b"), json!({}), "No ref found for: a..b"),
        ("calls.yml", None, json!({}), "Workflow does not have 'workflow_dispatch' trigger"),
        ("c.yml", None, json!({}), "there is no workflow `c.yml` at this commit, did you mean `ci.yml`?"),
    ] {
        assert_eq!(told(order(workflow, git_ref, inputs)).await, expected);
    }
    let either = DispatchOrder { forge: None, ..order("ci.yml", None, json!({ "n": 3 })) };
    assert_eq!(told(either).await, "local/shop is registered on several forges; say which one");
    let unknown = DispatchOrder { repository: "no/body".into(), ..order("ci.yml", None, json!({})) };
    assert_eq!(told(unknown).await, "no/body is not registered");
    let event = |kind: &str, payload: Map<String, Json>| RepositoryDispatchOrder {
        forge: Some(Forge::Github),
        repository: "local/shop".into(),
        event_type: kind.into(),
        client_payload: payload,
        actor: "ada".into(),
    };
    let found = world.triggering.repository_dispatch(event("go", Map::new()), now()).await.unwrap();
    assert_eq!(tell(&found), "calls.yml");
    let found = world.triggering.repository_dispatch(event("stop", Map::new()), now()).await.unwrap();
    assert!(tell(&found).contains("activity type `stop` of `repository_dispatch`"));
    let many = (0..11).map(|number| (number.to_string(), json!(1))).collect();
    let refused = world.triggering.repository_dispatch(event("go", many), now()).await.unwrap_err();
    assert_eq!(refused.to_string(), "client_payload may have 10 properties");
}

#[tokio::test]
async fn runs_start_others_on_the_default_branch_which_says_whom_it_follows() {
    let world = World::new().await;
    let first = world.head();
    let follow = |written: &str| {
        format!("on: {{ workflow_run: {written} }}\njobs: {{ a: {{ runs-on: x, steps: [{{ run: 'true' }}] }} }}")
    };
    world
        .git
        .there
        .write(".github/workflows/after.yml", &follow("{ workflows: [CI], types: [completed], branches: [main] }"));
    world.git.commit("src/a", "1");
    world.git.git(&["checkout", "-q", "-b", "topic"]);
    world.git.there.write(".github/workflows/after.yml", &follow("{ workflows: [Mine] }")).commit("theirs");
    let followers = world.triggering.followers.clone();
    let follows = async |name: &str| followers.of("github", "LOCAL/shop", name).await.unwrap().join(" ");
    // Only the default branch counts.
    world.pushed(&first, "refs/heads/topic").await;
    assert_eq!((follows("CI").await.as_str(), follows("Mine").await.as_str()), ("", ""));
    world.git.git(&["checkout", "-q", "main"]);
    assert_eq!(world.pushed(&first, "refs/heads/main").await, "calls.yml ci.yml");
    assert_eq!((follows("CI").await.as_str(), follows("Mine").await.as_str()), ("completed", ""));
    let run = |action: &str, name: &str, branch: &str, trust: &str| {
        let run = json!({ "name": name, "head_branch": branch, "pipe": { "trust": trust, "depth": 0 } });
        json!({ "action": action, "workflow_run": run, "workflow": { "name": name } })
    };
    assert_eq!(world.told("workflow_run", run("completed", "CI", "main", "trusted")).await, "after.yml");
    assert_eq!(world.told("workflow_run", run("completed", "CI", "main", "fork")).await, "after.yml fork");
    for (payload, why) in [
        (run("requested", "CI", "main", "trusted"), "activity type `requested`"),
        (run("completed", "CD", "main", "trusted"), "`workflows: [CI]` does not match `CD`"),
        (run("completed", "CI", "topic", "trusted"), "`branches: [main]` does not match `topic`"),
    ] {
        let told = world.told("workflow_run", payload).await;
        assert!(told.starts_with("nothing: ") && told.contains(why), "{told}");
    }
    let mut payload = base("local/shop");
    payload.as_object_mut().unwrap().extend(run("completed", "CI", "x", "trusted").as_object().unwrap().clone());
    payload["workflow_run"]["head_branch"] = json!("main");
    let Found::Runs { specs, .. } = world.look(Forge::Github, "workflow_run", payload).await else { panic!("it runs") };
    assert_eq!((specs[0].event.git_ref.as_str(), specs[0].event.sha.clone()), ("refs/heads/main", Some(world.head())));
    // All workflows; then the file goes.
    world.git.there.write(".github/workflows/after.yml", &follow("")).commit("all");
    world.pushed(&first, "refs/heads/main").await;
    assert_eq!(follows("Mine").await, "completed in_progress requested");
    world.git.git(&["rm", "-q", ".github/workflows/after.yml"]);
    world.git.git(&["commit", "-qm", "none"]);
    world.pushed(&first, "refs/heads/main").await;
    assert_eq!(follows("CI").await, "");
}
