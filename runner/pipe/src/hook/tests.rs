//! The hook in real repositories: what it keeps, what it tells, what a push sees of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{install, payload};

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

fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_hook_that_was_there_runs_first_and_nothing_fails_the_push() {
    let scratch = tempfile::tempdir().unwrap();
    let (bare, work) = (scratch.path().join("bare.git"), scratch.path().join("work"));
    git(scratch.path(), &["init", "-q", "--bare", "bare.git"]);
    git(scratch.path(), &["init", "-q", "work"]);
    let told = scratch.path().join("told");
    let hooks = bare.join("hooks");
    let line =
        |name: &str| format!("#!/bin/sh\nwhile read -r line; do echo \"{name} $line\" >> '{}'; done\n", told.display());
    script(&hooks.join("post-receive"), &line("before"));
    let program = scratch.path().join("a pipe");
    script(&program, &format!("{}exit 1\n", line("pipe")));
    for _ in 0..2 {
        assert!(install::write_hook(&hooks, &program).unwrap(), "the other hook is kept, also the second time");
    }
    std::fs::write(work.join("a"), "1").unwrap();
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-qm", "one"]);
    git(&work, &["push", "-q", bare.to_str().unwrap(), "HEAD:refs/heads/main", "HEAD:refs/tags/v1"]);
    let after = git(&work, &["rev-parse", "HEAD"]);
    let zero = "0".repeat(40);
    let lines = |name: &str| format!("{name} {zero} {after} refs/heads/main\n{name} {zero} {after} refs/tags/v1\n");
    assert_eq!(std::fs::read_to_string(&told).unwrap(), lines("before") + &lines("pipe"));
    std::fs::remove_file(&program).unwrap();
    git(&work, &["commit", "-q", "--allow-empty", "-m", "two"]);
    git(&work, &["push", "-q", bare.to_str().unwrap(), "HEAD:refs/heads/main"]);
    // Two hooks, neither of them ours: nobody can say which is which.
    script(&hooks.join("post-receive"), "#!/bin/sh\n");
    assert!(install::write_hook(&hooks, &program).is_err());
}

#[test]
fn payloads_tell_what_was_pushed() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    git(folder, &["init", "-q"]);
    let commit = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        git(folder, &["add", "-A"]);
        git(folder, &["commit", "-qm", &format!("{name} {text}")]);
        git(folder, &["rev-parse", "HEAD"])
    };
    let (first, second, third) = (commit("a", "1"), commit("b", "1"), commit("a", "2"));
    let repository = git2::Repository::open(folder).unwrap();
    let zero = "0".repeat(40);
    let of = |before: &str, after: &str| -> Json {
        let text = format!("{before} {after} refs/heads/main\n{before} {after} refs/notes/x\nnonsense\n");
        let pushed = payload::read(&text);
        assert_eq!(pushed.len(), 1);
        payload::payload(&repository, &pushed[0], "local/shop", "ada", Timestamp::UNIX_EPOCH)
    };
    let ids = |payload: &Json| -> Vec<String> {
        payload["commits"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let two = of(&first, &third);
    assert_eq!(ids(&two), [second.clone(), third.clone()]);
    assert_eq!(two["commits"][0]["added"], serde_json::json!(["b"]));
    assert_eq!(two["commits"][1]["modified"], serde_json::json!(["a"]));
    assert_eq!((&two["head_commit"]["message"], &two["forced"]), (&"a 2".into(), &false.into()));
    assert_eq!(two["repository"]["default_branch"], "main");
    assert_eq!(of(&third, &first)["forced"], true);
    let new = of(&zero, &third);
    assert_eq!((ids(&new).len(), &new["created"], &new["deleted"]), (3, &true.into(), &false.into()));
    let gone = of(&third, &zero);
    assert_eq!((ids(&gone).len(), &gone["deleted"], &gone["head_commit"]), (0, &true.into(), &Json::Null));
    let event = workflow::event::Event::from_forge(workflow::event::Forge::Push, "push", two).unwrap();
    assert_eq!(event.actor.login, "ada");
}
