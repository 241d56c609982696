//! X22: the container engine is killed in the middle of a job, and comes back. It is one of our own, so that nobody else
//! loses theirs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::faults::goes_on;
use crate::server::{is_there, wait_for};
use crate::world::{IMAGE, Witness, World, docker_works};

const JOBS: &str = r#"
on: push
defaults:
  run:
    shell: bash
jobs:
  victim:
    runs-on: box
    steps:
      - run: |
          echo "before"
          echo > "$GITHUB_WORKSPACE/begun"
          if [[ $GITHUB_RUN_NUMBER == 1 ]]; then sleep 3600; fi
  other:
    runs-on: here
    env: { TELL: 'TELL_IT' }
    steps:
      - run: |
          eval "$TELL"
          tell "other $GITHUB_RUN_NUMBER"
          for i in {1..40}; do echo "line $i"; sleep 0.05; done
"#;

/// An engine with its own folders and socket. What is left of it ends with this.
struct Engine {
    process: Child,
    folder: PathBuf,
}

impl Engine {
    /// Starts it; none where that cannot be done.
    fn start(folder: &Path) -> Option<Self> {
        let log = File::options().create(true).append(true).open(folder.join("dockerd.log")).unwrap();
        // In a network of its own: one without a bridge takes away the bridge of the engine that others use.
        let mut command = Command::new("unshare");
        command
            .args(["--net", "dockerd", "--data-root"])
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"));
        command.arg("--pidfile").arg(folder.join("pid")).arg("-H").arg(Self::host(folder));
        command.args(["--bridge=none", "--iptables=false", "--ip-masq=false", "--ip-forward=false"]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().ok()?;
        let mut engine = Self { process, folder: folder.to_owned() };
        let mut ended = false;
        wait_for("an engine of our own", || {
            ended = engine.process.try_wait().unwrap().is_some();
            ended || engine.docker(&["info"])
        });
        if ended {
            let log = std::fs::read_to_string(folder.join("dockerd.log")).unwrap_or_default();
            eprintln!(
                "SKIPPED: no second container engine can be started here: {}",
                log.lines().last().unwrap_or_default()
            );
            return None;
        }
        Some(engine)
    }

    fn host(folder: &Path) -> String {
        format!("unix://{}", folder.join("d.sock").display())
    }

    fn docker(&self, words: &[&str]) -> bool {
        let mut command = Command::new("docker");
        command.arg("-H").arg(Self::host(&self.folder)).args(words).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// A copy of the image of jobs.
    fn load(&self) {
        let mut save = Command::new("docker").args(["save", IMAGE]).stdout(Stdio::piped()).spawn().unwrap();
        let mut load = Command::new("docker");
        load.arg("-H").arg(Self::host(&self.folder)).arg("load").stdin(save.stdout.take().unwrap());
        assert!(load.stdout(Stdio::null()).status().unwrap().success() && save.wait().unwrap().success());
    }

    /// With the part of it that keeps containers, which a new one would wait for. Containers run on.
    fn kill(&mut self) {
        let containerd = self.containerd();
        self.process.kill().unwrap_or_default();
        self.process.wait().unwrap();
        if let Some(pid) = containerd {
            kill(pid, Signal::SIGKILL).unwrap_or_default();
            wait_for("the rest of the engine to end", || !is_there(pid));
            // Where nobody reaps it, its number looks alive.
            std::fs::remove_file(self.folder.join("exec/containerd/containerd.pid")).unwrap();
        }
    }

    fn containerd(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.folder.join("exec/containerd/containerd.pid")).ok()?;
        text.trim().parse().ok().map(Pid::from_raw).filter(|pid| is_there(*pid))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let containerd = self.containerd();
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGTERM).unwrap_or_default();
        self.process.wait().unwrap();
        if let Some(pid) = containerd.filter(|pid| is_there(*pid)) {
            kill(pid, Signal::SIGTERM).unwrap_or_default();
        }
    }
}

#[test]
fn x22_container_engine_is_killed() {
    if !docker_works() {
        return;
    }
    let folder = tempfile::Builder::new().prefix("pd").tempdir().unwrap();
    let Some(mut engine) = Engine::start(folder.path()) else { return };
    engine.load();
    let witness = Witness::new();
    let mut world = World::new(&witness, &JOBS.replace("TELL_IT", &witness.tell(false).replace('\'', "''")));
    world.docker = Some(Engine::host(folder.path()));
    let server = world.started();
    world.push();
    let begun = || {
        let works = std::fs::read_dir(world.data().join("work")).into_iter().flatten().flatten();
        works.map(|work| work.path()).any(|work| crate::outcome::has_file(&work, "begun"))
    };
    wait_for("the steps to run", || witness.has_heard("other 1") && begun());
    engine.kill();
    wait_for("the job beside it to end", || world.is_over(1, "other"));
    assert_eq!(world.get("/readyz").0, 200);
    let Some(_engine) = Engine::start(folder.path()) else { return };
    assert!(world.watch(1, || false));
    let facts = world.facts(1);
    let ends: Vec<_> = facts.iter().filter(|fact| fact["type"] == "job_run_finished").collect();
    assert_eq!(ends.len(), 2, "{ends:?}");
    for end in ends {
        let conclusion = if end["job"] == "victim" { "failure" } else { "success" };
        assert_eq!(end["conclusion"], conclusion, "{facts:?}");
    }
    let said = facts.iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("its container was killed") || said.contains("its container ended"), "{said}");
    goes_on(&world, server, 2);
}
