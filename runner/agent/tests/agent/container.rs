//! The agent as PID 1, in images that have almost nothing and under the limits that jobs get.
//!
//! Needs Docker and the static agent that the engine's build makes (or `PIPE_AGENT_STATIC=PATH`). Images are made here from the machine's own static busybox, never pulled.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use agent::client::Client;
use agent::protocol::{AgentHello, Cause, Ending, ExecRequest, ExitReport, Request};

use crate::world::{PATIENCE, World, path, shell, until, words};

/// A container that is removed when the test ends.
struct Container {
    name: String,
    directory: tempfile::TempDir,
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.name]);
    }
}

fn docker(arguments: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The static agent. A machine without what these tests need fails them by name: they are the only ones that see the
/// agent as PID 1.
fn wanted() -> PathBuf {
    assert!(docker(&["version"]).is_some(), "these tests need a Docker engine: scripts/setup.sh starts one");
    assert!(Path::new("/bin/busybox").exists(), "these tests need /bin/busybox: apt-get install busybox-static");
    let given = std::env::var_os("PIPE_AGENT_STATIC").map(PathBuf::from);
    given
        .or_else(built)
        .expect("the engine's build makes a static agent: cargo build -p engine, or set PIPE_AGENT_STATIC")
}

/// Where `runner/engine/build.rs` builds it: in the target directory that this test lies in.
fn built() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let inside = Path::new("pipe-agent-target").join(target).join("agent/pipe-agent");
    test.ancestors().map(|folder| folder.join(&inside)).find(|path| path.exists())
}

/// An image of busybox, `sh` and `tail`, or of nothing at all.
fn image(with_busybox: bool) -> &'static str {
    let name = if with_busybox { "pipe-test/busybox:latest" } else { "pipe-test/empty:latest" };
    // Importing anew each time would leave the one before behind without a name.
    if docker(&["image", "inspect", name]).is_some() {
        return name;
    }
    let tree = tempfile::tempdir().unwrap();
    if with_busybox {
        std::fs::create_dir_all(tree.path().join("bin")).unwrap();
        std::fs::copy("/bin/busybox", tree.path().join("bin/busybox")).unwrap();
        for name in ["sh", "tail", "cat", "grep", "sleep", "id", "true"] {
            std::os::unix::fs::symlink("busybox", tree.path().join("bin").join(name)).unwrap();
        }
    }
    let import = "tar -C \"$0\" -c . | docker import - \"$1\"";
    let done = Command::new("sh").args(["-c", import]).arg(tree.path()).arg(name).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    name
}

fn run(agent: &Path, image: &str, flags: &[&str]) -> (Container, World, AgentHello) {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    std::fs::create_dir(&run).unwrap();
    // Whoever the container's user is, here it may write.
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o777)).unwrap();
    let name = format!("pipe-agent-test-{}", directory.path().file_name().unwrap().display());
    let name = name.replace("-.", "-");
    let mounts = [format!("{}:/run/pipe", run.display()), format!("{}:/pipe-agent:ro", agent.display())];
    let mut arguments = vec!["run", "-d", "--name", &name, "--network", "none", "-v", &mounts[0], "-v", &mounts[1]];
    arguments.extend(flags);
    arguments.extend(["--entrypoint", "/pipe-agent", image]);
    arguments.extend(["--socket", "/run/pipe/agent.sock", "--spool", "/run/pipe/spool"]);
    docker(&arguments).expect("docker run");
    let container = Container { name, directory };
    let socket = container.directory.path().join("run/agent.sock");
    let (client, hello) = until("the agent listens", || Client::connect(&socket).ok());
    client.stream().set_read_timeout(Some(PATIENCE)).unwrap();
    (container, World { client }, hello)
}

