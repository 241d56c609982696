//! One job run, from its order to its end: place it, run its steps, clean up.

mod action_file;
mod call;
mod commands;
mod composite;
mod container;
mod containers;
mod context;
mod environment;
mod expecting;
mod facing;
mod fetched;
mod files;
mod findings_file;
mod inner_steps;
mod javascript;
mod journal;
mod keep;
mod log;
mod log_file;
mod matchers;
mod named;
mod order;
mod outputs;
mod own_actions;
mod own_token;
mod perform;
mod place;
mod placed;
mod pre;
mod prepare;
mod problems;
mod recall;
mod recording;
mod renewed;
mod run;
mod run_facts;
mod secrets;
mod serving;
mod steps;
mod take_up;
mod taken;
mod telling;
mod times_file;
mod tools;
mod waiting;
mod workflow_facts;

pub use context::StepScope;
pub(crate) use findings_file::{Line as FindingsLine, findings_path, read_lines as read_findings};
pub use keep::{LeftPlace, LeftPlaces};
pub use log::StepLog;
#[cfg(test)]
pub(crate) use log_file::LogPlace;
pub(crate) use log_file::log_folder;
pub use log_file::log_path;
pub(crate) use named::named_secrets;
pub(crate) use order::runs_on;
pub use order::{JobContexts, JobOrder};
pub use run::{JobSettings, PlacedJobs};
pub use secrets::{EnvironmentSecrets, SecretStore, SharedMasker};
pub use times_file::log_times;

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use workflow::run::{JobPath, JobRunKey, Run, RunEvent, StepIndex, StepRun};

/// Facts that a job run reports to the dispatcher. They are recorded together or not at all.
#[derive(Debug)]
pub struct JobReport {
    /// The facts, in their order.
    pub events: Vec<RunEvent>,
    /// Told once the facts are recorded and watchers know of them.
    pub recorded: Option<oneshot::Sender<()>>,
}

impl JobReport {
    /// A report that nobody waits for.
    #[must_use]
    pub fn new(events: impl Into<Vec<RunEvent>>) -> Self {
        Self { events: events.into(), recorded: None }
    }

    /// A report, and what to wait for until it is recorded.
    #[must_use]
    pub fn awaited(events: impl Into<Vec<RunEvent>>) -> (Self, oneshot::Receiver<()>) {
        let (recorded, wait) = oneshot::channel();
        (Self { events: events.into(), recorded: Some(recorded) }, wait)
    }
}

/// What steers a job run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobControl {
    /// Stop the steps politely; `always()` steps still run.
    Cancel,
    /// Stop at once.
    Kill,
}

impl JobControl {
    /// Returns when the job should stop.
    async fn stopped(control: &mut mpsc::UnboundedReceiver<Self>) {
        let Some(_order) = control.recv().await else { return std::future::pending().await };
    }
}

/// What a run's log tells of a job run that another process had begun.
#[derive(Debug, Clone, Default)]
pub struct Begun {
    /// Whether it had its place.
    pub placed: bool,
    /// Its steps that had begun or were skipped.
    pub steps: BTreeMap<StepIndex, StepRun>,
}

/// Performs job runs.
#[async_trait]
pub trait JobRunner: Send + Sync + std::fmt::Debug {
    /// Runs one to its end; one that has `begun` in another process is taken up where it is. Its last report is
    /// `JobRunFinished`.
    async fn run(
        &self,
        order: JobOrder,
        begun: Option<Begun>,
        control: mpsc::UnboundedReceiver<JobControl>,
        reports: mpsc::Sender<JobReport>,
    );

    /// The end of a job run is recorded: what was kept for another process to take it up is not needed any more.
    fn forget(&self, key: &JobRunKey);

    /// This job is about to begin, as far as can be told: what it needs may be made ahead.
    fn expect(&self, run: &Run, job: &JobPath) {
        let (_, _) = (run, job);
    }
}
