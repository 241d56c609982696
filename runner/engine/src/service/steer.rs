//! Steering a run from outside, and watching it live. What is asked is answered once it is recorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use workflow::run::RunEvent;

use super::{RunService, ServiceError};
use crate::dispatcher::Control;
use crate::notice::{Notice, NoticeInbox};
use crate::store::{RunId, RunStatus};

/// Notices that wait for one watcher; a slower one misses some, is told so, and reads the store.
const LIVE_WAITING_MAX: usize = 1_024;
/// How long a request waits to be recorded.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

/// What a run tells from now on. Not the past: that is in the store, and its numbers join the two.
pub type LiveNotices = broadcast::Receiver<Arc<Notice>>;

/// Who watches which run.
#[derive(Debug, Clone, Default)]
pub(super) struct Topics(Arc<Mutex<HashMap<RunId, broadcast::Sender<Arc<Notice>>>>>);

impl Topics {
    fn watch(&self, run: RunId) -> LiveNotices {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.retain(|_, topic| topic.receiver_count() > 0);
        topics.entry(run).or_insert_with(|| broadcast::Sender::new(LIVE_WAITING_MAX)).subscribe()
    }

    /// Passes on what a run tells, until it tells no more.
    pub(super) fn tell(&self, run: RunId, mut inbox: NoticeInbox) -> JoinHandle<()> {
        let topics = self.clone();
        tokio::spawn(async move {
            while let Some(notice) = inbox.recv().await {
                let topic = topics.0.lock().unwrap_or_else(PoisonError::into_inner).get(&run).cloned();
                if let Some(topic) = topic {
                    let _nobody_watches = topic.send(Arc::new(notice));
                }
            }
        })
    }
}

impl RunService {
    /// What a run tells from now on. Subscribe first, then read the store up to its end: so nothing is missed.
    #[must_use]
    pub fn subscribe(&self, run: RunId) -> LiveNotices {
        self.0.topics.watch(run)
    }

    /// Cancels a run, whether it runs or waits: steps are stopped politely and `always()` still runs; with `force`
    /// nothing does.
    ///
    /// # Errors
    /// It does not exist or is over.
    pub async fn cancel(&self, run: RunId, by: &str, force: bool) -> Result<(), ServiceError> {
        let by = by.to_owned();
        let order = if force { Control::Kill { by } } else { Control::Cancel { by } };
        let mut live = self.subscribe(run);
        let asked = |event: &RunEvent| matches!(event, RunEvent::RunCancelRequested { .. }).then_some(Ok(()));
        self.ask(run, order, &mut live, &asked).await
    }

    /// Lets a run of a stranger's code begin.
    ///
    /// # Errors
    /// It does not exist, is over, or does not wait for that.
    pub async fn release(&self, run: RunId, by: &str) -> Result<(), ServiceError> {
        let mut live = self.subscribe(run);
        self.unfinished(run).await?;
        let held = self.0.store.spec(run).await?.is_some_and(|spec| spec.held.is_some());
        let released = |event: &RunEvent| matches!(event, RunEvent::RunReleased { .. }).then_some(Ok(()));
        let facts = self.0.log.read(run).await?;
        if !held || facts.iter().any(|fact| released(&fact.event).is_some()) {
            return Err(ServiceError::NotHeld(run));
        }
        self.ask(run, Control::Release { by: by.to_owned() }, &mut live, &released).await
    }

    pub(super) async fn unfinished(&self, run: RunId) -> Result<(), ServiceError> {
        match self.0.store.run_row(run).await? {
            None => Err(ServiceError::NoSuchRun(run)),
            Some(row) if row.status == RunStatus::Completed => Err(ServiceError::Over(run)),
            Some(_) => Ok(()),
        }
    }

    /// Passes an order on and waits until what `answer` takes for one is recorded. `live` began before anything was read.
    pub(super) async fn ask(
        &self,
        run: RunId,
        order: Control,
        live: &mut LiveNotices,
        answer: &(dyn Fn(&RunEvent) -> Option<Result<(), ServiceError>> + Send + Sync),
    ) -> Result<(), ServiceError> {
        self.unfinished(run).await?;
        self.0.desk.order(run, order);
        let answered = async {
            loop {
                match live.recv().await {
                    Ok(notice) => match &*notice {
                        Notice::Recorded(fact) => {
                            if let Some(answer) = answer(&fact.event) {
                                return answer;
                            }
                            if matches!(fact.event, RunEvent::RunFinished { .. }) {
                                return Err(ServiceError::Over(run));
                            }
                        }
                        Notice::Output { .. }
                        | Notice::Placing { .. }
                        | Notice::Annotated { .. }
                        | Notice::Summary { .. } => {}
                    },
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        let facts = self.0.log.read(run).await?;
                        if let Some(answer) = facts.iter().find_map(|fact| answer(&fact.event)) {
                            return answer;
                        }
                    }
                    Err(broadcast::error::RecvError::Closed) => return Err(ServiceError::NotAnswered(run)),
                }
            }
        };
        tokio::time::timeout(ANSWER_TIME_MAX, answered).await.unwrap_or(Err(ServiceError::NotAnswered(run)))
    }
}
