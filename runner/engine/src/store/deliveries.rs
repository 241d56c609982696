//! Hooks as they came: kept whole before they are acknowledged, handed out until they are done, listed, replayed.
//!
//! A delivery is known again by its id, and by its body for a day, since forges do not sign the id. It does not judge
//! signatures (that is the server's) and does not read payloads.
//! Follows <https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries>.

mod rows;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use workflow::event::{Event, Forge};
use workflow::run::Recorded;

use super::database::Database;
use super::runs;
use super::sqlite::{NewRun, RunNumbers};
use super::{RunId, StoreError};
use crate::service::RunSpec;

/// The same body under another id is the same delivery for this long (W04).
pub const SAME_BODY_HOURS: i64 = 24;
/// Deliveries are kept at least this long, so that a replay is known (W03).
pub const KEPT_DAYS_MIN: i64 = 7;
/// Most rows of one list.
pub const LISTED_MAX: usize = 500;

/// Tells that a delivery is our own; no header of this name is kept of one that came from outside.
pub const ORIGIN_HEADER: &str = "pipe-origin";

/// A hook whose signature was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The forge's id of the delivery, unique.
    pub guid: String,
    /// Who sent it.
    pub forge: Forge,
    /// The forge's name of the event, such as `push` or `Push Hook`.
    pub event: String,
    /// Full name of the repository that it is about, as registered.
    pub repository: String,
    /// When it came.
    pub received_at: Timestamp,
    /// SHA-256 of the body.
    pub sha256: [u8; 32],
    /// Headers that matter later (never the signature or a token), name and value.
    pub headers: Vec<(String, String)>,
    /// The payload as JSON text, as signed (of a form: its `payload` field).
    pub body: Vec<u8>,
    /// Why nothing will come of it, if that is known already.
    pub ignored: Option<String>,
}

/// What became of the attempt to keep one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is new and on disk.
    New {
        /// Its number.
        number: u64,
    },
    /// It was there: the same id and body, or the same body within a day.
    Duplicate {
        /// The number of the first one.
        number: u64,
    },
    /// The id was used for another body.
    Conflict,
}

/// How far a delivery is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "reason")]
pub enum DeliveryState {
    /// It waits to be looked at.
    Received,
    /// It made these runs (possibly none, where no workflow was triggered).
    Processed,
    /// Nothing comes of it, and why.
    Ignored(String),
    /// It should have made runs and could not, and why.
    Failed(String),
}

/// One delivery, without its body.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Delivery {
    /// Its number, counted up in the order in which they came.
    pub number: u64,
    /// The forge's id.
    pub guid: String,
    /// Who sent it.
    pub forge: Forge,
    /// The forge's name of the event.
    pub event: String,
    /// Full name of the repository.
    pub repository: String,
    /// When it came, to the millisecond.
    pub received_at: Timestamp,
    /// How far it is.
    #[serde(flatten)]
    pub state: DeliveryState,
    /// The runs that it made.
    pub runs: Vec<RunId>,
}

/// One delivery with everything that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeDelivery {
    /// What listing shows.
    pub delivery: Delivery,
    /// Headers that were kept.
    pub headers: Vec<(String, String)>,
    /// The payload as JSON text.
    pub body: Vec<u8>,
}

/// Which deliveries to list; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this repository.
    pub repository: Option<String>,
    /// In this state (its name: `received`, `processed`, `ignored`, `failed`).
    pub state: Option<String>,
    /// Older than this number, to go on with a list.
    pub before: Option<u64>,
    /// At most this many; never more than [`LISTED_MAX`].
    pub limit: usize,
}

/// A push of which a run may have been made already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamePush {
    /// Its delivery.
    pub number: u64,
    /// Whose.
    pub forge: Forge,
    /// Full name of the repository.
    pub repository: String,
    /// The ref, such as `refs/heads/main`.
    pub git_ref: String,
    /// Where it is now.
    pub sha: String,
    /// When it came.
    pub at: Timestamp,
}

/// Why nothing comes of a push that deleted a ref.
#[must_use]
pub fn deleted_reason(git_ref: &str) -> String {
    format!("the push deleted `{git_ref}`")
}

impl WholeDelivery {
    /// What it tells. Deliveries of our own (schedules, runs) speak GitHub's language whatever the forge.
    ///
    /// # Errors
    /// It is no event, and why.
    pub fn event(&self) -> Result<Event, String> {
        let json = serde_json::from_slice(&self.body).map_err(|error| error.to_string())?;
        let is_ours = self.headers.iter().any(|(name, _)| name == ORIGIN_HEADER);
        let read = if is_ours {
            Event::parse_own(&self.delivery.event, json)
        } else {
            Event::from_forge(self.delivery.forge, &self.delivery.event, json)
        };
        read.map_err(|error| error.to_string())
    }
}

