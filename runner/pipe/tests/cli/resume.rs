//! `pipe run` killed with SIGKILL in each phase: it goes on, and nothing is left behind.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use engine::placement::Owner;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value as Json;

use crate::world::{CI, World};

mod deployed;
pub(crate) mod docker;
mod image_action;
mod kept;

/// A run that goes on in a process, followed by its facts.
pub(crate) struct Going {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Going {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Until this is told; the first such fact.
    pub(crate) fn until(&mut self, is_it: impl Fn(&Json) -> bool) -> Json {
        let fact = |line: std::io::Result<String>| serde_json::from_str::<Json>(&line.unwrap()).unwrap();
        self.lines.by_ref().map(fact).find(is_it).expect("the run ended before that")
    }

    /// Until a step begins.
    fn until_step(&mut self, name: &str) {
        self.until(|fact| fact["type"] == "step_started" && fact["name"] == name);
    }

    pub(crate) fn kill(mut self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGKILL).unwrap();
        self.child.wait().unwrap();
    }

    /// Its conclusion and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let end = self.until(|fact| fact["type"] == "run_finished");
        self.lines.by_ref().for_each(drop);
        (end["conclusion"].as_str().unwrap().to_owned(), self.child.wait().unwrap().code())
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Exit code and all that was said.
pub(crate) fn said(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world.output(arguments, "");
    (output.status.code(), text(&output))
}

pub(crate) fn shown(world: &World, run: &str) -> Json {
    let output = world.output(&["show", run, "--json"], "");
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The folder of state.
fn state(world: &World) -> PathBuf {
    world.root().join("../home/.local/state/pipe")
}

/// Processes that have this text in their command or environment.
fn processes(marked: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let others = pids.filter(|pid| *pid != std::process::id());
    let named = others.filter_map(|pid| {
        let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let text = String::from_utf8_lossy(&[read("cmdline"), read("environ")].concat()).into_owned();
        text.contains(marked).then(|| format!("{pid}: {}", String::from_utf8_lossy(&read("cmdline"))))
    });
    named.collect()
}

/// Nothing of any run is left on this machine.
pub(crate) fn nothing_is_left(world: &World) {
    let root = world.root().canonicalize().unwrap().parent().unwrap().to_owned();
    let left: Vec<_> = processes(root.to_str().unwrap());
    assert!(left.is_empty(), "processes are left: {left:?}");
    let of_state = Owner::new(&state(world).canonicalize().unwrap());
    let runtime = PathBuf::from(format!("/tmp/pipe-{}/{}", nix::unistd::getuid(), &of_state.installation()[..8]));
    assert!(runtime.is_dir(), "sockets of runs lie in {}", runtime.display());
    let folders = ["work", "agents", "kept/uploads"].map(|name| state(world).join(name));
    for folder in folders.into_iter().chain([runtime]) {
        let entries: Vec<_> = std::fs::read_dir(&folder).into_iter().flatten().flatten().collect();
        assert!(entries.is_empty(), "left in {}: {entries:?}", folder.display());
    }
    let fetches = find(&root.join("home"), ".of-");
    assert!(fetches.is_empty(), "left: {fetches:?}");
}

fn find(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(find(&entry.path(), prefix));
        }
    }
    found
}

/// `first` counts how often it runs and leaves an output and a file; `second` waits until the file `go` is there.
fn two_jobs(folder: &Path) -> String {
    let path = folder.display();
    of_two_jobs(folder, &format!("while [ -d {path} ] && [ ! -e {path}/go ]; do sleep 0.05; done"))
}

