//! The only place where a run changes.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::state::{HeldGroup, RunCancel};
use super::{
    Gate, JobPath, JobRun, JobRunKey, JobRunStatus, JobState, JobStatus, Phase, Recorded, Review, Run, RunEvent,
    StepIndex, StepRun,
};
use crate::model::JobKind;

/// An event that cannot follow what has happened so far: a damaged log, or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("apply event {seq} ({event}): {reason}")]
pub struct Illegal {
    /// Number of the event.
    pub seq: u64,
    /// Its kind.
    pub event: &'static str,
    /// What does not fit.
    pub reason: String,
}

impl Run {
    /// Adds one fact.
    ///
    /// # Errors
    /// [`Illegal`] when it cannot follow; the run is unchanged then.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), Illegal> {
        let illegal = |reason: String| Illegal { seq: recorded.seq, event: recorded.event.kind(), reason };
        if recorded.seq != self.seq + 1 {
            return Err(illegal(format!("the one before it is {}", self.seq)));
        }
        if let Phase::Finished(_) = self.phase {
            return Err(illegal("the run is over".into()));
        }
        self.change(&recorded.event, recorded.at).map_err(illegal)?;
        self.seq = recorded.seq;
        Ok(())
    }

    fn change(&mut self, event: &RunEvent, at: Timestamp) -> Result<(), String> {
        match event {
            RunEvent::GroupRequested { holder, group, .. } => {
                let slot = self.group_slot(holder.as_ref())?;
                if slot.is_some() {
                    return Err("a group was asked for already".into());
                }
                *slot = Some(HeldGroup { name: group.clone(), acquired: false });
            }
            RunEvent::GroupAcquired { holder } => {
                self.group_slot(holder.as_ref())?.as_mut().ok_or("no group was asked for")?.acquired = true;
            }
            RunEvent::RunHeld { .. } | RunEvent::RunReleased { .. } => return self.change_hold(event),
            RunEvent::RunStarted => {
                if self.phase != Phase::Created {
                    return Err("the run has begun already".into());
                }
                self.phase = Phase::Running;
            }
            RunEvent::JobSkipped { job, reason } => {
                self.pending(job)?.status = JobStatus::Skipped(reason.clone());
            }
            RunEvent::JobRefused { job, message } => {
                self.pending(job)?.status = JobStatus::Refused(message.clone());
            }
            RunEvent::JobExpanded { job, matrix, legs, fail_fast, max_parallel } => {
                let state = self.pending(job)?;
                state.status = JobStatus::Expanded;
                state.matrix = *matrix;
                state.runs = legs.iter().cloned().map(JobRun::queued).collect();
                state.fail_fast = *fail_fast;
                state.max_parallel = *max_parallel;
            }
            RunEvent::CallStarted { key, inputs } => {
                let called = self.called_jobs(key)?;
                self.start(key, at)?.call_inputs = Some(inputs.clone());
                self.jobs.extend(called.into_iter().map(|path| (path, JobState::pending())));
            }
            RunEvent::JobRunStarted { key } => self.start(key, at).map(drop)?,
            RunEvent::JobRunPlaced { .. }
            | RunEvent::StepStarted { .. }
            | RunEvent::StepFinished { .. }
            | RunEvent::JobRunFinished { .. } => return self.change_job_run(event, at),
            RunEvent::JobRunReset { key } => self.reset(key)?,
            RunEvent::ReviewRequested { .. } | RunEvent::Reviewed { .. } => return self.change_gate(event, at),
            RunEvent::RunRefused { message } => self.refused = Some(message.clone()),
            RunEvent::JobRunCancelRequested { key, reason } => {
                let run = self.job_run_mut(key).ok_or_else(|| format!("there is no job run {key}"))?;
                if run.conclusion().is_some() {
                    return Err(format!("{key} has ended already"));
                }
                if run.cancel.is_none() {
                    run.cancel = Some((reason.clone(), at));
                }
            }
            RunEvent::RunCancelRequested { by, force } => {
                let force = *force || self.cancel.as_ref().is_some_and(|cancel| cancel.force);
                self.cancel = Some(RunCancel { by: by.clone(), force });
            }
            RunEvent::RunFinished { conclusion } => {
                let open = self.jobs.values().any(|job| job.result().is_none());
                if open && self.refused.is_none() && !self.is_held() {
                    return Err("jobs are still open".into());
                }
                self.phase = Phase::Finished(*conclusion);
            }
        }
        Ok(())
    }

    /// A job run comes to the rules of its environment, or a person has looked at it.
    fn change_gate(&mut self, event: &RunEvent, at: Timestamp) -> Result<(), String> {
        if let RunEvent::ReviewRequested { key, environment, reviewers, wait_ms, terms } = event {
            let run = self.queued(key)?;
            // Asked for once more only where it is about something else: what was said of the other is void.
            if run.gate.as_ref().is_some_and(|gate| gate.terms.subject == terms.subject) {
                return Err(format!("a review of {key} was asked for already"));
            }
            let (environment, reviewers, terms) = (environment.clone(), reviewers.clone(), terms.clone());
            let reviews = Vec::new();
            run.gate = Some(Gate { environment, reviewers, terms, since: at, wait_ms: *wait_ms, reviews });
        } else if let RunEvent::Reviewed { key, approved, by, comment, .. } = event {
            let gate = self.queued(key)?.gate.as_mut().filter(|gate| gate.wants_review());
            let gate = gate.ok_or_else(|| format!("{key} waits for no review"))?;
            if gate.has_review_of(by) {
                return Err(format!("{by} has reviewed {key} already"));
            }
            gate.reviews.push(Review { approved: *approved, by: by.clone(), comment: comment.clone(), at });
        }
        Ok(())
    }

    /// Whether a job may report this now. The engine asks before it records what a job says of itself.
    ///
    /// # Errors
    /// Why not, a fragment for a message.
    pub fn check_report(&self, event: &RunEvent) -> Result<(), String> {
        match event {
            RunEvent::JobRunPlaced { key, .. } => self.steps_in_progress(key).map(drop),
            RunEvent::StepStarted { key, step, .. } => match self.steps_in_progress(key)?.get(step) {
                Some(_) => Err(format!("step {} has begun already", step.0)),
                None => Ok(()),
            },
            RunEvent::StepFinished { key, step, .. } => match self.steps_in_progress(key)?.get(step) {
                Some(StepRun { finished: Some(_), .. }) => Err(format!("step {} has ended already", step.0)),
                Some(_) | None => Ok(()),
            },
            RunEvent::JobRunFinished { key, .. } => match self.known(key)?.conclusion() {
                Some(_) => Err(format!("{key} has ended already")),
                None => Ok(()),
            },
            RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::RunHeld { .. }
            | RunEvent::RunReleased { .. }
            | RunEvent::RunStarted
            | RunEvent::JobSkipped { .. }
            | RunEvent::JobExpanded { .. }
            | RunEvent::JobRefused { .. }
            | RunEvent::CallStarted { .. }
            | RunEvent::JobRunStarted { .. }
            | RunEvent::JobRunReset { .. }
            | RunEvent::JobRunCancelRequested { .. }
            | RunEvent::ReviewRequested { .. }
            | RunEvent::Reviewed { .. }
            | RunEvent::RunRefused { .. }
            | RunEvent::RunCancelRequested { .. }
            | RunEvent::RunFinished { .. } => Err(format!("{} is no fact of a job run", event.kind())),
        }
    }

    fn known(&self, key: &JobRunKey) -> Result<&JobRun, String> {
        self.job_run(key).ok_or_else(|| format!("there is no job run {key}"))
    }

    fn steps_in_progress(&self, key: &JobRunKey) -> Result<&BTreeMap<StepIndex, StepRun>, String> {
        let run = self.known(key)?;
        if run.in_progress() { Ok(&run.steps) } else { Err(format!("{key} does not run")) }
    }

    /// Facts from inside a job run.
    fn change_job_run(&mut self, event: &RunEvent, at: Timestamp) -> Result<(), String> {
        self.check_report(event)?;
        match event {
            RunEvent::JobRunPlaced { key, runner, pre } => {
                let run = self.in_progress(key)?;
                (run.runner, run.pre) = (Some(runner.clone()), *pre);
            }
            RunEvent::StepStarted { key, step, name } => {
                let run = self.in_progress(key)?;
                let step_run = StepRun { name: name.clone(), started: Some(at), finished: None };
                run.steps.insert(*step, step_run);
            }
            RunEvent::StepFinished { key, step, result } => {
                let run = self.in_progress(key)?;
                let step_run = run.steps.entry(*step).or_insert_with(|| StepRun {
                    name: String::new(),
                    started: None,
                    finished: None,
                });
                step_run.finished = Some((at, result.clone()));
            }
            RunEvent::JobRunFinished { key, conclusion, outputs, message } => {
                let run = self.job_run_mut(key).ok_or_else(|| format!("there is no job run {key}"))?;
                run.status = JobRunStatus::Completed { conclusion: *conclusion };
                run.outputs.clone_from(outputs);
                run.message.clone_from(message);
                let index = key.leg.unwrap_or(0) as usize;
                self.jobs.get_mut(&key.job).ok_or("no such job")?.finished.push(index);
            }
            RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::RunHeld { .. }
            | RunEvent::RunReleased { .. }
            | RunEvent::RunStarted
            | RunEvent::JobSkipped { .. }
            | RunEvent::JobExpanded { .. }
            | RunEvent::JobRefused { .. }
            | RunEvent::CallStarted { .. }
            | RunEvent::JobRunStarted { .. }
            | RunEvent::JobRunReset { .. }
            | RunEvent::JobRunCancelRequested { .. }
            | RunEvent::ReviewRequested { .. }
            | RunEvent::Reviewed { .. }
            | RunEvent::RunRefused { .. }
            | RunEvent::RunCancelRequested { .. }
            | RunEvent::RunFinished { .. } => {}
        }
        Ok(())
    }

    fn group_slot(&mut self, holder: Option<&JobRunKey>) -> Result<&mut Option<HeldGroup>, String> {
        match holder {
            None => Ok(&mut self.group),
            Some(key) => {
                self.job_run_mut(key).map(|run| &mut run.group).ok_or_else(|| format!("there is no job run {key}"))
            }
        }
    }

    fn pending(&mut self, job: &JobPath) -> Result<&mut JobState, String> {
        if self.phase != Phase::Running {
            return Err("the run has not begun".into());
        }
        let state = self.jobs.get_mut(job).ok_or_else(|| format!("there is no job {job}"))?;
        if state.status == JobStatus::Pending { Ok(state) } else { Err(format!("{job} is decided already")) }
    }

    fn queued(&mut self, key: &JobRunKey) -> Result<&mut JobRun, String> {
        let run = self.job_run_mut(key).ok_or_else(|| format!("there is no job run {key}"))?;
        if run.status == JobRunStatus::Queued { Ok(run) } else { Err(format!("{key} is not queued")) }
    }

    fn start(&mut self, key: &JobRunKey, at: Timestamp) -> Result<&mut JobRun, String> {
        let run = self.queued(key)?;
        run.status = JobRunStatus::InProgress { since: at };
        Ok(run)
    }

    fn in_progress(&mut self, key: &JobRunKey) -> Result<&mut JobRun, String> {
        let run = self.job_run_mut(key).ok_or_else(|| format!("there is no job run {key}"))?;
        if run.in_progress() { Ok(run) } else { Err(format!("{key} does not run")) }
    }

    /// What a killed process did of it counts no more; what was approved and its place in a group do.
    fn reset(&mut self, key: &JobRunKey) -> Result<(), String> {
        if self.steps_job(&key.job).is_none() {
            return Err(format!("{key} calls a workflow, whose jobs begin again themselves"));
        }
        let run = self.in_progress(key)?;
        let queued = JobRun::queued(run.leg.clone());
        let (gate, group) = (run.gate.take(), run.group.take());
        *run = JobRun { gate, group, cancel: run.cancel.take(), ..queued };
        Ok(())
    }

    fn called_jobs(&self, key: &JobRunKey) -> Result<Vec<JobPath>, String> {
        let job = self.job(&key.job).ok_or_else(|| format!("there is no job {}", key.job))?;
        let JobKind::Call(call) = &job.kind else { return Err(format!("{key} calls no workflow")) };
        let called = call.called.as_ref().ok_or_else(|| format!("the workflow that {key} calls is not known"))?;
        Ok(called.jobs.keys().map(|id| JobPath::child(key, id)).collect())
    }
}