#[test]
fn pid_1_reaps_whatever_is_orphaned() {
    let agent = wanted();
    let (container, mut world, hello) = run(&agent, image(true), &[]);
    assert_eq!((hello.pid, hello.uid), (1, 0));
    let orphans = "i=0; while [ $i -lt 500 ]; do (sh -c true &) ; i=$((i+1)); done";
    assert_eq!(world.run(shell(1, orphans)).report.cause, Cause::Exited(0));
    let mut id = 1;
    until("no zombie is left", || {
        id += 1;
        let states = world.run(shell(id, "cat /proc/[0-9]*/stat | grep -c ') Z '"));
        (states.text() == "0\n").then_some(())
    });
    let stopped = docker(&["stop", &container.name]).and_then(|_| docker(&["wait", &container.name]));
    assert_eq!(stopped.as_deref(), Some("0"), "docker stop ends it in good order");
}

#[test]
fn memory_that_runs_out_is_told_also_when_the_shell_hides_it() {
    let agent = wanted();
    let limits = ["--memory", "64m", "--memory-swap", "64m"];
    let (_container, mut world, _) = run(&agent, image(true), &limits);
    let mut report = |id, argv: &[&str]| -> ExitReport {
        world.run(ExecRequest { id, argv: words(argv), env: path(), ..ExecRequest::default() }).report
    };
    let main = report(1, &["tail", "/dev/zero"]);
    assert_eq!((main.cause, main.oom_kills), (Cause::OutOfMemory(Ending::Signal(9)), 1));
    let child = report(2, &["sh", "-c", "tail /dev/zero; exit $?"]);
    assert_eq!((child.cause, child.oom_kills), (Cause::OutOfMemory(Ending::Code(137)), 1));
    let other_code = report(3, &["sh", "-c", "tail /dev/zero || exit 2"]);
    assert_eq!((other_code.cause, other_code.oom_kills), (Cause::OutOfMemory(Ending::Code(2)), 1));
    let hidden = report(4, &["sh", "-c", "tail /dev/zero; exit 0"]);
    assert_eq!((hidden.cause, hidden.oom_kills), (Cause::Exited(0), 1));
    let after = report(5, &["sh", "-c", "exit 3"]);
    assert_eq!((after.cause, after.oom_kills), (Cause::Exited(3), 0));
}

#[test]
fn a_hardened_container_is_enough() {
    let agent = wanted();
    let flags = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only", "--user", "1234:1234"];
    let (_container, mut world, hello) = run(&agent, image(true), &flags);
    assert_eq!((hello.pid, hello.uid), (1, 1234));
    assert_eq!(world.run(shell(1, "id -u")).text(), "1234\n");
    world.start(ExecRequest { timeout_ms: Some(200), ..shell(2, "exec sleep 600") });
    assert_eq!(world.finish(2, 0).report.cause, Cause::TimedOut(Ending::Signal(2)));
    let other = world.run(ExecRequest { user: Some("0".into()), ..shell(3, "id -u") });
    let reason = "cannot run as `0`: the container runs as user 1234, not as root";
    assert_eq!(other.report.cause, Cause::StartFailed(reason.into()));
}

#[test]
fn an_empty_image_is_enough() {
    let agent = wanted();
    let (_container, mut world, _) = run(&agent, image(false), &[]);
    let version = ExecRequest { id: 1, argv: words(&["/pipe-agent", "--version"]), ..ExecRequest::default() };
    assert_eq!(world.run(version).text(), format!("pipe-agent {}\n", env!("CARGO_PKG_VERSION")));
    let as_number =
        ExecRequest { user: Some("7:8".into()), argv: words(&["/pipe-agent", "--version"]), id: 2, ..shell(2, "") };
    assert_eq!(world.run(as_number).report.cause, Cause::Exited(0));
    let missing = world.run(shell(3, "true")).report.cause;
    assert_eq!(missing, Cause::StartFailed("no program `sh` in PATH (/usr/sbin:/usr/bin:/sbin:/bin)".into()));
    world.send(Request::List);
}
