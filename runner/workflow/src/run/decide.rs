//! What should happen next.
//!
//! `decide` reads the state and the time and gives a list: facts that follow at once, and work for the engine. It keeps
//! no memory of its own. Work is asked for again until an event says that it was begun, so the engine keys what it does
//! by job run and does nothing twice.

use std::time::Duration;

use jiff::Timestamp;

use super::contexts::JobScope;
use super::expand::{self, Planned};
use super::{
    CancelReason, Conclusion, HeldGroup, JobPath, JobRun, JobRunKey, JobRunStatus, JobState, JobStatus, Phase,
    QueueMode, Run, RunEvent,
};
use crate::model::{JobId, JobKind};

/// One thing that should happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// This is a fact; record it.
    Record(RunEvent),
    /// This is work; do it, and report what came of it as an event.
    Do(Command),
}

/// Work for the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Ask for a concurrency group; answered by `GroupAcquired`, or by a cancel request.
    AcquireGroup {
        /// The job run; `None` for the run itself.
        holder: Option<JobRunKey>,
        /// The group.
        group: String,
        /// `cancel-in-progress`.
        cancel_in_progress: bool,
        /// `queue`.
        queue: QueueMode,
    },
    /// Give a job run a runner; answered by `JobRunStarted`.
    StartJobRun {
        /// The job run.
        key: JobRunKey,
    },
    /// Stop a job run's steps, politely at first; its `always()` steps still run. Answered by `JobRunFinished`.
    CancelJobRun {
        /// The job run.
        key: JobRunKey,
    },
    /// Stop a job run now, nothing of it runs on.
    KillJobRun {
        /// The job run.
        key: JobRunKey,
    },
}

/// Bounds of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many job runs may go on at once.
    pub parallel: usize,
}

impl Run {
    /// What should happen now. Call it after every applied event and when [`Run::next_deadline`] has come.
    #[must_use]
    pub fn decide(&self, now: Timestamp, limits: &Limits) -> Vec<Decision> {
        match self.phase {
            Phase::Finished(_) => Vec::new(),
            Phase::Created | Phase::Running if self.refused.is_some() => self.give_up(),
            Phase::Created => self.hold_first().unwrap_or_else(|| self.begin()),
            Phase::Running => self.go_on(now, limits),
        }
    }

    /// When `decide` has something new to say though nothing happened: the nearest time-out of a job run or a gate that comes
    /// after `decided`, the time that was last given to `decide`. What was due by then has been said.
    #[must_use]
    pub fn next_deadline(&self, decided: Timestamp) -> Option<Timestamp> {
        let deadlines = self.job_runs().filter(|(key, run)| run.in_progress() && !self.is_call(key));
        let deadlines = deadlines.filter_map(|(_, run)| run.deadline());
        deadlines.chain(self.gate_times(decided)).filter(|deadline| *deadline > decided).min()
    }

    fn begin(&self) -> Vec<Decision> {
        if self.cancel.is_some() {
            return vec![Decision::Record(RunEvent::RunStarted)];
        }
        let Some(token) = &self.facts.workflow.concurrency else {
            return vec![Decision::Record(RunEvent::RunStarted)];
        };
        match &self.group {
            Some(group) if group.acquired => vec![Decision::Record(RunEvent::RunStarted)],
            Some(_) => self.group_command(None),
            None => match expand::concurrency(token, &JobScope::of_run(self)) {
                Ok(group) => vec![Decision::Record(group.requested(None))],
                // Each job is refused with the reason, see `expand::plan_job`.
                Err(_) => vec![Decision::Record(RunEvent::RunStarted)],
            },
        }
    }

    fn group_command(&self, holder: Option<&JobRunKey>) -> Vec<Decision> {
        let group = match holder {
            None => self.facts.workflow.concurrency.as_ref().map(|it| expand::concurrency(it, &JobScope::of_run(self))),
            Some(key) => expand::job_group(self, key),
        };
        let Some(Ok(group)) = group else { return Vec::new() };
        vec![Decision::Do(Command::AcquireGroup {
            holder: holder.cloned(),
            group: group.name,
            cancel_in_progress: group.cancel_in_progress,
            queue: group.queue,
        })]
    }