impl RunEvent {
    /// The job run that reports this of itself; `None` for all other facts.
    #[must_use]
    pub const fn job_run(&self) -> Option<&JobRunKey> {
        match self {
            Self::JobRunPlaced { key, .. }
            | Self::StepStarted { key, .. }
            | Self::StepFinished { key, .. }
            | Self::JobRunFinished { key, .. } => Some(key),
            Self::GroupRequested { .. }
            | Self::GroupAcquired { .. }
            | Self::RunHeld { .. }
            | Self::RunReleased { .. }
            | Self::RunStarted
            | Self::JobSkipped { .. }
            | Self::JobExpanded { .. }
            | Self::JobRefused { .. }
            | Self::CallStarted { .. }
            | Self::JobRunStarted { .. }
            | Self::JobRunReset { .. }
            | Self::JobRunCancelRequested { .. }
            | Self::ReviewRequested { .. }
            | Self::Reviewed { .. }
            | Self::RunRefused { .. }
            | Self::RunCancelRequested { .. }
            | Self::RunFinished { .. } => None,
        }
    }

    /// The job run that begins again with this fact.
    #[must_use]
    pub const fn reset_job(&self) -> Option<&JobRunKey> {
        if let Self::JobRunReset { key } = self { Some(key) } else { None }
    }

