//! Hands out deliveries that wait, oldest first: in order within a repository, side by side otherwise.
//!
//! What waits is asked of the store, never remembered here, so that a server that was killed goes on where it was: a
//! delivery whose processor was cut off is handed out again.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::store::StoreError;
use engine::store::deliveries::{Deliveries, Delivery, DeliveryState, WholeDelivery};
use futures_util::FutureExt as _;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use workflow::event::{Event, Forge};

/// Deliveries that are processed at once.
const PROCESSED_AT_ONCE_MAX: usize = 8;
/// When to ask again after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Makes runs of deliveries.
#[async_trait]
pub trait DeliveryProcessor: Send + Sync + std::fmt::Debug {
    /// Looks at one delivery. It is called again for the same one if the process ended meanwhile, so what it does
    /// besides [`Deliveries::make_runs`] has to be harmless when done twice.
    async fn process(&self, delivery: WholeDelivery, event: Event) -> Outcome;
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The processor has ended it in the store (with [`Deliveries::make_runs`]).
    Ended,
    /// It triggers nothing, and why.
    Ignored(String),
    /// It should have made runs and cannot, and why.
    Failed(String),
    /// It should be tried again after this time; the repository's later deliveries wait behind it.
    Later(Duration),
}

/// Connects the store with the processor.
#[derive(Debug)]
pub struct Pump {
    deliveries: Deliveries,
    processor: Arc<dyn DeliveryProcessor>,
    arrivals: Arc<Notify>,
}

type Lane = (Forge, String);

#[derive(Debug)]
struct Lanes {
    pump: Pump,
    places: Semaphore,
    stop: CancellationToken,
}

impl Pump {
    /// `arrivals` is [`crate::FrontDoor::arrivals`]; also to be told after a replay.
    #[must_use]
    pub fn new(deliveries: Deliveries, processor: Arc<dyn DeliveryProcessor>, arrivals: Arc<Notify>) -> Self {
        Self { deliveries, processor, arrivals }
    }

    /// Hands out until `stop`; what is being processed then is processed to its end.
    pub async fn run(self, stop: CancellationToken) {
        let lanes = Arc::new(Lanes { pump: self, places: Semaphore::new(PROCESSED_AT_ONCE_MAX), stop: stop.clone() });
        let (mut busy, mut tasks) = (HashSet::<Lane>::new(), JoinSet::<Lane>::new());
        while !stop.is_cancelled() {
            // Those that are done first, so that none is overlooked that came while its lane was ending.
            while let Some(ended) = tasks.try_join_next() {
                forget(&mut busy, ended);
            }
            let pause = match lanes.pump.deliveries.waiting().await {
                Ok(waiting) => {
                    for delivery in waiting {
                        let lane = (delivery.forge, delivery.repository.clone());
                        if busy.insert(lane.clone()) {
                            tasks.spawn(Arc::clone(&lanes).drive(lane));
                        }
                    }
                    Duration::MAX
                }
                Err(error) => {
                    tracing::error!(%error, "deliveries cannot be read");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                () = lanes.pump.arrivals.notified() => {}
                Some(ended) = tasks.join_next() => forget(&mut busy, ended),
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }
}

fn forget(busy: &mut HashSet<Lane>, ended: Result<Lane, tokio::task::JoinError>) {
    match ended {
        Ok(lane) => drop(busy.remove(&lane)),
        Err(error) => tracing::error!(%error, "a lane of deliveries ended by a bug"),
    }
}

impl Lanes {
    /// All deliveries of one repository that wait.
    async fn drive(self: Arc<Self>, lane: Lane) -> Lane {
        while !self.stop.is_cancelled() {
            let pause = match self.pump.deliveries.next_of(lane.0, &lane.1).await {
                Ok(None) => break,
                Ok(Some(delivery)) => self.process(delivery).await,
                Err(error) => Err(error),
            };
            let pause = pause.unwrap_or_else(|error| {
                tracing::error!(%error, repository = lane.1, "a delivery cannot be processed now");
                Some(STORE_PAUSE)
            });
            if let Some(pause) = pause {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.stop.cancelled() => {}
                }
            }
        }
        lane
    }

    /// One delivery; how long to wait before the next look.
    async fn process(&self, delivery: Delivery) -> Result<Option<Duration>, StoreError> {
        let number = delivery.number;
        let deliveries = &self.pump.deliveries;
        let Some(whole) = deliveries.show(number).await? else { return Ok(None) };
        let outcome = match whole.event() {
            Ok(event) => {
                let _place = self.places.acquire().await;
                let work = AssertUnwindSafe(self.pump.processor.process(whole, event)).catch_unwind();
                work.await
                    .unwrap_or_else(|_| Outcome::Failed("a bug ended its processing; see the server's log".into()))
            }
            Err(reason) => Outcome::Failed(reason),
        };
        tracing::info!(delivery = number, repository = delivery.repository, ?outcome, "delivery looked at");
        let state = match outcome {
            Outcome::Later(pause) => return Ok(Some(pause)),
            Outcome::Ignored(reason) => DeliveryState::Ignored(reason),
            Outcome::Failed(reason) => DeliveryState::Failed(reason),
            // If it did not, this ends it; else nothing happens.
            Outcome::Ended => DeliveryState::Failed("its processor made no runs and gave no reason".into()),
        };
        deliveries.finish(number, state).await?;
        Ok(None)
    }
}