/// The same where `second` runs a command in place of waiting.
fn of_two_jobs(folder: &Path, command: &str) -> String {
    let path = folder.display();
    format!(
        "on: push
jobs:
  first:
    runs-on: ubuntu-latest
    outputs: {{ word: '${{{{ steps.say.outputs.word }}}}' }}
    steps:
      - id: say
        run: |
          echo x >> {path}/first
          echo word=blue >> \"$GITHUB_OUTPUT\"
          echo kept > file.txt
      - uses: actions/upload-artifact@v4
        with: {{ name: of-first, path: file.txt }}
  second:
    needs: first
    runs-on: ubuntu-latest
    steps:
      - name: Count
        run: |
          echo x >> {path}/second
          test ! -e mark && touch mark
      - uses: actions/upload-artifact@v4
        with: {{ name: of-second, path: mark, if-no-files-found: ignore, include-hidden-files: true }}
      - name: Wait
        run: |
          {command}
          test '${{{{ needs.first.outputs.word }}}}' = blue
      - uses: actions/download-artifact@v4
        with: {{ name: of-first }}
      - run: grep kept file.txt
"
    )
}

fn count(folder: &tempfile::TempDir, name: &str) -> usize {
    std::fs::read_to_string(folder.path().join(name)).unwrap_or_default().lines().count()
}

