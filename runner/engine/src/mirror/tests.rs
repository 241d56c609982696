//! Mirrors of real repositories in scratch folders.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::Oid;
use workflow::event::{ChangedFiles, GitRef};
use workflow::read::WorkflowFiles as _;

use super::*;
use crate::git::test_repository::{TestRepository, git};

/// A repository that stands for the forge's, and mirrors.
pub(crate) struct World {
    pub(crate) there: TestRepository,
    pub(crate) mirrors: Mirrors,
    pub(crate) origin: Origin,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(MirrorOptions::default())
    }

    fn with(options: MirrorOptions) -> Self {
        let there = TestRepository::new();
        let folder = there.scratch.path().join("mirrors");
        let mirrors = Mirrors::open(&folder, options, Arc::new(Anonymous)).unwrap();
        let url = RemoteUrl::parse(there.root().to_str().unwrap()).unwrap();
        Self { there, mirrors, origin: Origin { id: 7, url } }
    }

    pub(crate) fn commit(&self, path: &str, text: &str) -> String {
        self.there.write(path, text).commit(&format!("{path}: {text}")).to_string()
    }

    pub(crate) fn git(&self, words: &[&str]) -> String {
        let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
        git(&self.there.root(), &[&who, words].concat()).trim().to_owned()
    }

    async fn bring(&self, branch: &str, commit: &str) -> Result<(), MirrorError> {
        let refs = vec![GitRef::branch(branch).unwrap().into()];
        let commits = if commit.is_empty() { Vec::new() } else { vec![commit.to_owned()] };
        self.mirrors.bring(&self.origin, Wanted { refs, commits, ..Wanted::default() }).await
    }

    /// Until that many requests wait for their turn.
    async fn until_queued(&self, all: &mut (impl Future + Unpin), count: usize) {
        let queued = async {
            while self.mirrors.0.lanes.waiting(7) < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = all => panic!("somebody was served out of turn"),
            () = queued => {}
        }
    }

    async fn tip(&self, name: &str) -> Option<String> {
        let name = GitRef::parse(name).unwrap();
        let tip = self.mirrors.read(7, move |repository| CommitText::tip(repository, &name)).await;
        tip.ok().map(|commit| commit.id)
    }

    async fn changed(&self, compared: Compared) -> String {
        match self.mirrors.read(7, move |repository| compared.files(repository)).await.unwrap() {
            ChangedFiles::Unknown => "?".to_owned(),
            ChangedFiles::Known(files) => files.join(" "),
        }
    }
}

/// A `git` that counts how often it fetches, and waits before it does while a file is there.
fn counting_git(folder: &Path) -> PathBuf {
    let program = folder.join("counting-git");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *' fetch '*) echo x >> '{0}/fetches';; esac\nexec git \"$@\"\n",
        folder.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    program
}

fn fetches(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("fetches")).map_or(0, |text| text.lines().count())
}

#[tokio::test]
async fn a_mirror_follows_pushes() {
    let world = World::new();
    assert_eq!(world.bring("main", "").await, Err(MirrorError::Empty));
    let first = world.commit("a", "1");
    world.git(&["tag", "-a", "v1", "-m", "one"]);
    world.bring("main", &first).await.unwrap();
    assert_eq!(world.tip("refs/heads/main").await.as_ref(), Some(&first));
    assert_eq!(world.tip("refs/tags/v1").await.as_ref(), Some(&first));
    let second = world.commit("a", "2");
    world.bring("main", &second).await.unwrap();
    assert_eq!(world.tip("refs/heads/main").await.as_ref(), Some(&second));
    // Pushed over: the old commit is still wanted, then one that never was there.
    world.git(&["reset", "-q", "--hard", &first]);
    let third = world.commit("a", "3");
    world.bring("main", &second).await.unwrap();
    world.bring("main", &third).await.unwrap();
    assert_eq!(world.tip("refs/heads/main").await.as_ref(), Some(&third));
    let never = "1".repeat(40);
    assert_eq!(world.bring("main", &never).await, Err(MirrorError::Gone(never.clone())));
    assert_eq!(world.bring("gone", "").await, Err(MirrorError::NoSuchRef("refs/heads/gone".into())));
    let branch = world.mirrors.read(7, |repository| Ok(default_branch(repository))).await;
    assert_eq!(branch.as_deref(), Ok("main"));
    // The tag's own object leads to its commit.
    let tag = world.git(&["rev-parse", "v1"]);
    let read = world.mirrors.read(7, move |repository| CommitText::read(repository, &tag)).await.unwrap();
    assert_eq!((read.id, read.message), (first, "a: 1".to_owned()));
}

