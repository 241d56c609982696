//! Reads the logs of runs behind the place up to which they are reported, and puts what is to be told into the outbox.
//!
//! It is told when something was recorded, and looks by itself now and then. What it makes and how far it has come are
//! one transaction, so it may be killed anywhere. A run that it has not in memory is replayed from its log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use workflow::run::{JobRunKey, Recorded, RunEvent};

use super::known::Knowing;
use crate::clock::Clock;
use crate::github::{Course, DeploymentState, Envelope, JobFindings, Report, Sender};
use crate::metrics::Metrics;
use crate::notify::{Audience, News as NewsForPeople, Story};
use crate::service::RunSecrets;
use crate::store::deliveries::NewDelivery;
use crate::store::deployments::DeploymentChange;
use crate::store::followers::Followers;
use crate::store::listing::Listing;
use crate::store::outbox::{NewMessage, News, Outbox, Position};
use crate::store::{RunId, SqliteStore, StoreError};
use crate::telemetry::Traces;
use crate::triggering::{Activity, RunSeen, seen};

/// How often it looks without being told.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Runs that are kept in memory; others are replayed when something happens to them.
const COURSES_MAX: usize = 2_000;

/// What steps left to be shown, as a port.
#[async_trait]
pub trait Findings: Send + Sync + std::fmt::Debug {
    /// Annotations and summary of a job run that has ended, masked. Empty where nothing is kept.
    async fn of_job(&self, run: RunId, key: &JobRunKey) -> JobFindings;
}

/// Nobody keeps any.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFindings;

#[async_trait]
impl Findings for NoFindings {
    async fn of_job(&self, _run: RunId, _key: &JobRunKey) -> JobFindings {
        JobFindings::default()
    }
}

/// What is told and to whom.
#[derive(Debug, Clone, Default)]
pub struct ReaderSettings {
    /// By the forge's name (`github`, `gitlab` …) the target in the outbox.
    pub targets: BTreeMap<String, String>,
    /// The server's own address, for links: `https://ci.example`.
    pub url: Option<String>,
    /// Whether pull requests get a comment.
    pub comments: bool,
    /// People who are told.
    pub audiences: Vec<Audience>,
    /// Where traces of runs go.
    pub traces: Option<Traces>,
    /// Told of each delivery that a run made for the workflows that follow it.
    pub arrivals: Option<Arc<Notify>>,
}

/// The reader.
#[derive(Debug)]
pub struct Reader {
    store: SqliteStore,
    knowing: Knowing,
    outbox: Outbox,
    followers: Followers,
    settings: ReaderSettings,
    findings: Arc<dyn Findings>,
    metrics: &'static Metrics,
    clock: Arc<dyn Clock>,
    recorded: Arc<Notify>,
    made: Arc<Notify>,
    courses: HashMap<RunId, Entry>,
}

/// A run on its way, with what is done with its facts.
#[derive(Debug)]
struct Entry {
    /// `None` for a run that is told to nobody.
    course: Option<Course>,
    target: Option<String>,
    /// Kept for the trace, where there is one.
    facts: Vec<Recorded>,
    /// What people are told beside.
    story: Story,
    /// Whether a job of it has begun.
    has_begun: bool,
}

impl Reader {
    /// A reader of all runs of a store. `recorded` is told when a run's log went on; it tells `made` when there are
    /// messages.
    #[must_use]
    pub fn new(
        store: SqliteStore,
        settings: ReaderSettings,
        secrets: Arc<dyn RunSecrets>,
        clock: Arc<dyn Clock>,
        recorded: Arc<Notify>,
        made: Arc<Notify>,
    ) -> Self {
        Self {
            outbox: Outbox::on(store.database().clone()),
            followers: Followers::on(store.database().clone()),
            knowing: Knowing { store: store.clone(), secrets, url: settings.url.clone() },
            store,
            settings,
            findings: Arc::new(NoFindings),
            metrics: crate::metrics::metrics(),
            clock,
            recorded,
            made,
            courses: HashMap::new(),
        }
    }

