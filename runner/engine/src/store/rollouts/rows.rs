//! What is kept of rollouts, and what is asked for.

use jiff::Timestamp;
use serde_json::Value;

use crate::store::{RunId, StoreError};

/// A rollout to be kept.
#[derive(Debug, Clone)]
pub struct NewRollout {
    /// Of the step that asks: asked twice, it is one rollout.
    pub key: String,
    /// Where to.
    pub environment: String,
    /// What.
    pub service: String,
    /// `owner/name`.
    pub repository: String,
    /// The run that asks, if one does.
    pub run: Option<RunId>,
    /// Its job.
    pub job: String,
    /// Who asks.
    pub actor: String,
    /// What was approved.
    pub plan_hash: String,
    /// Its first fact.
    pub fact: Value,
    /// As people see it; without its number.
    pub view: Value,
    /// When.
    pub at: Timestamp,
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutState {
    /// It goes on.
    Active,
    /// It has ended and something is left to do, such as to stop the old one.
    Ended,
    /// Nothing is left to do.
    Closed,
}

impl RolloutState {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Closed => "closed",
        }
    }

    pub(super) fn of(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "ended" => Self::Ended,
            _ => Self::Closed,
        }
    }
}

/// A rollout as it is kept.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RolloutRow {
    /// Its number; newer ones have higher ones.
    pub id: u64,
    /// Of the step that asked.
    pub key: String,
    /// Where to.
    pub environment: String,
    /// What.
    pub service: String,
    /// `owner/name`.
    pub repository: String,
    /// The run that asked, if one did.
    pub run: Option<RunId>,
    /// Its job.
    pub job: String,
    /// Who asked.
    pub actor: String,
    /// What was approved.
    pub plan_hash: String,
    /// How far it is.
    pub state: RolloutState,
    /// How many facts there are.
    pub seq: u64,
    /// As people see it.
    pub view: Value,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When something happened last.
    pub updated_at: Timestamp,
}

/// A rollout that is not closed, as far as whoever looks for work needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRollout {
    /// Its number.
    pub id: u64,
    /// The run that asked, if one did.
    pub run: Option<RunId>,
    /// How far it is.
    pub state: RolloutState,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// Which to list.
#[derive(Debug, Clone, Default)]
pub struct RolloutFilter {
    /// Where to.
    pub environment: Option<String>,
    /// What.
    pub service: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Only those that are not closed (`true`) or are (`false`).
    pub open: Option<bool>,
    /// Older than this one.
    pub before: Option<u64>,
    /// At most this many; never more than [`super::LISTED_MAX`].
    pub limit: usize,
}

/// Facts to be added, and what the rollout is then.
#[derive(Debug, Clone)]
pub struct Addition {
    /// How many facts there are by now; with another number nothing is written.
    pub seq: u64,
    /// The token of whoever writes, if it has one; with another one given out nothing is written.
    pub token: Option<u64>,
    /// The facts.
    pub facts: Vec<(Timestamp, Value)>,
    /// As people see it.
    pub view: Value,
    /// How far it is.
    pub state: RolloutState,
    /// The kind of facts (their field `fact`) that nobody asks for any more once nothing is left to do; they are forgotten then.
    pub passing: Option<&'static str>,
}

/// Why facts were not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotAdded {
    /// Somebody else goes on with it.
    #[error("rollout {0} is carried on by another process")]
    Overtaken(u64),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What asking for a lock gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockAnswer {
    /// It is given, under this token.
    Taken(u64),
    /// That rollout has it.
    Held(u64),
}

/// Another rollout of the same service and environment.
#[derive(Debug, Clone, PartialEq)]
pub struct RivalRow {
    /// The rollout.
    pub rollout: RolloutRow,
    /// Whether it has the lock.
    pub has_lock: bool,
    /// Its first fact.
    pub first: Value,
}

/// What somebody ordered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OrderRow {
    /// Its number.
    pub id: u64,
    /// The rollout.
    pub rollout: u64,
    /// What.
    pub word: String,
    /// Who.
    pub actor: String,
    /// What they said.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}
