//! The log of runs that nobody takes up: facts are handed to the store, and the ones before are waited for.
//!
//! A run of `pipe run` ends with its process, so a fact need not be kept before it is acted on; it must be kept in its
//! order, and a store that fails must be noticed. The end of a run is waited for as always.

use std::pin::Pin;
use std::task::Poll;

use async_trait::async_trait;
use futures_util::poll;
use tokio::sync::Mutex;
use workflow::run::{Recorded, RunEvent};

use super::{RunId, RunLog, StoreError};

type Append = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// A log that is at most one batch of facts ahead of its store. For one run.
pub(crate) struct OneBehind<L> {
    store: L,
    under_way: Mutex<Option<Append>>,
}

impl<L> std::fmt::Debug for OneBehind<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneBehind").finish_non_exhaustive()
    }
}

impl<L> OneBehind<L> {
    pub(crate) fn new(store: L) -> Self {
        Self { store, under_way: Mutex::new(None) }
    }
}

#[async_trait]
impl<L: RunLog + Clone + 'static> RunLog for OneBehind<L> {
    /// As the store's; an error may be that of the facts before.
    async fn append(&self, run: RunId, facts: &[Recorded]) -> Result<(), StoreError> {
        let mut under_way = self.under_way.lock().await;
        if let Some(before) = under_way.take() {
            before.await?;
        }
        if facts.iter().any(|fact| matches!(fact.event, RunEvent::RunFinished { .. })) {
            return self.store.append(run, facts).await;
        }
        let (store, facts) = (self.store.clone(), facts.to_vec());
        let mut append: Append = Box::pin(async move { store.append(run, &facts).await });
        // It is on its way from here on.
        match poll!(&mut append) {
            Poll::Ready(done) => done,
            Poll::Pending => {
                *under_way = Some(append);
                Ok(())
            }
        }
    }

    async fn read(&self, run: RunId) -> Result<Vec<Recorded>, StoreError> {
        let mut under_way = self.under_way.lock().await;
        if let Some(before) = under_way.take() {
            before.await?;
        }
        self.store.read(run).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;
    use workflow::run::{Conclusion, EVENT_VERSION};

    use super::*;

    /// Keeps facts when it is let, and refuses those with the number 3.
    #[derive(Debug, Clone, Default)]
    struct Slow {
        kept: Arc<std::sync::Mutex<Vec<u64>>>,
        go: Arc<Notify>,
    }

    #[async_trait]
    impl RunLog for Slow {
        async fn append(&self, run: RunId, facts: &[Recorded]) -> Result<(), StoreError> {
            self.go.notified().await;
            if facts[0].seq == 3 {
                return Err(StoreError::Conflict { run });
            }
            self.kept.lock().unwrap().extend(facts.iter().map(|fact| fact.seq));
            Ok(())
        }

        async fn read(&self, _: RunId) -> Result<Vec<Recorded>, StoreError> {
            Ok(Vec::new())
        }
    }

    fn fact(seq: u64, event: RunEvent) -> [Recorded; 1] {
        [Recorded { v: EVENT_VERSION, seq, at: jiff::Timestamp::UNIX_EPOCH, event }]
    }

    #[tokio::test]
    async fn facts_keep_their_order_the_end_is_waited_for_and_a_failure_is_told_with_the_next() {
        let store = Slow::default();
        let (kept, go) = (Arc::clone(&store.kept), Arc::clone(&store.go));
        let log = OneBehind::new(store);
        let run = RunId(1);
        // Nobody lets the store go on, and the first returns all the same.
        log.append(run, &fact(1, RunEvent::RunStarted)).await.unwrap();
        assert!(kept.lock().unwrap().is_empty());
        let end = RunEvent::RunFinished { conclusion: Conclusion::Success };
        let end = fact(2, end);
        let mut ending = Box::pin(log.append(run, &end));
        assert!(poll!(&mut ending).is_pending());
        go.notify_one();
        assert!(poll!(&mut ending).is_pending(), "the end is not kept yet");
        assert_eq!(*kept.lock().unwrap(), [1]);
        go.notify_one();
        ending.await.unwrap();
        assert_eq!(*kept.lock().unwrap(), [1, 2]);
        log.append(run, &fact(3, RunEvent::RunStarted)).await.unwrap();
        go.notify_one();
        let told = log.append(run, &fact(4, RunEvent::RunStarted)).await;
        assert!(matches!(told, Err(StoreError::Conflict { .. })), "{told:?}");
    }
}
