//! A placement without containers and processes, for tests: a script is a list of words that say what it does.
//!
//! `out "text"` writes (a JSON string), `cuts HEX` writes these bytes once for each place where they can be cut, in two
//! pieces, between the bytes 1 and 2 and a line feed, `fill N` writes so many `x`, `file OUTPUT "text"` appends to one of
//! the step's files, `write PATH "text"` writes a file of the workspace, `print NAME` writes a variable, `sleep MS`, `exit CODE`, `lost`, `hang` (until it is cancelled),
//! `meet NAME` (waits until another script meets there too). Files lie where they lie for a job on this machine.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Barrier, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Exec, ExecEvent, ExecId, ExecOutcome, ExecRequest, JobFacts, JobHandle, JobIdentity, JobSpec, Ladder,
    LeftoverFilter, Placement, PlacementError, ProgressSink, Removed, Resource, Usage,
};

/// What an agent sends at once, at most.
const FILL_CHUNK_BYTES: usize = 64 * 1024;

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
    jobs: Mutex<Vec<Arc<SimulatedJob>>>,
    /// Scripts that were started, in order.
    started: Mutex<Vec<String>>,
}

/// A placed job; it outlives its handles, as a container does.
#[derive(Debug)]
struct SimulatedJob {
    shared: Arc<Shared>,
    number: usize,
    identity: JobIdentity,
    facts: JobFacts,
    next: AtomicU64,
    processes: Mutex<BTreeMap<ExecId, Arc<Process>>>,
    stopped: AtomicUsize,
}

impl SimulatedJob {
    fn stop(&self) {
        if self.stopped.fetch_add(1, Ordering::SeqCst) == 0 {
            self.shared.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// A process and all that it wrote.
#[derive(Debug)]
struct Process {
    cancel: CancellationToken,
    chunks: Mutex<Vec<Bytes>>,
    /// How many chunks there are, and how it ended.
    told: watch::Sender<(usize, Option<ExecOutcome>)>,
}

impl Simulated {
    /// How many placed jobs have not been stopped.
    pub(crate) fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    /// Keys of all jobs that were placed.
    pub(crate) fn jobs(&self) -> Vec<String> {
        self.0.jobs.lock().unwrap().iter().map(|job| job.identity.job.clone()).collect()
    }

    /// The scripts that were started, in order.
    pub(crate) fn started(&self) -> Vec<String> {
        self.0.started.lock().unwrap().clone()
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
        let mut jobs = self.0.jobs.lock().unwrap();
        let job = Arc::new(SimulatedJob {
            shared: Arc::clone(&self.0),
            number: jobs.len(),
            identity: spec.identity,
            facts,
            next: AtomicU64::new(ExecId::CHOSEN_MAX),
            processes: Mutex::default(),
            stopped: AtomicUsize::new(0),
        });
        jobs.push(Arc::clone(&job));
        Ok(Arc::new(Handle(job)))
    }

    async fn adopt(&self, record: &serde_json::Value) -> Result<Arc<dyn JobHandle>, PlacementError> {
        let number = record.as_u64().and_then(|number| usize::try_from(number).ok());
        let job = number.and_then(|number| self.0.jobs.lock().unwrap().get(number).cloned());
        match job.filter(|job| job.stopped.load(Ordering::SeqCst) == 0) {
            Some(job) => Ok(Arc::new(Handle(job))),
            None => Err(PlacementError::Agent { reason: "is gone".into() }),
        }
    }

    async fn ours(&self) -> Result<Vec<Resource>, PlacementError> {
        Ok(Vec::new())
    }

    async fn remove_leftovers(&self, filter: LeftoverFilter) -> Result<Removed, PlacementError> {
        let jobs = self.0.jobs.lock().unwrap().clone();
        let LeftoverFilter::Job { run, job } = filter else { return Ok(Removed::default()) };
        let of_job = jobs.iter().filter(|other| (&other.identity.run, &other.identity.job) == (&run, &job));
        of_job.for_each(|job| job.stop());
        Ok(Removed::default())
    }
}

/// What one engine holds of a job.
#[derive(Debug)]
struct Handle(Arc<SimulatedJob>);

impl Handle {
    fn start(&self, id: ExecId, request: ExecRequest) -> Arc<Process> {
        let script = request.argv.last().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        self.0.shared.started.lock().unwrap().push(script.clone());
        let (told, _) = watch::channel((0, None));
        let process = Arc::new(Process { cancel: CancellationToken::new(), chunks: Mutex::default(), told });
        self.0.processes.lock().unwrap().insert(id, Arc::clone(&process));
        let life = Life { script, request, process: Arc::clone(&process), shared: Arc::clone(&self.0.shared) };
        tokio::spawn(life.run());
        process
    }
}

/// Sends what a process wrote from an offset on, and its end.
fn follow(id: ExecId, process: Arc<Process>, from: u64) -> Exec {
    let (sender, events) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut told = process.told.subscribe();
        let (mut sent, mut offset) = (0, 0);
        loop {
            let (count, outcome) = told.borrow_and_update().clone();
            while sent < count {
                let bytes = process.chunks.lock().unwrap()[sent].clone();
                let length = bytes.len() as u64;
                if offset >= from && sender.send(ExecEvent::Output { offset, bytes }).await.is_err() {
                    return;
                }
                (sent, offset) = (sent + 1, offset + length);
            }
            if let Some(outcome) = outcome {
                let _gone = sender.send(ExecEvent::Ended(outcome)).await;
                return;
            }
            if told.changed().await.is_err() {
                return;
            }
        }
    });
    Exec::new(id, events, |_acknowledged| {})
}

#[async_trait]
impl JobHandle for Handle {
    fn facts(&self) -> &JobFacts {
        &self.0.facts
    }

