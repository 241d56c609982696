//! Images that were scanned are held against newer advisories, without the images: what nobody knew when they were scanned is found
//! while they run.
//!
//! What matters is what stands somewhere, what can be gone back to, and what was scanned last. Each is judged again when advisories
//! have changed or were asked for again, and once a day, since a grace or an exception may have ended. What that says is the
//! image's last word; where it cannot be trusted (advisories too old, a release without any) the word before stays, and why
//! is kept.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::Clock;
use engine::notify::{Herald, Notice, Occasion};
use engine::store::cases::{CaseRow, Cases, Matched};
use engine::store::deployments::Deployments;
use engine::store::outbox::Outbox;
use engine::store::rollouts::Rollouts;
use engine::store::scans::image_name;
use engine::store::{Database, RunId, StoreError};
use jiff::{SignedDuration, Timestamp};
use rollout::View;
use rollout::plan::Weight;
use scanners::advisory::{self, Index};
use scanners::case::{self, Case};
use scanners::policy::{Judged, Outcome, Verdict};
use serde::Deserialize as _;
use tokio_util::sync::CancellationToken;

use super::said::{Place, said, words};

/// How often it looks whether advisories have changed.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// What stands is known from the logs of runs. So often, and at most so many times, it asks at its start whether they are read.
const READ_EVERY: Duration = Duration::from_millis(200);
const READ_ASKED_MAX: usize = 300;
/// After so long a case is judged again whatever has changed.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Images of a repository that are held against advisories whether or not they stand somewhere: those scanned last.
const NEWEST: usize = 50;
/// Findings that one message names.
const LINES_MAX: usize = 10;

/// Holds what was scanned against advisories.
#[derive(Debug)]
pub struct Again {
    cases: Cases,
    deployments: Deployments,
    rollouts: Rollouts,
    outbox: Outbox,
    herald: Herald,
    advisories: advisory::Database,
    /// Why advisories could not be used the last time, so that it is said once.
    problem: Option<String>,
}

/// Where something stands.
#[derive(Debug)]
struct Stands {
    repository: String,
    environment: String,
    /// The run that deployed it.
    run: Option<RunId>,
    /// Images that get requests.
    images: BTreeSet<String>,
}

