//! The runs of a server: made durably, queued, carried, taken up after a restart, steered.
//!
//! It does not speak HTTP, does not decide which workflows an event starts, and keeps no secrets: those come through
//! ports ([`RunSecrets`], [`RunRepository`]). In memory are only runs of which a job goes on; one that waits for a place,
//! a group, a person or a time is put aside and taken up again from its log, as after a restart.

mod again;
mod authors;
mod carry;
mod desk;
mod error;
mod gates;
mod load;
mod log;
mod ports;
mod rerun;
mod restart;
mod spec;
mod steer;
#[cfg(test)]
mod tests;

pub use error::ServiceError;
pub use gates::{Reviewer, Verdict, Waiting, waiting};
pub(crate) use load::link_logs;
pub use ports::{FixedRepository, FixedSecrets, PortError, RunRepository, RunSecrets};
pub use rerun::Rerun;
pub(crate) use rerun::kept_facts;
pub use spec::{RunSpec, SPEC_VERSION, Trust};
pub use steer::LiveNotices;

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use workflow::run::{Conclusion, EVENT_VERSION, Environments, Recorded, RunEvent};

use crate::actions::Actions;
use crate::clock::Clock;
use crate::folders::Folders;
use crate::groups::SharedGroups;
use crate::kept::{Kept, KeptRules};
use crate::placement::{Limits, Placement, PullPolicy};
use crate::runner_label::RunnerLabels;
use crate::serving::JobServices;
use crate::slots::Slots;
use crate::step::BuiltInActions;
use crate::store::deliveries::{Deliveries, RunOfDelivery};
use crate::store::{Database, RunId, RunLog, RunNumbers, SqliteStore, StoreError};
use crate::telemetry::Traces;
use desk::Desk;
use log::PatientLog;
use steer::Topics;

/// What runs are performed with, and by which rules.
#[derive(Debug)]
pub struct ServiceParts {
    /// The server's database.
    pub database: Database,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Containers, where an engine is reachable.
    pub docker: Option<Arc<dyn Placement>>,
    /// Why it is not.
    pub docker_problem: Option<String>,
    /// This machine.
    pub host: Arc<dyn Placement>,
    /// Built-in actions.
    pub built_in: BuiltInActions,
    /// What actions run with.
    pub actions: Actions,
    /// Where things are kept.
    pub folders: Folders,
    /// Which labels are served by what.
    pub labels: RunnerLabels,
    /// What a job's container may use.
    pub limits: Limits,
    /// When images are pulled.
    pub pull: PullPolicy,
    /// Secrets and variables.
    pub secrets: Arc<dyn RunSecrets>,
    /// Mirrors.
    pub repositories: Arc<dyn RunRepository>,
    /// Environments with rules.
    pub environments: Arc<Environments>,
    /// Jobs at once, over all runs.
    pub jobs_max: usize,
    /// Of them, those with certain labels.
    pub label_limits: IndexMap<String, usize>,
    /// Most bytes of one step's log that are stored.
    pub log_bytes_max: Option<u64>,
    /// How long artifacts and caches are kept.
    pub retention: KeptRules,
    /// Such as `https://github.com`.
    pub server_url: String,
    /// How traces of runs are named, where they are exported.
    pub traces: Option<Traces>,
    /// What serves actions of others, if anything does.
    pub services: Option<Arc<dyn JobServices>>,
}

impl ServiceParts {
    /// Artifacts and caches of all runs.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept::new(&self.folders.state, self.retention)
    }
}

/// The runs of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RunService(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: ServiceParts,
    store: SqliteStore,
    deliveries: Deliveries,
    log: Arc<dyn RunLog>,
    slots: Slots,
    groups: SharedGroups,
    desk: Desk,
    topics: Topics,
    /// Fires when the database can not be used any more: the process should end, and its jobs go on for the next one.
    broken: CancellationToken,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainEnd {
    /// Runs of which jobs still go on. They are taken up by the next process, if this one ends without dropping them.
    pub going_on: usize,
}

