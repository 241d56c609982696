//! X01, X02: SIGKILL of the server at every flush of a push and its run of three jobs, from its start to its end in order.

use std::collections::BTreeSet;

use crate::is_long;
use crate::outcome::Outcome;
use crate::server::{Flushes, strace_works, wait_for};
use crate::world::{Witness, World, docker_works};

/// Points of the short form.
const SHORT: usize = 6;
/// Flushes that no run of these jobs comes below, however much of it is flushed together: the hook, the run, and for each of two
/// jobs of which one waits for the other its start, its place, its first step's start and end and its own end, with what is
/// written beside the database each time.
const FLUSHES_MIN: usize = 24;

const JOBS: &str = r#"
on: push
defaults:
  run:
    shell: bash
jobs:
  one:
    runs-on: ONE
    env: { TELL: 'TELL_ONE' }
    outputs:
      word: ${{ steps.say.outputs.word }}
    steps:
      - id: say
        run: |
          eval "$TELL"; tell one/1
          for i in {1..20}; do echo "one $i"; sleep 0.03; done
          echo "word=blue" >> "$GITHUB_OUTPUT"
      - continue-on-error: true
        run: |
          eval "$TELL"; tell one/2
          echo "one, second"
          exit 3
  two:
    runs-on: TWO
    env: { TELL: 'TELL_TWO' }
    steps:
      - run: |
          eval "$TELL"; tell two/1
          for i in {1..20}; do echo "two $i"; sleep 0.03; done
  three:
    needs: [one, two]
    runs-on: ONE
    env: { TELL: 'TELL_ONE' }
    steps:
      - run: |
          eval "$TELL"; tell three/1
          echo "it is ${{ needs.one.outputs.word }}"
      - if: always()
        run: |
          eval "$TELL"; tell three/2
          printf 'no newline'
"#;

/// Where jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Places {
    Containers,
    Host,
    Both,
}

pub(crate) fn workflow(witness: &Witness, places: Places) -> String {
    let (one, two) = (places != Places::Host, places == Places::Containers);
    let label = |in_container| if in_container { "box" } else { "here" };
    let tell = |in_container| witness.tell(in_container).replace('\'', "''");
    let jobs = JOBS.replace("TELL_ONE", &tell(one)).replace("TELL_TWO", &tell(two));
    jobs.replace("runs-on: ONE", &format!("runs-on: {}", label(one)))
        .replace("runs-on: TWO", &format!("runs-on: {}", label(two)))
}

/// One world from beginning to end, killed at this flush; how many flushes the first server came to.
fn live(witness: &Witness, places: Places, at: usize) -> (Outcome, usize, bool) {
    let world = World::new(witness, &workflow(witness, places));
    let mut server = world.serve(Some(&Flushes::KillAt(at)));
    assert!(server.listens || at > 0, "{}", world.server_log());
    let mut told = String::new();
    if server.listens {
        told = world.push();
        if world.watch(1, || server.is_gone()) {
            // Flushes of its end are points too.
            server.terminate();
        }
    }
    wait_for("the first server to be gone", || server.is_gone());
    let (flushes, killed) = (server.flushes(), at > 0 && server.flushes() >= at);
    let server = world.started();
    if told.is_empty() {
        told = world.push();
    }
    assert!(!told.is_empty());
    assert!(world.watch(1, || false));
    let status = server.end().unwrap();
    assert!(status.success(), "{status}: {}", world.server_log());
    let outcome = world.outcome(1);
    assert_eq!(world.runs(), [1]);
    (outcome, flushes, killed)
}

fn undisturbed(witness: &Witness, places: Places) -> (Outcome, usize) {
    let (outcome, flushes, _) = live(witness, places, 0);
    assert_eq!(outcome.ends, ["one success", "run success", "three success", "two success"]);
    assert_eq!(outcome.told, ["one/1", "one/2", "three/1", "three/2", "two/1"]);
    assert_eq!(outcome.deliveries, [serde_json::json!([1])]);
    assert_eq!(outcome.left, Vec::<String>::new());
    let wrote = |job: &str| (1..=20).map(|i| format!("{job} {i}\n")).collect::<String>();
    for (log, text) in [
        ("one/0000.log", wrote("one")),
        ("one/0001.log", "one, second\n".into()),
        ("two/0000.log", wrote("two")),
        ("three/0000.log", "it is blue\n".into()),
        ("three/0001.log", "no newline".into()),
    ] {
        let (_, after) = outcome.logs[log].split_once("##[endgroup]\n").unwrap();
        assert!(after.starts_with(&text), "{log}: {after:?}");
    }
    (outcome, flushes)
}

fn killed_at(places: Places, points: impl Fn(usize) -> Vec<usize>) {
    let witness = Witness::new();
    let (expected, flushes) = undisturbed(&witness, places);
    let points = points(flushes);
    // How many flushes there are differs from run to run: a busy machine flushes more facts together. One that was asked to die
    // at a flush that it never came to was undisturbed, and tells how many there were.
    let (mut killed, mut failed, mut fewest) = (BTreeSet::new(), Vec::new(), flushes);
    for at in &points {
        let lived = std::panic::catch_unwind(|| live(&witness, places, *at));
        match lived {
            Ok((outcome, flushes, was_killed)) => {
                if was_killed {
                    killed.insert(*at);
                } else {
                    fewest = fewest.min(flushes);
                }
                if outcome != expected {
                    failed.push(format!("flush {at}: {outcome:#?}"));
                }
            }
            Err(_said) => failed.push(format!("flush {at}: see above")),
        }
    }
    println!(
        "{places:?}: killed at {} of {} moments; undisturbed there were {fewest} to {flushes} flushes",
        killed.len(),
        points.len()
    );
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), points.len(), failed.join("\n"));
    assert!(fewest >= FLUSHES_MIN, "a run of these jobs with {fewest} flushes has left some out");
    let missed: Vec<_> = points.iter().filter(|at| **at <= fewest && !killed.contains(at)).collect();
    assert_eq!(missed, Vec::<&usize>::new(), "every run came to these, and none was killed there");
}

/// Facts that come together are flushed together, more or fewer of them each time.
fn all(flushes: usize) -> Vec<usize> {
    (1..=flushes + flushes / 20).collect()
}

#[test]
fn x01_x02_killed_at_some_flushes() {
    if strace_works() && docker_works() {
        killed_at(Places::Both, |flushes| (0..SHORT).map(|point| 1 + point * flushes / SHORT).collect());
    }
}

#[test]
fn x01_x02_killed_at_every_flush_on_the_host() {
    if is_long() && strace_works() {
        killed_at(Places::Host, all);
    }
}

#[test]
fn x01_x02_killed_at_every_flush_with_containers() {
    if is_long() && strace_works() && docker_works() {
        killed_at(Places::Containers, all);
    }
}