/// Why a look came to nothing; the next one begins anew.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a rollout cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Again {
    /// Of this database; `advisories` are those of the server.
    #[must_use]
    pub fn new(database: &Database, herald: Herald, advisories: advisory::Database) -> Self {
        let (cases, deployments) = (Cases::on(database.clone()), Deployments::on(database.clone()));
        let (rollouts, outbox) = (Rollouts::on(database.clone()), Outbox::on(database.clone()));
        Self { cases, deployments, rollouts, outbox, herald, advisories, problem: None }
    }

    /// Looks until `stop`.
    pub async fn run(mut self, clock: Arc<dyn Clock>, stop: CancellationToken) {
        for _ in 0..READ_ASKED_MAX {
            // What was deployed shortly before the last end would not be told of, and never again.
            if self.outbox.open_runs().await.is_ok_and(|unread| unread.is_empty()) {
                break;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.wait_until(clock.now() + READ_EVERY) => {}
            }
        }
        loop {
            match self.look(clock.now()).await {
                Ok(0) => {}
                Ok(judged) => tracing::info!(judged, "images that were scanned are judged by the advisories of now"),
                Err(error) => tracing::warn!(%error, "images that were scanned cannot be held against advisories now"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.wait_until(clock.now() + LOOK_EVERY) => {}
            }
        }
    }

    /// Judges what is due; how many were.
    async fn look(&mut self, now: Timestamp) -> Result<usize, LookError> {
        if self.cases.is_empty().await? {
            return Ok(0);
        }
        let Some(index) = self.opened(now).await else { return Ok(0) };
        let stamp = stamp(&index.digest(), index.as_of());
        if self.cases.due(&stamp, now - AGAIN_AFTER).await?.is_empty() {
            return Ok(0);
        }
        let stands = self.standing().await?;
        let runs = stands.iter().filter_map(|one| one.run).collect();
        self.cases.prune(NEWEST, self.rollouts.images().await?, runs).await?;
        let due = self.cases.due(&stamp, now - AGAIN_AFTER).await?;
        let count = due.len();
        for row in due {
            self.judge(row, &index, (&stamp, now), &stands).await?;
        }
        Ok(count)
    }

    /// The advisories; what is wrong with them is said once. Most servers have none, and do not ask for any.
    async fn opened(&mut self, now: Timestamp) -> Option<Arc<Index>> {
        let advisories = self.advisories.clone();
        let opened = tokio::task::spawn_blocking(move || advisories.open(now));
        match opened.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())) {
            Ok(index) => {
                self.problem = None;
                Some(Arc::new(index))
            }
            Err(error) => {
                let problem = error.to_string();
                if self.problem.as_ref() != Some(&problem) {
                    tracing::warn!(problem, "what was scanned is not held against newer advisories");
                }
                self.problem = Some(problem);
                None
            }
        }
    }

    async fn judge(
        &self,
        row: CaseRow,
        index: &Arc<Index>,
        (stamp, now): (&str, Timestamp),
        stands: &[Stands],
    ) -> Result<(), LookError> {
        let Some(body) = self.cases.body(&row).await? else { return Ok(()) };
        let index = Arc::clone(index);
        let judging = tokio::task::spawn_blocking(move || {
            let case = Case::unpack(&body)?;
            let verdict = case.judge(Ok(&index), now).1;
            Ok::<_, case::CaseError>((case, verdict))
        });
        let judged = judging.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let (case, verdict) = match judged {
            Ok((case, verdict)) if verdict.outcome != Outcome::Untrusted => (case, verdict),
            Ok((_, verdict)) => {
                let problem = verdict.sentence();
                return Ok(self.cases.failed(&row, stamp.to_owned(), problem, now).await?);
            }
            Err(error) => return Ok(self.cases.failed(&row, stamp.to_owned(), error.to_string(), now).await?),
        };
        let since: Vec<&Judged> = case::since(&case, &verdict).collect();
        let fresh: Vec<&Judged> = since.iter().copied().filter(|one| !row.known.contains(&one.fingerprint)).collect();
        for one in stands.iter().filter(|one| one.is(&row)) {
            self.tell(&row, one, &fresh, &verdict, now).await?;
        }
        let place = Place { repository: row.repository.clone(), run: row.run, job: row.job.clone(), step: row.step };
        let since = since.iter().map(|one| one.fingerprint.clone()).collect();
        let verdict = said(place, row.image.clone(), &verdict, Some(&case));
        // Where a scan was faster its own word is newer.
        self.cases.matched(&row, stamp.to_owned(), Matched { verdict, since }).await?;
        Ok(())
    }

    /// Tells of what fails and was not told yet. What does not fail is on the page of findings.
    async fn tell(
        &self,
        row: &CaseRow,
        stands: &Stands,
        fresh: &[&Judged],
        verdict: &Verdict,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut failed: Vec<_> = fresh.iter().filter(|one| one.judgement.is_failed()).collect();
        failed.sort_by_key(|one| (std::cmp::Reverse(one.severity), &one.id, &one.subject));
        let Some(first) = failed.iter().map(|one| &one.fingerprint).min() else { return Ok(()) };
        let (name, environment) = (image_name(&row.target), &stands.environment);
        let count = failed.len();
        let findings = if count == 1 { "finding" } else { "findings" };
        let mut lines: Vec<String> = failed.iter().take(LINES_MAX).map(|one| words(one)).collect();
        if count > LINES_MAX {
            lines.push(format!("and {} more", count - LINES_MAX));
        }
        let of = row.at.strftime("%Y-%m-%d %H:%M UTC");
        lines.push(format!("{} was scanned in run {} on {of}; now: {}", row.target, row.run, verdict.sentence()));
        let notice = Notice {
            occasion: Occasion::Finding,
            // The same after a crash between this and the note that it was told.
            subject: format!("findings {} {environment} {count} {first}", row.image),
            title: format!("{count} new {findings} in {name}, which stands in {environment}"),
            lines,
            repository: Some(row.repository.clone()),
            path: Some(format!("/findings?repository={}&state=standing", row.repository.replace('/', "%2F"))),
            run: None,
            environment: Some(environment.clone()),
            review: None,
        };
        self.herald.tell(notice, now).await?;
        Ok(())
    }

    /// What was deployed by a run, and what gets requests by rollouts.
    async fn standing(&self) -> Result<Vec<Stands>, LookError> {
        let deployed = self.deployments.standing(None).await?;
        let deployed = deployed.into_iter().filter(|one| one.state == "success").map(|one| Stands {
            repository: one.repository,
            environment: one.environment,
            run: Some(one.run),
            images: BTreeSet::new(),
        });
        let mut all: Vec<Stands> = deployed.collect();
        for row in self.rollouts.newest(None).await? {
            let view = View::deserialize(&row.view)?;
            let colours = view.blue.into_iter().chain([view.green]).filter(|one| one.weight > Weight::NONE);
            let images: BTreeSet<String> = colours.map(|one| one.revision.image).collect();
            // The run that deployed it has told of the same environment.
            let same = |one: &&mut Stands| {
                one.environment.eq_ignore_ascii_case(&row.environment)
                    && one.repository.eq_ignore_ascii_case(&row.repository)
            };
            match all.iter_mut().find(same) {
                Some(known) => known.images.extend(images),
                None => {
                    all.push(Stands { repository: row.repository, environment: row.environment, run: None, images })
                }
            }
        }
        Ok(all)
    }
}

impl Stands {
    fn is(&self, row: &CaseRow) -> bool {
        self.repository.eq_ignore_ascii_case(&row.repository)
            && (self.run == Some(row.run) || row.names.iter().any(|name| self.images.contains(name)))
    }
}

/// Which advisories, and of when: those that were asked for again and are the same are no older than they were.
#[must_use]
pub fn stamp(digest: &str, as_of: Timestamp) -> String {
    format!("{digest} of {as_of}")
}
