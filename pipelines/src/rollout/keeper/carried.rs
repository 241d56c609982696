//! A rollout that this process carries.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use engine::store::rollouts::RolloutState;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::scripts::LateScripts;
use super::{Keeper, KeeperError};
use crate::rollout::journal::planned;
use crate::rollout::{Driver, StoredJournal};

/// One of them. Dropping it lets go of it where it is.
#[derive(Debug)]
pub(super) struct Carried {
    /// Who runs its scripts.
    pub(super) scripts: Arc<LateScripts>,
    /// Tells it that its job was cancelled.
    pub(super) cancel: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Carried {
    /// `None`: another process carries it, or files cannot be locked here (that is logged).
    pub(super) fn begin(keeper: Keeper, id: u64) -> Option<Self> {
        let lock = match lock(&keeper.0.locks, id) {
            Ok(lock) => lock?,
            Err(error) => {
                tracing::error!(rollout = id, folder = %keeper.0.locks.display(), %error, "a rollout cannot be carried");
                return None;
            }
        };
        let (scripts, cancel) = (Arc::new(LateScripts::default()), CancellationToken::new());
        let work = {
            let (scripts, cancel) = (Arc::clone(&scripts), cancel.clone());
            async move {
                if let Err(error) = drive(&keeper, id, scripts, cancel).await {
                    tracing::error!(rollout = id, %error, "a rollout is not carried on by this process");
                }
                drop(lock);
            }
        };
        Some(Self { scripts, cancel, task: AbortOnDropHandle::new(tokio::spawn(work)) })
    }

    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Lets go of it where it is: another process takes it up.
    pub(super) fn drop_it(&self) {
        self.task.abort();
    }
}

/// Its file, locked; `None`: another process has it.
fn lock(folder: &Path, id: u64) -> std::io::Result<Option<File>> {
    std::fs::create_dir_all(folder)?;
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(format!("{id}.lock")))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

async fn drive(
    keeper: &Keeper,
    id: u64,
    scripts: Arc<LateScripts>,
    cancel: CancellationToken,
) -> Result<(), KeeperError> {
    let rollouts = &keeper.0.rollouts;
    let row = rollouts.get(id).await?.ok_or(KeeperError::Unknown(id))?;
    if row.state != RolloutState::Closed {
        let plan = planned(rollouts, id).await?.ok_or(KeeperError::Unknown(id))?;
        let target = keeper.target(&plan.target)?;
        let journal = Arc::new(StoredJournal::of(rollouts.clone()));
        let driver = Driver { rollout: id, journal, target, hooks: scripts, clock: Arc::clone(&keeper.0.clock) };
        driver.run(cancel).await?;
    }
    // Nobody asks for its lock any more.
    let _harmless = std::fs::remove_file(keeper.0.locks.join(format!("{id}.lock")));
    Ok(())
}
