//! A local run that goes on: from its log where it was killed, as its next attempt where it had failed.
//!
//! A killed run is the same run: nothing of it is over, so its facts stand, what was approved stays approved and what
//! waits goes on waiting. Only its jobs that were in progress begin again, in clean places. A run that is over stays as it
//! ended; its next attempt keeps what succeeded.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;
use workflow::run::{EVENT_VERSION, JobRun, JobRunKey, Recorded, Run, RunEvent, RunFacts};

use super::{Carrier, LocalRun};
use crate::folders::Folders;
use crate::job::{LeftPlaces, log_folder};
use crate::kept::Kept;
use crate::machine::{Machine, RunRequest};
use crate::service::{Rerun, kept_facts, link_logs, waiting};
use crate::store::listing::Listing;
use crate::store::{NewRun, RunId, RunLog as _, RunNumbers, SqliteStore, StoreError};

/// What a run goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continues {
    /// From nothing: a new run.
    Nothing,
    /// From where its process was killed.
    Killed(RunId),
    /// From an attempt that failed.
    Failed(RunId),
}

/// Why a run cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotResumed {
    /// There is none.
    #[error("there is no run {0}")]
    Unknown(RunId),
    /// It was made by a server, or by an older program.
    #[error("nothing was kept of what run {0} was asked for, so it cannot go on")]
    NothingKept(RunId),
    /// It goes on now.
    #[error("run {0} is going on in another process")]
    GoesOn(RunId),
    /// There is nothing left to do.
    #[error("run {0} has succeeded, so there is nothing to go on with")]
    Succeeded(RunId),
    /// Another attempt was made of it.
    #[error("run {0} has a later attempt, which can go on in its place")]
    Later(RunId),
    /// What is kept of it cannot be read.
    #[error("what is kept of run {0} cannot be read: {1}")]
    Unreadable(RunId, String),
}

/// A run that may go on, by this process alone.
#[derive(Debug)]
pub struct TakenUp {
    /// What it goes on from.
    pub continues: Continues,
    /// What it was asked for.
    pub asked: Json,
    /// The right to carry it.
    pub carrier: Carrier,
    /// Number of its last fact; 0 where it goes on as another attempt.
    pub last: u64,
    /// Environments whose review it waits for.
    pub waits: Vec<String>,
}

/// Takes the right to go on with a run.
///
/// # Errors
/// It cannot go on; nothing has changed.
pub async fn take_up(store: &SqliteStore, folders: &Folders, run: RunId) -> Result<TakenUp, NotResumed> {
    let listing = Listing::on(store.database().clone());
    let row = listing.one(run).await.map_err(|error| NotResumed::Unreadable(run, error.to_string()))?;
    let row = row.ok_or(NotResumed::Unknown(run))?;
    let files = LocalRun::of(folders, run);
    let unreadable = |error: std::io::Error| NotResumed::Unreadable(run, error.to_string());
    let asked = files.asked().map_err(unreadable)?;
    // First: while another process has it, it may end.
    let carrier = files.carry().map_err(unreadable)?.ok_or(NotResumed::GoesOn(run))?;
    let continues = match row.conclusion.as_deref() {
        None => Continues::Killed(run),
        Some("success" | "skipped") => return Err(NotResumed::Succeeded(run)),
        Some(_) if !row.is_latest => return Err(NotResumed::Later(run)),
        Some(_) => Continues::Failed(run),
    };
    let asked = asked.ok_or(NotResumed::NothingKept(run))?;
    let history = match continues {
        Continues::Killed(_) => {
            store.read(run).await.map_err(|error| NotResumed::Unreadable(run, error.to_string()))?
        }
        Continues::Nothing | Continues::Failed(_) => Vec::new(),
    };
    let waits = waiting(&history).into_iter().map(|waiting| waiting.environment).collect();
    Ok(TakenUp { continues, asked, carrier, last: history.last().map_or(0, |fact| fact.seq), waits })
}

impl Machine {
    /// The numbers of a run, and the right to carry it. What it was asked for is kept first, so that there is no moment in
    /// which a kill would leave a run that cannot go on.
    pub(crate) async fn number(&self, request: &mut RunRequest) -> Result<(RunNumbers, Vec<Carrier>), StoreError> {
        let mut carriers: Vec<_> = request.carrier.take().into_iter().collect();
        let numbers = match request.continues {
            Continues::Killed(run) => {
                let row = self.store.run_row(run).await?;
                let gone = || StoreError::Unfit { run, reason: "it is not there any more".to_owned() };
                return Ok((row.ok_or_else(gone)?.numbers, carriers));
            }
            Continues::Failed(run) => {
                let row = NewRun { rerun_of: Some(run), ..self.row(request) };
                self.store.create_run(row).await?
            }
            Continues::Nothing => self.store.create_run(self.row(request)).await?,
        };
        let Some(asked) = request.asked.take() else { return Ok((numbers, carriers)) };
        let files = LocalRun::of(&self.folders, numbers.id);
        match files.carry().and_then(|carrier| files.keep(&asked).map(|()| carrier)) {
            Ok(carrier) => carriers.extend(carrier),
            Err(error) => tracing::warn!(%error, "should this process be killed, the run cannot go on"),
        }
        Ok((numbers, carriers))
    }

