//! The store against repositories on this machine, which git serves as it serves those of others.

use std::path::Path;

use super::*;
use crate::git::test_repository::{TestRepository, git};

mod private;

/// A server with `octo/say`, which has the tag `v1`, and a store that fetches from it.
struct World {
    server: tempfile::TempDir,
    store: tempfile::TempDir,
    say: TestRepository,
    first: String,
}

impl World {
    fn new() -> Self {
        let say = TestRepository::new();
        say.write("action.yml", "one").write("run.sh", "x").executable("run.sh").link("out", "/etc/passwd");
        let first = say.commit("one").to_string();
        git(&say.root(), &["tag", "v1"]);
        let server = tempfile::tempdir().unwrap();
        std::fs::create_dir(server.path().join("octo")).unwrap();
        std::os::unix::fs::symlink(say.root(), server.path().join("octo/say")).unwrap();
        Self { server, store: tempfile::tempdir().unwrap(), say, first }
    }

    fn store(&self, offline: bool, local: &[&str]) -> ActionStore {
        let local = local.iter().map(|text| text.parse().unwrap()).collect();
        let server = self.server.path().display().to_string();
        let options = FetchOptions { server, offline, local, ..FetchOptions::default() };
        ActionStore::new(self.store.path().to_path_buf(), options)
    }

    /// What is in the file of an action, or what is said.
    async fn check(&self, store: &ActionStore, action: &str, expect: Result<&str, &str>) {
        let (repository, reference) = action.split_once('@').unwrap();
        match (store.get(repository, reference).await, expect) {
            (Ok(fetched), Ok(text)) => {
                let to = self.store.path().join(format!("copy-{}", rand(action)));
                fetched.copy_to(&to).unwrap();
                assert_eq!(std::fs::read_to_string(to.join("action.yml")).unwrap(), text, "{action}");
                assert!(std::fs::symlink_metadata(to.join("out")).is_err(), "a link leads out");
                std::fs::remove_dir_all(to).unwrap();
            }
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{action}: {error}"),
            (got, expect) => panic!("{action}: {got:?}, expected {expect:?}"),
        }
    }
}

fn rand(text: &str) -> String {
    text.replace('/', "-")
}

