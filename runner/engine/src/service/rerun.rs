//! Another attempt of a run that is over: all of it, what failed, or one job, with all that depends on it. Jobs that are
//! not run again keep their results.
//!
//! Follows <https://docs.github.com/en/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs>. A calling job is
//! run again as a whole. What is kept is recorded at the beginning of the new attempt, with its time.

use std::collections::BTreeSet;

use workflow::model::JobId;
use workflow::run::{Conclusion, JobPath, JobRunKey, JobStatus, Recorded, Run, RunEvent};

use super::{RunService, ServiceError, restart};
use crate::store::{RunId, RunNumbers, RunStatus};

/// What to run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rerun {
    /// Everything.
    All,
    /// What failed or was cancelled, and what depends on it.
    Failed,
    /// One job by its id, or one leg of it by its key (`test(1)`), and what depends on it.
    Job(String),
}

impl RunService {
    /// Makes the next attempt of a run that is over: the same number, the same commit, the same files.
    ///
    /// # Errors
    /// It does not exist, is not over, was a local run, or has nothing that could be run again.
    pub async fn rerun(&self, run: RunId, what: &Rerun, by: &str) -> Result<RunNumbers, ServiceError> {
        let inner = &self.0;
        let row = inner.store.run_row(run).await?.ok_or(ServiceError::NoSuchRun(run))?;
        if row.status != RunStatus::Completed {
            return Err(ServiceError::NotOver(run));
        }
        let unreadable = |reason: String| ServiceError::Unreadable { run, reason };
        let spec = inner.store.spec(run).await?;
        let mut spec = spec.ok_or_else(|| unreadable("it was not made by this server".into()))?;
        if let Some(problem) = &spec.problem {
            return Err(unreadable(problem.join("\n")));
        }
        let kept = match what {
            Rerun::All => Vec::new(),
            Rerun::Failed | Rerun::Job(_) => {
                let history = inner.log.read(run).await?;
                let state = restart::replay(inner, &spec, &row, &history).await;
                let state = state.ok_or_else(|| unreadable("what is recorded of it does not fit together".into()))?;
                kept(&state, &history, &again(&state, what, run)?, what)
            }
        };
        // Whoever runs it again lets it begin.
        spec.held = None;
        // It is what somebody wants now.
        spec.newer = Vec::new();
        spec.kept = kept;
        spec.rerun_of = Some(run);
        spec.attempt = row.numbers.attempt + 1;
        by.clone_into(&mut spec.requested_by);
        let made = self.make(None, vec![spec]).await?.unwrap_or_default();
        made.into_iter().next().ok_or(ServiceError::NoSuchRun(run))
    }
}

/// Facts of a run that count for its next attempt.
pub(crate) fn kept_facts(
    state: &Run,
    history: &[Recorded],
    what: &Rerun,
    run: RunId,
) -> Result<Vec<RunEvent>, ServiceError> {
    Ok(kept(state, history, &again(state, what, run)?, what))
}

/// The workflow's own jobs that are run again: those asked for, and all that depend on them.
fn again(state: &Run, what: &Rerun, run: RunId) -> Result<BTreeSet<JobId>, ServiceError> {
    let jobs = &state.facts.workflow.jobs;
    let mut again: BTreeSet<JobId> = match what {
        Rerun::All => jobs.keys().cloned().collect(),
        Rerun::Failed => jobs.keys().filter(|id| failed(state, id)).cloned().collect(),
        Rerun::Job(wanted) => {
            let key = JobRunKey::parse(wanted);
            let root = key.job.ids().next().filter(|_| is_whole(wanted) || state.job_run(&key).is_some());
            let id = root.and_then(|root| jobs.keys().find(|id| id.as_str().eq_ignore_ascii_case(root)));
            let unknown = || ServiceError::NoSuchJob { run, job: wanted.clone() };
            [id.cloned().ok_or_else(unknown)?].into()
        }
    };
    if again.is_empty() {
        return Err(ServiceError::NothingFailed(run));
    }
    loop {
        let before = again.len();
        let depends = |id: &JobId| jobs[id].needs.iter().any(|need| again.contains(&need.value));
        let more: Vec<_> = jobs.keys().filter(|id| depends(id)).cloned().collect();
        again.extend(more);
        if again.len() == before {
            return Ok(again);
        }
    }
}

