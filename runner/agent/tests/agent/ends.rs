//! Cancelling, time-outs, signals, and the agent's own end.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;

use agent::protocol::{Cause, Ending, Event, ExecRequest, Ladder, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::{Agent, SHORT, World, agent_and_client, read_to_end, shell};

fn cancel_when_ready(world: &mut World, script: &str, ladder: Option<Ladder>) -> Cause {
    world.start(shell(1, script));
    world.output_until(1, "ready\n");
    world.send(Request::Cancel { id: 1, ladder });
    let (report, _) = world.finish_with(1, 6, |_| {});
    report.cause
}

#[test]
fn the_ladder_stops_at_the_rung_that_helps() {
    let (code, signal) = (Ending::Code, Ending::Signal);
    let cases = [
        ("echo ready; exec sleep 600", None, signal(2)),
        ("trap 'exit 3' INT; echo ready; while :; do sleep 0.01; done", None, code(3)),
        ("trap 'exit 0' INT; echo ready; while :; do sleep 0.01; done", None, code(0)),
        ("trap '' INT; echo ready; exec sleep 600", None, signal(15)),
        ("trap '' INT; trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done", None, code(4)),
        ("trap '' INT TERM; echo ready; while :; do sleep 0.01; done", None, signal(9)),
        ("trap '' INT TERM; echo ready; exec sleep 600", None, signal(9)),
        ("trap 'exit 3' INT TERM; echo ready; while :; do sleep 0.01; done", Some(Ladder::KILL), signal(9)),
    ];
    for (script, ladder, expect) in cases {
        let (_agent, mut world) = agent_and_client();
        assert_eq!(cancel_when_ready(&mut world, script, ladder), Cause::Cancelled(expect), "{script}");
    }
}

#[test]
fn a_second_cancel_may_be_harder() {
    let (_agent, mut world) = agent_and_client();
    let slow = Ladder { interrupt_ms: 600_000, terminate_ms: 600_000 };
    world.start(shell(1, "trap 'echo heard' INT; echo ready; while :; do sleep 0.01; done"));
    world.output_until(1, "ready\n");
    world.send(Request::Cancel { id: 1, ladder: Some(slow) });
    world.output_until(1, "heard\n");
    // One without a ladder changes nothing; one with a ladder takes over.
    world.send(Request::Cancel { id: 1, ladder: None });
    world.send(Request::Cancel { id: 1, ladder: Some(Ladder::KILL) });
    let (report, _) = world.finish_with(1, 12, |_| {});
    assert_eq!(report.cause, Cause::Cancelled(Ending::Signal(9)));
}

#[test]
fn the_ladder_reaches_those_who_left_the_session() {
    let (agent, mut world) = agent_and_client();
    let pipe = agent.named_pipe("held");
    // Its own session, deaf to INT and TERM, and the step's main process waits for it.
    let script = format!(
        "setsid sh -c 'trap \"\" INT TERM; exec 7>{}; echo ready; while :; do sleep 0.05; done'",
        pipe.display()
    );
    world.start(shell(1, &script));
    let holder = std::thread::spawn(move || read_to_end(&pipe));
    world.output_until(1, "ready\n");
    world.send(Request::Cancel { id: 1, ladder: Some(SHORT) });
    assert!(matches!(world.finish_with(1, 6, |_| {}).0.cause, Cause::Cancelled(_)));
    // The end of the named pipe comes only when the last of them is dead.
    assert_eq!(holder.join().unwrap(), "");
}

#[test]
fn time_is_up_also_without_a_client() {
    let agent = Agent::new();
    let pipe = agent.named_pipe("held");
    let mut world = agent.connect();
    let script = format!("exec 7>{}; sleep 600", pipe.display());
    world.start(ExecRequest { timeout_ms: Some(300), ..shell(1, &script) });
    drop(world);
    assert_eq!(read_to_end(&pipe), "");
    let mut world = agent.connect();
    assert_eq!(world.wait_for_report(1).cause, Cause::TimedOut(Ending::Signal(2)));
}

#[test]
fn time_is_not_up_before_its_time() {
    let (_agent, mut world) = agent_and_client();
    let request = ExecRequest { timeout_ms: Some(60_000), ..shell(1, "exit 5") };
    assert_eq!(world.run(request).report.cause, Cause::Exited(5));
    let outcome = world.run(ExecRequest { timeout_ms: Some(0), ..shell(2, "exec sleep 600") });
    assert_eq!(outcome.report.cause, Cause::TimedOut(Ending::Signal(2)));
    assert!(outcome.report.wall_ms < 10_000);
}

#[test]
fn a_signal_of_ones_own() {
    let (_agent, mut world) = agent_and_client();
    world.start(shell(1, "trap 'echo got it; exit 6' USR1; echo ready; while :; do :; done"));
    world.output_until(1, "ready\n");
    world.send(Request::Signal { id: 1, signal: 10 });
    let outcome = world.finish(1, 6);
    assert_eq!((outcome.text().as_str(), outcome.report.cause), ("got it\n", Cause::Exited(6)));
    world.send(Request::Signal { id: 1, signal: 10 });
    assert_eq!(world.failure(), "cannot send signal 10 to exec 1: it has ended");
    // Cancelling what has ended changes nothing.
    world.send(Request::Cancel { id: 1, ladder: None });
    assert_eq!(world.list()[0].output_bytes, 13);
}

#[test]
fn shutdown_ends_everything_and_names_the_orphans() {
    let (mut agent, mut world) = agent_and_client();
    world.run(shell(1, "(trap '' TERM; while :; do sleep 0.05; done) & sleep 601 & exit 0"));
    world.start(shell(2, "echo ready; exec sleep 600"));
    world.output_until(2, "ready\n");
    world.send(Request::Shutdown { ladder: SHORT });
    let (report, _) = world.finish_with(2, 6, |_| {});
    assert_eq!(report.cause, Cause::Cancelled(Ending::Signal(2)));
    let orphans = world
        .client
        .receive_matching(|event| match event {
            Event::Stopped { orphans } => Some(orphans.clone()),
            _other => None,
        })
        .unwrap();
    let names: Vec<&str> = orphans.iter().map(|orphan| orphan.command.as_str()).collect();
    assert!(names.contains(&"sleep") && names.contains(&"sh"), "{names:?}");
    assert!(agent.wait().success());
    for orphan in orphans {
        assert!(!std::path::Path::new(&format!("/proc/{}", orphan.pid)).exists(), "{orphan:?} is gone");
    }
    assert!(!agent.path("agent.sock").exists());
}

#[test]
fn a_process_that_asks_to_be_left_alone_outlives_the_job_on_the_host() {
    let (mut agent, mut world) = agent_and_client();
    let pipe = agent.named_pipe("held");
    let script =
        format!("RUNNER_TRACKING_ID= sh -c 'exec 7>{}; echo $$ >&7; exec sleep 600' >/dev/null 2>&1 &", pipe.display());
    world.run(shell(1, &script));
    let mut held = BufReader::new(std::fs::File::open(&pipe).unwrap());
    let mut line = String::new();
    held.read_line(&mut line).unwrap();
    let pid = Pid::from_raw(line.trim().parse().unwrap());
    world.send(Request::Shutdown { ladder: Ladder::KILL });
    assert!(agent.wait().success());
    kill(pid, Signal::SIGKILL).unwrap();
    held.read_to_string(&mut line).unwrap();
}

#[test]
fn sigterm_cancels_everything_and_exits() {
    let (mut agent, mut world) = agent_and_client();
    world.start(shell(1, "echo ready; exec sleep 600"));
    world.output_until(1, "ready\n");
    kill(Pid::from_raw(i32::try_from(agent.child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let (report, _) = world.finish_with(1, 6, |_| {});
    assert_eq!(report.cause, Cause::Cancelled(Ending::Signal(2)));
    let status = agent.wait();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}

#[test]
fn a_second_sigterm_waits_for_nothing() {
    let (mut agent, mut world) = agent_and_client();
    world.start(shell(1, "trap 'echo heard' INT; echo ready; while :; do sleep 0.01; done"));
    world.output_until(1, "ready\n");
    let pid = Pid::from_raw(i32::try_from(agent.child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    world.output_until(1, "heard\n");
    kill(pid, Signal::SIGTERM).unwrap();
    let (report, _) = world.finish_with(1, 12, |_| {});
    assert_eq!(report.cause, Cause::Cancelled(Ending::Signal(9)));
    assert!(agent.wait().success());
}

#[test]
fn an_agent_that_nobody_visits_leaves() {
    let mut agent = Agent::with(&["--linger", "0"]);
    assert!(agent.wait().success());
}
