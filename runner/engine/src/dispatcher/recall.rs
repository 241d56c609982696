//! Going on with a run that another process had begun: its state out of its log, its places in concurrency groups, its
//! jobs.

use std::sync::Arc;

use workflow::run::{JobRunKey, JobRunStatus, JobStatus, Phase, QueueMode, Recorded, Run, RunEvent, RunFacts};

use super::Loop;
use crate::job::Begun;
use crate::store::{RunId, StoreError};

/// The state that a run's log describes.
pub(super) fn replay(id: RunId, facts: Arc<RunFacts>, history: &[Recorded]) -> Result<Run, StoreError> {
    let mut run = Run::new(facts);
    for fact in history {
        run.apply_stored(fact).map_err(|illegal| StoreError::Unfit { run: id, reason: illegal.to_string() })?;
    }
    Ok(run)
}

impl Loop<'_> {
    /// Takes up what goes on; gives what has changed for it since.
    pub(super) fn take_up(&mut self) -> Vec<RunEvent> {
        let mut facts = self.rejoin_groups();
        if self.run.phase == Phase::Running {
            let kept = std::mem::take(&mut self.kept);
            // All of it or nothing was recorded.
            let missing = self.run.jobs.values().all(|job| job.status == JobStatus::Pending);
            facts.extend(kept.into_iter().filter(|_| missing));
        }
        let begun = |run: &workflow::run::JobRun| Begun { placed: run.runner.is_some(), steps: run.steps.clone() };
        let mut open = Vec::new();
        for (key, run) in self.run.job_runs() {
            match run.status {
                JobRunStatus::InProgress { .. } => open.push((key.clone(), begun(run))),
                JobRunStatus::Completed { .. } => self.parts.jobs.forget(&key),
                JobRunStatus::Queued => {}
            }
        }
        for (key, begun) in open {
            // It runs already, whether or not there is a place by now's count.
            let slot = Some(self.parts.slots.occupy(&self.labels(&key)));
            // A calling job has no steps of its own; those that it calls are among the others.
            let _is_a_call = self.begin(&key, slot, Some(begun));
        }
        facts
    }

    /// Those that have a group hold it on, the others wait for it again.
    fn rejoin_groups(&mut self) -> Vec<RunEvent> {
        let mut holders: Vec<(bool, Option<JobRunKey>, String)> = Vec::new();
        if let (Some(group), None) = (&self.run.group, self.run.conclusion()) {
            holders.push((group.acquired, None, group.name.clone()));
        }
        for (key, run) in self.run.job_runs() {
            if let (Some(group), None) = (&run.group, run.conclusion()) {
                holders.push((group.acquired, Some(key.clone()), group.name.clone()));
            }
        }
        holders.sort_by_key(|(acquired, ..)| !acquired);
        let mut facts = Vec::new();
        for (acquired, holder, group) in holders {
            // Who was to be cancelled for it has been told. All that wait are kept, since none may be pushed out by this.
            let news = self.parts.groups.request(self.id, &holder, &self.group(&group), false, QueueMode::Max);
            facts.extend(self.group_events(news).into_iter().filter(|_| !acquired));
        }
        facts
    }
}
