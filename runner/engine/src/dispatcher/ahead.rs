//! Which jobs are about to begin: the last one that they need has begun its last step. Pure, and only a guess: conditions
//! are not looked at.

use workflow::model::{Job, JobId, StepKind};
use workflow::run::{JobPath, JobRunKey, Run, RunEvent, StepIndex};

/// Jobs of the same workflow that this event lets expect. Those of called workflows are not told ahead.
pub(super) fn about_to_begin(run: &Run, event: &RunEvent) -> Vec<JobPath> {
    let RunEvent::StepStarted { key, step, .. } = event else { return Vec::new() };
    if key.job.parent().is_some() || run.cancel.is_some() || !is_last(run, key, *step) {
        return Vec::new();
    }
    let ends = |id: &JobId| id.as_str() == key.job.id();
    let is_over = |id: &JobId| {
        let state = run.jobs.get(&JobPath::root(id));
        state.is_some_and(|state| state.result().is_some())
    };
    let is_next = |job: &&Job| {
        let needs = job.needs.iter().map(|need| &need.value);
        needs.clone().any(ends) && needs.clone().all(|id| ends(id) || is_over(id))
    };
    let jobs = run.facts.workflow.jobs.values().filter(is_next);
    jobs.map(|job| JobPath::root(&job.id.value)).collect()
}

/// Whether nothing of the job comes after this step: not of this leg, not of another.
fn is_last(run: &Run, key: &JobRunKey, step: StepIndex) -> bool {
    let Some(steps) = run.steps_job(&key.job) else { return false };
    let count = |step: &workflow::model::Step| match &step.kind {
        StepKind::Parallel(steps) => steps.len(),
        StepKind::Run { .. } | StepKind::Uses { .. } | StepKind::Wait(_) | StepKind::WaitAll | StepKind::Cancel(_) => 1,
    };
    let all: usize = steps.steps.iter().map(count).sum();
    let others_are_over = || {
        let others = run.job_runs().filter(|(other, _)| other.job == key.job && other != key);
        others.into_iter().all(|(_, other)| other.conclusion().is_some())
    };
    usize::try_from(step.0).is_ok_and(|step| step + 1 >= all) && others_are_over()
}