#[tokio::test]
async fn a_branch_that_went_stands_in_nobodys_way() {
    let world = World::new();
    let first = world.commit("a", "1");
    world.git(&["branch", "x"]);
    world.bring("x", &first).await.unwrap();
    world.git(&["branch", "-D", "x"]);
    world.git(&["checkout", "-q", "-b", "x/y"]);
    let second = world.commit("a", "2");
    world.bring("x/y", &second).await.unwrap();
    assert_eq!((world.tip("refs/heads/x").await, world.tip("refs/heads/x/y").await), (None, Some(second)));
}

#[tokio::test]
async fn many_pushes_share_a_fetch() {
    let scratch = tempfile::tempdir().unwrap();
    let world = World::with(MirrorOptions { program: counting_git(scratch.path()), ..MirrorOptions::default() });
    world.commit("a", "0");
    world.bring("main", "").await.unwrap();
    let before = fetches(scratch.path());
    let mut commits = Vec::new();
    for branch in ["b1", "b2", "b3", "b4", "b5", "b6"] {
        world.git(&["checkout", "-q", "-b", branch]);
        commits.push((branch, world.commit("a", branch)));
    }
    // All of them wait for one that is under way.
    let turn = world.mirrors.0.lanes.enter(7).await;
    let all = commits.iter().map(|(branch, commit)| world.bring(branch, commit));
    let all = futures_util::future::join_all(all);
    tokio::pin!(all);
    world.until_queued(&mut all, 6).await;
    drop(turn);
    assert_eq!(all.await, vec![Ok(()); 6]);
    // The last branch holds the commits of all others; whoever comes first fetches for those that queued.
    assert_eq!(fetches(scratch.path()) - before, 1);
    world.bring("b1", &commits[0].1).await.unwrap();
    assert_eq!(fetches(scratch.path()) - before, 1, "what is there is not fetched");
}

#[tokio::test]
async fn one_wrong_ref_fails_alone() {
    let world = World::new();
    let first = world.commit("a", "0");
    let turn = world.mirrors.0.lanes.enter(7).await;
    let both = futures_util::future::join(world.bring("main", &first), world.bring("no", ""));
    tokio::pin!(both);
    world.until_queued(&mut both, 2).await;
    drop(turn);
    assert_eq!(both.await, (Ok(()), Err(MirrorError::NoSuchRef("refs/heads/no".into()))));
}

