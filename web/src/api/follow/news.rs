//! Tells who follows a run that something was added to it. One task a run asks for all, as long as somebody follows.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use engine::folders::Folders;
use engine::job::log_path;
use engine::store::RunId;
use engine::store::listing::Listing;
use tokio::sync::watch;

use super::place::{Change, LogKey};

/// How often a run is looked at in which something happens: as often as few people can see, less often for each client.
const EVERY_BUSY: Duration = Duration::from_millis(8);
const EVERY_BUSY_MAX: Duration = Duration::from_millis(40);
const EACH_CLIENT: Duration = Duration::from_micros(32);
/// After so many looks at which nothing has happened, it is looked at less often; and then once more.
const BUSY_LOOKS: u32 = 100;
const EVERY: Duration = Duration::from_millis(40);
const QUIET_LOOKS: u32 = 350;
const EVERY_QUIET: Duration = Duration::from_millis(250);

/// What looking at one more run costs, in clients.
const CLIENTS_A_RUN: usize = 50;

type Channel = watch::Sender<u64>;

fn pause(quiet: u32, clients: usize) -> Duration {
    let busy = EVERY_BUSY + EACH_CLIENT * u32::try_from(clients).unwrap_or(u32::MAX).min(10_000);
    match quiet {
        0..=BUSY_LOOKS => busy.min(EVERY_BUSY_MAX),
        _ if quiet <= QUIET_LOOKS => EVERY,
        _ => EVERY_QUIET,
    }
}

#[derive(Debug, Clone)]
pub(super) struct News {
    listing: Listing,
    folders: Folders,
    runs: Arc<Mutex<HashMap<RunId, Weak<Channel>>>>,
}

/// What one run is known to have.
#[derive(Default)]
struct Known {
    seq: u64,
    bytes: u64,
    open: BTreeSet<LogKey>,
}

impl News {
    pub(super) fn new(listing: Listing, folders: Folders) -> Self {
        Self { listing, folders, runs: Arc::default() }
    }

    /// A receiver that changes when something is added to the run.
    pub(super) fn of(&self, run: RunId) -> watch::Receiver<u64> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = runs.get(&run).and_then(Weak::upgrade) {
            return channel.subscribe();
        }
        let (channel, receiver) = watch::channel(0);
        let channel = Arc::new(channel);
        runs.insert(run, Arc::downgrade(&channel));
        let this = self.clone();
        tokio::spawn(async move { this.watch(run, &channel).await });
        receiver
    }

    async fn watch(&self, run: RunId, channel: &Channel) {
        let mut known = Known::default();
        let mut quiet = 0;
        loop {
            let clients = {
                // Under the lock, so that nobody subscribes to a channel that is being given up.
                let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
                if channel.receiver_count() == 0 {
                    runs.remove(&run);
                    return;
                }
                // Runs that others follow are looked at too.
                channel.receiver_count().max(runs.len() * CLIENTS_A_RUN)
            };
            if self.look(run, &mut known).await {
                channel.send_modify(|count| *count += 1);
                quiet = 0;
            } else {
                quiet += 1;
            }
            tokio::time::sleep(pause(quiet, clients)).await;
        }
    }

    /// Whether there is more than before.
    async fn look(&self, run: RunId, known: &mut Known) -> bool {
        let facts = match self.listing.facts(run, known.seq).await {
            Ok(facts) => facts,
            Err(error) => {
                tracing::warn!(%error, %run, "a run that is followed cannot be read");
                return false;
            }
        };
        for fact in &facts {
            known.seq = fact.seq;
            let change = Change::of(&fact.event);
            known.open.retain(|log| !change.closes(log));
            if let Change::Opens(log) = change {
                known.open.insert(log);
            }
        }
        let folder = self.folders.logs(run);
        let mut bytes = 0;
        for (key, step) in &known.open {
            bytes += tokio::fs::metadata(log_path(&folder, key, *step)).await.map_or(0, |facts| facts.len());
        }
        let is_more = !facts.is_empty() || bytes != known.bytes;
        known.bytes = bytes;
        is_more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses() {
        let check = |quiet, clients, milliseconds| {
            assert_eq!(pause(quiet, clients).as_millis(), milliseconds, "{quiet} {clients}");
        };
        check(0, 50, 9);
        check(100, 50, 9);
        check(0, 1_000, 40);
        check(0, usize::MAX, 40);
        check(101, 50, 40);
        check(351, 50, 250);
    }
}
