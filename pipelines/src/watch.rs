//! What nobody carries and everybody waits for: gates of jobs that ask people, and rollouts that went back. People are told of both,
//! and a gate whose job or run ended otherwise is closed, so that nobody is asked for nothing.
//!
//! Telling twice does no harm (the outbox knows what was told), so it begins anew with each start of a server.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::notify::{Herald, Notice, Occasion, ReviewWanted};
use engine::store::outbox::Outbox;
use engine::store::rollouts::{NotAdded, RolloutRow, Rollouts};
use engine::store::{RunId, StoreError};
use jiff::{SignedDuration, Timestamp};
use rollout::gate::Asks;
use rollout::{Cause, Outcome, Plan, View};
use serde::Deserialize as _;
use tokio_util::sync::CancellationToken;
use workflow::run::{Conclusion, RunEvent};

use crate::action::approve::{GateError, end_gate};

/// How often it looks without being told: the end of a job is no change of a rollout.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Who was not there for so long is not told that something went back.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// Lines of what a gate asks that are told.
const LINES_MAX: usize = 10;

/// Watches the rollouts of a server.
#[derive(Debug)]
pub struct Watch {
    rollouts: Rollouts,
    outbox: Outbox,
    herald: Herald,
    /// Gates, and rollouts, of which people were told by this process.
    told: BTreeSet<u64>,
    /// Up to which fact the run of a gate was read.
    read: BTreeMap<u64, u64>,
}

/// Why nothing is told or closed now.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error("a rollout cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Watch {
    /// Of these; `outbox` is of the same database.
    #[must_use]
    pub fn new(rollouts: Rollouts, outbox: Outbox, herald: Herald) -> Self {
        Self { rollouts, outbox, herald, told: BTreeSet::new(), read: BTreeMap::new() }
    }

    /// Watches until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changed = self.rollouts.changed();
        loop {
            changed.mark_unchanged();
            if let Err(error) = self.look(Timestamp::now()).await {
                tracing::warn!(%error, "people cannot be told of gates and rollouts now");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = changed.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&mut self, now: Timestamp) -> Result<(), WatchError> {
        let asking = self.rollouts.asking(None).await?;
        let open: BTreeSet<u64> = asking.iter().map(|row| row.id).collect();
        self.read.retain(|id, _| open.contains(id));
        for row in asking {
            if let Some(words) = self.over(&row).await? {
                match end_gate(&self.rollouts, row, (Outcome::Rejected, Some(Cause::Cancelled)), words, now).await {
                    // Its step was faster.
                    Ok(()) | Err(GateError::NotAdded(NotAdded::Overtaken(_))) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            if !self.told.contains(&row.id) {
                self.tell_gate(&row, now).await?;
                self.told.insert(row.id);
            }
        }
        for row in self.rollouts.ended_since(now - TOLD_WITHIN).await? {
            if self.told.insert(row.id) {
                self.tell_back(&row, now).await?;
            }
        }
        Ok(())
    }

    /// Why nobody has to answer a gate any more; `None`: its job waits.
    async fn over(&mut self, row: &RolloutRow) -> Result<Option<&'static str>, StoreError> {
        let Some(run) = row.run else { return Ok(None) };
        let read = self.read.entry(row.id).or_insert(0);
        loop {
            let facts = self.outbox.facts(run, *read).await?;
            let Some(last) = facts.last() else { return Ok(None) };
            *read = last.seq;
            let words = facts.iter().find_map(|fact| words_of_end(&fact.event, &row.job));
            if words.is_some() {
                // It is to be found again should the closing fail.
                self.read.remove(&row.id);
                return Ok(words);
            }
        }
    }

    async fn tell_gate(&self, row: &RolloutRow, now: Timestamp) -> Result<(), WatchError> {
        let Some(run) = row.run else { return Ok(()) };
        let fact = self.rollouts.first_fact(row.id).await?;
        let plan = fact.map(|fact| Plan::deserialize(&fact["plan"])).transpose()?;
        let Some(asks) = plan.as_ref().and_then(Asks::of) else { return Ok(()) };
        let view = View::deserialize(&row.view)?;
        let reviewers = if asks.reviewers.is_empty() {
            vec![format!("whoever may deploy to {}", row.environment)]
        } else {
            asks.reviewers
        };
        let asked = view.timeline.first().map(|line| line.words.clone()).unwrap_or_default();
        let lines = std::iter::once(asked.as_str()).chain(asks.details.lines());
        let notice = Notice {
            occasion: Occasion::Approval,
            subject: format!("gate {}", row.id),
            title: format!("Answer wanted for {}", row.environment),
            lines: lines.take(LINES_MAX).map(str::to_owned).collect(),
            repository: Some(row.repository.clone()),
            path: None,
            run: Some(run),
            environment: Some(row.environment.clone()),
            review: Some(ReviewWanted {
                reviewers,
                required: u32::try_from(asks.approvals).unwrap_or(u32::MAX),
                expires_at: view.next_at,
                url: self.herald.page(&format!("/runs/{run}/gates/{}", row.id)),
                gate: Some(row.id),
            }),
        };
        self.herald.tell(notice, now).await?;
        Ok(())
    }

    /// What went back, was put back by somebody, or cannot go back.
    async fn tell_back(&self, row: &RolloutRow, now: Timestamp) -> Result<(), WatchError> {
        let view = View::deserialize(&row.view)?;
        let place = format!("{} in {}", row.service, row.environment);
        let title = match view.outcome {
            Some(Outcome::RolledBack) => format!("Rolled back: {place}"),
            Some(Outcome::Succeeded) if view.rollback_of.is_some() => format!("Put back: {place}"),
            Some(Outcome::Stuck) => format!("Stuck, and needs somebody: {place}"),
            Some(Outcome::Succeeded | Outcome::Rejected) | None => return Ok(()),
        };
        let notice = Notice {
            occasion: Occasion::Rollback,
            subject: format!("rollback {}", row.id),
            title,
            lines: vec![view.words],
            repository: Some(row.repository.clone()),
            path: Some(format!("/rollouts/{}", row.id)),
            run: row.run.filter(|run| *run != RunId(0)),
            environment: Some(row.environment.clone()),
            review: None,
        };
        self.herald.tell(notice, now).await?;
        Ok(())
    }
}

/// Why a gate of a job is over with this, if it is.
fn words_of_end(event: &RunEvent, job: &str) -> Option<&'static str> {
    if let RunEvent::RunFinished { conclusion } = event {
        return Some(match conclusion {
            Conclusion::Cancelled => "the run was cancelled before anybody answered",
            Conclusion::Success | Conclusion::Failure | Conclusion::Skipped => "the run ended before anybody answered",
        });
    }
    let ended = matches!(event, RunEvent::JobRunFinished { key, .. } if key.to_string() == job);
    ended.then_some("the job ended before anybody answered")
}
