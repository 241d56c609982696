//! Messages to other servers that must arrive: kept with the place in the run's log that they were made from, handed
//! out in order, tried again until they are taken or given up.
//!
//! Making messages and noting how far a run is reported are one transaction, so that a killed process neither loses nor
//! doubles one. An attempt is noted before it begins: one that was interrupted is handed out again as *uncertain*, and
//! whoever sends it looks first whether it has arrived. It knows nothing of what messages say or how they are sent.
//! Follows <https://microservices.io/patterns/data/transactional-outbox.html>.

mod people;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use workflow::run::Recorded;

pub use people::{HeldBack, Standing};

use super::approvals::Approvals;
use super::database::Database;
use super::deliveries::{NewDelivery, Ready};
use super::deployments::{self, DeploymentChange};
use super::{RunId, StoreError};

/// Most rows of one list.
pub const LISTED_MAX: usize = 500;
/// Longest text about what went wrong that is kept, in bytes.
pub const PROBLEM_BYTES_MAX: usize = 1_000;
/// Facts of a run that are read at once.
pub const FACTS_READ_MAX: usize = 2_000;
/// The time in which messages for people are counted.
pub const RATE_TIME: Duration = Duration::from_secs(60);

/// A message to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Who gets it: the name of a configured target, such as `github`.
    pub target: String,
    /// What it is to the target, such as `status`.
    pub kind: String,
    /// Messages of one lane arrive in the order in which they were made: `REPOSITORY COMMIT`.
    pub lane: String,
    /// What it tells about. A later message about the same replaces one that waits, where `replaces` is set.
    pub subject: String,
    /// Whether one about the same subject that still waits need not be sent any more.
    pub replaces: bool,
    /// For people: told once for each subject, kept when it has arrived, and held back where the target was sent so many
    /// within [`RATE_TIME`]. `None`: for a machine, which wants all and of which nothing is kept.
    pub at_most: Option<u32>,
    /// What it says, as JSON; the form is the target's.
    pub body: String,
}

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number; counted up in the order in which they were made.
    pub id: u64,
    /// See [`NewMessage::target`].
    pub target: String,
    /// See [`NewMessage::kind`].
    pub kind: String,
    /// See [`NewMessage::lane`].
    pub lane: String,
    /// See [`NewMessage::subject`].
    pub subject: String,
    /// See [`NewMessage::body`].
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether an earlier attempt may have arrived.
    pub uncertain: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A message whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its number.
    pub id: u64,
    /// See [`NewMessage::target`].
    pub target: String,
    /// See [`NewMessage::lane`].
    pub lane: String,
}

/// A message in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// Its number.
    pub id: u64,
    /// Who gets it.
    pub target: String,
    /// What it is.
    pub kind: String,
    /// Its repository and commit.
    pub lane: String,
    /// What it tells about.
    pub subject: String,
    /// How far it is.
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub not_before: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// What went wrong last.
    pub problem: Option<String>,
}

/// How far a message is. One that arrived is kept if it was for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its turn or its next attempt.
    Waiting,
    /// It is being sent.
    Sending,
    /// It was refused, or tried for too long.
    GivenUp,
    /// It is there.
    Arrived,
    /// There were too many; a summary will tell of it.
    Held,
    /// A summary told of it.
    Gathered,
}

/// How far a run is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The run.
    pub run: RunId,
    /// Number of the last fact that was looked at; 0: none.
    pub seq: u64,
}

/// What facts of a run come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// For others.
    pub messages: Vec<NewMessage>,
    /// For our own lists.
    pub deployments: Vec<DeploymentChange>,
    /// For workflows that follow the run's.
    pub deliveries: Vec<NewDelivery>,
}

/// What waits, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait or are being sent.
    pub open: u64,
    /// Messages that were given up and are still kept.
    pub given_up: u64,
}

/// The messages in a database.
#[derive(Debug, Clone)]
pub struct Outbox {
    database: Database,
}

impl Outbox {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// Reviews that mails ask for, in the same database.
    pub(crate) fn approvals(&self) -> Approvals {
        Approvals::on(self.database.clone())
    }