impl RunService {
    /// A service on its parts. Nothing runs before [`RunService::start`].
    #[must_use]
    pub fn new(parts: ServiceParts) -> Self {
        let (absent, woken) = mpsc::unbounded_channel();
        let store = SqliteStore::on(parts.database.clone());
        let broken = CancellationToken::new();
        let log = Arc::new(PatientLog { inner: Arc::new(store.clone()), broken: broken.clone() });
        let slots = Slots::of_service(parts.jobs_max, parts.label_limits.clone(), absent.clone());
        Self(Arc::new(Inner {
            deliveries: Deliveries::on(parts.database.clone()),
            store,
            log,
            groups: SharedGroups::of_service(absent),
            desk: Desk::new(slots.all(), woken),
            topics: Topics::default(),
            slots,
            broken,
            parts,
        }))
    }

    /// Makes runs, with the end of the delivery that asks for them in one transaction, and queues them. `None` if the
    /// delivery was not waiting any more. A run whose spec has a problem is over at once.
    ///
    /// # Errors
    /// Nothing was made.
    pub async fn make(
        &self,
        delivery: Option<u64>,
        specs: Vec<RunSpec>,
    ) -> Result<Option<Vec<RunNumbers>>, StoreError> {
        let now = self.0.parts.clock.now();
        let parties: Vec<_> = specs.iter().map(|spec| (spec.problem.is_none(), spec.party())).collect();
        let runs = specs.into_iter().map(|spec| of_spec(spec, now)).collect();
        let made = match delivery {
            Some(number) => self.0.deliveries.make_runs(number, runs).await?,
            None => Some(self.0.store.make_runs(runs).await?),
        };
        for (numbers, (_, party)) in made.iter().flatten().zip(parties).filter(|(_, (can_begin, _))| *can_begin) {
            self.0.desk.queue(numbers.id, &party);
        }
        Ok(made)
    }

    /// Takes up every run that is not over, and carries runs until `stop`, or until the database is broken. Jobs that go
    /// on then go on without us. To be called once.
    ///
    /// # Errors
    /// The database cannot be used. What runs goes on, for the next process.
    pub async fn serve(&self, stop: CancellationToken) -> Result<(), StoreError> {
        restart::restore(&self.0).await?;
        self.0.desk.serve(&self.0, &stop).await;
        match self.0.parts.database.problem() {
            Some(reason) if self.0.broken.is_cancelled() => {
                Err(StoreError::Broken { path: self.0.parts.database.path().display().to_string(), reason })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// No job is begun any more; waits until those that go on have ended, or for so long.
    pub async fn drain(&self, deadline: Duration) -> DrainEnd {
        self.0.slots.close();
        let going_on = self.0.desk.drain(deadline).await;
        for placement in self.0.parts.docker.iter().chain([&self.0.parts.host]) {
            placement.close().await;
        }
        DrainEnd { going_on }
    }

    /// Runs that are carried, job runs that have a place, and job runs that wait for one.
    #[must_use]
    pub fn load(&self) -> (usize, usize, usize) {
        let (placed, waiting) = self.0.slots.count();
        (self.0.desk.carried(), placed, waiting)
    }

    /// How many job runs may have a place at once.
    #[must_use]
    pub fn places(&self) -> usize {
        self.0.slots.all()
    }

    /// Fires when the database can not be used any more: the process should end without dropping what goes on.
    #[must_use]
    pub fn broken(&self) -> CancellationToken {
        self.0.broken.clone()
    }
}

fn of_spec(spec: RunSpec, now: Timestamp) -> RunOfDelivery {
    let run = spec.row(now.to_string());
    let problem = spec.problem.as_ref().map(|diagnostics| diagnostics.join("\n"));
    let facts = move |_: RunNumbers| match problem {
        Some(message) => refused(message, 0, now),
        None => Vec::new(),
    };
    RunOfDelivery { run, spec: Some(spec), facts: Box::new(facts) }
}

/// The end of a run that cannot even be read.
fn refused(message: String, last: u64, at: Timestamp) -> Vec<Recorded> {
    let events = [RunEvent::RunRefused { message }, RunEvent::RunFinished { conclusion: Conclusion::Failure }];
    (last + 1..).zip(events).map(|(seq, event)| Recorded { v: EVENT_VERSION, seq, at, event }).collect()
}

/// The runs' folders.
fn journals(folders: &Folders, run: RunId) -> std::path::PathBuf {
    folders.state.join("journals").join(run.to_string())
}
