//! A job whose commands run on this machine, in a folder: for tests of scripts. What it starts is in no cage.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use engine::placement::{
    Exec, ExecEvent, ExecId, ExecOutcome, ExecRequest, JobFacts, JobHandle, Ladder, PlacementError, Usage,
};
use tokio::sync::mpsc;

/// The job. What ran is kept under its name, as an agent keeps it.
#[derive(Debug, Default)]
pub(super) struct JobHere {
    facts: JobFacts,
    known: Mutex<BTreeMap<u64, Output>>,
}

fn exec_of(id: ExecId, output: &Output) -> Exec {
    let (send, events) = mpsc::channel(4);
    let bytes = Bytes::from([output.stdout.as_slice(), output.stderr.as_slice()].concat());
    let ended = ExecOutcome::Exited {
        code: output.status.code().unwrap_or(137),
        signal: None,
        timed_out: false,
        cancelled: false,
        out_of_memory: false,
        usage: Usage::default(),
    };
    send.try_send(ExecEvent::Output { offset: 0, bytes }).unwrap();
    send.try_send(ExecEvent::Ended(ended)).unwrap();
    Exec::new(id, events, |_| {})
}

#[async_trait]
impl JobHandle for JobHere {
    fn facts(&self) -> &JobFacts {
        &self.facts
    }

    async fn exec(&self, request: ExecRequest) -> Result<Exec, PlacementError> {
        let id = request.id.expect("these have names");
        let mut command = tokio::process::Command::new(&request.argv[0]);
        command.args(&request.argv[1..]).current_dir(&request.cwd).envs(request.env).stdin(Stdio::null());
        let output = command.output().await.unwrap();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id.0, output.clone());
        Ok(exec_of(id, &output))
    }

    async fn take_up(&self, request: ExecRequest, _from: u64) -> Result<Exec, PlacementError> {
        let id = request.id.expect("these have names");
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&id.0).cloned();
        match known {
            Some(output) => Ok(exec_of(id, &output)),
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
