//! The engine is killed at every write to a run's log, before the write and after it, and another one goes on.
//!
//! Processes outlive it, as they do in a container. Whatever the moment: every script runs once, the run ends as it does
//! undisturbed, its stored logs are the same to the byte, and nothing is left.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::actions::{ActionStore, FetchOptions};
use crate::job::log_folder;
use crate::local::resets;
use crate::placement::{LeftoverFilter, Placement as _};

const JOBS: &str = r#"
first:
  runs-on: x
  outputs:
    word: ${{ steps.say.outputs.word }}
  steps:
    - id: say
      run: |
        out "::add-mask::found\u002dsecret-4711\n"
        out "one\n"
        file OUTPUT "word=blue\n"
        file OUTPUT "hidden=x found\u002dsecret-4711 y\n"
        file ENV "FROM=before\n"
        out "::warning::found\u002dsecret-4711 is near\n"
        file STEP_SUMMARY "sum found\u002dsecret-4711\n"
        sleep 5
        out "::error file=a,line=1::two\n"
        out "two\n"
    - run: |
        print FROM
        out "\n"
        out "${{ steps.say.outputs.hidden }}\n"
    - run: exit 3
    - if: ${{ failure() }}
      run: out "after a failure\n"
    - run: out "never\n"
    - if: always()
      run: |
        out "found-secret-4711 and ${{ secrets.KEY }}\n"
second:
  needs: first
  if: ${{ !cancelled() }}
  runs-on: x
  strategy:
    matrix:
      leg: [a, b]
  steps:
    - id: server
      background: true
      run: |
        file OUTPUT "port=80\n"
        out "up\n"
    - id: hanging
      background: true
      run: hang
    - run: out "${{ needs.first.outputs.word }} ${{ matrix.leg }}\n"
    - wait: server
    - run: out "port ${{ steps.server.outputs.port }}\n"
    - cancel: hanging
third:
  runs-on: x
  steps:
    - run: |
        out "alone\n"
        sleep 3
    - run: out "still\n"
"#;

/// Actions made of steps, while another job writes to the log.
const ACTIONS: &str = r#"
composite:
  runs-on: x
  steps:
    - run: |
        write inner/action.yml "inputs:\n  word: { default: none }\noutputs:\n  said: { value: \"\u0024{{ steps.say.outputs.said }} \u0024{{ inputs.word }}\" }\nruns:\n  using: composite\n  steps:\n    - id: say\n      shell: sh\n      run: |\n        out \"inner \u0024{{ inputs.word }}\\n::notice::inner\\n\"\n        sleep 4\n        file OUTPUT \"said=yes\\n\"\n        file ENV \"INNER=\u0024{{ inputs.word }}\\n\"\n    - uses: pipe/remember@v1\n      with: { word: \"\u0024{{ inputs.word }}\" }\n    - { shell: sh, run: never, if: failure() }\n"
        write outer/action.yml "outputs:\n  both: { value: \"\u0024{{ steps.a.outputs.said }}, \u0024{{ steps.b.outputs.said }}\" }\nruns:\n  using: composite\n  steps:\n    - { id: a, uses: ./inner, with: { word: first } }\n    - shell: sh\n      run: |\n        out \"\u0024{{ steps.a.outputs.said }} \"\n        print INNER\n        out \"\\nknown-secret-0815\\n\"\n        file STEP_SUMMARY \"sum\"\n    - { id: b, uses: ./inner, with: { word: second } }\n    - { shell: sh, run: exit 3, continue-on-error: true }\n"
    - id: act
      uses: ./outer
      env: { OVER: lay }
    - run: |
        out "${{ steps.act.outputs.both }} "
        print INNER
        out "\n"
    - uses: ./inner
      with: { word: third }
beside:
  runs-on: x
  steps:
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
"#;

/// Actions in JavaScript and their post parts, alone and in an action of steps.
const SCRIPTS: &str = r#"
scripts:
  runs-on: x
  steps:
    - run: |
        write js/action.yml "inputs:\n  word: { default: none }\nruns:\n  using: node24\n  main: main.js\n  post: post.js\n"
        write js/main.js "out \"main \"\nprint INPUT_WORD\nout \"\\n::save-state name=more::x\\n\"\nfile STATE \"kept=known-secret-0815\\n\"\nsleep 4\nfile OUTPUT \"said=yes\\n\"\n"
        write js/post.js "out \"post \"\nprint INPUT_WORD\nprint STATE_kept\nprint STATE_more\nprint LATE\nsleep 3\nfile ENV \"LATE=late\\n\"\nout \" done\\n\"\n"
        write outer/action.yml "runs:\n  using: composite\n  steps:\n    - { uses: ./js, with: { word: first } }\n    - { uses: pipe/remember@v1, with: { word: between } }\n    - { uses: ./js, with: { word: second } }\n"
    - uses: ./outer
    - id: js
      uses: ./js
      with: { word: third }
    - run: out "said ${{ steps.js.outputs.said }} ${{ steps.js.outcome }}\n"
    - uses: octo/say@v1
      with: { word: fetched }
    - uses: octo/say/many@v1
    - uses: octo/say@v1
      if: "false"
      with: { word: skipped }
    - run: |
        write late/action.yml "runs:\n  using: composite\n  steps:\n    - uses: octo/say@v2\n      with: { word: late }\n"
    - uses: ./late