#[tokio::test]
async fn hostile_names_are_names() {
    let world = World::new();
    let first = world.commit("a", "0");
    let hostile = ["-x", "--upload-pack=touch", "$(touch p)", "a;b", "\u{feff}x", &"1".repeat(40), "HEAD", "a'b\"c"];
    for name in hostile {
        let Some(git_ref) = GitRef::branch(name) else { continue };
        world.git(&["update-ref", git_ref.as_str(), &first]);
        world.bring(name, &first).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(world.tip(git_ref.as_str()).await.as_ref(), Some(&first), "{name}");
    }
    for commit in ["--upload-pack=touch /tmp/p", "HEAD", "main", "", "12"] {
        let wanted = Wanted { commits: vec![commit.to_owned()], ..Wanted::default() };
        let refused = world.mirrors.bring(&world.origin, wanted).await;
        assert!(matches!(refused, Err(MirrorError::Gone(_))), "{commit}: {refused:?}");
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_named() {
    let world = World::new();
    world.commit("a", "0");
    let asked = |url: &str| Origin { id: 8, url: RemoteUrl::parse(url).unwrap() };
    let none = world.mirrors.ask(&asked("/nowhere/at/all.git")).await;
    assert!(matches!(none, Err(MirrorError::NotFound(_))), "{none:?}");
    let closed = world.mirrors.ask(&asked("http://127.0.0.1:1/a/b")).await;
    assert!(matches!(closed, Err(MirrorError::Unreachable(_))), "{closed:?}");
    let facts = world.mirrors.ask(&world.origin).await.unwrap();
    assert_eq!(facts, RemoteFacts { default_branch: Some("main".into()), refs: 1 });
    let few = World::with(MirrorOptions { refs_bytes_max: 20, ..MirrorOptions::default() });
    few.commit("a", "0");
    assert_eq!(few.bring("main", "").await, Err(MirrorError::TooManyRefs { limit: 20 }));
    let small = World::with(MirrorOptions { bytes_max: 100, ..MirrorOptions::default() });
    small.commit("a", &"0123456789".repeat(100));
    assert_eq!(small.bring("main", "").await, Err(MirrorError::TooLarge { limit: 100 }));
    let absent = World::with(MirrorOptions { program: "/nowhere/git".into(), ..MirrorOptions::default() });
    absent.commit("a", "0");
    assert!(matches!(absent.bring("main", "").await, Err(MirrorError::Program(_))));
}

#[tokio::test]
async fn nothing_of_the_remote_or_of_this_machine_is_run() {
    let world = World::new();
    let first = world.commit("a", "0");
    let trap = world.there.scratch.path().join("sprung");
    let script = format!("#!/bin/sh\ntouch '{}'\n", trap.display());
    let hooks = world.there.root().join(".git/hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for hook in ["post-checkout", "reference-transaction", "pre-auto-gc", "post-merge", "post-upload-pack"] {
        std::fs::write(hooks.join(hook), &script).unwrap();
        std::fs::set_permissions(hooks.join(hook), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    world.bring("main", &first).await.unwrap();
    // Hooks and settings in the mirror itself, as if somebody had put them there.
    let mirror = world.mirrors.folder(7);
    std::fs::create_dir_all(mirror.join("hooks")).unwrap();
    std::fs::copy(hooks.join("post-checkout"), mirror.join("hooks/reference-transaction")).unwrap();
    let second = world.commit("a", "1");
    world.bring("main", &second).await.unwrap();
    assert!(!trap.exists());
    let left: Vec<_> = std::fs::read_dir(mirror.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["7.git"], "credentials and settings are removed");
}

#[tokio::test]
async fn changed_files_follow_githubs_rules() {
    let world = World::new();
    let root = world.commit("a", "0");
    world.git(&["checkout", "-q", "-b", "topic"]);
    let one = world.commit("b", "1");
    let two = world.commit("c", "2");
    world.git(&["checkout", "-q", "main"]);
    let main = world.commit("d", "3");
    world.bring("main", &main).await.unwrap();
    let push = |before: &str, after: &str| Compared::Push { before: before.into(), after: after.into() };
    let new = |oldest: Option<&String>| Compared::NewBranch {
        after: two.clone(),
        oldest: oldest.cloned(),
        git_ref: "refs/heads/topic".into(),
    };
    let pull = Compared::PullRequest { base: main.clone(), head: two.clone() };
    for (compared, expected) in [
        (push(&root, &two), "b c"),
        (push(&two, &main), "b c d"),
        (push(&root, &root), ""),
        (push(&"1".repeat(40), &two), "?"),
        (new(None), "b c"),
        (new(Some(&two)), "c"),
        (new(Some(&root)), "a b c"),
        (pull, "b c"),
        (Compared::PullRequest { base: "x".into(), head: one.clone() }, "?"),
    ] {
        assert_eq!(world.changed(compared.clone()).await, expected, "{compared:?}");
    }
    for number in 0..400 {
        world.there.write(&format!("many/{number}"), "x");
    }
    let many = world.commit("e", "4");
    world.bring("main", &many).await.unwrap();
    assert_eq!(world.changed(push(&main, &many)).await.split(' ').count(), CHANGED_FILES_MAX);
}

#[tokio::test]
async fn a_pull_request_is_merged_here_where_the_forge_did_not() {
    let world = World::new();
    world.commit("a", "0");
    world.git(&["checkout", "-q", "-b", "topic"]);
    let head = world.commit("b", "1");
    world.git(&["checkout", "-q", "main"]);
    let base = world.commit("c", "2");
    world.git(&["update-ref", "refs/pull/3/head", &head]);
    let pair = |name: &str| RefPair::from(GitRef::parse(name).unwrap());
    let wanted = Wanted {
        refs: vec![pair("refs/heads/main"), pair("refs/pull/3/head")],
        optional: vec![pair("refs/pull/3/merge")],
        commits: vec![base.clone(), head.clone()],
    };
    world.mirrors.bring(&world.origin, wanted.clone()).await.unwrap();
    let merge = |base: &str, head: &str| {
        let (base, head) = (base.to_owned(), head.to_owned());
        world.mirrors.read(7, move |repository| Merged::of(repository, 3, &base, &head))
    };
    let Merged::Commit(merged) = merge(&base, &head).await.unwrap() else { panic!("there is a conflict") };
    assert_eq!(merge(&base, &head).await.unwrap(), Merged::Commit(merged.clone()), "the same again");
    let of = merged.clone();
    let parents = world.mirrors.read(7, move |repository| CommitText::read(repository, &of)).await.unwrap().parents;
    assert_eq!(parents, [base.clone(), head.clone()]);
    // The forge's own counts when it is of this head.
    world.git(&["merge", "-q", "--no-ff", "-m", "theirs", "topic"]);
    let theirs = world.git(&["rev-parse", "HEAD"]);
    world.git(&["update-ref", "refs/pull/3/merge", &theirs]);
    world.mirrors.bring(&world.origin, Wanted { commits: Vec::new(), ..wanted }).await.unwrap();
    assert_eq!(merge(&base, &head).await.unwrap(), Merged::Commit(theirs));
    world.git(&["checkout", "-q", "-b", "other", "topic"]);
    let other = world.commit("c", "different");
    world.bring("other", &other).await.unwrap();
    assert_eq!(merge(&base, &other).await.unwrap(), Merged::Conflict);
}

#[tokio::test]
async fn workflows_are_read_from_a_commit() {
    let world = World::new();
    world.there.write(".github/workflows/b.yml", "on: push").write(".github/workflows/a.yaml", "\u{feff}on: push");
    world.there.write(".github/workflows/deep/c.yml", "on: push").write(".github/workflows/action.yml", "x");
    world
        .there
        .write("shared/action.yml", "x")
        .write(".github/workflows/empty.yml", " \n")
        .write("shared/x.yml", "on: workflow_call");
    world.there.link(".github/workflows/link.yml", "../../shared/x.yml").link("out.yml", "../../etc/passwd");
    world.there.link("loop.yml", "loop.yml");
    let first = world.there.commit("workflows").to_string();
    world.there.write(".pipe.toml", "workflows = ['shared/']");
    let second = world.there.commit("settings").to_string();
    world.there.write(".pipe.toml", "workflows = ['../x']");
    let third = world.there.commit("wrong").to_string();
    world.bring("main", &third).await.unwrap();
    let repository = &crate::git::open(&world.mirrors.folder(7)).unwrap();
    let paths = |id: &str| WorkflowSources::of(repository, id).unwrap().paths();
    let names =
        ["a.yaml", "action.yml", "b.yml", "empty.yml", "link.yml"].map(|name| format!(".github/workflows/{name}"));
    assert_eq!(paths(&first).unwrap(), names);
    assert_eq!(paths(&second).unwrap(), ["shared/x.yml"]);
    let wrong = paths(&third).unwrap_err().message;
    assert_eq!(wrong, "`.pipe.toml`: `workflows` must be a list of folders in this repository");
    let sources = WorkflowSources::of(repository, &first).unwrap();
    let text = |path: &str| sources.text(path).map_err(|diagnostic| diagnostic.code.0);
    assert_eq!(text(".github/workflows/a.yaml").as_deref(), Ok("on: push"));
    assert_eq!(text(".github/workflows/link.yml").as_deref(), Ok("on: workflow_call"));
    for (path, code) in [
        (".github/workflows/empty.yml", "P0003"),
        (".github/workflows/none.yml", "P0001"),
        (".github/workflows", "P0009"),
        ("out.yml", "P0007"),
        ("loop.yml", "P0006"),
    ] {
        assert_eq!(text(path), Err(code), "{path}");
    }
    let called = |reference: &str| sources.read(reference).map(|read| read.map(|file| file.name().to_owned()));
    assert_eq!(called("./shared/x.yml"), Some(Ok("shared/x.yml".into())));
    assert_eq!(called("other/repo/x.yml@v1"), None);
    assert!(called("./../x.yml").unwrap().unwrap_err().contains("without `..`"));
    let near = called("./shared/y.yml").unwrap().unwrap_err();
    assert_eq!(near, "`shared/y.yml` does not exist; did you mean `x.yml`?");
    assert_eq!(
        WorkflowSources::of(repository, &Oid::ZERO_SHA1.to_string()).err(),
        Some(MirrorError::Gone("0".repeat(40)))
    );
}

#[tokio::test]
async fn small_packs_are_put_together() {
    let world = World::new();
    for number in 0..60 {
        let commit = world.commit("a", &number.to_string());
        world.bring("main", &commit).await.unwrap();
    }
    let packs = std::fs::read_dir(world.mirrors.folder(7).join("objects/pack")).unwrap().flatten();
    let packs = packs.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "pack")).count();
    assert!(packs < 50, "{packs}");
    let all = world.mirrors.read(7, |repository| {
        let mut walk = repository.revwalk().unwrap();
        walk.push_ref("refs/heads/main").unwrap();
        Ok(walk.count())
    });
    assert_eq!(all.await, Ok(60));
}
