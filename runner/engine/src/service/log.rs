//! The log of runs as a server needs it: a full disk makes runs wait, and a broken one ends the process, since jobs that
//! go on can be taken up by the next one and must not be stopped for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use workflow::run::Recorded;

use crate::store::{RunId, RunLog, StoreError};

/// How long to wait for room.
const FULL_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct PatientLog {
    pub(super) inner: Arc<dyn RunLog>,
    pub(super) broken: CancellationToken,
}

#[async_trait]
impl RunLog for PatientLog {
    async fn append(&self, run: RunId, facts: &[Recorded]) -> Result<(), StoreError> {
        let mut told = false;
        loop {
            match self.inner.append(run, facts).await {
                // Nothing of it was written.
                Err(error @ StoreError::Full { .. }) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, %run, "the run waits until there is room");
                    }
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err(error @ (StoreError::Broken { .. } | StoreError::Database { .. })) => {
                    tracing::error!(%error, %run, "the server ends; its jobs go on");
                    self.broken.cancel();
                    return std::future::pending().await;
                }
                result => return result,
            }
        }
    }

    async fn read(&self, run: RunId) -> Result<Vec<Recorded>, StoreError> {
        self.inner.read(run).await
    }
}
