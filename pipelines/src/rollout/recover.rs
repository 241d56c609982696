//! Taking a rollout up where its facts end, whoever wrote them.
//!
//! A new fencing token comes first, so that a process that was thought dead can write nothing more. A call of which only the
//! intent is known is looked up before anything else: the machine names it again, and `call.rs` looks before it performs.

use rollout::machine::Rollout;
use rollout::{Fact, Outcome};
use tokio_util::sync::CancellationToken;

use super::driver::{Drive, Driver};
use super::ports::{Claim, JournalError};

impl Drive {
    /// The rollout of a driver, as far as it is, and with the lock if it had it.
    pub(super) async fn take_up(driver: Driver, cancel: CancellationToken) -> Result<Self, JournalError> {
        let id = driver.rollout;
        let facts = driver.journal.facts(id).await?;
        let rollout = Rollout::replay(id, &facts)
            .map_err(|illegal| JournalError::Broken(format!("rollout {id} cannot be read back: {illegal}")))?;
        // What was begun by another process may have happened.
        let is_new = rollout.pending().is_none();
        let needs_lock = rollout.has_lock() && (rollout.is_open() || rollout.outcome() == Some(Outcome::Stuck));
        let mut drive = Self::new(driver, rollout, cancel);
        drive.may_have_happened = !is_new;
        if needs_lock {
            match drive.driver.journal.take_lock(id).await? {
                Claim::Taken { token } => drive.keep(vec![Fact::Locked { token }]).await?,
                Claim::Held { .. } => return Err(JournalError::Fenced),
            }
        }
        Ok(drive)
    }
}
