//! Scripts of a rollout whose job may come later: after a restart rollouts are carried on before their jobs are taken up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rollout::plan::Hook;
use serde_json::Value;
use tokio::sync::watch;

use crate::rollout::{CallError, CallOrder, Hooks};

/// How long a job is waited for.
const JOB_WAIT_MAX: Duration = Duration::from_mins(10);

/// Runs scripts as soon as a job offers to.
#[derive(Debug)]
pub(super) struct LateScripts(watch::Sender<Option<Arc<dyn Hooks>>>);

impl Default for LateScripts {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl LateScripts {
    /// A job that runs them from now on.
    pub(super) fn offer(&self, hooks: &Arc<dyn Hooks>) {
        self.0.send_if_modified(|slot| {
            let is_new = slot.as_ref().is_none_or(|known| !Arc::ptr_eq(known, hooks));
            if is_new {
                *slot = Some(Arc::clone(hooks));
            }
            is_new
        });
    }

    async fn job(&self) -> Result<Arc<dyn Hooks>, CallError> {
        let mut offered = self.0.subscribe();
        let found = tokio::time::timeout(JOB_WAIT_MAX, offered.wait_for(Option::is_some)).await;
        let job = found.ok().and_then(Result::ok).and_then(|slot| slot.clone());
        job.ok_or_else(|| CallError::last("the job whose scripts belong to this rollout is gone; deploy again"))
    }
}

#[async_trait]
impl Hooks for LateScripts {
    async fn run(&self, order: &CallOrder, scripts: &[Hook]) -> Result<Value, CallError> {
        self.job().await?.run(order, scripts).await
    }

    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError> {
        self.job().await?.look_up(order).await
    }
}
