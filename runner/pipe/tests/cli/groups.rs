//! Concurrency groups of several `pipe run` on one machine: real processes, which wait for each other, take each other's
//! place, and are killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value as Json;

use crate::world::World;

/// One process, followed by what it tells.
struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    notes: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Process {
    fn start(world: &World, workflow: &str) -> Self {
        let path = format!(".github/workflows/{workflow}.yml");
        let mut command = world.command(&["run", "--host", "--json", "-W", &path]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let notes = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines, notes }
    }

    /// The first fact of that type.
    fn until(&mut self, kind: &str) -> Json {
        let fact = |line: std::io::Result<String>| serde_json::from_str::<Json>(&line.unwrap()).unwrap();
        self.lines.by_ref().map(fact).find(|fact| fact["type"] == kind).unwrap_or_else(|| panic!("{kind} never comes"))
    }

    /// Until it says that it waits for another process.
    fn until_it_waits(&mut self) {
        let said = self.notes.by_ref().map(Result::unwrap).find(|note| note.contains("is taken by another `pipe run`"));
        assert!(said.is_some(), "it does not wait");
    }

    /// Its conclusion and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let conclusion = self.until("run_finished")["conclusion"].as_str().unwrap().to_owned();
        self.lines.by_ref().for_each(drop);
        (conclusion, self.child.wait().unwrap().code())
    }

    fn kill(mut self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGKILL).unwrap();
        self.child.wait().unwrap();
    }
}

/// A workflow whose only step waits for ever, or ends at once.
fn workflow(concurrency: &str, script: &str) -> String {
    format!(
        "on: push\nconcurrency: {concurrency}\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      - run: {script}\n"
    )
}

/// A repository with `slow`, which has the group `prod` until the file is there, and `quick`, with this concurrency.
fn world(of_quick: &str) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    // It ends with the file's coming and with the folder's end: nothing outlives a test.
    let path = folder.path().display();
    let slow = format!("while [ -d {path} ] && [ ! -e {path}/go ]; do sleep 0.05; done");
    let files = [
        (".github/workflows/slow.yml", workflow("prod", &slow)),
        (".github/workflows/quick.yml", workflow(of_quick, "'true'")),
    ];
    (World::repository(&files.each_ref().map(|(name, text)| (*name, text.as_str()))), folder)
}

fn go(folder: &tempfile::TempDir) {
    std::fs::write(folder.path().join("go"), "").unwrap();
}

#[test]
fn a_newer_process_takes_the_place_of_one_that_runs() {
    let (world, folder) = world("{ group: Prod, cancel-in-progress: true }");
    let mut older = Process::start(&world, "slow");
    older.until("step_started");
    let newer = Process::start(&world, "quick");
    let by = older.until("run_cancel_requested")["by"].as_str().unwrap().to_owned();
    assert_eq!(by, "concurrency group `prod`, superseded by run 2");
    assert_eq!(older.end(), ("cancelled".to_owned(), Some(1)));
    assert_eq!(newer.end(), ("success".to_owned(), Some(0)));
    go(&folder);
}

#[test]
fn a_newer_process_takes_the_place_of_one_that_waits() {
    let (world, folder) = world("prod");
    let mut holder = Process::start(&world, "slow");
    holder.until("step_started");
    let mut waits = Process::start(&world, "quick");
    waits.until_it_waits();
    let mut newer = Process::start(&world, "quick");
    newer.until_it_waits();
    let by = waits.until("run_cancel_requested")["by"].as_str().unwrap().to_owned();
    assert_eq!(by, "concurrency group `prod`, superseded by run 3");
    assert_eq!(waits.end(), ("cancelled".to_owned(), Some(1)));
    go(&folder);
    assert_eq!(holder.end(), ("success".to_owned(), Some(0)), "the one that runs goes on");
    assert_eq!(newer.end(), ("success".to_owned(), Some(0)));
}

#[test]
fn a_killed_process_keeps_no_group() {
    let (world, folder) = world("{ group: prod, queue: max }");
    let mut killed = Process::start(&world, "slow");
    killed.until("step_started");
    let mut first = Process::start(&world, "quick");
    first.until_it_waits();
    let mut second = Process::start(&world, "quick");
    second.until_it_waits();
    // One that waits, and then the one that has it.
    first.kill();
    killed.kill();
    assert_eq!(second.end(), ("success".to_owned(), Some(0)));
    go(&folder);
    // The next command removes what the killed ones left.
    let next = world.output(&["run", "--host", "-W", ".github/workflows/quick.yml"], "");
    assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stderr));
}