#[test]
fn killed_in_a_step_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::repository(&[(CI, &two_jobs(folder.path()))]);
    let mut going = Going::start(&mut world.command(&["run", "--host", "--json"]));
    going.until_step("Wait");
    let (code, text) = said(&world, &["run", "--resume", "1"]);
    assert!(code == Some(6) && text.contains("run 1 is going on in another process"), "{code:?} {text}");
    going.kill();
    assert_eq!(shown(&world, "1")["status"], "in_progress");
    // The second process is killed as well.
    let mut again = Going::start(&mut world.command(&["run", "--resume", "latest", "--json"]));
    again.until(|fact| fact["type"] == "job_run_reset" && fact["job"] == "second");
    again.until_step("Wait");
    again.kill();
    std::fs::write(folder.path().join("go"), "").unwrap();
    let (code, text) = said(&world, &["run", "--resume", "1"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!((count(&folder, "first"), count(&folder, "second")), (1, 3), "what had ended is kept");
    let run = shown(&world, "1");
    assert_eq!((&run["conclusion"], &run["attempt"]), (&"success".into(), &1.into()), "{run}");
    let (code, text) = said(&world, &["run", "--resume", "1"]);
    assert!(code == Some(4) && text.contains("run 1 has succeeded"), "{code:?} {text}");
    nothing_is_left(&world);
}

#[test]
fn what_cannot_go_on_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::repository(&[(CI, &two_jobs(folder.path()))]);
    let (code, text) = said(&world, &["run", "--resume", "1"]);
    assert!(code == Some(4) && text.contains("there are no runs"), "{code:?} {text}");
    let mut going = Going::start(&mut world.command(&["run", "--host", "--json"]));
    going.until_step("Wait");
    going.kill();
    for (arguments, code, expect) in [
        (&["run", "--resume", "7"][..], 4, "there is no run 7"),
        (&["run", "--resume", "seven"], 2, "`seven` is no run"),
        (&["run", "push", "--resume", "1"], 2, "not with an event"),
        (&["run", "-W", CI, "--resume", "1"], 2, "not with `-W`"),
    ] {
        let (got, text) = said(&world, arguments);
        assert!(got == Some(code) && text.contains(expect), "{arguments:?}: {got:?} {text}");
    }
    let before = two_jobs(folder.path());
    world.write(CI, before.replace("= blue", "= red").as_bytes());
    let (code, text) = said(&world, &["run", "--resume", "1"]);
    assert!(code == Some(3) && text.contains(".github/workflows/ci.yml` has changed since"), "{code:?} {text}");
    std::fs::remove_file(world.root().join(CI)).unwrap();
    let (code, text) = said(&world, &["run", "--resume", "1"]);
    assert!(code != Some(0) && text.contains("ci.yml"), "{code:?} {text}");
    world.write(CI, before.as_bytes());
    // Somebody gives it up: it is over, and goes on only as another attempt.
    let (code, text) = said(&world, &["cancel", "1"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(shown(&world, "1")["conclusion"], "cancelled");
    let (code, text) = said(&world, &["approve", "1", "production"]);
    assert!(code != Some(0) && text.contains("run 1 is over"), "{code:?} {text}");
    // The next command removes what the killed one left.
    assert_eq!(said(&world, &["list"]).0, Some(0));
    nothing_is_left(&world);
}

#[test]
fn a_run_that_failed_goes_on_as_its_next_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let text = of_two_jobs(folder.path(), &format!("test -e {}/go", folder.path().display()));
    let world = World::repository(&[(CI, &text)]);
    assert_eq!(said(&world, &["run", "--host", "-s", "TOKEN=correct-horse"]).0, Some(1));
    let asked = std::fs::read_to_string(state(&world).join("runs/1/asked.json")).unwrap();
    assert!(asked.contains("--secret=TOKEN") && !asked.contains("correct-horse"), "{asked}");
    let (code, text) = said(&world, &["run", "--resume", "1"]);
    assert!(code == Some(2) && text.contains("secret `TOKEN` has no value"), "{code:?} {text}");
    std::fs::write(folder.path().join("go"), "").unwrap();
    let (code, text) = said(&world, &["run", "--resume", "1", "-s", "TOKEN=correct-horse"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!((count(&folder, "first"), count(&folder, "second")), (1, 2));
    let run = shown(&world, "2");
    assert_eq!((&run["attempt"], &run["rerun_of"], &run["conclusion"]), (&2.into(), &1.into(), &"success".into()));
    let (code, text) = said(&world, &["logs", "2", "-j", "first"]);
    assert_eq!(code, Some(0), "{text}");
    let logs: Json = serde_json::from_slice(&world.output(&["logs", "2", "--json"], "").stdout).unwrap();
    assert_eq!(logs["jobs"].as_array().unwrap().len(), 2, "{logs}");
    assert!(logs["jobs"][1]["log"].as_str().unwrap().contains("Runner: this machine"), "{logs}");
    let (code, text) = said(&world, &["run", "--resume", "1"]);
    assert!(code == Some(4) && text.contains("later attempt"), "{code:?} {text}");
    nothing_is_left(&world);
}

#[test]
fn killed_while_it_fetches_an_action() {
    // Somebody who takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", silent.local_addr().unwrap());
    let workflow = "on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: octo/say@v1\n";
    let world = World::repository(&[(CI, workflow)]);
    world.write("../say/action.yml", b"runs: { using: composite, steps: [{ run: echo said, shell: sh }] }");
    let going = Going::start(&mut world.command(&["run", "--host", "--json", "--actions-server", &server]));
    let (_connection, _) = silent.accept().unwrap();
    going.kill();
    let local = format!("octo/say@v1={}", world.root().join("../say").display());
    let (code, text) = said(&world, &["run", "--resume", "1", "--local-repository", &local]);
    assert!(code == Some(0) && text.contains("said"), "{code:?} {text}");
    nothing_is_left(&world);
}

#[test]
fn killed_while_it_uploads() {
    let workflow = "on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      \
        - run: head -c 150000000 /dev/urandom > big\n      - name: Upload\n        uses: actions/upload-artifact@v4\n        \
        with: { name: big, path: big, compression-level: 0 }\n      - run: test -e big\n";
    let world = World::repository(&[(CI, workflow)]);
    let mut going = Going::start(&mut world.command(&["run", "--host", "--json"]));
    going.until_step("Upload");
    // The first bytes are on their way.
    let kept = state(&world).join("kept");
    while find(&kept, "").iter().all(|path| !path.is_file()) && bytes_below(&kept) < 1_000_000 {
        std::thread::yield_now();
    }
    going.kill();
    let (code, text) = said(&world, &["run", "--resume", "1"]);
    assert_eq!(code, Some(0), "{text}");
    let listed = world.output(&["artifacts", "ls", "1", "--json"], "");
    let listed: Json = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["artifacts"].as_array().unwrap().len(), 1, "{listed}");
    nothing_is_left(&world);
    // One copy of the content is kept, and no part of another.
    assert!(bytes_below(&kept) < 200_000_000, "{}", bytes_below(&kept));
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => bytes_below(&entry.path()),
            Ok(facts) => facts.len(),
            Err(_) => 0,
        })
        .sum()
}

pub(crate) const RELEASE: &str = "on: push\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps: [{ run: echo built }]\n  \
    release:\n    needs: build\n    runs-on: ubuntu-latest\n    environment: production\n    steps: [{ run: echo released }]\n  \
    stage:\n    needs: release\n    runs-on: ubuntu-latest\n    environment: staging\n    steps: [{ run: echo staged }]\n";
