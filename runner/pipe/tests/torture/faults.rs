//! X05, X06, X21, X38: a job's agent is killed, the machine starts again, the disk is full, a flush fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::server::{Flushes, Server, strace_works, wait_for};
use crate::world::{Witness, World, docker_works};

/// A job that hangs in the first run, and one beside it.
const VICTIM: &str = r#"
on: push
defaults:
  run:
    shell: bash
jobs:
  victim:
    runs-on: PLACE
    env: { TELL: 'TELL_IT' }
    steps:
      - run: |
          eval "$TELL"
          echo "before"
          tell "victim $GITHUB_RUN_NUMBER"
          if [[ $GITHUB_RUN_NUMBER == 1 ]]; then sleep 3600; fi
      - run: echo "after"
  other:
    runs-on: PLACE
    env: { TELL: 'TELL_IT' }
    steps:
      - run: |
          eval "$TELL"
          tell "other $GITHUB_RUN_NUMBER"
          for i in {1..40}; do echo "line $i"; sleep 0.05; done
"#;

/// A job on this machine that waits for a file.
const WAITS: &str = r#"
on: push
jobs:
  waits:
    runs-on: here
    steps:
      - shell: bash
        run: |
          TELL_IT
          tell "waits $GITHUB_RUN_NUMBER"
          while [[ ! -e GO ]]; do sleep 0.02; done
"#;

fn victim(witness: &Witness, in_container: bool) -> World {
    let text = VICTIM.replace("TELL_IT", &witness.tell(in_container).replace('\'', "''"));
    World::new(witness, &text.replace("PLACE", if in_container { "box" } else { "here" }))
}

/// Processes that are the agents of jobs `job` of this world.
pub(crate) fn agents(world: &World, in_container: bool, job: &str) -> Vec<Pid> {
    let pid = |text: &str| text.trim().parse().ok().filter(|pid| *pid > 1).map(Pid::from_raw);
    if in_container {
        let inspect = |id: &str| {
            let words = ["inspect", "--format", "{{.State.Pid}}", id];
            String::from_utf8(Command::new("docker").args(words).output().unwrap().stdout).unwrap()
        };
        let of_job = world.containers().into_iter().filter(|(_, whose)| whose.as_deref() == Some(job));
        return of_job.filter_map(|(id, _)| pid(&inspect(&id))).collect();
    }
    let marks = std::fs::read_dir(world.data().join("agents")).unwrap().flatten();
    let of_job = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| text.lines().nth(3) == Some(job));
    marks
        .map(|mark| mark.path())
        .filter(|path| of_job(path))
        .filter_map(|path| pid(path.file_stem()?.to_str()?))
        .collect()
}

/// How a run ended: its jobs with their conclusions and messages.
fn ends(world: &World, run: u64) -> Vec<(String, String, String)> {
    let facts = world.facts(run);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let ends = facts.iter().filter(|fact| fact["type"] == "job_run_finished");
    let mut ends: Vec<_> =
        ends.map(|fact| (text(&fact["job"]), text(&fact["conclusion"]), text(&fact["message"]))).collect();
    ends.sort();
    ends
}

#[track_caller]
fn check_end(ends: &[(String, String, String)], job: &str, conclusion: &str, says: &str) {
    let all: Vec<_> = ends.iter().filter(|(name, ..)| name == job).collect();
    assert!(
        all.len() == 1 && all[0].1 == conclusion && all[0].2.contains(says),
        "{job} should be one {conclusion} saying `{says}`: {ends:?}"
    );
}

/// The next push is built as if nothing had been.
pub(crate) fn goes_on(world: &World, server: Server, run: u64) {
    world.commit("again");
    world.push();
    assert!(world.watch(run, || false));
    let status = server.end().unwrap();
    assert!(status.success(), "{status}: {}", world.server_log());
    assert!(ends(world, run).iter().all(|(_, conclusion, _)| conclusion == "success"), "{:?}", ends(world, run));
    assert_eq!(world.left(), Vec::<String>::new());
}

fn agent_is_killed(in_container: bool) {
    let world = victim(&Witness::new(), in_container);
    let server = world.started();
    world.push();
    wait_for("the steps to run", || world.witness.has_heard("victim 1") && world.witness.has_heard("other 1"));
    let path = world.data().join("runs/1/logs/victim/0000.log");
    let log = || std::fs::read_to_string(&path).unwrap_or_default();
    wait_for("what the step wrote to be stored", || log().contains("\nbefore\n"));
    let agents = agents(&world, in_container, "victim");
    assert_eq!(agents.len(), 1, "{agents:?}");
    kill(agents[0], Signal::SIGKILL).unwrap();
    assert!(world.watch(1, || false));
    let ends = ends(&world, 1);
    check_end(&ends, "victim", "failure", "");
    check_end(&ends, "other", "success", "");
    let shown = String::from_utf8(world.pipe(&["show", "1", "--data", "data"]).stdout).unwrap();
    assert!(shown.contains("agent is gone"), "{shown}");
    assert!(log().contains("\nbefore\n"), "{}", log());
    wait_for("what the job left to be gone", || world.left_by_jobs().iter().all(|left| left.contains("other")));
    goes_on(&world, server, 2);
}

#[test]
fn x21_agent_is_killed_on_the_host() {
    agent_is_killed(false);
}

#[test]
fn x21_agent_is_killed_in_a_container() {
    if docker_works() {
        agent_is_killed(true);
    }
}

