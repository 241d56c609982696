//! Jobs that go on in the places that an attempt left which failed: what of their facts counts, and from which step on.

use std::path::Path;

use workflow::run::{Conclusion, JobRun, JobRunKey, Run, RunEvent, StepIndex};

use super::Standing;
use super::again::Before;
use crate::job::{LeftPlace, log_folder};
use crate::store::RunId;

/// The step that a job failed at: from there it goes on in its own place.
#[must_use]
pub fn failed_step(job: &JobRun) -> Option<StepIndex> {
    let failed = |run: &workflow::run::StepRun| {
        run.finished.as_ref().is_some_and(|(_, result)| result.conclusion == Conclusion::Failure)
    };
    job.steps.iter().find(|(_, run)| failed(run)).map(|(step, _)| *step)
}

/// Whether a job may go on in its own place: one of the workflow itself, all of whose needs are kept.
fn may_go_on(run: &Run, key: &JobRunKey, kept: &[RunEvent]) -> bool {
    let is_kept = |id: &str| {
        kept.iter().any(|event| {
            let (RunEvent::JobExpanded { job, .. } | RunEvent::JobSkipped { job, .. }) = event else { return false };
            job.to_string() == id
        })
    };
    let Some(job) = run.job(&key.job).filter(|_| key.job.parent().is_none()) else { return false };
    job.needs.iter().all(|need| is_kept(need.value.as_str()))
}

impl Before {
    /// Adds what goes on in places that stand.
    pub(super) fn go_on_in(
        &mut self,
        standing: &Standing,
        before: RunId,
        from: &[(JobRunKey, StepIndex)],
        (logs, new_logs): (&Path, &Path),
    ) {
        let Some((run, history)) = self.old.take() else { return };
        for (key, job) in run.job_runs().filter(|(_, job)| job.conclusion() == Some(Conclusion::Failure)) {
            let (stand, inside) = match standing.open(before, &key.to_string()) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(%key, %error, "a place that was kept cannot be opened; the job begins again");
                    continue;
                }
            };
            let asked = from.iter().find(|(asked, _)| *asked == key).map(|(_, step)| *step);
            let Some(next) = asked.or_else(|| failed_step(job)) else { continue };
            if !may_go_on(&run, &key, &self.kept) {
                continue;
            }
            let counts = |event: &&RunEvent| {
                if let RunEvent::JobExpanded { job, .. } = event {
                    *job == key.job && !self.kept.contains(*event)
                } else if let RunEvent::StepStarted { key: own, step, .. }
                | RunEvent::StepFinished { key: own, step, .. } = event
                {
                    *own == key && *step < next
                } else {
                    let started = matches!(event, RunEvent::JobRunStarted { key: own } if *own == key);
                    started || matches!(event, RunEvent::JobRunPlaced { key: own, .. } if *own == key)
                }
            };
            // What was before a reset counts no more.
            let is_reset = |event: &RunEvent| matches!(event, RunEvent::JobRunReset { key: own } if *own == key);
            let last_reset = history.iter().rposition(|fact| is_reset(&fact.event));
            let facts = history.iter().enumerate().filter(|(index, fact)| {
                last_reset.is_none_or(|reset| *index > reset) || matches!(fact.event, RunEvent::JobExpanded { .. })
            });
            let facts: Vec<_> = facts.map(|(_, fact)| &fact.event).filter(counts).cloned().collect();
            self.kept.extend(facts);
            copy_logs(&log_folder(logs, &key), &log_folder(new_logs, &key), next);
            self.left.insert(key.clone(), LeftPlace { inside, from: next, stand, places: standing.clone() });
        }
    }
}

/// Logs of what had ended; they are written on, so they are copies.
fn copy_logs(from: &Path, to: &Path, next: StepIndex) {
    let stays = |name: &str| {
        let step: Option<u32> = name.split('.').next().and_then(|step| step.parse().ok());
        step.is_none_or(|step| step < next.0)
    };
    let copied = std::fs::create_dir_all(to).and_then(|()| {
        for entry in std::fs::read_dir(from)?.flatten() {
            if entry.file_name().to_str().is_some_and(stays) {
                std::fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    });
    if let Err(error) = copied {
        tracing::warn!(folder = %from.display(), %error, "logs of the attempt before are only there");
    }
}
