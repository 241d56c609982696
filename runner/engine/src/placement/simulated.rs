//! A placement without containers and processes, for tests: a script is a list of words that say what it does.
//!
//! `out "text"` writes (a JSON string), `file OUTPUT "text"` appends to one of the step's files, `print NAME` writes a
//! variable, `sleep MS`, `exit CODE`, `lost`, `hang` (until it is cancelled), `meet NAME` (waits until another script
//! meets there too). Files lie where they lie for a job on this machine.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Barrier, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Exec, ExecEvent, ExecId, ExecOutcome, ExecRequest, JobFacts, JobHandle, JobSpec, Ladder, LeftoverFilter, Placement,
    PlacementError, ProgressSink, Removed, Resource, Usage,
};

/// Places jobs nowhere.
#[derive(Debug, Default, Clone)]
pub(crate) struct Simulated(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Placed jobs that have not been stopped.
    open: AtomicUsize,
    /// Why no job can be placed.
    refusal: Mutex<Option<String>>,
    meetings: Mutex<BTreeMap<String, Arc<Barrier>>>,
}

#[derive(Debug)]
struct SimulatedJob {
    shared: Arc<Shared>,
    facts: JobFacts,
    next: AtomicU64,
    running: Arc<Mutex<BTreeMap<ExecId, CancellationToken>>>,
    stopped: AtomicUsize,
}

impl Simulated {
    /// How many placed jobs have not been stopped.
    pub(crate) fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    /// No job can be placed from now on.
    pub(crate) fn refuse(&self, reason: &str) {
        *self.0.refusal.lock().unwrap() = Some(reason.to_owned());
    }
}

#[async_trait]
impl Placement for Simulated {
    async fn start(&self, spec: JobSpec, _progress: ProgressSink) -> Result<Arc<dyn JobHandle>, PlacementError> {
        if let Some(reason) = self.0.refusal.lock().unwrap().clone() {
            return Err(PlacementError::Agent { reason });
        }
        self.0.open.fetch_add(1, Ordering::SeqCst);
        let facts =
            JobFacts { run_directory: spec.run_directory.inside, files_are_shared: true, ..JobFacts::default() };
        Ok(Arc::new(SimulatedJob {
            shared: Arc::clone(&self.0),
            facts,
            next: AtomicU64::new(1),
            running: Arc::default(),
            stopped: AtomicUsize::new(0),
        }))
    }

    async fn ours(&self) -> Result<Vec<Resource>, PlacementError> {
        Ok(Vec::new())
    }

    async fn remove_leftovers(&self, _filter: LeftoverFilter) -> Result<Removed, PlacementError> {
        Ok(Removed::default())
    }
}

#[async_trait]
impl JobHandle for SimulatedJob {
    fn facts(&self) -> &JobFacts {
        &self.facts
    }

    async fn exec(&self, request: ExecRequest) -> Result<Exec, PlacementError> {
        let id = ExecId(self.next.fetch_add(1, Ordering::SeqCst));
        let cancel = CancellationToken::new();
        self.running.lock().unwrap().insert(id, cancel.clone());
        let (sender, events) = mpsc::channel(16);
        let script = request.argv.last().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let process = Process { script, request, sender, offset: 0, shared: Arc::clone(&self.shared) };
        tokio::spawn(process.run(cancel));
        Ok(Exec::new(id, events, |_acknowledged| {}))
    }

    async fn cancel(&self, exec: ExecId, _ladder: Ladder) -> Result<(), PlacementError> {
        if let Some(cancel) = self.running.lock().unwrap().get(&exec) {
            cancel.cancel();
        }
        Ok(())
    }

    async fn write_file(&self, _path: &str, _content: Bytes, _mode: u32) -> Result<(), PlacementError> {
        unreachable!("files are shared")
    }

    async fn read_file(&self, _path: &str, _bytes_max: u64) -> Result<Option<Bytes>, PlacementError> {
        unreachable!("files are shared")
    }

    async fn remove_path(&self, _path: &str) -> Result<(), PlacementError> {
        unreachable!("files are shared")
    }

    async fn stop(&self) -> Result<(), PlacementError> {
        if self.stopped.fetch_add(1, Ordering::SeqCst) == 0 {
            self.shared.open.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

struct Process {
    script: String,
    request: ExecRequest,
    sender: mpsc::Sender<ExecEvent>,
    offset: u64,
    shared: Arc<Shared>,
}

impl Process {
    async fn run(mut self, cancel: CancellationToken) {
        let limit = self.request.timeout.unwrap_or(Duration::from_secs(3600));
        let sender = self.sender.clone();
        let outcome = tokio::select! {
            outcome = self.perform() => outcome,
            () = cancel.cancelled() => exited(130, false, true),
            () = tokio::time::sleep(limit) => exited(143, true, false),
        };
        let _gone = sender.send(ExecEvent::Ended(outcome)).await;
    }

    async fn perform(&mut self) -> ExecOutcome {
        let script = std::mem::take(&mut self.script);
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "out" => self.out(&unquoted(rest)).await,
                "print" => self.out(&self.variable(rest)).await,
                "file" => {
                    let (name, text) = rest.split_once(' ').expect("file NAME TEXT");
                    let name = if name == "STEP_SUMMARY" { name.to_owned() } else { name.to_uppercase() };
                    let path = self.variable(&format!("GITHUB_{name}"));
                    let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("the step's file");
                    file.write_all(unquoted(text).as_bytes()).expect("write");
                }
                "sleep" => tokio::time::sleep(Duration::from_millis(rest.parse().expect("milliseconds"))).await,
                "meet" => {
                    let barrier = || Arc::new(Barrier::new(2));
                    let barrier =
                        Arc::clone(self.shared.meetings.lock().unwrap().entry(rest.into()).or_insert_with(barrier));
                    barrier.wait().await;
                }
                "exit" => return exited(rest.parse().expect("a code"), false, false),
                "lost" => return ExecOutcome::Lost { reason: "the container is gone".into() },
                "hang" => std::future::pending().await,
                _ => return ExecOutcome::NotStarted { reason: format!("no such word: {line}") },
            }
        }
        exited(0, false, false)
    }

    fn variable(&self, name: &str) -> String {
        self.request.env.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    async fn out(&mut self, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        let _gone = self.sender.send(ExecEvent::Output { offset, bytes }).await;
    }
}

fn unquoted(text: &str) -> String {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn exited(code: i32, timed_out: bool, cancelled: bool) -> ExecOutcome {
    ExecOutcome::Exited { code, signal: None, timed_out, cancelled, out_of_memory: false, usage: Usage::default() }
}