/// The server, its agents and containers die together, and the machine has another boot id when the server is back.
fn machine_starts_again(in_container: bool) {
    let world = victim(&Witness::new(), in_container);
    let mut server = world.started();
    world.push();
    wait_for("the steps to run", || world.witness.has_heard("victim 1") && world.witness.has_heard("other 1"));
    let agents = ["victim", "other"].map(|job| agents(&world, in_container, job)).concat();
    assert_eq!(agents.len(), 2, "{agents:?}");
    server.kill();
    agents.iter().for_each(|agent| kill(*agent, Signal::SIGKILL).unwrap());
    wait_for("all to be gone", || server.is_gone() && agents.iter().all(|agent| !crate::server::is_there(*agent)));
    if !in_container {
        // A machine that starts anew has no steps either.
        world.processes().iter().for_each(|(pid, _)| kill(*pid, Signal::SIGKILL).unwrap_or_default());
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let mut changed = 0;
    for name in ["journals/1", "agents"] {
        for entry in std::fs::read_dir(world.data().join(name)).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            changed += text.matches(boot.trim()).count();
            std::fs::write(entry.path(), text.replace(boot.trim(), "00000000-1111-4222-8333-444444444444")).unwrap();
        }
    }
    assert!(changed >= 2, "nothing of theirs names this boot");
    let server = world.started();
    assert!(world.watch(1, || false));
    let ends = ends(&world, 1);
    for job in ["victim", "other"] {
        check_end(&ends, job, "failure", "The runner was lost: the machine was started again");
    }
    goes_on(&world, server, 2);
}

#[test]
fn x38_machine_starts_again_on_the_host() {
    machine_starts_again(false);
}

#[test]
fn x38_machine_starts_again_with_containers() {
    if docker_works() {
        machine_starts_again(true);
    }
}

/// A small file system in memory at a folder; it goes with this.
pub(crate) struct Small(PathBuf);

impl Small {
    pub(crate) fn mount(folder: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "pipe-torture"]).arg(&folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: no file system can be mounted here");
        None
    }

    /// Nothing fits any more.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("filling");
        let mut file = std::fs::File::create(&path).unwrap();
        for block in [1 << 16, 1 << 12, 1] {
            while std::io::Write::write_all(&mut file, &vec![0_u8; block]).is_ok() {}
        }
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[test]
fn x05_disk_is_full() {
    let witness = Witness::new();
    let world = World::new(&witness, "on: push\njobs: {}\n");
    // Enough for the agent, the mirror and some logs.
    let Some(small) = Small::mount(world.path("small"), "24m") else { return };
    let go = world.path("go").display().to_string();
    let world =
        world.in_small("small", &WAITS.replace("TELL_IT", &witness.tell(false)).replace("GO ", &format!("{go} ")));
    let server = world.started();
    world.push();
    wait_for("the step to run", || witness.has_heard("waits 1"));
    let filling = small.fill();
    // What fits into what is already there may still be taken; what is taken becomes a run.
    let mut refused = String::new();
    let mut told = 1;
    wait_for("a push to be refused", || {
        world.commit("while it is full");
        refused = world.push();
        told += 1;
        !refused.contains("main told to")
    });
    assert!(refused.contains("503") || refused.contains("507"), "{refused}");
    let (status, body) = world.get("/readyz");
    assert!(status == 503 && body.contains("full"), "{status} {body}");
    assert_eq!(world.get("/healthz").0, 200);
    std::fs::write(world.path("go"), "").unwrap();
    std::fs::remove_file(filling).unwrap();
    assert_eq!(world.get("/readyz").0, 200);
    world.commit("after it was full");
    world.push();
    told += 1;
    // The hook tells what was refused, later.
    wait_for("all to be told", || world.runs().len() == told);
    for run in 1..=told as u64 {
        assert!(world.watch(run, || false));
        let ends = ends(&world, run);
        check_end(&ends, "waits", "success", "");
    }
    let status = server.end().unwrap();
    assert!(status.success(), "{status}: {}", world.server_log());
    assert_eq!(world.left(), Vec::<String>::new());
}

/// After a flush failed nothing is acknowledged, and the server ends or says that it is not ready; the next one has all.
#[test]
fn x06_flush_fails() {
    if !strace_works() {
        return;
    }
    let witness = Witness::new();
    let text = crate::kills::workflow(&witness, crate::kills::Places::Host);
    let points: Vec<usize> = if crate::is_long() { (1..60).collect() } else { vec![1, 4, 14, 33] };
    let mut ended = 0;
    for at in points {
        let world = World::new(&witness, &text);
        let mut server = world.serve(Some(&Flushes::Inject(format!("error=EIO:when={at}"))));
        let mut told = String::new();
        if server.listens {
            told = world.push();
            // One that has nothing to write goes on, and says that it takes nothing.
            world.watch(1, || server.is_gone() || world.get("/readyz").0 == 503);
            // Otherwise nothing failed, or only a flush of git, which it tries again.
            ended += usize::from(server.is_gone() || world.get("/readyz").0 != 200);
            server.terminate();
        }
        wait_for("the server to end", || server.is_gone());
        let server = world.started();
        if told.is_empty() {
            world.push();
        }
        assert!(world.watch(1, || false), "{at}");
        assert!(server.end().unwrap().success());
        let outcome = world.outcome(1);
        assert_eq!(outcome.told, ["one/1", "one/2", "three/1", "three/2", "two/1"], "{at}: {}", world.server_log());
        assert_eq!(outcome.ends, ["one success", "run success", "three success", "two success"], "{at}");
        assert_eq!((outcome.deliveries, outcome.left), (vec![serde_json::json!([1])], Vec::new()), "{at}");
    }
    println!("a flush failed in {ended} servers that served");
}