    async fn exec(&self, request: ExecRequest) -> Result<Exec, PlacementError> {
        let id = request.id.unwrap_or_else(|| ExecId(self.0.next.fetch_add(1, Ordering::SeqCst)));
        Ok(follow(id, self.start(id, request), 0))
    }

    async fn take_up(&self, request: ExecRequest, from: u64) -> Result<Exec, PlacementError> {
        let id = request.id.expect("a name");
        let known = self.0.processes.lock().unwrap().get(&id).cloned();
        Ok(follow(id, known.unwrap_or_else(|| self.start(id, request)), from))
    }

    fn record(&self) -> serde_json::Value {
        self.0.number.into()
    }

    async fn cancel(&self, exec: ExecId, _ladder: Ladder) -> Result<(), PlacementError> {
        if let Some(process) = self.0.processes.lock().unwrap().get(&exec) {
            process.cancel.cancel();
        }
        Ok(())
    }

    async fn write_file(&self, path: &str, content: Bytes, _mode: u32) -> Result<(), PlacementError> {
        let path = std::path::Path::new(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        Ok(())
    }

    async fn read_file(&self, path: &str, _bytes_max: u64) -> Result<Option<Bytes>, PlacementError> {
        Ok(std::fs::read(path).ok().map(Bytes::from))
    }

    async fn remove_path(&self, _path: &str) -> Result<(), PlacementError> {
        unreachable!("files are shared")
    }

    async fn stop(&self) -> Result<(), PlacementError> {
        self.0.stop();
        Ok(())
    }
}

/// A process as it goes on.
struct Life {
    script: String,
    request: ExecRequest,
    process: Arc<Process>,
    shared: Arc<Shared>,
}

impl Life {
    async fn run(mut self) {
        let limit = self.request.timeout.unwrap_or(Duration::from_secs(3600));
        let process = Arc::clone(&self.process);
        let outcome = tokio::select! {
            outcome = self.perform() => outcome,
            () = process.cancel.cancelled() => exited(130, false, true),
            () = tokio::time::sleep(limit) => exited(143, true, false),
        };
        process.told.send_modify(|told| told.1 = Some(outcome));
    }

    async fn perform(&mut self) -> ExecOutcome {
        let script = std::mem::take(&mut self.script);
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "out" => self.out(&unquoted(rest)).await,
                "cuts" => {
                    let text = hex_bytes(rest);
                    for at in 0..=text.len() {
                        let (one, other) = text.split_at(at);
                        self.write([b"\x01", one].concat().into()).await;
                        self.write([other, b"\x02\n"].concat().into()).await;
                    }
                }
                "fill" => {
                    let mut left: usize = rest.parse().expect("a number of bytes");
                    while left > 0 {
                        let size = left.min(FILL_CHUNK_BYTES);
                        self.write(Bytes::from(vec![b'x'; size])).await;
                        left -= size;
                    }
                }
                "print" => self.out(&self.variable(rest)).await,
                "file" => {
                    let (name, text) = rest.split_once(' ').expect("file NAME TEXT");
                    let name = if name == "STEP_SUMMARY" { name.to_owned() } else { name.to_uppercase() };
                    let path = self.variable(&format!("GITHUB_{name}"));
                    let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("the step's file");
                    file.write_all(unquoted(text).as_bytes()).expect("write");
                }
                "write" => {
                    let (name, text) = rest.split_once(' ').expect("write PATH TEXT");
                    let path = std::path::Path::new(&self.variable("GITHUB_WORKSPACE")).join(name);
                    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                    std::fs::write(path, unquoted(text)).expect("write");
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
        self.write(Bytes::copy_from_slice(text.as_bytes())).await;
    }

    async fn write(&mut self, bytes: Bytes) {
        let mut chunks = self.process.chunks.lock().unwrap();
        chunks.push(bytes);
        self.process.told.send_modify(|told| told.0 = chunks.len());
    }
}

fn hex_bytes(text: &str) -> Bytes {
    let pair = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    text.as_bytes().chunks(2).map(|digits| pair(digits).expect("hex digits")).collect::<Vec<_>>().into()
}

fn unquoted(text: &str) -> String {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn exited(code: i32, timed_out: bool, cancelled: bool) -> ExecOutcome {
    ExecOutcome::Exited { code, signal: None, timed_out, cancelled, out_of_memory: false, usage: Usage::default() }
}