pub(crate) const RULES: &[u8] =
    b"[environments.production]\nreviewers = ['ada']\n[environments.staging]\nreviewers = ['ada']\n";

pub(crate) fn waits_for(fact: &Json, environment: &str) -> bool {
    fact["type"] == "review_requested" && fact["environment"] == environment
}

#[test]
fn answers_of_another_process_count_whenever_they_are_given() {
    let world = World::repository(&[(CI, RELEASE)]);
    world.write(".pipe.toml", RULES);
    let mut going = Going::start(&mut world.command(&["run", "--host", "--json", "--on-review", "wait"]));
    going.until(|fact| waits_for(fact, "production"));
    let (code, text) = said(&world, &["approve", "1", "nowhere"]);
    assert!(code != Some(0) && text.contains("no job of run 1 waits for a review of `nowhere`"), "{code:?} {text}");
    going.kill();
    // Nobody carries it: the answer waits for who does.
    let (code, text) = said(&world, &["approve", "1", "production", "-m", "looks well"]);
    assert!(code == Some(0) && text.contains("`pipe run --resume 1`"), "{code:?} {text}");
    let mut again = Going::start(&mut world.command(&["run", "--resume", "1", "--json", "--on-review", "wait"]));
    let review = again.until(|fact| fact["type"] == "reviewed");
    assert_eq!((&review["approved"], &review["comment"]), (&true.into(), &"looks well".into()), "{review}");
    again.until(|fact| waits_for(fact, "staging"));
    // While it waits.
    let (code, text) = said(&world, &["reject", "1", "staging", "-m", "not today"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(again.end(), ("failure".to_owned(), Some(1)));
    let run = shown(&world, "1");
    let job = |key: &str| run["jobs"].as_array().unwrap().iter().find(|job| job["key"] == key).unwrap();
    assert_eq!((&job("build")["conclusion"], &job("release")["conclusion"]), (&"success".into(), &"success".into()));
    assert_eq!(
        (&job("stage")["review"]["state"], &job("stage")["review"]["comment"]),
        (&"rejected".into(), &"not today".into())
    );
    // What was rejected is asked for again in the next attempt.
    let (code, text) = said(&world, &["run", "--resume", "1", "--approve", "staging"]);
    assert!(code == Some(0) && text.contains("staged"), "{code:?} {text}");
    nothing_is_left(&world);
}

#[test]
fn a_group_that_another_run_took_meanwhile_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let text = two_jobs(folder.path()).replace("on: push", "on: push\nconcurrency: prod");
    let world = World::repository(&[(CI, &text)]);
    let mut first = Going::start(&mut world.command(&["run", "--host", "--json"]));
    first.until_step("Wait");
    first.kill();
    let mut second = Going::start(&mut world.command(&["run", "--host", "--json"]));
    second.until_step("Wait");
    let mut again = world.command(&["run", "--resume", "1"]);
    let mut again = again.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notes = BufReader::new(again.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(notes.any(|note| note.contains("`prod` is taken by another `pipe run`")));
    assert_eq!(count(&folder, "second"), 2, "its job has not begun");
    std::fs::write(folder.path().join("go"), "").unwrap();
    assert_eq!(second.end(), ("success".to_owned(), Some(0)));
    notes.for_each(drop);
    assert!(again.wait().unwrap().success());
    assert_eq!((count(&folder, "first"), count(&folder, "second")), (2, 3));
    nothing_is_left(&world);
}

#[test]
fn a_run_is_cancelled_from_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::repository(&[(CI, &two_jobs(folder.path()))]);
    let mut going = Going::start(&mut world.command(&["run", "--host", "--json"]));
    going.until_step("Wait");
    let (code, text) = said(&world, &["cancel", "1"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(going.end().0, "cancelled");
    let by = shown(&world, "1")["reason"].as_str().unwrap().to_owned();
    assert!(by.starts_with("cancelled by "), "{by}");
    nothing_is_left(&world);
}
