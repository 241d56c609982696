//! Jobs that report what cannot be: only they fail, with a sentence that says so.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;
use workflow::run::{Conclusion, JobRunKey, RunEvent, StepIndex, StepResult};

use super::{MemoryLog, facts};
use crate::clock::SystemClock;
use crate::dispatcher::{Dispatch, Dispatcher};
use crate::groups::SharedGroups;
use crate::job::{Begun, JobControl, JobOrder, JobReport, JobRunner, SharedMasker};
use crate::notice::Notices;
use crate::slots::Slots;
use crate::store::RunId;

/// Reports the end of a step twice in job `a`; then waits to be stopped, and says that all went well.
#[derive(Debug)]
struct Twice;

#[async_trait]
impl JobRunner for Twice {
    async fn run(
        &self,
        order: JobOrder,
        _begun: Option<Begun>,
        mut control: mpsc::UnboundedReceiver<JobControl>,
        reports: mpsc::Sender<JobReport>,
    ) {
        let key = order.key;
        let send = async |event| reports.send(JobReport::new([event])).await.unwrap();
        let result = StepResult::plain(Conclusion::Success);
        if key.to_string() == "a" {
            for _ in 0..2 {
                send(RunEvent::StepFinished { key: key.clone(), step: StepIndex(0), result: result.clone() }).await;
            }
            send(RunEvent::RunFinished { conclusion: Conclusion::Success }).await;
            assert_eq!(control.recv().await, Some(JobControl::Kill));
        }
        let conclusion = Conclusion::Success;
        let end = RunEvent::JobRunFinished { key, conclusion, outputs: [].into(), message: None };
        send(end.clone()).await;
        send(end).await;
    }

    fn forget(&self, _key: &JobRunKey) {}
}

#[tokio::test]
async fn a_job_that_reports_what_cannot_be_fails_alone() {
    let (notices, mut watcher) = Notices::channel();
    let log = Arc::new(MemoryLog::default());
    let dispatcher = Dispatcher {
        log: Arc::<MemoryLog>::clone(&log),
        clock: Arc::new(SystemClock),
        jobs: Arc::new(Twice),
        notices,
        masker: Arc::new(SharedMasker::default()),
        slots: Slots::new(1),
        groups: SharedGroups::default(),
        party: crate::slots::Party::default(),
    };
    let facts = facts("a:\n  $\n    - run: x\nb:\n  $\n    - run: x");
    let (_control, orders) = mpsc::unbounded_channel();
    let watching = tokio::spawn(async move { while watcher.recv().await.is_some() {} });
    let run = dispatcher
        .run(
            Dispatch { id: RunId(1), facts: Arc::new(facts), history: Vec::new(), kept: Vec::new(), first: Vec::new() },
            orders,
        )
        .await
        .unwrap();
    drop(dispatcher);
    watching.await.unwrap();
    let ends: Vec<_> = run
        .job_runs()
        .map(|(key, job)| format!("{key} {:?} {}", job.conclusion(), job.message.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        ends,
        [
            "a Some(Failure) a bug in pipe ended this job: it reported step_finished, but step 0 has ended already",
            "b Some(Success) ",
        ]
    );
    assert_eq!(run.conclusion(), Some(Conclusion::Failure));
    let facts = log.facts.lock().unwrap().len();
    assert_eq!(run.seq, facts as u64, "what is recorded is what was applied");
}
