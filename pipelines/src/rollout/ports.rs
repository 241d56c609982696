//! What a driver needs of the world: a place where facts are kept, a target, and whoever runs scripts.
//!
//! The real forms (the server's database, Docker and the proxy, a job) and those of the tests are equals.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollout::lock::Rival;
use rollout::plan::{Hook, Revision};
use rollout::{Call, Fact, Observation, Order, Plan, View};
use serde_json::Value;

/// Whom a call or a look is about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The rollout.
    pub rollout: u64,
    /// The fencing token under which it has the lock; 0 before it has it.
    pub token: u64,
    /// What is asked for.
    pub plan: Arc<Plan>,
    /// What stood when it began, as [`Call::Preflight`] found it; `None` before that, and at a first deployment.
    pub blue: Option<Revision>,
    /// What comes: [`Plan::reuse`] if preflight found it warm, else a revision with this rollout's number.
    pub green: Revision,
}

/// A call, for [`Target::perform`].
#[derive(Debug, Clone)]
pub struct CallOrder {
    /// Whom it is about.
    pub subject: Subject,
    /// Its number in the rollout: (rollout, effect) names it for ever.
    pub effect: u32,
    /// What.
    pub call: Call,
}

/// Why a call did not happen, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct CallError {
    /// Whether the same call may succeed a little later.
    pub is_transient: bool,
    /// Lower case, with the cause and what to do.
    pub words: String,
}

impl CallError {
    /// One that may be gone a little later: the driver tries again, with growing pauses.
    pub fn transient(words: impl Into<String>) -> Self {
        Self { is_transient: true, words: words.into() }
    }

    /// One that stays.
    pub fn last(words: impl Into<String>) -> Self {
        Self { is_transient: false, words: words.into() }
    }
}

/// Where a service is deployed to.
///
/// Its future may be dropped at any point, as its process may be killed at any point: what it had begun is then found by
/// [`Self::look_up`], and a call that is performed again has no second effect.
#[async_trait]
pub trait Target: Send + Sync + fmt::Debug {
    /// Performs a call. What it gives is kept with the rollout: for [`Call::Preflight`] a
    /// [`Found`](rollout::fact::Found) as JSON, for [`Call::StopGreen`] what is left to know of green (`logs`, `exit_codes`), for
    /// [`Call::StopBlue`] how many requests were cut off (`cut`).
    ///
    /// # Errors
    /// Why it did not happen. A destructive call on what carries traffic is refused.
    async fn perform(&self, order: &CallOrder) -> Result<Value, CallError>;

    /// Whether a call whose outcome nobody knows has happened, with what it gave; `None`: it has not, or doing it (again)
    /// is harmless.
    ///
    /// # Errors
    /// If it cannot be told now.
    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError>;

    /// How long a call may take, where the target waits for somebody who takes longer than usual; `None`: as usual.
    fn patience(&self, _call: &Call) -> Option<SignedDuration> {
        None
    }

    /// What is seen of both colours now. Counters start with the rollout and only grow.
    ///
    /// # Errors
    /// If nothing can be seen now. One time is nothing; it goes back when this lasts.
    async fn observe(&self, subject: &Subject) -> Result<Observation, CallError>;
}

/// Whoever runs the scripts of [`Call::Hook`]: the job that started the rollout.
#[async_trait]
pub trait Hooks: Send + Sync + fmt::Debug {
    /// Runs the scripts of the stage, one after another. May be dropped: then they are ended.
    ///
    /// # Errors
    /// The end of the script's output, if it failed; transient if the job is only not there now.
    async fn run(&self, order: &CallOrder, scripts: &[Hook]) -> Result<Value, CallError>;

    /// Whether a script whose outcome nobody knows has ended well; `None`: it is to be run again.
    ///
    /// # Errors
    /// If it cannot be told now.
    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError>;
}

/// An order that somebody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderGiven {
    /// Its number; later ones are higher.
    pub number: u64,
    /// What.
    pub order: Order,
    /// Who.
    pub by: String,
    /// What they said.
    pub comment: String,
}

/// What became of a request for the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is ours, under a token that is higher than any before (also if it was ours already).
    Taken {
        /// The token.
        token: u64,
    },
    /// Another rollout has it.
    Held {
        /// Which.
        by: u64,
    },
}

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another process drives this rollout, or has taken the lock: this one must stop at once and touch nothing.
    #[error("another process has taken this rollout over")]
    Fenced,
    /// The store is broken.
    #[error("the rollout's facts could not be kept: {0}")]
    Broken(String),
}

/// Where facts, locks and orders are kept.
#[async_trait]
pub trait Journal: Send + Sync + fmt::Debug {
    /// All facts of a rollout, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn facts(&self, rollout: u64) -> Result<Vec<(Timestamp, Fact)>, JournalError>;

    /// Keeps facts behind the `expected` ones that are there, with the view that they make, all or nothing. It is on the disk when this
    /// returns.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] if there are not `expected` facts, or `token` is given and the lock's is another one.
    async fn append(
        &self,
        rollout: u64,
        token: Option<u64>,
        expected: u64,
        facts: &[(Timestamp, Fact)],
        view: &View,
        is_open: bool,
    ) -> Result<(), JournalError>;

    /// The other rollouts of the same environment and service that are open or have the lock.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn rivals(&self, rollout: u64) -> Result<Vec<Rival>, JournalError>;

    /// Takes the lock of its environment and service.
    ///
    /// # Errors
    /// If it could not be written.
    async fn take_lock(&self, rollout: u64) -> Result<Claim, JournalError>;

    /// Gives the lock back; nothing if it is not ours under this token.
    ///
    /// # Errors
    /// If it could not be written.
    async fn release_lock(&self, rollout: u64, token: u64) -> Result<(), JournalError>;

    /// Orders behind the one with this number, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn orders_after(&self, rollout: u64, last: u64) -> Result<Vec<OrderGiven>, JournalError>;

    /// Returns when an order or a lock may have changed since the last call: at once is right, never is wrong.
    async fn changed(&self);
}
