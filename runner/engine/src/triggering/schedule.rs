//! Schedules: each time that is due becomes one delivery; after a downtime the latest missed one only.
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule>,
//! which drops what it misses; here the latest is caught up if it is less than a day old.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use workflow::trigger::cron::Cron;

use super::{OfDefault, Triggering, dispatch, workflows};
use crate::clock::Clock;
use crate::mirror::{CommitText, default_branch};
use crate::store::StoreError;
use crate::store::deliveries::{NewDelivery, ORIGIN_HEADER};
use crate::store::repositories::Repository;
use crate::store::schedules::{Scheduled, Schedules};

/// What was missed longer ago is not caught up.
const CAUGHT_UP: SignedDuration = SignedDuration::from_hours(24);
/// The clock is looked at this often at least, since it may be set.
const LOOK_PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// How ids of deliveries begin that a schedule made.
pub(super) const SCHEDULE_ID: &str = "schedule ";
/// When to ask again after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Watches the clock.
#[derive(Debug)]
pub struct Scheduler {
    /// The lines.
    pub schedules: Schedules,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Told of each delivery that it makes.
    pub arrivals: Arc<Notify>,
}

impl Scheduler {
    /// Makes deliveries of what comes due, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let changed = self.schedules.changed();
        while !stop.is_cancelled() {
            let until = match self.fire().await {
                Ok(until) => until,
                Err(error) => {
                    tracing::error!(%error, "schedules cannot be looked at");
                    tokio::select! {
                        () = tokio::time::sleep(STORE_PAUSE) => {}
                        () = stop.cancelled() => {}
                    }
                    continue;
                }
            };
            tokio::select! {
                () = self.clock.wait_until(until) => {}
                () = changed.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Makes a delivery of each line that is due now; when to look again.
    ///
    /// # Errors
    /// The store said no; what was not done is due still.
    pub async fn fire(&self) -> Result<Timestamp, StoreError> {
        let now = self.clock.now();
        for line in self.schedules.due(now).await? {
            let (due, next) = match (line.line.parse(), line.next_at) {
                (Some(cron), Some(first)) => latest(&cron, first, now),
                // A newer program may have written it.
                (_, _) => (None, None),
            };
            let delivery = due.map(|due| delivery(&line, due, now));
            if self.schedules.move_on(&line, next, delivery).await? {
                self.arrivals.notify_one();
            }
        }
        let next = self.schedules.next().await?;
        let look = now.saturating_add(LOOK_PAUSE).unwrap_or(now);
        Ok(next.map_or(look, |next| next.min(look)))
    }
}

/// The latest time that was missed, if it is young enough, and the next one; `first` is the earliest missed.
fn latest(cron: &Cron, first: Timestamp, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
    let oldest = now.saturating_sub(CAUGHT_UP).unwrap_or(Timestamp::MIN);
    let mut due = (first >= oldest).then_some(first);
    let mut next = cron.next_after(if due.is_some() { first } else { oldest });
    while let Some(time) = next.filter(|time| *time <= now) {
        due = Some(time);
        next = cron.next_after(time);
    }
    (due, next)
}

fn delivery(line: &Scheduled, due: Timestamp, now: Timestamp) -> NewDelivery {
    let owner = line.full_name.rsplit_once('/').map_or("", |(owner, _)| owner);
    let mut payload = dispatch::base(&line.full_name, &line.url, &line.default_branch, owner);
    payload.insert("schedule".to_owned(), json!(line.line.cron));
    payload.insert("workflow".to_owned(), json!(line.line.workflow));
    payload.insert("due_at".to_owned(), json!(due.to_string()));
    let body = Json::Object(payload).to_string().into_bytes();
    let zone = line.line.timezone.as_deref().unwrap_or("UTC");
    NewDelivery {
        guid: format!("{SCHEDULE_ID}{} {} {} {zone} {due}", line.repository, line.line.workflow, line.line.cron),
        forge: line.forge,
        event: "schedule".to_owned(),
        repository: line.full_name.clone(),
        received_at: now,
        sha256: Sha256::digest(&body).into(),
        headers: vec![(ORIGIN_HEADER.to_owned(), "schedule".to_owned())],
        body,
        ignored: None,
    }
}

impl Triggering {
    /// Fetches a repository and takes over what its default branch wants: when it was registered, and when the
    /// server starts, since a push may have been missed.
    ///
    /// # Errors
    /// A sentence for the log; all stays as it was.
    pub async fn refresh(&self, repository: Repository, now: Timestamp) -> Result<(), String> {
        let place = super::Place::of(repository).map_err(|error| error.to_string())?;
        self.mirrors.refresh(&place.origin).await.map_err(|error| error.to_string())?;
        let actions = Arc::clone(&self.actions);
        let reading = self.mirrors.read(place.origin.id, move |git| {
            let branch = default_branch(git);
            let Some(name) = workflow::event::GitRef::branch(&branch) else {
                return Ok((branch, OfDefault::default()));
            };
            let tip = CommitText::tip(git, &name)?;
            Ok((branch, OfDefault::of(&workflows::read(git, &tip.id, &actions)?)))
        });
        let (branch, kept) = reading.await.map_err(|error| error.to_string())?;
        self.keep(place.repository.id, &branch, kept, now).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, zone: &str, first: &str, now: &str, expected: (&str, &str)) {
        let cron = Cron::parse(line, Some(zone)).unwrap();
        let (due, next) = latest(&cron, first.parse().unwrap(), now.parse().unwrap());
        let text = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
        assert_eq!((text(due).as_str(), text(next).as_str()), expected, "{line} {zone} {first} {now}");
    }

    #[test]
    fn only_the_latest_missed_time_is_caught_up() {
        let (first, now) = ("2026-05-01T12:00:00Z", "2026-05-01T15:02:00Z");
        check("*/5 * * * *", "UTC", first, now, ("2026-05-01T15:00:00Z", "2026-05-01T15:05:00Z"));
        check("0 12 * * *", "UTC", first, now, ("2026-05-01T12:00:00Z", "2026-05-02T12:00:00Z"));
        // Down for a month: the latest of them, if it is of the last day.
        check("0 12 * * *", "UTC", first, "2026-06-01T00:00:00Z", ("2026-05-31T12:00:00Z", "2026-06-01T12:00:00Z"));
        check("0 12 * * 5", "UTC", first, "2026-05-04T00:00:00Z", ("-", "2026-05-08T12:00:00Z"));
        // Berlin goes to summer time: 02:30 does not exist and happens at 03:00.
        let (first, now) = ("2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z");
        check("30 2 * * *", "Europe/Berlin", first, now, ("2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"));
        // And back: 02:30 exists twice and happens once.
        let (first, now) = ("2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z");
        check("30 2 * * *", "Europe/Berlin", first, now, ("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"));
    }
}
