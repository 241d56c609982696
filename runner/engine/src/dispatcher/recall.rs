//! Going on with a run that another process had begun: its state out of its log, its places in concurrency groups, its
//! jobs.

use std::sync::Arc;

use tokio::sync::mpsc;
use workflow::run::{
    GroupChange, HeldGroup, JobRunKey, JobRunStatus, JobStatus, Phase, QueueMode, Recorded, Run, RunEvent, RunFacts,
};

use super::Loop;
use crate::groups::GroupNews;
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

    /// Jobs of an earlier attempt go on that had not ended there, once what is kept of it is recorded.
    pub(super) fn begin_kept(&mut self) {
        if !self.may_go_on || self.run.phase != Phase::Running || !self.kept.is_empty() {
            return;
        }
        self.may_go_on = false;
        let goes_on = |(key, run): &(JobRunKey, &workflow::run::JobRun)| {
            run.in_progress() && !self.controls.contains_key(key) && self.run.steps_job(&key.job).is_some()
        };
        let begun = |run: &workflow::run::JobRun| Begun { placed: run.runner.is_some(), steps: run.steps.clone() };
        let open: Vec<_> = self.run.job_runs().filter(goes_on).map(|(key, run)| (key, begun(run))).collect();
        for (key, begun) in open {
            let slot = Some(self.parts.slots.occupy(&self.labels(&key)));
            let _has_steps = self.begin(&key, slot, Some(begun));
        }
    }

    /// What had a group when its process was killed has it again, once the process has ended that took it meanwhile.
    pub(super) async fn wait_for_groups(
        &mut self,
        news: &mut mpsc::UnboundedReceiver<GroupNews>,
    ) -> Result<(), StoreError> {
        let of_run = self.run.group.iter();
        let of_jobs = self.run.job_runs().filter(|(_, run)| run.conclusion().is_none());
        let groups: Vec<_> = of_run.chain(of_jobs.filter_map(|(_, run)| run.group.as_ref())).collect();
        let taken =
            |group: &&&HeldGroup| group.acquired && self.parts.groups.waits_for_others(&self.group(&group.name));
        let mut awaited = groups.iter().filter(taken).count();
        while awaited > 0 {
            let Some(one) = news.recv().await else { return Ok(()) };
            awaited -= usize::from(matches!(one.change, GroupChange::Acquired(_)));
            let events = self.group_events(vec![one]);
            self.record(events).await?;
        }
        Ok(())
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