    /// With annotations and summaries.
    #[must_use]
    pub fn with_findings(mut self, findings: Arc<dyn Findings>) -> Self {
        self.findings = findings;
        self
    }

    /// Reads until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.read_all().await {
                tracing::warn!(%error, "runs cannot be reported now");
            }
            let next = self.clock.now() + LOOK_EVERY;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.recorded.notified() => {}
                () = self.clock.wait_until(next) => {}
            }
        }
    }

    /// Reports everything that is recorded now. A run that cannot be read holds up no other.
    ///
    /// # Errors
    /// The store, or one run in it, cannot be read; what is left is reported the next time.
    pub async fn read_all(&mut self) -> Result<(), StoreError> {
        let mut failed = None;
        while failed.is_none() {
            let news = self.outbox.open_runs().await?;
            if news.is_empty() {
                break;
            }
            for position in news {
                failed = self.read(position).await.err().or(failed);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn read(&mut self, from: Position) -> Result<(), StoreError> {
        let run = from.run;
        let mut entry = match self.courses.remove(&run) {
            Some(entry) => entry,
            None => self.replay(from).await?,
        };
        let facts = self.outbox.facts(run, from.seq).await?;
        let (mut messages, mut deployments, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
        for fact in &facts {
            let mut findings = JobFindings::default();
            if let (RunEvent::JobRunFinished { key, .. }, Some(_)) = (&fact.event, &entry.course) {
                findings = self.findings.of_job(run, key).await;
            }
            let reports = entry.course.as_mut().map(|course| course.apply(fact, &findings)).unwrap_or_default();
            deployments.extend(reports.iter().filter_map(|report| deployment(&entry, fact, report)));
            messages.extend(self.tell_people(&entry, run, fact, &reports).await?);
            messages.extend(self.tell(&entry, reports));
            deliveries.extend(self.tell_followers(&mut entry, run, fact).await?);
        }
        let is_over = facts.iter().any(|fact| matches!(fact.event, RunEvent::RunFinished { .. }));
        if self.settings.traces.is_some() {
            entry.facts.extend(facts.iter().cloned());
        }
        if is_over && let (Some(traces), Some(course)) = (&self.settings.traces, &entry.course) {
            messages.push(traces.message(course, &entry.facts));
        }
        let to = facts.last().map_or(from.seq, |fact| fact.seq);
        let (any, followed) = (!messages.is_empty(), !deliveries.is_empty());
        let news = News { messages, deployments, deliveries };
        let kept = self.outbox.record(from, to, is_over, news, self.clock.now()).await?;
        if kept {
            facts.iter().for_each(|fact| self.metrics.recorded(run, fact));
            if any {
                self.made.notify_one();
            }
            if let Some(arrivals) = self.settings.arrivals.as_ref().filter(|_| followed) {
                arrivals.notify_one();
            }
        }
        if kept && !is_over && self.courses.len() < COURSES_MAX {
            self.courses.insert(run, entry);
        }
        Ok(())
    }

    /// A run as it was when its log was looked at last.
    async fn replay(&self, to: Position) -> Result<Entry, StoreError> {
        let mut entry = self.begin(to.run).await?;
        let mut seq = 0;
        while seq < to.seq {
            let facts = self.outbox.facts(to.run, seq).await?;
            let Some(last) = facts.last() else { break };
            seq = last.seq;
            for fact in facts.into_iter().filter(|fact| fact.seq <= to.seq) {
                if let Some(course) = &mut entry.course {
                    // What is told again is dropped: it is in the outbox, or has arrived.
                    drop(course.apply(&fact, &JobFindings::default()));
                }
                entry.has_begun |= matches!(fact.event, RunEvent::JobRunStarted { .. });
                if self.settings.traces.is_some() {
                    entry.facts.push(fact);
                }
            }
        }
        Ok(entry)
    }

    async fn begin(&self, run: RunId) -> Result<Entry, StoreError> {
        let nobody = Entry { course: None, target: None, facts: Vec::new(), story: Story::default(), has_begun: false };
        let for_people = !self.settings.audiences.is_empty();
        let Some(known) = self.knowing.of(run, for_people, None).await? else { return Ok(nobody) };
        let target = self.settings.targets.get(&known.forge).cloned();
        Ok(Entry { course: Some(Course::new(known.about, known.facts)), target, story: known.story, ..nobody })
    }

    async fn tell_people(
        &self,
        entry: &Entry,
        run: RunId,
        fact: &Recorded,
        reports: &[Report],
    ) -> Result<Vec<NewMessage>, StoreError> {
        let Some(course) = entry.course.as_ref().filter(|_| !self.settings.audiences.is_empty()) else {
            return Ok(Vec::new());
        };
        let is_end = matches!(fact.event, RunEvent::RunFinished { .. });
        let had_failed = is_end && self.outbox.had_failed_before(run).await?;
        let beside = (had_failed, self.settings.url.as_deref());
        let Some(news) = NewsForPeople::of(course, &entry.story, fact, reports, beside) else { return Ok(Vec::new()) };
        let message = |audience: &Audience| audience.message(&news, &entry.story);
        Ok(self.settings.audiences.iter().filter_map(message).collect())
    }

    /// What a fact is to workflows that follow the run's.
    async fn tell_followers(
        &self,
        entry: &mut Entry,
        run: RunId,
        fact: &Recorded,
    ) -> Result<Vec<NewDelivery>, StoreError> {
        let Some(about) = entry.course.as_ref().map(Course::about) else { return Ok(Vec::new()) };
        let mut happened = Activity::of(fact, about.attempt, &mut entry.has_begun);
        if happened.is_empty() {
            return Ok(Vec::new());
        }
        let followed = self.followers.of(&about.forge, &about.repository, &about.workflow).await?;
        happened.retain(|activity| followed.iter().any(|wanted| wanted == activity.word()));
        if happened.is_empty() {
            return Ok(Vec::new());
        }
        let listed = Listing::on(self.store.database().clone()).one(run).await?;
        let (spec, row) = (self.store.spec(run).await?, self.store.run_row(run).await?);
        let (Some(listed), Some(spec), Some(row)) = (listed, spec, row) else { return Ok(Vec::new()) };
        let told = RunSeen { about, spec: &spec, numbers: row.numbers, listed: &listed };
        let now = self.clock.now();
        Ok(happened.into_iter().map(|activity| seen(&told, activity, fact.at, now)).collect())
    }

    fn tell(&self, entry: &Entry, reports: Vec<Report>) -> Vec<NewMessage> {
        let (Some(course), Some(target)) = (&entry.course, &entry.target) else { return Vec::new() };
        let about = course.about();
        // A run that is for no commit (of a repository without any) is told to nobody.
        if about.commit.is_empty() {
            return Vec::new();
        }
        let wanted = |report: &Report| self.settings.comments || !matches!(report, Report::Comment(_));
        let message = |report| {
            let (repository, commit) = (about.repository.clone(), about.commit.clone());
            Sender::message(target, &Envelope { repository, commit, report })
        };
        reports.into_iter().filter(wanted).map(message).collect()
    }
}

/// What a report of a deployment is for our own lists.
fn deployment(entry: &Entry, fact: &Recorded, report: &Report) -> Option<DeploymentChange> {
    let (RunEvent::JobRunStarted { key } | RunEvent::JobRunFinished { key, .. }) = &fact.event else { return None };
    let Report::DeploymentStatus(status) = report else { return None };
    Some(DeploymentChange {
        job: key.clone(),
        repository: entry.course.as_ref()?.about().repository.clone(),
        environment: status.environment.clone(),
        state: status.state.word(),
        url: status.environment_url.clone(),
        at: fact.at,
        is_open: status.state == DeploymentState::InProgress,
    })
}
