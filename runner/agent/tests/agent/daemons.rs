//! Processes that outlive their step, and several steps at once.

use std::fs;
use std::path::Path;

use agent::protocol::{Cause, Request};

use crate::world::{agent_and_client, read_to_end, shell, until};

#[test]
fn a_daemon_that_keeps_stdout_open_holds_up_nothing() {
    let (_agent, mut world) = agent_and_client();
    let outcome = world.run(shell(1, "sleep 600 & echo $!"));
    assert_eq!(outcome.report.cause, Cause::Exited(0));
    let daemon = outcome.text();
    assert!(outcome.report.wall_ms < 5_000, "{:?}", outcome.report);
    let alive = world.run(shell(2, &format!("kill -0 {daemon}")));
    assert_eq!(alive.report.cause, Cause::Exited(0), "it lives on until the job ends");
}

#[test]
fn a_daemon_that_writes_after_the_step_gets_no_sigpipe() {
    let (agent, mut world) = agent_and_client();
    let (go, done) = (agent.named_pipe("go"), agent.named_pipe("done"));
    let script = format!(
        "sh -c 'read word < {}; head -c 3000000 /dev/zero && echo survived > {}' & echo main",
        go.display(),
        done.display()
    );
    assert_eq!(world.run(shell(1, &script)).text(), "main\n");
    fs::write(&go, "go\n").unwrap();
    assert_eq!(read_to_end(&done), "survived\n");
}

#[test]
fn a_daemon_that_never_falls_silent_is_not_listened_to_for_ever() {
    let (_agent, mut world) = agent_and_client();
    let (report, bytes) = {
        world.start(shell(1, "yes & echo main"));
        world.finish_with(1, 0, |_| {})
    };
    assert_eq!(report.cause, Cause::Exited(0));
    assert!(bytes >= 5);
}

#[test]
fn what_is_written_before_the_exit_arrives() {
    let (_agent, mut world) = agent_and_client();
    for id in 1..=20 {
        // More than a pipe holds at first, and a daemon on the same pipe.
        let outcome = world.run(shell(id, "sleep 600 & head -c 300000 /dev/zero; echo last"));
        assert_eq!(outcome.output.len(), 300_005);
    }
}

#[test]
fn two_steps_at_once() {
    let (agent, mut world) = agent_and_client();
    let (a, b) = (agent.named_pipe("a"), agent.named_pipe("b"));
    let (a, b) = (a.display(), b.display());
    // Each can end only while the other runs.
    world.start(shell(1, &format!("echo from one > {a}; cat {b}")));
    world.start(shell(2, &format!("cat {a}; echo from two > {b}")));
    let (one, two) = (world.finish(1, 0), world.finish(2, 0));
    assert_eq!((one.text().as_str(), two.text().as_str()), ("from two\n", "from one\n"));
    assert_eq!((one.report.cause, two.report.cause), (Cause::Exited(0), Cause::Exited(0)));
}

#[test]
fn a_silent_step_is_not_held_up_by_a_noisy_one() {
    let (_agent, mut world) = agent_and_client();
    world.start(shell(1, "yes"));
    world.output_until(1, "y\n");
    assert_eq!(world.run(shell(2, "echo quiet")).text(), "quiet\n");
    world.send(Request::Cancel { id: 1, ladder: Some(agent::protocol::Ladder::KILL) });
}

#[test]
fn orphans_are_reaped() {
    let (agent, mut world) = agent_and_client();
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do (sh -c 'true' & echo $!); done";
    let text = world.run(shell(1, script)).text();
    assert_eq!(text.lines().count(), 10);
    let parent = format!(" {} ", agent.child.id());
    for pid in text.lines() {
        until("the orphan is gone, not a zombie of the agent", || {
            let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
            (!stat.contains(&parent)).then_some(())
        });
    }
}
