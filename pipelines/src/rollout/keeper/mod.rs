//! All rollouts that this process carries: those that its jobs ask for, those that a killed process left, those that people
//! ask for.
//!
//! A rollout is carried by one process. Whoever carries it has its file locked, and the kernel gives that lock back however the
//! process ends; the lock of the environment, with its token, is another matter and lives in the database. What is left to do
//! after a rollout has ended (to keep the old one warm, to stop it) is carried in the same way, so that no job waits for it.

mod back;
mod carried;
mod scripts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::clock::Clock;
use engine::store::RunId;
use engine::store::StoreError;
use engine::store::rollouts::{NewRollout, OpenRollout, RolloutState, Rollouts};
use jiff::{SignedDuration, Timestamp};
use rollout::{Fact, Order, Plan, View};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::back::Back;
use self::carried::Carried;
use super::journal::{read, written};
use super::{Hooks, JournalError, Target};

/// How often is looked what other processes have done.
const OTHERS_EVERY: Duration = Duration::from_secs(1);
/// How often rollouts are looked for whose process is gone.
const ORPHANS_EVERY: Duration = Duration::from_secs(5);
/// For so long a rollout of a job is left to the process that asks for it.
const FRESH: SignedDuration = SignedDuration::from_secs(10);

/// A rollout that is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Of the step that asks: asked twice, it is one rollout.
    pub key: String,
    /// What, where to, how.
    pub plan: Plan,
    /// The run that asks, if one does.
    pub run: Option<RunId>,
    /// Its job.
    pub job: String,
    /// Who asks.
    pub by: String,
}

/// What becomes of rollouts whose process is gone while their job waited for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphans {
    /// They go on: their jobs are taken up too.
    CarryOn,
    /// They go back: nobody takes up their jobs. But those of this run go on, since it is taken up.
    Cancel(Option<RunId>),
}

impl Orphans {
    /// Whether a rollout goes back that was asked for by this run, if by one.
    fn cancels(self, run: Option<RunId>) -> bool {
        match self {
            Self::CarryOn => false,
            Self::Cancel(taken_up) => run.is_some() && run != taken_up,
        }
    }
}

/// Why a rollout cannot be asked for, or is not known any more.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// There is no target of that kind.
    #[error("there is no target `{0}` on this machine; known: {1}")]
    NoTarget(String, String),
    /// There is no such rollout.
    #[error("there is no rollout {0}")]
    Unknown(u64),
    /// It cannot be done now, or never; what to do instead.
    #[error("{0}")]
    Refused(String),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is recorded cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The rollouts of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keeper(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    rollouts: Rollouts,
    locks: PathBuf,
    targets: BTreeMap<&'static str, Arc<dyn Target>>,
    clock: Arc<dyn Clock>,
    carried: Mutex<BTreeMap<u64, Carried>>,
}

impl Keeper {
    /// Keeps those of a database. `locks` is a folder for files by which processes know of each other.
    #[must_use]
    pub fn new(
        rollouts: Rollouts,
        locks: PathBuf,
        targets: BTreeMap<&'static str, Arc<dyn Target>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Parts { rollouts, locks, targets, clock, carried: Mutex::default() }))
    }

    /// The records.
    #[must_use]
    pub fn rollouts(&self) -> &Rollouts {
        &self.0.rollouts
    }

    /// Writes a rollout down, or finds the one that was asked for under this key. Nothing happens before somebody carries it.
    ///
    /// # Errors
    /// There is no such target, or the store said no.
    pub async fn ask(&self, asked: Asked) -> Result<u64, KeeperError> {
        self.target(&asked.plan.target)?;
        let at = self.now();
        let fact = Fact::Planned { plan: Box::new(asked.plan.clone()), by: asked.by.clone() };
        let view =
            rollout::Rollout::new(0, at, &fact).map_err(|error| KeeperError::Refused(error.to_string()))?.view(at);
        let new = NewRollout {
            key: asked.key,
            environment: asked.plan.environment.clone(),
            service: asked.plan.service.clone(),
            repository: asked.plan.repository.clone(),
            run: asked.run,
            job: asked.job,
            actor: asked.by,
            plan_hash: asked.plan.hash(),
            fact: written(&fact)?,
            view: written(&view)?,
            at,
        };
        let (hash, row) = (new.plan_hash.clone(), self.0.rollouts.create(new).await?);
        if row.plan_hash != hash {
            let text = format!(
                "rollout {} was asked for by this step before, with another plan ({} now, {hash} asked for)",
                row.id, row.plan_hash
            );
            return Err(KeeperError::Refused(text));
        }
        Ok(row.id)
    }