beside:
  runs-on: x
  steps:
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
    - run: sleep 3
"#;

/// Which write is the last one, and whether it still reaches the log.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Kill {
    write: usize,
    written: bool,
}

#[derive(Debug)]
struct KillingLog {
    memory: Arc<MemoryLog>,
    kill: Option<Kill>,
    writes: AtomicUsize,
    killed: Arc<Notify>,
}

#[async_trait]
impl RunLog for KillingLog {
    async fn append(&self, run: RunId, facts: &[Recorded]) -> Result<(), StoreError> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        match self.kill {
            Some(kill) if kill.write <= write => {
                if kill.write == write && kill.written {
                    self.memory.append(run, facts).await?;
                }
                self.killed.notify_one();
                std::future::pending().await
            }
            Some(_) | None => self.memory.append(run, facts).await,
        }
    }

    async fn read(&self, run: RunId) -> Result<Vec<Recorded>, StoreError> {
        self.memory.read(run).await
    }
}

/// What must not depend on whether the engine was killed.
#[derive(Debug, PartialEq)]
struct End {
    shown: String,
    logs: BTreeMap<String, String>,
    started: Vec<String>,
    left: Vec<String>,
}

struct World {
    jobs: &'static str,
    root: tempfile::TempDir,
    simulation: Simulation,
    memory: Arc<MemoryLog>,
    /// Whether jobs end with the process that carries them.
    is_local: bool,
}

impl World {
    fn new(jobs: &'static str) -> Self {
        let simulation = Simulation { secrets: vec![("KEY", "known-secret-0815".into())], ..Simulation::default() };
        let root = tempfile::tempdir().unwrap();
        let say = root.path().join("say");
        std::fs::create_dir_all(say.join("many")).unwrap();
        let many = "runs: { using: composite, steps: [{ uses: octo/say@v1, with: { word: a } }, { run: print EARLY, shell: sh }, \
                    { uses: octo/say@v1, with: { word: b } }] }";
        for (name, text) in [
            ("many/action.yml", many),
            ("action.yml", "inputs: { word: {} }\nruns: { using: node24, pre: pre, main: main, post: post }"),
            (
                "pre",
                "out \"before \"\nsleep 2\nfile STATE \"before=known-secret-0815\\n\"\nfile ENV \"EARLY=yes\\n\"\n",
            ),
            ("main", "print INPUT_WORD\nprint EARLY\nsleep 3\nprint STATE_before\nout \"\\n\"\n"),
            ("post", "out \"after \"\nprint INPUT_WORD\nsleep 2\nprint STATE_before\nout \"\\n\"\n"),
        ] {
            std::fs::write(say.join(name), text).unwrap();
        }
        Self { jobs, root, simulation, memory: Arc::default(), is_local: false }
    }

    /// One engine from its start to its end or its death. Gives the run if it ended, and the number of writes.
    async fn engine(&self, kill: Option<Kill>) -> (Option<Run>, usize) {
        let mut masker = SharedMasker::default();
        masker.keep_found(&self.root.path().join("found")).unwrap();
        let masker = Arc::new(masker);
        let notices = Notices::default();
        let killed = Arc::new(Notify::new());
        let memory = Arc::clone(&self.memory);
        let log = Arc::new(KillingLog { memory, kill, writes: AtomicUsize::new(0), killed: Arc::clone(&killed) });
        let mut settings = self.simulation.settings(self.root.path(), &masker, &notices);
        if self.is_local {
            settings.journals = None;
        }
        let local = vec![format!("octo/say={}", self.root.path().join("say").display()).parse().unwrap()];
        let options = FetchOptions { offline: true, local, ..FetchOptions::default() };
        settings.actions.store = Some(Arc::new(ActionStore::new(self.root.path().join("actions"), options)));
        let jobs = Arc::new(PlacedJobs(Arc::new(settings)));
        let dispatcher = Dispatcher {
            log: Arc::<KillingLog>::clone(&log),
            clock: Arc::new(SystemClock),
            jobs,
            notices,
            masker,
            slots: Slots::new(4),
            groups: SharedGroups::default(),
            party: Party::default(),
        };
        let mut history = self.memory.read(RunId(1)).await.unwrap();
        if self.is_local {
            self.begin_again(&mut history).await;
        }
        let dispatch =
            Dispatch { id: RunId(1), facts: Arc::new(facts(self.jobs)), history, kept: Vec::new(), first: Vec::new() };
        let (_sender, control) = mpsc::unbounded_channel();
        let run = tokio::select! {
            run = dispatcher.run(dispatch, control) => Some(run.unwrap()),
            () = killed.notified() => None,
            () = tokio::time::sleep(PATIENCE) => panic!("the run hangs after {kill:?}: {:#?}", self.memory.facts),
        };
        (run, log.writes.load(Ordering::SeqCst))
    }