    fn go_on(&self, now: Timestamp, limits: &Limits) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let mut running = self.job_runs().filter(|(key, run)| run.in_progress() && !self.is_call(key)).count();
        for (path, job) in &self.jobs {
            match &job.status {
                JobStatus::Pending => decisions.extend(self.plan_pending(path)),
                JobStatus::Expanded if job.finished.len() < job.runs.len() => {
                    self.drive(path, job, now, limits, &mut running, &mut decisions);
                }
                JobStatus::Expanded | JobStatus::Skipped(_) | JobStatus::Refused(_) => {}
            }
        }
        if decisions.is_empty() && self.jobs.values().all(|job| job.result().is_some()) {
            decisions.push(Decision::Record(RunEvent::RunFinished { conclusion: self.final_conclusion() }));
        }
        decisions
    }

    fn plan_pending(&self, path: &JobPath) -> Option<Decision> {
        let job = self.job(path)?;
        let open = job.needs.iter().any(|need| self.sibling_result(path, &need.value).is_none());
        if open {
            return None;
        }
        Some(Decision::Record(match expand::plan_job(self, path, job) {
            Planned::Skip(reason) => RunEvent::JobSkipped { job: path.clone(), reason },
            Planned::Refuse(message) => RunEvent::JobRefused { job: path.clone(), message },
            Planned::Expand { matrix, legs, fail_fast, max_parallel } => {
                RunEvent::JobExpanded { job: path.clone(), matrix, legs, fail_fast, max_parallel }
            }
        }))
    }

    pub(super) fn sibling_result(&self, path: &JobPath, id: &JobId) -> Option<Conclusion> {
        let state = match path.parent_text() {
            None => self.jobs.get(id.as_str()),
            Some(_) => self.jobs.get(&path.sibling(id.as_str())),
        };
        state?.result()
    }

    fn drive(
        &self,
        path: &JobPath,
        job: &JobState,
        now: Timestamp,
        limits: &Limits,
        running: &mut usize,
        decisions: &mut Vec<Decision>,
    ) {
        let mut legs = job.runs.iter().filter(|run| run.in_progress()).count();
        for (index, run) in job.runs.iter().enumerate() {
            let key = job.key(path, index);
            match run.status {
                JobRunStatus::Completed { .. } => {}
                JobRunStatus::InProgress { since } => {
                    decisions.extend(self.supervise(job, &key, run, since, now));
                }
                JobRunStatus::Queued => {
                    if let Some(reason) = self.stop_reason(job, &key, run) {
                        decisions.push(Decision::Record(cancelled_before(&key, &reason)));
                        continue;
                    }
                    if let Some(wait) = self.gate_first(&key, run, now) {
                        decisions.extend(wait);
                        continue;
                    }
                    let leg_free = job.max_parallel.is_none_or(|max| legs < max.max(1) as usize);
                    if !leg_free {
                        continue;
                    }
                    if let Some(wait) = self.group_first(&key, run) {
                        decisions.extend(wait);
                        continue;
                    }
                    if self.is_call(&key) {
                        legs += 1;
                        decisions.push(Decision::Record(self.begin_call(&key)));
                    } else if *running < limits.parallel.max(1) {
                        legs += 1;
                        *running += 1;
                        decisions.push(Decision::Do(Command::StartJobRun { key }));
                    }
                }
            }
        }
    }

    /// What has to happen before a queued job run may start because of its concurrency group; `None`: it may.
    fn group_first(&self, key: &JobRunKey, run: &JobRun) -> Option<Vec<Decision>> {
        match &run.group {
            Some(group) if group.acquired => None,
            Some(_) => Some(self.group_command(Some(key))),
            None => Some(vec![Decision::Record(match expand::job_group(self, key)? {
                Ok(group) => match self.holder_above(key, &group.name) {
                    Some(holder) => deadlocked(key, &group.name, &holder),
                    None => group.requested(Some(key.clone())),
                },
                Err(message) => failed_before(key, message),
            })]),
        }
    }

    /// Who holds a group that a job run waits for, if that one in turn waits for the job run: the run itself, or a call.
    fn holder_above(&self, key: &JobRunKey, name: &str) -> Option<String> {
        let same = |group: &Option<HeldGroup>| {
            group.as_ref().is_some_and(|group| group.name.to_lowercase() == name.to_lowercase())
        };
        if same(&self.group) {
            return Some("top level workflow".into());
        }
        let mut above = key.job.parent();
        while let Some(caller) = above {
            if self.job_run(&caller).is_some_and(|run| same(&run.group)) {
                return Some(caller.to_string());
            }
            above = caller.job.parent();
        }
        None
    }

    fn begin_call(&self, key: &JobRunKey) -> RunEvent {
        match expand::call_inputs(self, key) {
            Ok(inputs) => RunEvent::CallStarted { key: key.clone(), inputs },
            Err(message) => failed_before(key, message),
        }
    }

    /// A job run that goes on: has it been long enough, should it stop, is its called workflow done?
    fn supervise(
        &self,
        job: &JobState,
        key: &JobRunKey,
        run: &JobRun,
        since: Timestamp,
        now: Timestamp,
    ) -> Option<Decision> {
        if self.is_call(key) {
            let stop = || {
                let reason = self.stop_reason(job, key, run).filter(|_| run.cancel.is_none())?;
                Some(RunEvent::JobRunCancelRequested { key: key.clone(), reason })
            };
            return self.finish_call(key).or_else(stop).map(Decision::Record);
        }
        if let Some((_, at)) = &run.cancel {
            let force = self.cancel.as_ref().is_some_and(|cancel| cancel.force);
            let overdue = now >= later(*at, run.leg.cancel_timeout_ms);
            let command = if force || overdue {
                Command::KillJobRun { key: key.clone() }
            } else {
                Command::CancelJobRun { key: key.clone() }
            };
            return Some(Decision::Do(command));
        }
        if now >= later(since, run.leg.timeout_ms) {
            let reason = CancelReason::Timeout { limit_ms: run.leg.timeout_ms };
            return Some(Decision::Record(RunEvent::JobRunCancelRequested { key: key.clone(), reason }));
        }
        let reason = self.stop_reason(job, key, run)?;
        Some(Decision::Record(RunEvent::JobRunCancelRequested { key: key.clone(), reason }))
    }

    /// Why a queued or running job run should stop, if it should. When a run or a call is cancelled, a job whose `if:`
    /// still holds (`always()`, `cancelled()`) goes on, as on GitHub.
    fn stop_reason(&self, job: &JobState, key: &JobRunKey, run: &JobRun) -> Option<CancelReason> {
        if let Some((reason, _)) = &run.cancel {
            return Some(reason.clone());
        }
        let force = self.cancel.as_ref().is_some_and(|cancel| cancel.force);
        if let Some(reason) = self.cancelled_above(&key.job)
            && (force || !self.condition_still_holds(&key.job))
        {
            return Some(reason);
        }
        let failed = |other: &&JobRun| other.result() == Some(Conclusion::Failure);
        if job.matrix
            && job.fail_fast
            && let Some(failed) = job.runs.iter().find(failed)
        {
            return Some(CancelReason::FailFast { leg: failed.leg.name.clone() });
        }
        None
    }

    /// Why everything stops that a job belongs to, if it does: the run was cancelled, or a call that leads to the job.
    pub(super) fn cancelled_above(&self, path: &JobPath) -> Option<CancelReason> {
        if let Some(cancel) = &self.cancel {
            return Some(CancelReason::Run { by: cancel.by.clone() });
        }
        let parent = path.parent()?;
        match &self.job_run(&parent)?.cancel {
            Some((reason, _)) => Some(reason.clone()),
            None => self.cancelled_above(&parent.job),
        }
    }

    fn condition_still_holds(&self, path: &JobPath) -> bool {
        self.job(path)
            .is_some_and(|job| expand::condition(&job.condition, &JobScope::of_job(self, path)).unwrap_or(false))
    }

    pub(super) fn is_call(&self, key: &JobRunKey) -> bool {
        self.job(&key.job).is_some_and(|job| matches!(job.kind, JobKind::Call(_)))
    }

    pub(super) fn finish_call(&self, key: &JobRunKey) -> Option<RunEvent> {
        let JobKind::Call(call) = &self.job(&key.job)?.kind else { return None };
        let called = call.called.as_ref()?;
        let mut all = Conclusion::Skipped;
        for id in called.jobs.keys() {
            all = all.merge(self.jobs.get(&JobPath::child(key, id))?.result()?);
        }
        let (outputs, message) = match expand::call_outputs(self, key, called) {
            Ok(outputs) => (outputs, None),
            Err(message) => {
                all = all.merge(Conclusion::Failure);
                (std::collections::BTreeMap::new(), Some(message))
            }
        };
        Some(RunEvent::JobRunFinished { key: key.clone(), conclusion: all, outputs, message })
    }

    fn final_conclusion(&self) -> Conclusion {
        let all = self
            .jobs
            .iter()
            .filter(|(path, _)| path.parent().is_none())
            .filter_map(|(_, job)| job.result())
            .fold(Conclusion::Skipped, Conclusion::merge);
        if self.cancel.is_some() { Conclusion::Cancelled } else { all }
    }
}

