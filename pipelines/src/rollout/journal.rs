//! The journal of rollouts in the database.

use std::time::Duration;

use async_trait::async_trait;
use engine::store::rollouts::{Addition, LockAnswer, NotAdded, RolloutState, Rollouts};
use jiff::Timestamp;
use rollout::lock::Rival;
use rollout::view::Phase;
use rollout::{Fact, Order, Plan, View};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Mutex, watch};

use super::{Claim, Journal, JournalError, OrderGiven};

/// How often other processes are looked for: what they write wakes nobody here.
const OTHERS_EVERY: Duration = Duration::from_secs(1);
/// What was seen at each look: a few kB every second, of use only for as long as the rollout is carried.
const LOOKS: &str = "observed";

/// Facts, locks and orders in a database.
#[derive(Debug)]
pub struct StoredJournal {
    rollouts: Rollouts,
    changed: Mutex<watch::Receiver<u64>>,
}

impl StoredJournal {
    /// Those of these rollouts.
    #[must_use]
    pub fn of(rollouts: Rollouts) -> Self {
        let changed = Mutex::new(rollouts.changed());
        Self { rollouts, changed }
    }
}

fn broken(error: impl std::fmt::Display) -> JournalError {
    JournalError::Broken(error.to_string())
}

pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, JournalError> {
    serde_json::from_value(value).map_err(|error| broken(format!("what is recorded cannot be read: {error}")))
}

pub(super) fn written<T: serde::Serialize>(value: &T) -> Result<Value, JournalError> {
    serde_json::to_value(value).map_err(broken)
}

/// What a rollout was asked to do; `None`: there is no such rollout.
pub(super) async fn planned(rollouts: &Rollouts, rollout: u64) -> Result<Option<Plan>, JournalError> {
    match rollouts.first_fact(rollout).await.map_err(broken)?.map(read).transpose()? {
        Some(Fact::Planned { plan, .. }) => Ok(Some(*plan)),
        Some(_) => Err(broken(format!("rollout {rollout} does not begin with its plan"))),
        None => Ok(None),
    }
}

/// Its word as it is stored.
fn order(word: String) -> Result<Order, JournalError> {
    read(Value::String(word))
}

#[async_trait]
impl Journal for StoredJournal {
    async fn facts(&self, rollout: u64) -> Result<Vec<(Timestamp, Fact)>, JournalError> {
        let facts = self.rollouts.facts(rollout).await.map_err(broken)?;
        facts.into_iter().map(|(at, fact)| Ok((at, read(fact)?))).collect()
    }

    async fn append(
        &self,
        rollout: u64,
        token: Option<u64>,
        expected: u64,
        facts: &[(Timestamp, Fact)],
        view: &View,
        is_open: bool,
    ) -> Result<(), JournalError> {
        let state = match (view.outcome, is_open) {
            (None, _) => RolloutState::Active,
            (Some(_), true) => RolloutState::Ended,
            (Some(_), false) => RolloutState::Closed,
        };
        let facts = facts.iter().map(|(at, fact)| Ok((*at, written(fact)?)));
        let facts = facts.collect::<Result<_, JournalError>>()?;
        let addition = Addition { seq: expected, token, facts, view: written(view)?, state, passing: Some(LOOKS) };
        self.rollouts.append(rollout, addition).await.map_err(|error| match error {
            NotAdded::Overtaken(_) => JournalError::Fenced,
            NotAdded::Store(error) => broken(error),
        })
    }

    async fn rivals(&self, rollout: u64) -> Result<Vec<Rival>, JournalError> {
        let rows = self.rollouts.rivals(rollout).await.map_err(broken)?;
        let rival = |row: engine::store::rollouts::RivalRow| {
            let view: View = read(row.rollout.view)?;
            let Fact::Planned { plan, .. } = read(row.first)? else {
                return Err(broken(format!("rollout {} does not begin with its plan", row.rollout.id)));
            };
            let is_waiting = row.rollout.state == RolloutState::Active && view.phase == Phase::Waiting;
            Ok(Rival { id: row.rollout.id, has_lock: row.has_lock, is_waiting, on_active: plan.on_active })
        };
        rows.into_iter().map(rival).collect()
    }

    async fn take_lock(&self, rollout: u64) -> Result<Claim, JournalError> {
        Ok(match self.rollouts.take_lock(rollout).await.map_err(broken)? {
            LockAnswer::Taken(token) => Claim::Taken { token },
            LockAnswer::Held(by) => Claim::Held { by },
        })
    }

    async fn release_lock(&self, rollout: u64, token: u64) -> Result<(), JournalError> {
        self.rollouts.release_lock(rollout, token).await.map_err(broken)
    }

    async fn orders_after(&self, rollout: u64, last: u64) -> Result<Vec<OrderGiven>, JournalError> {
        let rows = self.rollouts.orders_after(rollout, last).await.map_err(broken)?;
        let given = |row: engine::store::rollouts::OrderRow| {
            Ok(OrderGiven { number: row.id, order: order(row.word)?, by: row.actor, comment: row.comment })
        };
        rows.into_iter().map(given).collect()
    }

    async fn changed(&self) {
        let mut changed = self.changed.lock().await;
        // Its sender lives in `rollouts`, so it can only say that something changed.
        let _timed_out = tokio::time::timeout(OTHERS_EVERY, changed.changed()).await;
    }
}
