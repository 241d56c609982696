//! What stands where a part of the server is still to come.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use engine::service::{FixedRepository, RunRepository};
use engine::store::deliveries::WholeDelivery;
use web::{DeliveryProcessor, Outcome};
use workflow::event::Event;

/// Starts no workflow.
#[derive(Debug)]
struct NoWorkflows;

#[async_trait]
impl DeliveryProcessor for NoWorkflows {
    async fn process(&self, _delivery: WholeDelivery, _event: Event) -> Outcome {
        Outcome::Ignored("this server reads no repositories yet".to_owned())
    }
}

pub fn processor() -> Arc<dyn DeliveryProcessor> {
    Arc::new(NoWorkflows)
}

pub fn repositories(data: &Path) -> Arc<dyn RunRepository> {
    Arc::new(FixedRepository(data.join("mirrors")))
}
