//! Tables of repositories, and what a job finds of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::Checkout;
use crate::git::test_repository::{TestRepository, git};
use crate::step::trial::{Trial, Tried};

fn trial(repository: &TestRepository) -> Trial {
    let mut trial = Trial::new(repository.root(), repository.workspace(), repository.scratch.path());
    trial.run.sha = repository.repository.head().map(|head| head.target().unwrap().to_string()).unwrap_or_default();
    trial
}

fn run(trial: &Trial, inputs: &[(&str, &str)]) -> Tried {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(trial.run(&Checkout, inputs))
}

/// Every file with its content; links as `-> target`, executables with `*`.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let mut name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if name == ".git" {
                continue;
            }
            if kind.is_dir() {
                if fs::read_dir(&path).unwrap().next().is_none() {
                    found.insert(format!("{name}/"), String::new());
                }
                open.push(path);
            } else if kind.is_symlink() {
                found.insert(name, format!("-> {}", fs::read_link(path).unwrap().display()));
            } else {
                if entry.metadata().unwrap().permissions().mode() & 0o100 != 0 {
                    name.push('*');
                }
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

fn check(trial: &Trial, inputs: &[(&str, &str)], expect: &[(&str, &str)]) -> Tried {
    let tried = run(trial, inputs);
    assert!(tried.result.is_ok(), "{}", tried.log);
    let expect: BTreeMap<_, _> = expect.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    assert_eq!(listing(&trial.workspace.host), expect, "{}", tried.log);
    tried
}

fn fails(trial: &Trial, inputs: &[(&str, &str)], expect: &str) {
    let tried = run(trial, inputs);
    let error = tried.result.expect_err(&tried.log).to_string();
    assert!(error.contains(expect), "{error}");
}

fn sample() -> TestRepository {
    let repository = TestRepository::new();
    repository
        .write(".gitignore", "target\n")
        .write("a.txt", "a\n")
        .write("src/run.sh", "run\n")
        .executable("src/run.sh");
    repository.link("link", "/etc/passwd").write("gone.txt", "gone\n");
    repository.commit("first");
    repository
}

#[test]
fn a_clean_folder() {
    let repository = sample();
    let trial = trial(&repository);
    let tried = check(
        &trial,
        &[],
        &[
            (".gitignore", "target\n"),
            ("a.txt", "a\n"),
            ("src/run.sh*", "run\n"),
            ("link", "-> /etc/passwd"),
            ("gone.txt", "gone\n"),
        ],
    );
    let root = &trial.workspace.host;
    assert_eq!(tried.outputs["commit"], trial.run.sha);
    assert_eq!(tried.outputs["ref"], "refs/heads/main");
    assert!(tried.log.starts_with("Syncing repository: local/repository\n"), "{}", tried.log);
    assert_eq!(git(root, &["status", "--porcelain"]), "");
    assert_eq!(git(root, &["rev-parse", "HEAD"]).trim(), trial.run.sha);
    assert_eq!(git(root, &["rev-parse", "--abbrev-ref", "HEAD", "@{upstream}"]), "main\norigin/main\n");
    assert_eq!(git(root, &["remote", "get-url", "origin"]), "https://github.com/local/repository\n");
    git(root, &["fsck", "--full", "--strict"]);
}

#[test]
fn changes_come_along_and_ignored_files_do_not() {
    let repository = sample();
    repository.write("a.txt", "changed\n").write("new/b.txt", "b\n").write("target/out", "x").remove("gone.txt");
    repository.write("nested/.git/HEAD", "ref: refs/heads/main\n").write("staged.txt", "s\n");
    let mut index = repository.repository.index().unwrap();
    index.add_path(Path::new("staged.txt")).unwrap();
    index.write().unwrap();
    let trial = trial(&repository);
    let expect = [
        (".gitignore", "target\n"),
        ("a.txt", "changed\n"),
        ("new/b.txt", "b\n"),
        ("src/run.sh*", "run\n"),
        ("link", "-> /etc/passwd"),
        ("staged.txt", "s\n"),
    ];
    check(&trial, &[], &expect);
    let root = &trial.workspace.host;
    assert_eq!(git(root, &["status", "--porcelain"]), " M a.txt\n D gone.txt\n?? new/\n?? staged.txt\n");
    assert!(git(root, &["diff"]).contains("-a\n+changed\n"));
}

#[test]
fn history() {
    let repository = sample();
    let first = repository.repository.head().unwrap().target().unwrap();
    repository.repository.reference("refs/tags/v1", first, false, "").unwrap();
    repository.repository.branch("old", &repository.repository.find_commit(first).unwrap(), false).unwrap();
    repository.write("a.txt", "2\n").commit("second");
    repository.write("a.txt", "3\n").commit("third");
    let trial = trial(&repository);
    let root = &trial.workspace.host;
    let subjects = |depth: &str, tags: &str| {
        let tried = run(&trial, &[("fetch-depth", depth), ("fetch-tags", tags)]);
        assert!(tried.result.is_ok(), "{}", tried.log);
        git(root, &["fsck", "--strict"]);
        let refs = git(root, &["for-each-ref", "--format=%(refname)"]);
        (git(root, &["log", "--format=%s"]).lines().collect::<Vec<_>>().join(" "), refs)
    };
    assert_eq!(subjects("1", "false"), ("third".into(), "refs/heads/main\nrefs/remotes/origin/main\n".into()));
    assert_eq!(subjects("2", "false").0, "third second");
    assert_eq!(subjects("2", "true").1, "refs/heads/main\nrefs/remotes/origin/main\nrefs/tags/v1\n");
    let all = "refs/heads/main\nrefs/remotes/origin/main\nrefs/remotes/origin/old\nrefs/tags/v1\n";
    assert_eq!(subjects("0", "false"), ("third second first".into(), all.into()));
    // The same from packs.
    git(&repository.root(), &["gc", "-q"]);
    assert_eq!(subjects("1", "false").0, "third");
    assert_eq!(subjects("0", "false"), ("third second first".into(), all.into()));
    let linked =
        fs::read_dir(root.join(".git/objects/pack")).unwrap().any(|pack| pack.unwrap().metadata().unwrap().nlink() > 1);
    assert!(!linked, "a job could write through a hard link into this machine's repository");
}

#[test]
fn a_named_ref() {
    let repository = sample();
    let first = repository.repository.head().unwrap().target().unwrap();
    repository.repository.reference("refs/tags/v1", first, false, "").unwrap();
    repository
        .write("a.txt", "2\n")
        .write(".gitattributes", "*.win text eol=crlf\n")
        .write("b.win", "x\n")
        .remove("gone.txt")
        .remove("link");
    repository.commit("second");
    repository.write("a.txt", "not committed\n").write("new.txt", "new\n");
    let trial = trial(&repository);
    let root = &trial.workspace.host;
    let old = [
        (".gitignore", "target\n"),
        ("a.txt", "a\n"),
        ("src/run.sh*", "run\n"),
        ("link", "-> /etc/passwd"),
        ("gone.txt", "gone\n"),
    ];
    for name in ["v1", "refs/tags/v1"] {
        let tried = check(&trial, &[("ref", name)], &old);
        assert_eq!((tried.outputs["ref"].as_str(), &tried.outputs["commit"]), ("refs/tags/v1", &first.to_string()));
        assert_eq!(git(root, &["rev-parse", "--abbrev-ref", "HEAD"]), "HEAD\n");
        assert_eq!(git(root, &["status", "--porcelain"]), "");
    }
    check(&trial, &[("ref", &first.to_string())], &old);
    let new = [
        (".gitignore", "target\n"),
        (".gitattributes", "*.win text eol=crlf\n"),
        ("a.txt", "2\n"),
        ("b.win", "x\r\n"),
        ("src/run.sh*", "run\n"),
    ];
    check(&trial, &[("ref", "main")], &new);
    assert_eq!(git(root, &["status", "--porcelain"]), "");
    for bad in ["nope", "--upload-pack=touch /tmp/p", "-x", "main~1", "@{-1}", &first.to_string()[..7]] {
        fails(&trial, &[("ref", bad)], &format!("A branch or tag with the name '{bad}' could not be found"));
    }
    fails(&trial, &[("ref", &"1".repeat(40))], "is not in the local repository");
    fails(&trial, &[("repository", "other/place")], "is not the repository of this run");
}

#[test]
fn f02_a_branch_that_looks_like_a_commit_is_none() {
    let repository = sample();
    let first = repository.repository.head().unwrap().target().unwrap();
    repository.write("a.txt", "2\n").commit("second");
    let trial = trial(&repository);
    for before in ["\u{feff}", "\u{a0}", "\u{2003}", "\u{200b}"] {
        let name = format!("{before}{first}");
        fails(&trial, &[("ref", &name)], "could not be found");
        repository.repository.reference(&format!("refs/heads/{name}"), first, false, "").unwrap();
        let tried = run(&trial, &[("ref", &name)]);
        assert_eq!(tried.outputs["ref"], format!("refs/heads/{name}"), "{}", tried.log);
    }
    // A commit that nobody has, and a branch of that name.
    let posing = "1".repeat(40);
    git(&repository.root(), &["update-ref", &format!("refs/heads/{posing}"), &first.to_string()]);
    fails(&trial, &[("ref", &posing)], "is not in the local repository");
}

#[test]
fn a_run_of_a_commit() {
    let repository = sample();
    let mut trial = trial(&repository);
    repository.write("a.txt", "not committed\n");
    trial.repository.working_tree = false;
    trial.run.git_ref = "refs/pull/7/merge".into();
    let tried = run(&trial, &[]);
    assert_eq!(tried.outputs["ref"], "refs/remotes/pull/7/merge", "{}", tried.log);
    assert_eq!(fs::read_to_string(trial.workspace.host.join("a.txt")).unwrap(), "a\n");
    assert_eq!(
        git(&trial.workspace.host, &["rev-parse", "HEAD", "refs/remotes/pull/7/merge"]),
        format!("{0}\n{0}\n", trial.run.sha)
    );
}

#[test]
fn folders_below_the_workspace() {
    let repository = sample();
    let trial = trial(&repository);
    let root = trial.workspace.host.clone();
    fs::write(root.join("own.txt"), "of the job").unwrap();
    assert!(run(&trial, &[("path", "deep/er")]).result.is_ok());
    assert!(root.join("deep/er/a.txt").exists() && root.join("own.txt").exists());
    fs::write(root.join("deep/er/built"), "").unwrap();
    assert!(run(&trial, &[("path", "deep/er"), ("clean", "false")]).result.is_ok());
    assert!(root.join("deep/er/built").exists());
    assert!(run(&trial, &[("path", "deep/er")]).result.is_ok());
    assert!(!root.join("deep/er/built").exists());
    fails(&trial, &[("path", "../out")], "is not under");
    assert!(run(&trial, &[]).result.is_ok());
    assert!(!root.join("deep").exists(), "the root is cleaned as a whole");
}

#[test]
fn planted_links_are_not_followed() {
    let repository = sample();
    let trial = trial(&repository);
    let root = trial.workspace.host.clone();
    let outside = repository.scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let unharmed = || assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was written outside");
    std::os::unix::fs::symlink(&outside, root.join("src")).unwrap();
    assert!(run(&trial, &[("clean", "false")]).result.is_ok());
    unharmed();
    std::os::unix::fs::symlink(&outside, root.join("sub")).unwrap();
    fails(&trial, &[("path", "sub")], "cannot");
    unharmed();
    fs::remove_dir_all(&root).unwrap();
    std::os::unix::fs::symlink(&outside, &root).unwrap();
    assert!(run(&trial, &[]).result.is_err());
    unharmed();
}

#[test]
fn unusual_repositories() {
    let empty = TestRepository::new();
    empty.write("new.txt", "new\n");
    let trial_of_empty = trial(&empty);
    check(&trial_of_empty, &[], &[("new.txt", "new\n")]);
    assert_eq!(git(&trial_of_empty.workspace.host, &["status", "--porcelain"]), "?? new.txt\n");

    let detached = sample();
    let head = detached.repository.head().unwrap().target().unwrap();
    detached.repository.set_head_detached(head).unwrap();
    let of_detached = trial(&detached);
    assert_eq!(run(&of_detached, &[]).outputs["ref"], head.to_string());
    assert_eq!(git(&of_detached.workspace.host, &["rev-parse", "HEAD"]).trim(), head.to_string());

    let plain = tempfile::tempdir().unwrap();
    fs::create_dir_all(plain.path().join("folder/sub")).unwrap();
    fs::write(plain.path().join("folder/sub/x"), "x").unwrap();
    let workspace = plain.path().join("all/job/r/r");
    fs::create_dir_all(&workspace).unwrap();
    let of_plain = Trial::new(plain.path().join("folder"), workspace, plain.path());
    check(&of_plain, &[], &[("sub/x", "x")]);

    let own = sample();
    let mut in_place = trial(&own);
    in_place.workspace.host = own.root();
    let tried = run(&in_place, &[]);
    assert!(tried.result.is_ok() && own.root().join("a.txt").exists(), "{}", tried.log);
}

#[test]
fn submodules() {
    let inner = sample();
    let outer = TestRepository::new();
    outer.write("a", "a");
    outer.commit("first");
    let url = inner.root().display().to_string();
    git(&outer.root(), &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "sub/inner"]);
    git(&outer.root(), &["-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "-m", "submodule"]);
    let trial = trial(&outer);
    let root = &trial.workspace.host;
    assert!(run(&trial, &[]).result.is_ok());
    assert!(root.join("sub/inner").is_dir() && !root.join("sub/inner/a.txt").exists());
    assert!(run(&trial, &[("submodules", "true")]).result.is_ok());
    assert_eq!(fs::read_to_string(root.join("sub/inner/a.txt")).unwrap(), "a\n");
    fails(&trial, &[("submodules", "true"), ("ref", "main")], "`submodules` works only without `ref`");
}

#[test]
fn a_sparse_checkout() {
    let repository = sample();
    repository.write("x/one/1", "1").write("x/two/2", "2").write("x/beside", "b");
    repository.commit("more");
    let trial = trial(&repository);
    for reference in ["", "main"] {
        let tried = run(&trial, &[("sparse-checkout", "x/one"), ("ref", reference)]);
        assert!(tried.result.is_ok(), "{}", tried.log);
        let names: Vec<_> = listing(&trial.workspace.host).into_keys().collect();
        assert_eq!(names, [".gitignore", "a.txt", "gone.txt", "link", "x/beside", "x/one/1"]);
        assert_eq!(git(&trial.workspace.host, &["status", "--porcelain"]), "");
    }
    fails(&trial, &[("sparse-checkout", "*.md")], "takes folders only");
}

#[test]
fn many_files_on_several_threads() {
    let repository = TestRepository::new();
    let path = |number: usize| format!("f{}/file{number}.txt", number % 20);
    let content = |number: usize| format!("{number} ").repeat(number * 100);
    for number in 0..200 {
        repository.write(&path(number), &content(number));
    }
    repository.commit("many");
    let trial = trial(&repository);
    assert!(run(&trial, &[]).result.is_ok());
    let found = listing(&trial.workspace.host);
    assert_eq!(found.len(), 200);
    assert!((0..200).all(|number| found[&path(number)] == content(number)));
    assert_eq!(git(&trial.workspace.host, &["status", "--porcelain"]), "");
}
