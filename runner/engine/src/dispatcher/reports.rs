//! What jobs say of themselves: checked, recorded, answered. One bad job never stops a run.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use workflow::run::{Conclusion, JobRunKey, RunEvent};

use super::Loop;
use crate::job::{JobControl, JobReport};
use crate::store::StoreError;

impl Loop<'_> {
    pub(super) async fn report(&mut self, report: JobReport) -> Result<(), StoreError> {
        let JobReport { events, recorded } = report;
        // Steps change nothing that other jobs wait for, and there may be ten thousand of them.
        let quiet = |event: &RunEvent| matches!(event, RunEvent::StepStarted { .. } | RunEvent::StepFinished { .. });
        let quiet = events.iter().all(quiet);
        let mut admitted = Vec::with_capacity(events.len());
        for event in events {
            admitted.extend(self.admit(event, &admitted));
        }
        self.record(admitted).await?;
        if let Some(recorded) = recorded {
            let _gone = recorded.send(());
        }
        if quiet { Ok(()) } else { self.settle().await }
    }

    /// A report that cannot be is a bug of what performs jobs. It is not recorded; its job is stopped and fails, and
    /// the others go on. `before` comes first, and is not applied yet.
    fn admit(&mut self, event: RunEvent, before: &[RunEvent]) -> Option<RunEvent> {
        let key = event.job_run().cloned();
        let repeated = before.iter().any(|before| before.is_followed_badly_by(&event));
        let repeated = if repeated { Err("that was said already".to_owned()) } else { Ok(()) };
        if let Err(reason) = self.run.check_report(&event).and(repeated) {
            let kind = event.kind();
            tracing::error!(kind, reason, "a job reported what cannot be");
            if let Some(key) = key.filter(|key| self.run.job_run(key).is_some_and(|run| run.conclusion().is_none())) {
                let message = format!("a bug in pipe ended this job: it reported {kind}, but {reason}");
                self.broken.entry(key.clone()).or_insert(message);
                self.tell(key, JobControl::Kill);
            }
            return None;
        }
        let problem = key.filter(|_| matches!(event, RunEvent::JobRunFinished { .. }));
        let problem = problem.and_then(|key| Some((self.broken.remove(&key)?, key)));
        Some(match problem {
            None => event,
            Some((message, key)) => RunEvent::JobRunFinished {
                key,
                conclusion: Conclusion::Failure,
                outputs: BTreeMap::new(),
                message: Some(message),
            },
        })
    }

    /// A job's task is over. If it panicked, or forgot to say how it ended, the job failed: one bad job never stops a run.
    pub(super) async fn task_ended(
        &mut self,
        ended: Result<(tokio::task::Id, JobRunKey), tokio::task::JoinError>,
        inbox: &mut mpsc::Receiver<JobReport>,
    ) -> Result<(), StoreError> {
        while let Ok(report) = inbox.try_recv() {
            self.report(report).await?;
        }
        let (id, problem) = match ended {
            Ok((id, _)) => (id, "the job ended without a result".to_owned()),
            Err(error) => (error.id(), format!("a bug in pipe ended this job: {error}")),
        };
        let Some(key) = self.task_keys.remove(&id) else { return Ok(()) };
        if self.run.job_run(&key).is_none_or(|run| run.conclusion().is_some()) {
            return Ok(());
        }
        let outputs = BTreeMap::new();
        let conclusion = Conclusion::Failure;
        let event = RunEvent::JobRunFinished { key, conclusion, outputs, message: Some(problem) };
        self.report(JobReport::new([event])).await
    }
}