/// Makes the answers about names old.
fn age(folder: &Path) {
    for entry in walkdir::WalkDir::new(folder).into_iter().flatten() {
        if entry.file_name().to_string_lossy().starts_with("name-") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let mut named: Named = serde_json::from_str(&text).unwrap();
            named.at = SystemTime::UNIX_EPOCH;
            std::fs::write(entry.path(), serde_json::to_vec(&named).unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_fetched_is_kept_by_commit() {
    let world = World::new();
    let store = world.store(false, &[]);
    world
        .check(&world.store(true, &[]), "octo/say@v1", Err("is not in the store of actions, and nothing is fetched"))
        .await;
    assert!(store.get("octo/say", "v1").await.unwrap().fresh);
    assert!(!store.get("octo/say", "v1").await.unwrap().fresh);
    // The tag moves: what was asked a moment ago holds, what was asked long ago is asked anew.
    world.say.write("action.yml", "two").commit("two");
    git(&world.say.root(), &["tag", "--force", "v1"]);
    world.check(&store, "octo/say@v1", Ok("one")).await;
    world.check(&store, &format!("octo/say@{}", world.first), Ok("one")).await;
    age(world.store.path());
    world.check(&world.store(true, &[]), "octo/say@v1", Ok("one")).await;
    world.check(&store, "octo/say@v1", Ok("two")).await;
    world.check(&store, "octo/say@main", Ok("two")).await;
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let world = World::new();
    let store = world.store(false, &[]);
    world.check(&store, "octo/say@v11", Err("unable to find version `v11`; did you mean `v1`?")).await;
    world
        .check(&store, &format!("octo/say@{}", &world.first[..8]), Err("is the shortened version of a commit SHA"))
        .await;
    world.check(&store, &format!("octo/say@{}", "0".repeat(40)), Err("unable to find version")).await;
    world.check(&store, "octo/said@v1", Err("Unable to resolve action `octo/said@v1`, repository not found")).await;
    world.check(&store, "octo/say@--upload-pack=touch", Err("unable to find version")).await;
    world.check(&store, "../octo/say@v1", Err("repository not found")).await;
    let kept: Vec<_> = walkdir::WalkDir::new(world.store.path()).into_iter().flatten().collect();
    assert!(kept.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".fetch-")), "{kept:?}");
}

#[tokio::test]
async fn repositories_on_this_machine_stand_in() {
    let world = World::new();
    let root = world.say.root();
    let bare = world.server.path().join("bare.git");
    git(&root, &["clone", "--quiet", "--bare", ".", &bare.display().to_string()]);
    world.say.write("action.yml", "changed");
    let local = [format!("octo/say={}", bare.display()), format!("octo/say@v1={}", root.display())];
    let local: Vec<&str> = local.iter().map(String::as_str).collect();
    let store = world.store(true, &local);
    world.check(&store, "octo/say@v1", Ok("changed")).await;
    world.check(&store, "octo/say@main", Ok("one")).await;
    for wrong in ["octo/say", "octo=x", "octo/say@=x", "octo/say=", "a/b/c=x"] {
        assert!(wrong.parse::<LocalRepository>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn what_is_locked_is_what_runs() {
    let world = World::new();
    let steps = |name: &str| {
        let text = "runs: { using: composite, steps: [{ uses: ./.a/b }, { uses: actions/checkout@v4 }] }";
        std::fs::create_dir_all(world.store.path().join(".a/b")).unwrap();
        let nested = format!("runs: {{ using: composite, steps: [{{ uses: {name} }}, {{ uses: $/.a/b }}] }}");
        std::fs::write(world.store.path().join(".a/b/action.yml"), nested).unwrap();
        std::fs::write(world.store.path().join("action.yml"), text).unwrap();
        uses_of(world.store.path())
    };
    let store = world.store(false, &[]);
    let around = world.store.path();
    let own = |name: &str| name == "actions/checkout";
    let lock =
        Lock::of(&store, (Vec::new(), &steps("octo/say@v1").iter().collect::<Vec<_>>()), around, own).await.unwrap();
    let tree = git(&world.say.root(), &["rev-parse", "HEAD^{tree}"]);
    assert_eq!(
        lock.get("octo/say@v1").map(|locked| (locked.commit.as_str(), locked.tree.as_str())),
        Some((world.first.as_str(), tree.trim()))
    );
    let locked = |offline, lock: &Lock| {
        let options = FetchOptions { lock: Some(lock.clone()), ..world.store(offline, &[]).options };
        ActionStore::new(world.store.path().to_path_buf(), options)
    };
    world.check(&locked(false, &lock), "octo/say@v1", Ok("one")).await;
    world.check(&locked(true, &lock), "octo/say@v1", Ok("one")).await;
    world.check(&locked(false, &lock), "octo/say@main", Err("is not in .github/pipe.lock")).await;
    world.say.write("action.yml", "two").commit("two");
    git(&world.say.root(), &["tag", "--force", "v1"]);
    // What was said a moment ago is enough for other runs only.
    world.check(&world.store(false, &[]), "octo/say@v1", Ok("one")).await;
    world.check(&locked(false, &lock), "octo/say@v1", Err("has moved since the lock")).await;
    git(&world.say.root(), &["tag", "--force", "v1", &world.first]);
    world.check(&world.store(false, &[]), "octo/say@v1", Ok("two")).await;
    world.check(&world.store(false, &[]).asking_anew(), "octo/say@v1", Ok("one")).await;
    world.check(&locked(false, &lock), "octo/say@v1", Ok("one")).await;
    let kept = locked(true, &lock).get("octo/say", "v1").await.unwrap();
    std::fs::write(kept.folder.join("run.sh"), "changed").unwrap();
    world.check(&locked(true, &lock), "octo/say@v1", Err("is not the tree that .github/pipe.lock has")).await;
    let other = Lock::parse(&lock.text().replace(tree.trim(), &"0".repeat(40))).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let store = ActionStore { folder: fresh.path().to_path_buf(), ..locked(false, &other) };
    world.check(&store, "octo/say@v1", Err("is not the tree that .github/pipe.lock has")).await;
}

#[tokio::test]
async fn f02_f19_a_branch_called_as_a_tag_or_a_commit_takes_nothing_over() {
    let world = World::new();
    world.say.write("action.yml", "two").commit("two");
    let posing = "1".repeat(40);
    for branch in ["v1", &posing] {
        git(&world.say.root(), &["update-ref", &format!("refs/heads/{branch}"), "HEAD"]);
    }
    let store = world.store(false, &[]);
    world.check(&store, "octo/say@v1", Ok("one")).await;
    world.check(&store, "octo/say@refs/heads/v1", Ok("two")).await;
    world.check(&store, &format!("octo/say@{posing}"), Err("unable to find version")).await;
}

/// The steps of the action in a folder.
fn uses_of(folder: &Path) -> Vec<workflow::model::Step> {
    let text = std::fs::read_to_string(folder.join("action.yml")).unwrap();
    let file = workflow::source::SourceFile::new("action.yml", text.as_str());
    match workflow::read::read_action(file, "", &workflow::read::ReadOptions::default()).action.unwrap().runs {
        workflow::action::ActionRuns::Composite(steps) => steps,
        other @ (workflow::action::ActionRuns::Script(_) | workflow::action::ActionRuns::Container(_)) => {
            panic!("{other:?}")
        }
    }
}
