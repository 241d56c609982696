//! The loop that carries one run: event in, append, apply, decide, commands out.
//!
//! It alone writes the run's log. Job runners, the watcher's Ctrl-C and the clock only send it messages. A fact is
//! appended to the store before it is applied, so that what is acted on is never lost.

mod ahead;
mod aside;
mod fits;
mod order;
mod recall;
mod reports;

pub use order::{Carried, Control, Dispatch};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use workflow::run::{
    CancelReason, Command, Decision, EVENT_VERSION, GroupChange, JobRunKey, Limits, Recorded, Run, RunEvent,
};

use crate::clock::Clock;
use crate::groups::{GroupNews, SharedGroups, of_repository};
use crate::job::{Begun, JobControl, JobOrder, JobReport, JobRunner, SharedMasker};
use crate::notice::{Notice, Notices};
use crate::slots::{Party, Slot, Slots};
use crate::store::{RunId, RunLog, StoreError};

/// Carries a run to its end.
#[derive(Debug)]
pub struct Dispatcher {
    /// Where facts are kept.
    pub log: Arc<dyn RunLog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What performs jobs.
    pub jobs: Arc<dyn JobRunner>,
    /// Who watches.
    pub notices: Notices,
    /// Hides secrets: in names and sentences before they are recorded, in everything that watchers are told.
    pub masker: Arc<SharedMasker>,
    /// Places for jobs, shared with other runs.
    pub slots: Slots,
    /// Concurrency groups, shared with other runs.
    pub groups: SharedGroups,
    /// How the run's jobs are queued.
    pub party: Party,
}

struct Loop<'a> {
    parts: &'a Dispatcher,
    id: RunId,
    run: Run,
    limits: Limits,
    /// The time of the last decision.
    decided: Timestamp,
    may_put_aside: bool,
    /// Recorded once the run has begun.
    kept: Vec<RunEvent>,
    /// Whether jobs may be among them that go on.
    may_go_on: bool,
    controls: indexmap::IndexMap<JobRunKey, mpsc::UnboundedSender<JobControl>>,
    told: BTreeSet<(JobRunKey, JobControl)>,
    /// Jobs that reported what cannot be, with what is said of it at their end.
    broken: BTreeMap<JobRunKey, String>,
    /// Jobs that begin once it is recorded that they do: what was made without a trace would never be removed.
    starting: BTreeMap<JobRunKey, oneshot::Sender<()>>,
    reports: mpsc::Sender<JobReport>,
    tasks: JoinSet<JobRunKey>,
    task_keys: std::collections::HashMap<tokio::task::Id, JobRunKey>,
}

/// Reports of jobs that wait for the dispatcher.
const REPORTS_WAITING_MAX: usize = 256;

impl Dispatcher {
    /// Runs to the end and gives the final state.
    ///
    /// # Errors
    /// The store cannot be written; jobs are stopped then.
    ///
    /// # Panics
    /// Never: what is not to be put aside comes to its end.
    pub async fn run(
        &self,
        dispatch: Dispatch,
        mut control: mpsc::UnboundedReceiver<Control>,
    ) -> Result<Run, StoreError> {
        match self.carry(dispatch, &mut control, false).await? {
            Carried::Over(run) => Ok(*run),
            Carried::Aside { .. } => unreachable!("it was not to be put aside"),
        }
    }

    /// Carries a run until it is over or, if it may be, put aside.
    ///
    /// # Errors
    /// The store cannot be written; jobs are stopped then.
    pub async fn carry(
        &self,
        dispatch: Dispatch,
        control: &mut mpsc::UnboundedReceiver<Control>,
        may_put_aside: bool,
    ) -> Result<Carried, StoreError> {
        let (reports, mut inbox) = mpsc::channel(REPORTS_WAITING_MAX);
        let run = recall::replay(dispatch.id, dispatch.facts, &dispatch.history)?;
        let mut this = Loop {
            parts: self,
            id: dispatch.id,
            run,
            limits: Limits { parallel: self.slots.of_run_max() },
            decided: self.clock.now(),
            may_put_aside,
            may_go_on: !dispatch.kept.is_empty(),
            kept: dispatch.kept,
            controls: indexmap::IndexMap::new(),
            told: BTreeSet::new(),
            broken: BTreeMap::new(),
            starting: BTreeMap::new(),
            reports,
            tasks: JoinSet::new(),
            task_keys: std::collections::HashMap::new(),
        };
        let mut news = self.groups.join(dispatch.id);
        let ended = this.go_on(&mut inbox, control, &mut news, dispatch.first).await;
        if let Ok(Some(aside)) = ended {
            return Ok(aside);
        }
        if ended.is_err() {
            this.abandon();
        }
        self.groups.leave(this.id);
        self.slots.leave(this.id);
        // Nobody listens any more, so that no job waits for a place in the channel.
        drop(inbox);
        while this.tasks.join_next().await.is_some() {}
        ended.map(|_over| Carried::Over(Box::new(this.run)))
    }
}

