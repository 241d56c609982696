//! Output: whole, in order, once, whatever becomes of connections, and without filling memory.

use std::fmt::Write as _;

use agent::protocol::{Cause, Event, ExecProgress, Request};

use crate::world::{Agent, agent_and_client, shell, until};

#[test]
fn binary_output_is_kept_byte_for_byte() {
    let (agent, mut world) = agent_and_client();
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    std::fs::write(agent.path("bytes"), &bytes).unwrap();
    let outcome = world.run(shell(1, &format!("cat {}", agent.path("bytes").display())));
    assert!(outcome.output == bytes);
}

#[test]
fn one_line_of_64_mb() {
    let (_agent, mut world) = agent_and_client();
    world.start(shell(1, "head -c 67108864 /dev/zero | tr '\\0' x; echo"));
    let mut wrong = 0_usize;
    let (report, bytes) = world.finish_with(1, 0, |bytes| wrong += bytes.iter().filter(|byte| **byte != b'x').count());
    assert_eq!((report.cause, bytes, wrong), (Cause::Exited(0), 67_108_865, 1));
}

#[test]
fn much_output_leaves_memory_flat() {
    let (agent, mut world) = agent_and_client();
    world.start(shell(1, "head -c 209715200 /dev/zero"));
    let (report, bytes) = world.finish_with(1, 0, |_| {});
    assert_eq!((report.cause, bytes), (Cause::Exited(0), 209_715_200));
    // An answer to this one means that the last acknowledgement was heard.
    world.list();
    assert_eq!(agent.spool_files(), Vec::<std::path::PathBuf>::new(), "acknowledged files are gone");
    let peak = agent.peak_memory_kib();
    assert!(peak < 24 * 1024, "{peak} KiB");
}

#[test]
fn output_that_nobody_takes_goes_to_files_which_go_with_the_acknowledgement() {
    let agent = Agent::new();
    let mut world = agent.connect();
    world.start(shell(1, "seq 1 6000000"));
    world.started(1);
    drop(world);
    let mut world = agent.connect();
    assert_eq!(world.wait_for_report(1).cause, Cause::Exited(0));
    assert!(agent.spool_files().len() > 1);
    let peak = agent.peak_memory_kib();
    assert!(peak < 24 * 1024, "{peak} KiB");
    world.send(Request::Resume { id: 1, offset: 0 });
    let outcome = world.finish(1, 0);
    let mut expect = String::new();
    (1..=6_000_000).for_each(|number| writeln!(expect, "{number}").unwrap());
    assert!(outcome.output == expect.as_bytes());
    world.send(Request::AckExit { id: 1 });
    assert_eq!(world.list(), []);
    assert_eq!(agent.spool_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_full_spool_stops_the_step_and_loses_nothing() {
    let agent = Agent::with(&["--spool-bytes-max", "100000"]);
    let mut world = agent.connect();
    world.start(shell(1, "seq 1 200000"));
    drop(world);
    let mut world = agent.connect();
    until("the spool is full", || (world.list()[0].output_bytes == 100_000).then_some(()));
    assert_eq!(world.list()[0].progress, ExecProgress::Running);
    world.send(Request::Resume { id: 1, offset: 0 });
    let outcome = world.finish(1, 0);
    let mut expect = String::new();
    (1..=200_000).for_each(|number| writeln!(expect, "{number}").unwrap());
    assert!(outcome.output == expect.as_bytes());
}

#[test]
fn reattaching_in_mid_output_goes_on_at_the_byte() {
    let agent = Agent::new();
    let mut world = agent.connect();
    world.start(shell(1, "seq 1 3000000"));
    let mut got: Vec<u8> = Vec::new();
    // Every connection is dropped after some frames; what it acknowledged lies behind what it stored.
    for round in 0..20_usize {
        for _ in 0..=round % 3 {
            let piece = world.client.receive_matching(|event| match event {
                Event::Output { offset, bytes, .. } => Some((*offset, bytes.clone())),
                _other => None,
            });
            let (offset, bytes) = piece.unwrap();
            assert_eq!(offset, got.len() as u64);
            if round % 2 == 0 {
                world.send(Request::AckOutput { id: 1, offset: got.len() as u64 });
            }
            got.extend_from_slice(&bytes);
        }
        world = agent.connect();
        world.send(Request::Resume { id: 1, offset: got.len() as u64 });
        world.started(1);
    }
    got.extend_from_slice(&world.finish(1, got.len() as u64).output);
    let mut expect = String::new();
    (1..=3_000_000).for_each(|number| writeln!(expect, "{number}").unwrap());
    assert!(got == expect.as_bytes());
}

#[test]
fn an_exit_is_told_until_it_is_acknowledged() {
    let agent = Agent::new();
    let mut world = agent.connect();
    world.start(shell(1, "echo once; exit 4"));
    let first = world.finish(1, 0);
    assert_eq!(first.report.cause, Cause::Exited(4));
    for _ in 0..2 {
        world = agent.connect();
        let states = world.list();
        assert_eq!((states.len(), states[0].output_bytes, states[0].acked_bytes), (1, 5, 5));
        assert_eq!(states[0].progress, ExecProgress::Exited(first.report.clone()));
        world.send(Request::Resume { id: 1, offset: 5 });
        assert_eq!(world.finish(1, 5).report, first.report);
    }
    world.send(Request::AckExit { id: 1 });
    assert_eq!(world.list(), []);
    world.send(Request::Resume { id: 1, offset: 5 });
    assert_eq!(world.failure(), "exec 1 has ended and its exit was acknowledged");
}

#[test]
fn offsets_that_are_not_there_are_refused() {
    let (agent, mut world) = agent_and_client();
    world.start(shell(1, "echo hello"));
    world.finish(1, 0);
    world.send(Request::Resume { id: 1, offset: 0 });
    assert_eq!(world.failure(), "exec 1 holds output from byte 6 to 6, and not from 0");
    world.send(Request::AckOutput { id: 1, offset: 7 });
    assert_eq!(world.failure(), "exec 1 has put out 6 bytes, not 7");
    world.send(Request::AckOutput { id: 9, offset: 0 });
    assert_eq!(world.failure(), "there is no exec 9");
    drop(agent);
}