    /// Carries a rollout here if nobody else does, has its scripts run by `hooks`, and waits for its end. `told` hears of each
    /// change. When `cancel` fires the rollout hears that its job was cancelled; its end is waited for all the same.
    ///
    /// # Errors
    /// There is no such rollout, or the store cannot be read.
    pub async fn attend(
        &self,
        id: u64,
        hooks: Arc<dyn Hooks>,
        cancel: CancellationToken,
        mut told: impl FnMut(&View) + Send,
    ) -> Result<View, KeeperError> {
        let mut changed = self.0.rollouts.changed();
        let mut is_told = false;
        let mut seq = 0;
        loop {
            changed.mark_unchanged();
            self.carry(id, Some(&hooks));
            let row = self.0.rollouts.get(id).await?.ok_or(KeeperError::Unknown(id))?;
            if row.seq > seq {
                seq = row.seq;
                let view: View = read(row.view)?;
                told(&view);
                if row.state != RolloutState::Active {
                    return Ok(view);
                }
            }
            tokio::select! {
                () = wait(&mut changed) => {}
                () = cancel.cancelled(), if !is_told => {
                    is_told = true;
                    self.cancel(id);
                }
            }
        }
    }

    /// Carries a rollout here if nobody else does, and waits for its end.
    ///
    /// # Errors
    /// There is no such rollout, or the store cannot be read.
    pub async fn until_ended(&self, id: u64) -> Result<View, KeeperError> {
        let mut changed = self.0.rollouts.changed();
        loop {
            changed.mark_unchanged();
            self.carry(id, None);
            let row = self.0.rollouts.get(id).await?.ok_or(KeeperError::Unknown(id))?;
            if row.state != RolloutState::Active {
                return Ok(read(row.view)?);
            }
            wait(&mut changed).await;
        }
    }

    /// Keeps an order for a rollout that goes on.
    ///
    /// # Errors
    /// It cannot be given now; the text says which can.
    pub async fn order(&self, id: u64, order: Order, by: &str, comment: &str) -> Result<(), KeeperError> {
        let row = self.0.rollouts.get(id).await?.ok_or(KeeperError::Unknown(id))?;
        let view: View = read(row.view)?;
        if !view.orders.contains(&order) {
            let possible: Vec<_> = view.orders.iter().map(|order| order.word()).collect();
            let possible = if possible.is_empty() { "nothing".to_owned() } else { possible.join(", ") };
            let text = format!(
                "rollout {id} of {} to {} cannot be told to {} now ({}); possible now: {possible}",
                row.service,
                row.environment,
                order.word(),
                view.words
            );
            return Err(KeeperError::Refused(text));
        }
        self.0.rollouts.order(id, order.word(), by, comment, self.now()).await?;
        Ok(())
    }

    /// Carries what nobody carries: what a killed process left, what people asked for, what is left to do after an end. Until
    /// `stop` fires; what goes on then is taken up by the next process.
    pub async fn serve(&self, orphans: Orphans, stop: CancellationToken) {
        let mut changed = self.0.rollouts.changed();
        loop {
            changed.mark_unchanged();
            match self.0.rollouts.open().await {
                Ok(rows) => rows.iter().for_each(|row| self.take(row, orphans)),
                Err(error) => tracing::warn!(%error, "cannot look for rollouts that nobody carries"),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                _ = changed.changed() => {}
                () = tokio::time::sleep(ORPHANS_EVERY) => {}
            }
        }
        self.with_carried(|carried| carried.values().for_each(Carried::drop_it));
    }

    /// One that was just asked for belongs to whoever did.
    fn take(&self, row: &OpenRollout, orphans: Orphans) {
        let is_fresh = self.now().duration_since(row.created_at) < FRESH;
        let is_carried = self.with_carried(|all| all.get(&row.id).is_some_and(|carried| !carried.is_over()));
        if is_carried || (is_fresh && row.run.is_some()) {
            return;
        }
        self.carry(row.id, None);
        if row.state == RolloutState::Active && orphans.cancels(row.run) {
            self.cancel(row.id);
        }
    }

    fn target(&self, kind: &str) -> Result<Arc<dyn Target>, KeeperError> {
        let known = || self.0.targets.keys().copied().collect::<Vec<_>>().join(", ");
        self.0.targets.get(kind).cloned().ok_or_else(|| KeeperError::NoTarget(kind.to_owned(), known()))
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn with_carried<T>(&self, work: impl FnOnce(&mut BTreeMap<u64, Carried>) -> T) -> T {
        work(&mut self.0.carried.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins to carry it, unless this process does already or another one does.
    fn carry(&self, id: u64, hooks: Option<&Arc<dyn Hooks>>) {
        self.with_carried(|all| {
            all.retain(|_, carried| !carried.is_over());
            if !all.contains_key(&id)
                && let Some(carried) = Carried::begin(self.clone(), id)
            {
                all.insert(id, carried);
            }
            if let (Some(hooks), Some(carried)) = (hooks, all.get(&id)) {
                carried.scripts.offer(hooks);
            }
        });
    }

    fn cancel(&self, id: u64) {
        self.with_carried(|all| {
            if let Some(carried) = all.get(&id) {
                carried.cancel.cancel();
            }
        });
    }
}

/// Until something may have changed.
async fn wait(changed: &mut watch::Receiver<u64>) {
    // Another process may carry it: then nothing wakes us here.
    let _timed_out = tokio::time::timeout(OTHERS_EVERY, changed.changed()).await;
}
