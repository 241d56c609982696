//! What people do with local runs from another process: review and cancel. An order is left for whoever carries the run,
//! and is answered once it is recorded; where nobody carries it now, it counts when the run goes on.

use std::time::Duration;

use jiff::Timestamp;
use workflow::run::{Conclusion, EVENT_VERSION, Recorded, RunEvent};

use super::{LocalRun, Order};
use crate::folders::Folders;
use crate::service::{Reviewer, ServiceError, Verdict, waiting};
use crate::store::listing::Listing;
use crate::store::{Database, RunId, RunLog as _, SqliteStore, StoreError};

/// How long a process that carries a run may take to record an order.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
/// Between two looks at the log of another process.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Steers runs of `pipe run`.
#[derive(Debug, Clone)]
pub struct LocalSteering {
    store: SqliteStore,
    listing: Listing,
    folders: Folders,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// It is recorded.
    Recorded,
    /// Nobody carries the run now; it counts when the run goes on.
    Kept,
}

impl LocalSteering {
    /// Of the runs in a folder.
    #[must_use]
    pub fn on(database: Database, folders: Folders) -> Self {
        Self { store: SqliteStore::on(database.clone()), listing: Listing::on(database), folders }
    }

    /// Lets the jobs that wait at an environment go on, or fails them; at all environments where its name is empty.
    ///
    /// # Errors
    /// The run is over, nothing waits there, or what waits is not what was seen. Here everybody who may use the folder is
    /// a reviewer.
    pub async fn review(&self, run: RunId, by: &Reviewer, of: Verdict) -> Result<Ordered, ServiceError> {
        let facts = self.unfinished(run).await?;
        let mut meant = waiting(&facts);
        let environment = &of.environment;
        if !environment.is_empty() {
            meant.retain(|waiting| waiting.environment.eq_ignore_ascii_case(environment));
        }
        if meant.is_empty() {
            let environment = if environment.is_empty() { "any environment" } else { environment };
            return Err(ServiceError::NotWaiting { run, environment: environment.to_owned() });
        }
        let mut ordered = Ordered::Recorded;
        for waiting in meant {
            let environment = waiting.environment.clone();
            if of.subject.as_ref().is_some_and(|seen| *seen != waiting.subject()) {
                return Err(ServiceError::Changed { run, environment });
            }
            if waiting.gates.values().all(|gate| gate.has_review_of(&by.name)) {
                return Err(ServiceError::Reviewed { by: by.name.clone(), run, environment });
            }
            let order = Order::Review {
                environment,
                approved: of.approved,
                by: by.name.clone(),
                comment: of.comment.clone(),
                subjects: waiting.gates.values().map(|gate| gate.terms.subject.clone()).collect(),
            };
            let is_answer = |event: &RunEvent| matches!(event, RunEvent::Reviewed { key, by: who, .. } if waiting.gates.contains_key(key) && *who == by.name);
            ordered = self.order(run, &order, facts.len(), &is_answer).await?;
        }
        Ok(ordered)
    }

    /// Stops a run. One that nobody carries is over with that: it will not go on.
    ///
    /// # Errors
    /// There is none, or it is over.
    pub async fn cancel(&self, run: RunId, by: &str, force: bool) -> Result<Ordered, ServiceError> {
        let facts = self.unfinished(run).await?;
        let carrier = LocalRun::of(&self.folders, run).carry().map_err(|error| self.unwritten(run, &error))?;
        if carrier.is_some() {
            let last = facts.last().map_or(0, |fact| fact.seq);
            let message = format!("cancelled by {by} while no process carried it");
            let events = [
                RunEvent::RunCancelRequested { by: by.to_owned(), force },
                RunEvent::RunRefused { message },
                RunEvent::RunFinished { conclusion: Conclusion::Cancelled },
            ];
            let at = Timestamp::now();
            let facts = (last + 1..).zip(events).map(|(seq, event)| Recorded { v: EVENT_VERSION, seq, at, event });
            self.store.append(run, &facts.collect::<Vec<_>>()).await?;
            return Ok(Ordered::Recorded);
        }
        let order = Order::Cancel { by: by.to_owned(), force };
        let is_answer = |event: &RunEvent| matches!(event, RunEvent::RunCancelRequested { .. });
        self.order(run, &order, facts.len(), &is_answer).await
    }

    fn unwritten(&self, run: RunId, error: &std::io::Error) -> ServiceError {
        let path = self.folders.logs(run).display().to_string();
        ServiceError::Store(StoreError::File { action: "write an order beside", path, reason: error.to_string() })
    }

    async fn unfinished(&self, run: RunId) -> Result<Vec<Recorded>, ServiceError> {
        let row = self.listing.one(run).await?.ok_or(ServiceError::NoSuchRun(run))?;
        if row.conclusion.is_some() {
            return Err(ServiceError::Over(run));
        }
        Ok(self.listing.log(run).await?)
    }

    /// Leaves an order, and waits until it is recorded behind the first `before` facts.
    async fn order(
        &self,
        run: RunId,
        order: &Order,
        before: usize,
        is_answer: &(dyn Fn(&RunEvent) -> bool + Send + Sync),
    ) -> Result<Ordered, ServiceError> {
        let files = LocalRun::of(&self.folders, run);
        files.orders().post(order).map_err(|error| self.unwritten(run, &error))?;
        let deadline = tokio::time::Instant::now() + ANSWER_TIME_MAX;
        loop {
            // Before the log is read: a process that has just ended has recorded what it took.
            let is_carried = files.is_carried();
            let facts = self.listing.log(run).await?;
            if facts.iter().skip(before).any(|fact| is_answer(&fact.event)) {
                return Ok(Ordered::Recorded);
            }
            if facts.iter().any(|fact| matches!(fact.event, RunEvent::RunFinished { .. })) {
                return Err(ServiceError::Over(run));
            }
            if !is_carried {
                return Ok(Ordered::Kept);
            }
            if tokio::time::Instant::now() > deadline {
                return Err(ServiceError::NotAnswered(run));
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}