/// Whether a job is meant, not one of its legs nor a job of a workflow that it calls.
fn is_whole(wanted: &str) -> bool {
    !wanted.contains(['(', '/'])
}

fn failed(state: &Run, id: &JobId) -> bool {
    let Some(job) = state.jobs.get(id.as_str()) else { return false };
    let bad = |conclusion| matches!(conclusion, Conclusion::Failure | Conclusion::Cancelled);
    match &job.status {
        JobStatus::Refused(_) | JobStatus::Pending => true,
        JobStatus::Skipped(_) => job.result() == Some(Conclusion::Cancelled),
        JobStatus::Expanded => job.runs.iter().any(|leg| leg.conclusion().is_none_or(bad)),
    }
}

/// Facts of what is not run again. Of a job that failed itself, its legs that did not; of one that a leg is wanted of, the
/// others, but where the first failure ends them all those only that succeeded.
fn kept(state: &Run, history: &[Recorded], again: &BTreeSet<JobId>, what: &Rerun) -> Vec<RunEvent> {
    let jobs = &state.facts.workflow.jobs;
    let root = |path: &JobPath| path.ids().next().and_then(|id| jobs.get_key_value(id)).map(|(id, _)| id.clone());
    let whole = |path: &JobPath| root(path).is_some_and(|id| !again.contains(&id));
    // Legs are kept where nothing before the job is run again, so that it has the same legs.
    let wanted = match what {
        Rerun::Job(wanted) if !is_whole(wanted) => Some(JobRunKey::parse(wanted)),
        Rerun::All | Rerun::Failed | Rerun::Job(_) => None,
    };
    let is_wanted = |path: &JobPath| wanted.as_ref().is_some_and(|key| key.job == *path);
    let in_part = |path: &JobPath| {
        let is_parted = (*what == Rerun::Failed || is_wanted(path)) && path.parent().is_none();
        let Some(id) = root(path).filter(|_| is_parted) else { return false };
        let job = &jobs[&id];
        let same = !job.needs.iter().any(|need| again.contains(&need.value));
        same && state.jobs.get(path).is_some_and(|job| job.matrix) && state.steps_job(path).is_some()
    };
    let fails_fast = |path: &JobPath| {
        let is_fast =
            |event: &RunEvent| matches!(event, RunEvent::JobExpanded { job, fail_fast: true, .. } if job == path);
        history.iter().any(|fact| is_fast(&fact.event))
    };
    let leg = |key: &JobRunKey| {
        let is_kept = || match state.job_run(key).and_then(workflow::run::JobRun::conclusion) {
            Some(Conclusion::Success) => wanted.as_ref() != Some(key),
            Some(_) => is_wanted(&key.job) && wanted.as_ref() != Some(key) && !fails_fast(&key.job),
            None => false,
        };
        whole(&key.job) || (in_part(&key.job) && is_kept())
    };
    let stays = |event: &RunEvent| match event {
        RunEvent::JobSkipped { job, .. } | RunEvent::JobRefused { job, .. } => whole(job),
        RunEvent::JobExpanded { job, .. } => whole(job) || in_part(job),
        RunEvent::CallStarted { key, .. }
        | RunEvent::JobRunStarted { key }
        | RunEvent::JobRunPlaced { key, .. }
        | RunEvent::JobRunReset { key }
        | RunEvent::StepStarted { key, .. }
        | RunEvent::StepFinished { key, .. }
        | RunEvent::JobRunFinished { key, .. } => leg(key),
        RunEvent::GroupRequested { .. }
        | RunEvent::GroupAcquired { .. }
        | RunEvent::RunHeld { .. }
        | RunEvent::RunReleased { .. }
        | RunEvent::RunStarted
        | RunEvent::ReviewRequested { .. }
        | RunEvent::Reviewed { .. }
        | RunEvent::JobRunCancelRequested { .. }
        | RunEvent::RunCancelRequested { .. }
        | RunEvent::RunRefused { .. }
        | RunEvent::RunFinished { .. } => false,
    };
    history.iter().map(|fact| &fact.event).filter(|event| stays(event)).cloned().collect()
}