    /// What a dispatcher gets of what was before.
    pub(crate) async fn before(
        &self,
        request: &RunRequest,
        facts: &Arc<RunFacts>,
        numbers: RunNumbers,
    ) -> Result<Before, StoreError> {
        match request.continues {
            Continues::Nothing => Ok(Before::default()),
            Continues::Killed(_) => {
                Before::killed(&self.store, facts, numbers, (&self.folders, self.clock.now())).await
            }
            Continues::Failed(run) => {
                // Its facts are those of its own workflow.
                let facts = match &request.before {
                    Some(before) => &Arc::new(RunFacts { workflow: Arc::clone(before), ..RunFacts::clone(facts) }),
                    None => facts,
                };
                let mut before = Before::failed(&self.store, facts, run).await?;
                let (from, to) = (self.folders.logs(run), self.folders.logs(numbers.id));
                if let Err(error) = link_logs(&from, &to, &before.kept) {
                    tracing::warn!(%run, %error, "logs of the attempt before are only there");
                }
                if let Some(standing) = &self.standing {
                    before.go_on_in(standing, run, &request.from, (&from, &to));
                }
                Ok(before)
            }
        }
    }
}

/// What a dispatcher gets of it.
#[derive(Default)]
pub(crate) struct Before {
    pub(crate) history: Vec<Recorded>,
    pub(crate) kept: Vec<RunEvent>,
    /// Places in which jobs go on.
    pub(crate) left: LeftPlaces,
    /// What was before, of an attempt that failed.
    pub(super) old: Option<(Run, Vec<Recorded>)>,
}

impl Before {
    /// A run whose process was killed: its jobs in progress are queued again, and what they had left is removed.
    pub(crate) async fn killed(
        store: &SqliteStore,
        facts: &Arc<RunFacts>,
        numbers: RunNumbers,
        (folders, at): (&Folders, Timestamp),
    ) -> Result<Self, StoreError> {
        let mut history = store.read(numbers.id).await?;
        let run = replayed(numbers.id, facts, &history)?;
        let facts = resets(&run, at);
        for key in facts.iter().filter_map(|fact| fact.event.reset_job()) {
            forget_of_job(folders, numbers, key);
        }
        if !facts.is_empty() {
            store.append(numbers.id, &facts).await?;
        }
        history.extend(facts);
        Ok(Self { history, ..Self::default() })
    }

    /// The next attempt of a run that failed: what succeeded is kept.
    pub(crate) async fn failed(store: &SqliteStore, facts: &Arc<RunFacts>, before: RunId) -> Result<Self, StoreError> {
        let history = store.read(before).await?;
        let state = replayed(before, facts, &history)?;
        // Nothing of it may have failed itself: it was cancelled before anything began.
        let kept = kept_facts(&state, &history, &Rerun::Failed, before).unwrap_or_default();
        Ok(Self { kept, old: Some((state, history)), ..Self::default() })
    }
}

fn replayed(id: RunId, facts: &Arc<RunFacts>, history: &[Recorded]) -> Result<Run, StoreError> {
    let mut run = Run::new(Arc::clone(facts));
    for fact in history {
        run.apply_stored(fact).map_err(|illegal| StoreError::Unfit { run: id, reason: illegal.to_string() })?;
    }
    Ok(run)
}

/// Facts that let job runs begin again of which nobody has told how they ended, since their process was killed.
pub(crate) fn resets(run: &Run, at: Timestamp) -> Vec<Recorded> {
    let open = |(key, job): &(JobRunKey, &JobRun)| job.in_progress() && run.steps_job(&key.job).is_some();
    let events = run.job_runs().filter(open).map(|(key, _)| RunEvent::JobRunReset { key });
    (run.seq + 1..).zip(events).map(|(seq, event)| Recorded { v: EVENT_VERSION, seq, at, event }).collect()
}

/// What a job that begins again had left: it would stand in its own way.
fn forget_of_job(folders: &Folders, numbers: RunNumbers, key: &JobRunKey) {
    let logs = log_folder(&folders.logs(numbers.id), key);
    if let Err(error) = std::fs::remove_dir_all(&logs)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %logs.display(), %error, "logs of a job that begins again are left");
    }
    let kept = Kept::new(&folders.state, crate::kept::KeptRules::default());
    let own = |artifact: &crate::kept::Artifact| artifact.attempt == numbers.attempt && artifact.job == key.to_string();
    let artifacts = kept.artifacts(numbers.first.0, numbers.attempt).unwrap_or_default();
    for artifact in artifacts.iter().filter(|artifact| own(artifact)) {
        if let Err(error) = kept.remove_artifact(artifact) {
            tracing::warn!(name = artifact.name, %error, "an artifact of a job that begins again is left");
        }
    }
}
