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
    /// One job by its id, and what depends on it.
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
        spec.kept = kept;
        spec.rerun_of = Some(run);
        spec.attempt = row.numbers.attempt + 1;
        by.clone_into(&mut spec.requested_by);
        let made = self.make(None, vec![spec]).await?.unwrap_or_default();
        made.into_iter().next().ok_or(ServiceError::NoSuchRun(run))
    }
}

/// The workflow's own jobs that are run again: those asked for, and all that depend on them.
fn again(state: &Run, what: &Rerun, run: RunId) -> Result<BTreeSet<JobId>, ServiceError> {
    let jobs = &state.facts.workflow.jobs;
    let mut again: BTreeSet<JobId> = match what {
        Rerun::All => jobs.keys().cloned().collect(),
        Rerun::Failed => jobs.keys().filter(|id| failed(state, id)).cloned().collect(),
        Rerun::Job(wanted) => {
            let id = jobs.keys().find(|id| id.as_str().eq_ignore_ascii_case(wanted));
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

fn failed(state: &Run, id: &JobId) -> bool {
    let Some(job) = state.jobs.get(id.as_str()) else { return false };
    let bad = |conclusion| matches!(conclusion, Conclusion::Failure | Conclusion::Cancelled);
    match &job.status {
        JobStatus::Refused(_) | JobStatus::Pending => true,
        JobStatus::Skipped(_) => job.result() == Some(Conclusion::Cancelled),
        JobStatus::Expanded => job.runs.iter().any(|leg| leg.conclusion().is_none_or(bad)),
    }
}

/// Facts of what is not run again. Of a job that failed itself, its legs that did not.
fn kept(state: &Run, history: &[Recorded], again: &BTreeSet<JobId>, what: &Rerun) -> Vec<RunEvent> {
    let jobs = &state.facts.workflow.jobs;
    let root = |path: &JobPath| path.ids().next().and_then(|id| jobs.get_key_value(id)).map(|(id, _)| id.clone());
    let whole = |path: &JobPath| root(path).is_some_and(|id| !again.contains(&id));
    // Legs are kept where nothing before the job is run again, so that it has the same legs.
    let in_part = |path: &JobPath| {
        let Some(id) = root(path).filter(|_| *what == Rerun::Failed && path.parent().is_none()) else { return false };
        let job = &jobs[&id];
        let same = !job.needs.iter().any(|need| again.contains(&need.value));
        same && state.jobs.get(path).is_some_and(|job| job.matrix) && state.steps_job(path).is_some()
    };
    let leg = |key: &JobRunKey| {
        whole(&key.job)
            || (in_part(&key.job)
                && state.job_run(key).and_then(workflow::run::JobRun::conclusion) == Some(Conclusion::Success))
    };
    let stays = |event: &RunEvent| match event {
        RunEvent::JobSkipped { job, .. } | RunEvent::JobRefused { job, .. } => whole(job),
        RunEvent::JobExpanded { job, .. } => whole(job) || in_part(job),
        RunEvent::CallStarted { key, .. }
        | RunEvent::JobRunStarted { key }
        | RunEvent::JobRunPlaced { key, .. }
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