impl Loop<'_> {
    async fn go_on(
        &mut self,
        inbox: &mut mpsc::Receiver<JobReport>,
        control: &mut mpsc::UnboundedReceiver<Control>,
        news: &mut mpsc::UnboundedReceiver<GroupNews>,
        first: Vec<Control>,
    ) -> Result<Option<Carried>, StoreError> {
        let clock = Arc::clone(&self.parts.clock);
        let mut freed = self.parts.slots.join(self.id, self.parts.party.clone());
        let mut control_open = true;
        let news_of_old = self.take_up();
        self.record(news_of_old).await?;
        self.wait_for_groups(news).await?;
        for order in first {
            self.control(order).await?;
        }
        while let Ok(order) = control.try_recv() {
            self.control(order).await?;
        }
        self.settle().await?;
        while self.run.conclusion().is_none() {
            if self.may_put_aside && control.is_empty() && self.put_aside(news) {
                return Ok(Some(self.aside()));
            }
            let deadline = self.run.next_deadline(self.decided);
            tokio::select! {
                Some(report) = inbox.recv() => self.report(report).await?,
                order = control.recv(), if control_open => match order {
                    Some(order) => self.control(order).await?,
                    None => control_open = false,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.task_ended(ended, inbox).await?,
                Some(news) = news.recv() => {
                    let events = self.group_events(vec![news]);
                    self.record(events).await?;
                    self.settle().await?;
                }
                Ok(()) = freed.changed() => self.settle().await?,
                () = clock.wait_until(deadline.unwrap_or(Timestamp::MAX)), if deadline.is_some() => {
                    self.settle().await?;
                }
            }
        }
        Ok(None)
    }

    /// The run cannot go on: its jobs are stopped, so that they remove what they made.
    fn abandon(&mut self) {
        for (_, sender) in self.controls.drain(..) {
            let _ended = sender.send(JobControl::Kill);
        }
    }

    /// Records, applies and performs until nothing new follows.
    async fn settle(&mut self) -> Result<(), StoreError> {
        loop {
            self.begin_kept();
            self.decided = self.parts.clock.now();
            let (mut facts, mut commands) = (Vec::new(), Vec::new());
            for decision in self.run.decide(self.decided, &self.limits) {
                match decision {
                    Decision::Record(event) => facts.push(event),
                    Decision::Do(command) => commands.push(command),
                }
            }
            // Work is begun only when no fact is left that could make it needless; so too after a change of groups.
            if facts.is_empty() {
                for command in commands {
                    let of_group = matches!(command, Command::AcquireGroup { .. });
                    facts.extend(self.perform(command));
                    if of_group && !facts.is_empty() {
                        break;
                    }
                }
            }
            if facts.is_empty() {
                return Ok(());
            }
            self.record(facts).await?;
        }
    }

    async fn record(&mut self, mut facts: Vec<RunEvent>) -> Result<(), StoreError> {
        while !facts.is_empty() {
            let at = self.parts.clock.now();
            // The run goes on by the clear texts; what is kept and shown has none of them.
            let (mut live, mut kept) = (Vec::with_capacity(facts.len()), Vec::with_capacity(facts.len()));
            for (index, mut event) in (1..).zip(facts.drain(..)) {
                let mut hide = |text: &mut String| self.parts.masker.hide(text);
                event.each_shown_text(&mut hide);
                let fact = Recorded { v: EVENT_VERSION, seq: self.run.seq + index, at, event };
                let mut hidden = fact.clone();
                hidden.event.each_text(&mut hide);
                live.push(fact);
                kept.push(hidden);
            }
            self.parts.log.append(self.id, &kept).await?;
            for (fact, hidden) in live.into_iter().zip(kept) {
                if let Err(illegal) = self.run.apply(&fact) {
                    // Only this loop writes the log, so this is a bug of ours: say which, and do not go on with a
                    // wrong state.
                    panic!("the run's own event does not fit its state: {illegal}");
                }
                // Told first: what follows may wake another run, whose watcher is the same.
                self.parts.notices.send(Notice::Recorded(Box::new(hidden))).await;
                for job in ahead::about_to_begin(&self.run, &fact.event) {
                    self.parts.jobs.expect(&self.run, &job);
                }
                facts.extend(self.after(&fact.event));
                if let RunEvent::JobRunStarted { key } = &fact.event
                    && let Some(starting) = self.starting.remove(key)
                {
                    let _gone = starting.send(());
                }
            }
            // Another one of the batch may have ended what was about to go on.
            facts.retain(|event| self.fits(event));
        }
        Ok(())
    }

    /// What follows at once from a fact: a job run that has ended leaves its concurrency group, and so does the run.
    fn after(&mut self, event: &RunEvent) -> Vec<RunEvent> {
        let (holder, group) = if let RunEvent::JobRunFinished { key, .. } = event {
            self.controls.shift_remove(key);
            self.parts.jobs.forget(key);
            self.parts.slots.withdraw(self.id, key);
            (Some(key.clone()), self.run.job_run(key).and_then(|run| run.group.as_ref()))
        } else if matches!(event, RunEvent::RunFinished { .. }) {
            (None, self.run.group.as_ref())
        } else if matches!(event, RunEvent::RunStarted) {
            return std::mem::take(&mut self.kept);
        } else {
            return Vec::new();
        };
        let Some(group) = group.map(|group| group.name.clone()) else { return Vec::new() };
        let group = self.group(&group);
        let news = self.parts.groups.release(self.id, &holder, &group);
        self.group_events(news)
    }

    fn group(&self, name: &str) -> String {
        of_repository(&self.parts.party.repository, name)
    }

    fn group_events(&self, news: Vec<GroupNews>) -> Vec<RunEvent> {
        news.into_iter()
            .map(|GroupNews { group, change, by }| match change {
                GroupChange::Acquired(holder) => RunEvent::GroupAcquired { holder },
                GroupChange::Cancel(Some(key)) => {
                    let reason = CancelReason::Group { group, superseded_by: by.map(|run| run.0) };
                    RunEvent::JobRunCancelRequested { key, reason }
                }
                GroupChange::Cancel(None) => {
                    let by = by.map(|run| format!(", superseded by run {run}")).unwrap_or_default();
                    RunEvent::RunCancelRequested { by: format!("concurrency group `{group}`{by}"), force: false }
                }
            })
            .filter(|event| self.fits(event))
            .collect()
    }

    /// Begins work, once. What follows at once comes back as facts.
    fn perform(&mut self, command: Command) -> Vec<RunEvent> {
        match command {
            Command::AcquireGroup { holder, group, cancel_in_progress, queue } => {
                let (groups, group, held) = (&self.parts.groups, self.group(&group), self.run.facts.held.is_some());
                let news = groups.request_by(self.id, &holder, &group, (cancel_in_progress, queue), held);
                self.group_events(news)
            }
            Command::StartJobRun { key } => {
                // Recorded before anything is made, so that from here on only the job itself says how it ends.
                if self.start(&key) { vec![RunEvent::JobRunStarted { key }] } else { Vec::new() }
            }
            Command::CancelJobRun { key } => {
                self.tell(key, JobControl::Cancel);
                Vec::new()
            }
            Command::KillJobRun { key } => {
                self.tell(key, JobControl::Kill);
                Vec::new()
            }
        }
    }

    /// Tells a job something, once.
    fn tell(&mut self, key: JobRunKey, control: JobControl) {
        if let Some(sender) = self.controls.get(&key)
            && self.told.insert((key, control))
        {
            let _ended = sender.send(control);
        }
    }

    fn start(&mut self, key: &JobRunKey) -> bool {
        if self.controls.contains_key(key) {
            return false;
        }
        // Without one it is asked for again once another job has ended.
        let labels = self.labels(key);
        let Some(slot) = self.parts.slots.take(self.id, key, &labels) else { return false };
        self.begin(key, Some(slot), None)
    }

    /// Performs a job run in a task of its own; one that is new waits until its beginning is recorded.
    fn begin(&mut self, key: &JobRunKey, slot: Option<Slot>, begun: Option<Begun>) -> bool {
        let Some(order) = JobOrder::of(&self.run, self.id, key) else { return false };
        let (sender, control) = mpsc::unbounded_channel();
        self.controls.insert(key.clone(), sender);
        let jobs = Arc::clone(&self.parts.jobs);
        let reports = self.reports.clone();
        let task_key = key.clone();
        let (starting, recorded) = oneshot::channel();
        match begun {
            Some(_) => drop(starting.send(())),
            None => drop(self.starting.insert(key.clone(), starting)),
        }
        let handle = self.tasks.spawn(async move {
            if recorded.await.is_ok() {
                jobs.run(order, begun, control, reports).await;
            }
            drop(slot);
            task_key
        });
        self.task_keys.insert(handle.id(), key.clone());
        true
    }
}
