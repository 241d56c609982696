//! What looks at deliveries: the event's runs are found ([`Triggering`]) and made, in one transaction with its end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::clock::Clock;
use engine::store::deliveries::{Deliveries, Delivery, DeliveryState, SamePush, WholeDelivery};
use engine::store::{RunId, StoreError};
use engine::triggering::{Ended, Found, RunMaker, Triggering};
use workflow::event::{Event, EventName};

use crate::pump::{DeliveryProcessor, Outcome};

/// When to ask again after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Makes the runs that deliveries start.
#[derive(Debug)]
pub struct Processor {
    /// Finds them.
    pub triggering: Triggering,
    /// Makes them.
    pub runs: Arc<dyn RunMaker>,
    /// Where deliveries are ended that make none.
    pub deliveries: Deliveries,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl DeliveryProcessor for Processor {
    async fn process(&self, whole: WholeDelivery, event: Event) -> Outcome {
        self.try_process(whole, event).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a delivery waits for the store");
            Outcome::Later(STORE_PAUSE)
        })
    }
}

impl Processor {
    async fn try_process(&self, whole: WholeDelivery, event: Event) -> Result<Outcome, StoreError> {
        let delivery = whole.delivery;
        let now = self.clock.now();
        if let Some(run) = self.same_push(&delivery, &event).await? {
            let reason =
                format!("run {run} is of the same push to `{}`; `pipe rerun {run}` builds it again", event.git_ref);
            return Ok(Outcome::Ignored(reason));
        }
        match self.triggering.ended(delivery.forge, &delivery.repository, &event, delivery.received_at, now).await? {
            Ended::No => {}
            Ended::Ref(of) => {
                let count = self.runs.end_of_ref(&of).await?;
                tracing::debug!(delivery = delivery.number, count, git_ref = of.git_ref, "runs end with their ref");
            }
            Ended::Later(pause, _) => return Ok(Outcome::Later(pause)),
        }
        let looking = self.triggering.look(delivery.forge, &delivery.repository, event, delivery.received_at, now);
        Ok(match looking.await? {
            Found::Runs { specs, others } => {
                for reason in others {
                    tracing::debug!(delivery = delivery.number, reason, "a workflow does not run");
                }
                // If it was over already, somebody else has ended it.
                let _numbers = self.runs.make(Some(delivery.number), specs).await?;
                Outcome::Ended
            }
            Found::Rerun(asked) => {
                let told = self.runs.again(&asked).await?;
                tracing::info!(delivery = delivery.number, told, "asked for again");
                self.deliveries.finish(delivery.number, DeliveryState::Processed).await?;
                Outcome::Ended
            }
            Found::Nothing(reason) => Outcome::Ignored(reason),
            Found::Failed(reason) => Outcome::Failed(reason),
            Found::Later(pause, reason) => {
                tracing::warn!(
                    delivery = delivery.number,
                    repository = delivery.repository,
                    reason,
                    "tried again later"
                );
                Outcome::Later(pause)
            }
        })
    }

    /// The run that a push had already, told by another hook or under another id (W04).
    async fn same_push(&self, delivery: &Delivery, event: &Event) -> Result<Option<RunId>, StoreError> {
        let Some(sha) = event.sha.clone().filter(|_| event.name == EventName::Push && !event.deleted) else {
            return Ok(None);
        };
        let push = SamePush {
            number: delivery.number,
            forge: delivery.forge,
            repository: delivery.repository.clone(),
            git_ref: event.git_ref.to_string(),
            sha,
            at: delivery.received_at,
        };
        self.deliveries.same_push(push).await
    }
}