    /// To be called once before runs are made and messages are handed out: attempts that a killed process began are
    /// uncertain, and in a database that never reported, runs that are over count as reported. How many were uncertain.
    ///
    /// # Errors
    /// The database said no.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        self.database.write_surely(|transaction| rows::recover(transaction)).await
    }

    /// Takes in runs that were made since, and gives those of which facts are not reported.
    ///
    /// # Errors
    /// The database said no.
    pub async fn open_runs(&self) -> Result<Vec<Position>, StoreError> {
        let is_new = self.database.read(rows::has_new_runs).await?;
        if is_new {
            self.database.write_surely(|transaction| rows::take_in(transaction)).await?;
        }
        self.database.read(rows::open_runs).await
    }

    /// The facts of a run behind a place in its log, at most [`FACTS_READ_MAX`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn facts(&self, run: RunId, after: u64) -> Result<Vec<Recorded>, StoreError> {
        self.database.read(move |connection| rows::facts(connection, run, after)).await
    }

    /// Keeps news of a run, and that its log is reported up to `to`; all or nothing. False, and nothing is kept, if it
    /// was not reported up to `from` exactly: somebody else was faster.
    ///
    /// # Errors
    /// The database said no; nothing was written.
    pub async fn record(
        &self,
        from: Position,
        to: u64,
        is_over: bool,
        news: News,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let deliveries: Vec<_> = news.deliveries.into_iter().map(Ready::new).collect();
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            if !rows::move_on(transaction, from, to, is_over)? {
                return Ok(false);
            }
            // One that is there already was made of the same fact.
            deliveries.iter().try_for_each(|ready| ready.insert(transaction).map(drop))?;
            deployments::keep(transaction, from.run, &news.deployments)?;
            rows::insert(transaction, &news.messages, now).map(|()| true)
        };
        self.database.write_surely(write).await
    }

    /// Keeps messages that come of no run's log.
    ///
    /// # Errors
    /// The database said no; nothing was written.
    pub async fn put(&self, messages: Vec<NewMessage>, now: Timestamp) -> Result<(), StoreError> {
        self.database.write_surely(move |transaction| rows::insert(transaction, &messages, now)).await
    }

    /// The first message of each lane, where it may be tried now; the oldest first, at most `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
        self.database.read(move |connection| rows::due(connection, now, limit)).await
    }

    /// When the next message may be tried that may not be tried at `now`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.database.read(move |connection| rows::next_due(connection, now)).await
    }

    /// Notes that an attempt begins and gives the message; `None` if it does not wait any more.
    ///
    /// # Errors
    /// The database said no.
    pub async fn begin(&self, id: u64) -> Result<Option<Message>, StoreError> {
        self.database.write_surely(move |transaction| rows::begin(transaction, id)).await
    }

    /// The message arrived; `remote` is what the other side calls what it made.
    ///
    /// # Errors
    /// The database said no.
    pub async fn arrived(&self, id: u64, remote: Option<String>, now: Timestamp) -> Result<(), StoreError> {
        self.database.write_surely(move |transaction| rows::arrived(transaction, id, remote.as_deref(), now)).await
    }

    /// The attempt failed; there will be another. `uncertain`: it may have arrived all the same. An attempt that was
    /// never made (`counts` is false) is not counted.
    ///
    /// # Errors
    /// The database said no.
    pub async fn failed(&self, id: u64, again: Again) -> Result<(), StoreError> {
        self.database.write_surely(move |transaction| rows::failed(transaction, id, &again)).await
    }

    /// Nobody needs it any more.
    ///
    /// # Errors
    /// The database said no.
    pub async fn drop_message(&self, id: u64) -> Result<(), StoreError> {
        self.database.write_surely(move |transaction| rows::drop_message(transaction, id)).await
    }

    /// There will be no further attempt.
    ///
    /// # Errors
    /// The database said no.
    pub async fn give_up(&self, id: u64, problem: String) -> Result<(), StoreError> {
        self.database.write_surely(move |transaction| rows::give_up(transaction, id, &problem)).await
    }

    /// Lets one that was given up wait again. False if there is none.
    ///
    /// # Errors
    /// The database said no.
    pub async fn retry(&self, id: u64, now: Timestamp) -> Result<bool, StoreError> {
        self.database.write_surely(move |transaction| rows::retry(transaction, id, now)).await
    }

    /// What the target calls the thing that messages of this subject made.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn remote(&self, target: &str, subject: &str) -> Result<Option<String>, StoreError> {
        let (target, subject) = (target.to_owned(), subject.to_owned());
        self.database.read(move |connection| rows::remote(connection, &target, &subject)).await
    }

    /// Notes what a target calls a thing, while a message about it is on its way.
    ///
    /// # Errors
    /// The database said no.
    pub async fn note(&self, target: &str, subject: &str, remote: &str, now: Timestamp) -> Result<(), StoreError> {
        let (target, subject, remote) = (target.to_owned(), subject.to_owned(), remote.to_owned());
        let write =
            move |transaction: &rusqlite::Transaction<'_>| rows::note(transaction, &target, &subject, &remote, now);
        self.database.write_surely(write).await
    }

    /// Messages that have not arrived, newest first, older than `before`, at most [`LISTED_MAX`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let limit = limit.min(LISTED_MAX);
        self.database.read(move |connection| rows::list(connection, before, limit)).await
    }

    /// How much waits.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn depth(&self) -> Result<Depth, StoreError> {
        self.database.read(rows::depth).await
    }

    /// Whether the run before it of the same workflow on the same ref failed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn had_failed_before(&self, run: RunId) -> Result<bool, StoreError> {
        self.database.read(move |connection| rows::had_failed_before(connection, run)).await
    }

    /// For the server's numbers: runs that are not over by status, and hooks that wait.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn standing(&self) -> Result<(BTreeMap<String, u64>, u64), StoreError> {
        self.database.read(rows::standing).await
    }

    /// Forgets what was given up and what other sides call things, where older than `kept`; how many.
    ///
    /// # Errors
    /// The database said no.
    pub async fn prune(&self, now: Timestamp, kept: Duration) -> Result<usize, StoreError> {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let before = now.as_millisecond().saturating_sub(kept);
        self.database.write_surely(move |transaction| rows::prune(transaction, before)).await
    }
}

/// How to go on after an attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// When it may be tried again.
    pub not_before: Timestamp,
    /// Whether it may have arrived.
    pub uncertain: bool,
    /// Whether it counts as an attempt; false where nothing was sent.
    pub counts: bool,
    /// What went wrong.
    pub problem: String,
}
