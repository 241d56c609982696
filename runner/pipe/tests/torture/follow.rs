//! Runs that follow runs (`on: workflow_run`): each once, whenever the server is killed, and no more than three in a row.

use crate::is_long;
use crate::server::{Flushes, strace_works, wait_for};
use crate::world::{Witness, World};

/// Points of the short form.
const SHORT: usize = 5;

const FIRST: &str = r#"
name: First
on: push
defaults: { run: { shell: bash } }
jobs:
  one:
    runs-on: here
    env: { TELL: 'TELL_HERE' }
    steps:
      - run: eval "$TELL"; tell first
"#;

const AFTER: &str = r#"
name: After
on:
  workflow_run:
    workflows: [FOLLOWED]
    types: [TYPES]
    branches: [main]
defaults: { run: { shell: bash } }
jobs:
  after:
    runs-on: here
    env:
      TELL: 'TELL_HERE'
      WHAT: ${{ github.event.action }} ${{ github.event.workflow_run.id }} ${{ github.event.workflow_run.conclusion }}
      OF: ${{ github.event.workflow_run.head_branch }} ${{ github.event.workflow_run.head_sha == github.sha }}
    steps:
      - run: eval "$TELL"; tell "$WHAT $OF"
"#;

/// A world with the first workflow and one that follows these, on the branch `main`.
fn world(witness: &Witness, followed: &str, types: &str) -> World {
    let tell = witness.tell(false).replace('\'', "''");
    let world = World::new(witness, &FIRST.replace("TELL_HERE", &tell));
    let after = AFTER.replace("TELL_HERE", &tell).replace("FOLLOWED", followed).replace("TYPES", types);
    std::fs::write(world.path("work/.github/workflows/after.yml"), after).unwrap();
    world.git(&["add", "--all"]);
    world.commit("follow");
    world
}

/// What was told, how many runs there were, and what became of each delivery; killed at this flush, 0 for none.
fn live(witness: &Witness, at: usize) -> ((Vec<String>, Vec<u64>, usize), usize, bool) {
    let world = world(witness, "First", "requested, in_progress, completed");
    let mut server = world.serve(Some(&Flushes::KillAt(at)));
    assert!(server.listens || at > 0, "{}", world.server_log());
    let mut told = String::new();
    if server.listens {
        told = world.push();
        if (1..=4).all(|run| world.watch(run, || server.is_gone())) {
            server.terminate();
        }
    }
    wait_for("the first server to be gone", || server.is_gone());
    let (flushes, killed) = (server.flushes(), at > 0 && server.flushes() >= at);
    let server = world.started();
    if told.is_empty() {
        world.push();
    }
    assert!((1..=4).all(|run| world.watch(run, || false)));
    assert!(server.end().unwrap().success(), "{}", world.server_log());
    ((world.witness.take(), world.runs(), world.deliveries().len()), flushes, killed)
}

fn killed_at(points: impl Fn(usize) -> Vec<usize>) {
    let witness = Witness::new();
    let (expected, flushes, _) = live(&witness, 0);
    let told = ["completed 1 success main true", "first", "in_progress 1  main true", "requested 1  main true"];
    assert_eq!(expected, (told.map(str::to_owned).to_vec(), vec![1, 2, 3, 4], 4));
    let (points, mut killed) = (points(flushes), 0);
    for at in &points {
        let (outcome, _, was_killed) = live(&witness, *at);
        killed += usize::from(was_killed);
        assert_eq!(outcome, expected, "killed at flush {at}");
    }
    println!("followers: killed at {killed} of {} flushes of {flushes}", points.len());
    assert!(killed * 10 >= points.len() * 8, "others were too seldom: {killed} of {}", points.len());
}

#[test]
fn followers_run_once_killed_at_some_flushes() {
    if strace_works() {
        killed_at(|flushes| (0..SHORT).map(|point| 1 + point * flushes / SHORT).collect());
    }
}

#[test]
fn followers_run_once_killed_at_every_flush() {
    if is_long() && strace_works() {
        killed_at(|flushes| (1..=flushes).collect());
    }
}

#[test]
fn three_runs_follow_a_first_one_and_no_more() {
    let world = world(&Witness::new(), "First, After", "completed");
    let server = world.started();
    world.push();
    assert!((1..=4).all(|run| world.watch(run, || false)));
    wait_for("the last run to be told of", || world.deliveries().len() == 5);
    let last = world.deliveries().remove(0);
    assert_eq!(
        (&last["event"], &last["state"], &last["runs"]),
        (&"workflow_run".into(), &"ignored".into(), &serde_json::json!([]))
    );
    assert_eq!(last["reason"], "3 runs follow each other already: GitHub's limit, and ours");
    assert!(server.end().unwrap().success());
    assert_eq!(world.runs(), [1, 2, 3, 4]);
}
