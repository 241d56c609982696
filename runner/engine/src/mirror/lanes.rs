//! One fetch at a time a repository; what is asked for meanwhile is fetched together by whoever comes next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use super::{MirrorError, Wanted};

/// A request that waits, and who is told of its end.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) wanted: Wanted,
    pub(super) answer: oneshot::Sender<Result<(), MirrorError>>,
}

#[derive(Debug, Default)]
struct Lane {
    turn: Arc<Mutex<()>>,
    queue: Lock<Vec<Waiting>>,
}

/// The lanes of all repositories.
#[derive(Debug, Default)]
pub(super) struct Lanes(Lock<HashMap<u64, Arc<Lane>>>);

/// Either somebody else has fetched it, or it is our turn to fetch for all that wait.
pub(super) enum Turn {
    Served(Result<(), MirrorError>),
    Mine(OwnedMutexGuard<()>, Vec<Waiting>),
}

impl Lanes {
    fn lane(&self, repository: u64) -> Arc<Lane> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(repository).or_default())
    }

    /// How many requests are queued.
    #[cfg(test)]
    pub(super) fn waiting(&self, repository: u64) -> usize {
        self.lane(repository).lock().len()
    }

    /// Waits until nobody fetches.
    pub(super) async fn enter(&self, repository: u64) -> OwnedMutexGuard<()> {
        Arc::clone(&self.lane(repository).turn).lock_owned().await
    }

    /// Queues a request and waits for its end or its turn. Whoever gets the turn has to answer all that it is given; one
    /// that is dropped instead lets the others queue again.
    pub(super) async fn queue(&self, repository: u64, wanted: &Wanted) -> Turn {
        let lane = self.lane(repository);
        loop {
            let (answer, mut answered) = oneshot::channel();
            lane.lock().push(Waiting { wanted: wanted.clone(), answer });
            let turn = tokio::select! {
                biased;
                answer = &mut answered => match answer {
                    Ok(answer) => return Turn::Served(answer),
                    Err(_) => continue,
                },
                turn = Arc::clone(&lane.turn).lock_owned() => turn,
            };
            match answered.try_recv() {
                Ok(answer) => return Turn::Served(answer),
                // Whoever took it has gone away.
                Err(oneshot::error::TryRecvError::Closed) => {}
                Err(oneshot::error::TryRecvError::Empty) => return Turn::Mine(turn, lane.take()),
            }
        }
    }
}

impl Lane {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are still waited for, the oldest first.
    fn take(&self) -> Vec<Waiting> {
        let mut queue = std::mem::take(&mut *self.lock());
        queue.retain(|waiting| !waiting.answer.is_closed());
        queue
    }
}
