//! A job whose commands run on this machine, in a folder: for tests of actions that run scripts. Not for anything else: what it
//! starts is in no cage.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use engine::placement::{
    Exec, ExecEvent, ExecId, ExecOutcome, ExecRequest, JobFacts, JobHandle, Ladder, PlacementError, Usage,
};
use tokio::sync::mpsc;

/// The job. What ran is kept under its name until that is acknowledged, as an agent keeps it.
#[derive(Debug)]
pub(super) struct JobHere {
    facts: JobFacts,
    known: Arc<Mutex<BTreeMap<u64, Output>>>,
    /// Whether what was acknowledged is forgotten; else it is as if the one who did had been killed before.
    pub(super) forgets: Arc<AtomicBool>,
    /// Commands that were started.
    pub(super) started: Mutex<u64>,
}

impl JobHere {
    /// One whose run directory is this folder.
    pub(super) fn new(folder: PathBuf) -> Self {
        let run_directory = folder.to_string_lossy().into_owned();
        let facts = JobFacts { run_directory, files_are_shared: true, ..JobFacts::default() };
        Self { facts, known: Arc::default(), forgets: Arc::new(AtomicBool::new(true)), started: Mutex::new(0) }
    }

    fn exec_of(&self, id: u64, output: &Output) -> Exec {
        let (send, events) = mpsc::channel(4);
        let bytes = Bytes::from([output.stdout.as_slice(), output.stderr.as_slice()].concat());
        let code = output.status.code().unwrap_or(137);
        let ended = ExecOutcome::Exited {
            code,
            signal: None,
            timed_out: false,
            cancelled: false,
            out_of_memory: false,
            usage: Usage::default(),
        };
        send.try_send(ExecEvent::Output { offset: 0, bytes }).unwrap();
        send.try_send(ExecEvent::Ended(ended)).unwrap();
        let (known, forgets) = (Arc::clone(&self.known), Arc::clone(&self.forgets));
        Exec::new(ExecId(id), events, move |what| {
            if what == engine::placement::Acknowledgement::End && forgets.load(Ordering::SeqCst) {
                known.lock().unwrap().remove(&id);
            }
        })
    }
}

#[async_trait]
impl JobHandle for JobHere {
    fn facts(&self) -> &JobFacts {
        &self.facts
    }

    async fn exec(&self, request: ExecRequest) -> Result<Exec, PlacementError> {
        *self.started.lock().unwrap() += 1;
        let id = request.id.expect("these have names").0;
        let mut command = tokio::process::Command::new(&request.argv[0]);
        command.args(&request.argv[1..]).current_dir(&request.cwd).envs(request.env).stdin(Stdio::null());
        let output = command.output().await.unwrap();
        self.known.lock().unwrap().insert(id, output.clone());
        Ok(self.exec_of(id, &output))
    }

    async fn take_up(&self, request: ExecRequest, _from: u64) -> Result<Exec, PlacementError> {
        let id = request.id.expect("these have names").0;
        let known = self.known.lock().unwrap().get(&id).cloned();
        match known {
            Some(output) => Ok(self.exec_of(id, &output)),
            None => self.exec(request).await,
        }
    }

    fn record(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    async fn cancel(&self, _exec: ExecId, _ladder: Ladder) -> Result<(), PlacementError> {
        Ok(())
    }

    async fn write_file(&self, path: &str, content: Bytes, _mode: u32) -> Result<(), PlacementError> {
        std::fs::write(path, content).unwrap();
        Ok(())
    }

    async fn read_file(&self, path: &str, _bytes_max: u64) -> Result<Option<Bytes>, PlacementError> {
        Ok(std::fs::read(path).ok().map(Bytes::from))
    }

    async fn remove_path(&self, path: &str) -> Result<(), PlacementError> {
        std::fs::remove_file(path).unwrap();
        Ok(())
    }

    async fn stop(&self) -> Result<(), PlacementError> {
        Ok(())
    }
}