/// A delivery made ready to be kept by a transaction of somebody else.
pub(in crate::store) struct Ready {
    delivery: NewDelivery,
    packed: rows::Packed,
}

impl Ready {
    pub(in crate::store) fn new(delivery: NewDelivery) -> Self {
        let packed = rows::Packed::new(&delivery.body);
        Self { delivery, packed }
    }

    pub(in crate::store) fn insert(&self, connection: &rusqlite::Connection) -> rusqlite::Result<Kept> {
        rows::insert(connection, &self.delivery, &self.packed)
    }
}

/// A run that a delivery makes.
pub struct RunOfDelivery {
    /// Its row.
    pub run: NewRun,
    /// What it was asked for; absent where nobody will carry it.
    pub spec: Option<RunSpec>,
    /// Its first facts, once its numbers are known.
    pub facts: Box<dyn FnOnce(RunNumbers) -> Vec<Recorded> + Send>,
}

impl std::fmt::Debug for RunOfDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunOfDelivery").field("run", &self.run).finish_non_exhaustive()
    }
}

/// The deliveries in a database.
#[derive(Debug, Clone)]
pub struct Deliveries {
    database: Database,
}

impl Deliveries {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// Whether the database takes writes.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Keeps a delivery, or finds that it is known. What is answered is on disk.
    ///
    /// # Errors
    /// It is not kept.
    pub async fn keep(&self, delivery: NewDelivery) -> Result<Kept, StoreError> {
        let packed = rows::Packed::new(&delivery.body);
        self.database.write_surely(move |transaction| rows::insert(transaction, &delivery, &packed)).await
    }

    /// Of each repository with deliveries that wait the oldest one; at most [`LISTED_MAX`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waiting(&self) -> Result<Vec<Delivery>, StoreError> {
        self.database.read(rows::waiting).await
    }

    /// The oldest delivery of a repository that waits.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next_of(&self, forge: Forge, repository: &str) -> Result<Option<Delivery>, StoreError> {
        let repository = repository.to_owned();
        self.database.read(move |connection| rows::next_of(connection, forge, &repository)).await
    }

    /// One delivery, whole.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn show(&self, number: u64) -> Result<Option<WholeDelivery>, StoreError> {
        self.database.read(move |connection| rows::whole(connection, number)).await
    }

    /// The number of the delivery with this id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, guid: &str) -> Result<Option<u64>, StoreError> {
        let guid = guid.to_owned();
        self.database.read(move |connection| rows::find(connection, &guid)).await
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.database.read(move |connection| rows::list(connection, &filter)).await
    }

    /// Ends a delivery that makes no runs. Nothing happens to one that is not waiting any more.
    ///
    /// # Errors
    /// The database said no.
    pub async fn finish(&self, number: u64, state: DeliveryState) -> Result<bool, StoreError> {
        self.database.write_surely(move |transaction| rows::finish(transaction, number, &state, &[])).await
    }

    /// Makes the runs of a delivery with their first facts and ends it, all in one transaction: killed at any moment,
    /// either all of it is there or the delivery is handed out again. `None` if it was not waiting any more.
    ///
    /// # Errors
    /// The database said no; nothing was written.
    pub async fn make_runs(
        &self,
        number: u64,
        runs: Vec<RunOfDelivery>,
    ) -> Result<Option<Vec<RunNumbers>>, StoreError> {
        let runs = runs::NewRuns::of(self.database.path(), runs)?;
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            if !rows::is_waiting(transaction, number)? {
                return Ok(None);
            }
            let made = runs.insert(transaction)?;
            let ids: Vec<_> = made.iter().map(|numbers| numbers.id).collect();
            rows::finish(transaction, number, &DeliveryState::Processed, &ids)?;
            Ok(Some(made))
        };
        self.database.write_surely(write).await
    }

    /// The latest run of a push to the same ref, if it is of the same commit and a day old at most (W04): the same push
    /// told twice, by two hooks or with another id and body. None if the ref was deleted since, or if somebody wants the
    /// delivery looked at again.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn same_push(&self, push: SamePush) -> Result<Option<RunId>, StoreError> {
        self.database.read(move |connection| rows::same_push(connection, &push)).await
    }

    /// Lets a delivery wait again, whatever became of it. False if there is none.
    ///
    /// # Errors
    /// The database said no.
    pub async fn replay(&self, number: u64) -> Result<bool, StoreError> {
        self.database.write_surely(move |transaction| rows::replay(transaction, number)).await
    }

    /// Removes those that are over and older than `kept` (never less than [`KEPT_DAYS_MIN`]); how many.
    ///
    /// # Errors
    /// The database said no.
    pub async fn prune(&self, now: Timestamp, kept: Duration) -> Result<usize, StoreError> {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX).max(KEPT_DAYS_MIN * 24 * 3_600_000);
        let before = now.as_millisecond().saturating_sub(kept);
        self.database.write_surely(move |transaction| rows::prune(transaction, before)).await
    }
}
