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

/// How often a run that is followed is looked at.
const EVERY: Duration = Duration::from_millis(40);
/// After so many looks at a run in which nothing happens, it is looked at less often.
const QUIET_LOOKS: u32 = 250;
const EVERY_QUIET: Duration = Duration::from_millis(250);

type Channel = watch::Sender<u64>;

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
            {
                // Under the lock, so that nobody subscribes to a channel that is being given up.
                let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
                if channel.receiver_count() == 0 {
                    runs.remove(&run);
                    return;
                }
            }
            if self.look(run, &mut known).await {
                channel.send_modify(|count| *count += 1);
                quiet = 0;
            } else {
                quiet += 1;
            }
            tokio::time::sleep(if quiet > QUIET_LOOKS { EVERY_QUIET } else { EVERY }).await;
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
