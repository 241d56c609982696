//! Rows of the attack table that need the whole program: W04, T08, T09, T11.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::world::{Witness, World};

const JOB: &str = "on: push\njobs:\n  one:\n    runs-on: here\n    steps:\n      - run: env | sort\n      - run: tr '\\0' '\\n' < /proc/$PPID/environ\n";

/// The same push told again with another id and body: it is kept, and makes no second run unless somebody asks.
#[test]
fn w04_a_push_that_is_told_again_makes_no_second_run() {
    let world = World::new(&Witness::new(), JOB);
    let server = world.started();
    world.push();
    assert!(world.watch(1, || false));
    let tell = || {
        let commit = world.git(&["rev-parse", "HEAD"]);
        let hook = world.path("bare.git/hooks/post-receive");
        let mut command = world.command(&hook);
        let folder = world.path("bare.git");
        let mut child = command.current_dir(&folder).env("GIT_DIR", ".").stdin(Stdio::piped()).spawn().unwrap();
        let line = format!("{} {} refs/heads/main\n", "0".repeat(40), commit.trim());
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    };
    let delivery = |number: usize| {
        crate::server::wait_for("the delivery to be looked at", || {
            let list = world.deliveries();
            list.len() == number && list[0]["state"] != "received"
        });
        world.deliveries().remove(0)
    };
    tell();
    let second = delivery(2);
    assert_eq!((&second["state"], &second["runs"]), (&"ignored".into(), &serde_json::json!([])), "{second}");
    assert!(second["reason"].as_str().unwrap().contains("run 1 is of the same push to `refs/heads/main`"), "{second}");
    assert_eq!(world.runs(), [1]);
    world.done(&["deliveries", "replay", "2", "--data", "data"]);
    assert!(world.watch(2, || false), "somebody asked");
    world.commit("another");
    world.push();
    assert!(world.watch(3, || false));
    assert!(server.end().unwrap().success());
}

#[test]
fn t08_a_second_server_on_a_folder_is_refused() {
    let world = World::new(&Witness::new(), JOB);
    let server = world.started();
    let second = world.pipe(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(6), "{said}");
    assert!(said.contains("uses it") && said.contains("one server"), "{said}");
    assert!(server.end().unwrap().success());
}

#[test]
fn t09_a_key_that_others_may_read_is_refused_and_jobs_do_not_see_it() {
    let mut world = World::new(&Witness::new(), JOB);
    let path = world.data().join("key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let server = world.serve(None);
    assert!(!server.listens);
    assert_eq!(server.ended().code(), Some(6));
    let said = world.server_log();
    assert!(said.contains("key") && said.contains("others"), "{said}");
    let key = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    world.variables = vec![("PIPE_MASTER_KEY", key.trim().to_owned())];
    for name in ["PIPE_TOKEN", "PIPE_GITHUB_TOKEN", "PIPE_ACTIONS_TOKEN", "PIPE_NOTIFY_TEAM_URL"] {
        world.variables.push((name, "pipe_never-seen".to_owned()));
    }
    let server = world.started();
    world.push();
    world.variables.truncate(1);
    assert!(world.watch(1, || false));
    assert!(server.end().unwrap().success());
    let outcome = world.outcome(1);
    assert_eq!(outcome.ends, ["one success", "run success"], "{outcome:?}");
    let logs = format!("{:?}", outcome.logs);
    assert!(
        logs.contains("GITHUB_SHA=") && !logs.contains("PIPE_MASTER_KEY") && !logs.contains("never-seen"),
        "{logs}"
    );
}

#[test]
fn t11_there_are_no_pages_for_debugging() {
    let world = World::new(&Witness::new(), JOB);
    let server = world.started();
    for path in ["/debug", "/debug/pprof", "/debug/vars", "/failpoints", "/admin", "/console", "/api/v1/debug", "/.env"]
    {
        assert_eq!(world.get(path).0, 404, "{path}");
    }
    assert!(server.end().unwrap().success());
}
