//! A target in AWS with the keys of the rollout that asks.

use async_trait::async_trait;
use jiff::SignedDuration;
use rollout::{Call, Observation};
use serde_json::Value;

use super::Clouds;
use crate::rollout::{CallError, CallOrder, Subject, Target};

/// It. Targets that go on asking when nobody waits for them are around it, and not in it.
#[derive(Debug, Clone)]
pub struct Keyed<T> {
    target: T,
    clouds: Clouds,
}

impl<T: Target> Keyed<T> {
    /// This target, which gets its keys from these.
    pub fn new(target: T, clouds: Clouds) -> Self {
        Self { target, clouds }
    }
}

#[async_trait]
impl<T: Target> Target for Keyed<T> {
    async fn perform(&self, order: &CallOrder) -> Result<Value, CallError> {
        self.clouds.within(&order.subject.plan, self.target.perform(order)).await
    }

    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError> {
        self.clouds.within(&order.subject.plan, self.target.look_up(order)).await
    }

    fn patience(&self, call: &Call) -> Option<SignedDuration> {
        self.target.patience(call)
    }

    async fn observe(&self, subject: &Subject) -> Result<Observation, CallError> {
        self.clouds.within(&subject.plan, self.target.observe(subject)).await
    }
}