    /// As `pipe run --resume`: what a killed process left is removed, and its jobs begin again.
    async fn begin_again(&self, history: &mut Vec<Recorded>) {
        for job in self.simulation.placement.jobs() {
            let filter = LeftoverFilter::Job { run: "1".into(), job };
            self.simulation.placement.remove_leftovers(filter).await.unwrap();
        }
        for name in ["work", "run"] {
            let _never_made = std::fs::remove_dir_all(self.root.path().join(name));
        }
        let mut run = Run::new(Arc::new(facts(self.jobs)));
        history.iter().for_each(|fact| run.apply_stored(fact).unwrap());
        let resets = resets(&run, jiff::Timestamp::UNIX_EPOCH);
        for key in resets.iter().filter_map(|fact| fact.event.reset_job()) {
            let _never_made = std::fs::remove_dir_all(log_folder(&self.root.path().join("logs"), key));
        }
        self.memory.append(RunId(1), &resets).await.unwrap();
        history.extend(resets);
    }

    fn end(self, run: Run) -> End {
        let events = self.memory.facts.lock().unwrap().clone();
        let logs = files(&self.root.path().join("logs")).1;
        let mut left: Vec<_> =
            ["work", "run", "journals"].iter().flat_map(|name| files(&self.root.path().join(name)).0).collect();
        if self.simulation.placement.open() > 0 {
            left.push("a placed job".into());
        }
        // What looks for a shell has no script.
        let started = self.simulation.placement.started().into_iter().filter(|script| !script.is_empty());
        let mut started: Vec<_> = started.collect();
        started.sort();
        let root = self.root.path().display().to_string();
        let logs = logs.into_iter().map(|(name, log)| (name, log.replace(&root, "$ROOT"))).collect();
        let outcome = Outcome { run: Some(run), events, notices: Vec::new(), logs, left: Vec::new() };
        let everything = outcome.everything();
        assert!(!everything.contains("found-secret") && !everything.contains("known-secret"), "{everything}");
        End { shown: outcome.shown(), logs: outcome.logs, started, left }
    }
}

#[tokio::test]
async fn killed_at_every_write() {
    at_every_write(JOBS, "blue b").await;
}

#[tokio::test]
async fn killed_while_an_action_runs_its_steps() {
    at_every_write(ACTIONS, "yes first, yes second second").await;
}

#[tokio::test]
async fn killed_while_a_script_of_an_action_runs() {
    at_every_write(SCRIPTS, "said yes success").await;
}

async fn at_every_write(jobs: &'static str, said: &str) {
    let world = World::new(jobs);
    let (run, writes) = world.engine(None).await;
    let expect = world.end(run.expect("nobody killed it"));
    assert!(expect.logs.values().any(|log| log.contains(said)) && writes > 15, "{writes} {expect:#?}");
    assert_eq!(expect.left, Vec::<String>::new());
    for write in 0..writes {
        for written in [false, true] {
            let kill = Kill { write, written };
            let world = World::new(jobs);
            let (first, _) = world.engine(Some(kill)).await;
            let run = match first {
                // With several jobs at once the number of writes is not always the same.
                Some(run) => run,
                None => world.engine(None).await.0.expect("nobody killed it"),
            };
            pretty(&expect, &world.end(run), kill);
        }
    }
}

/// Killed again and again, after each write that an engine makes.
#[tokio::test]
async fn killed_after_every_single_write() {
    let world = World::new(JOBS);
    let (run, _) = world.engine(None).await;
    let expect = world.end(run.expect("nobody killed it"));
    let world = World::new(JOBS);
    let kill = Kill { write: 0, written: true };
    for _ in 0..200 {
        if let (Some(run), _) = world.engine(Some(kill)).await {
            return pretty(&expect, &world.end(run), kill);
        }
    }
    panic!("it never ends: {:#?}", world.memory.facts);
}

/// Where nothing outlives the process, jobs that had not ended begin again, and the run ends as it does undisturbed.
#[tokio::test]
async fn a_local_run_is_killed_at_every_write() {
    let local = || World { is_local: true, ..World::new(JOBS) };
    let world = local();
    let (run, writes) = world.engine(None).await;
    let expect = world.end(run.expect("nobody killed it"));
    assert!(writes > 15, "{writes}");
    for write in 0..writes {
        for written in [false, true] {
            let kill = Kill { write, written };
            let world = local();
            let run = match world.engine(Some(kill)).await.0 {
                Some(run) => run,
                None => world.engine(None).await.0.expect("nobody killed it"),
            };
            let conclusion = run.conclusion();
            let end = world.end(run);
            assert_eq!(end.logs, expect.logs, "{kill:?}");
            assert_eq!(end.left, expect.left, "{kill:?}");
            assert!(conclusion.is_some() && end.started.len() >= expect.started.len(), "{kill:?}");
        }
    }
}

fn pretty(expect: &End, got: &End, kill: Kill) {
    assert_eq!(got.shown, expect.shown, "{kill:?}");
    assert_eq!(got.started, expect.started, "every script is started once: {kill:?}");
    assert_eq!(got.logs, expect.logs, "{kill:?}");
    assert_eq!(got.left, expect.left, "{kill:?}");
}