    /// Whether another report of the same job cannot come after this one: the same once more, or anything after the end.
    #[must_use]
    pub fn is_followed_badly_by(&self, later: &Self) -> bool {
        let step = |event: &Self| {
            let (Self::StepStarted { step, .. } | Self::StepFinished { step, .. }) = event else { return None };
            Some(*step)
        };
        let again = self.kind() == later.kind() && step(self) == step(later);
        self.job_run() == later.job_run() && (again || matches!(self, Self::JobRunFinished { .. }))
    }

    /// Its name in the log.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::GroupRequested { .. } => "group_requested",
            Self::GroupAcquired { .. } => "group_acquired",
            Self::RunHeld { .. } => "run_held",
            Self::RunReleased { .. } => "run_released",
            Self::RunStarted => "run_started",
            Self::JobSkipped { .. } => "job_skipped",
            Self::JobExpanded { .. } => "job_expanded",
            Self::JobRefused { .. } => "job_refused",
            Self::CallStarted { .. } => "call_started",
            Self::JobRunStarted { .. } => "job_run_started",
            Self::JobRunPlaced { .. } => "job_run_placed",
            Self::StepStarted { .. } => "step_started",
            Self::StepFinished { .. } => "step_finished",
            Self::JobRunFinished { .. } => "job_run_finished",
            Self::JobRunReset { .. } => "job_run_reset",
            Self::JobRunCancelRequested { .. } => "job_run_cancel_requested",
            Self::RunCancelRequested { .. } => "run_cancel_requested",
            Self::ReviewRequested { .. } => "review_requested",
            Self::Reviewed { .. } => "reviewed",
            Self::RunRefused { .. } => "run_refused",
            Self::RunFinished { .. } => "run_finished",
        }
    }
}