impl JobRun {
    fn deadline(&self) -> Option<Timestamp> {
        let JobRunStatus::InProgress { since } = self.status else { return None };
        Some(match &self.cancel {
            Some((_, at)) => later(*at, self.leg.cancel_timeout_ms),
            None => later(since, self.leg.timeout_ms),
        })
    }
}

fn later(at: Timestamp, milliseconds: u64) -> Timestamp {
    at.checked_add(Duration::from_millis(milliseconds)).unwrap_or(Timestamp::MAX)
}

fn cancelled_before(key: &JobRunKey, reason: &CancelReason) -> RunEvent {
    RunEvent::JobRunFinished {
        key: key.clone(),
        conclusion: Conclusion::Cancelled,
        outputs: std::collections::BTreeMap::new(),
        message: Some(reason.sentence()),
    }
}

pub(super) fn failed_before(key: &JobRunKey, message: String) -> RunEvent {
    RunEvent::JobRunFinished {
        key: key.clone(),
        conclusion: Conclusion::Failure,
        outputs: std::collections::BTreeMap::new(),
        message: Some(message),
    }
}

/// A job that waits for a group which only its own end would free; GitHub's words.
fn deadlocked(key: &JobRunKey, group: &str, holder: &str) -> RunEvent {
    let job = key.job.id();
    failed_before(
        key,
        format!(
            "Canceling since a deadlock for concurrency group '{group}' was detected between '{holder}' and '{job}'"
        ),
    )
}
