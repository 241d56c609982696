//! Runs followed live, each client at its own pace: facts from the store, lines from the files of logs.
//!
//! Nothing is kept for a client but its place, so a slow one costs no memory. One task a run looks whether something
//! was added, for all of its clients.

mod news;
mod place;
mod stream;

pub(crate) use place::Place;

use std::sync::Arc;

use axum::body::Bytes;
use engine::folders::Folders;
use engine::store::RunId;
use engine::store::listing::{Listing, RunListed};
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use workflow::run::JobRunKey;

use news::News;
use stream::Client;

/// Clients that follow runs at once.
const CLIENTS_MAX: usize = 2_000;
/// Clients that read at once; the others wait, so that memory is bounded by these.
const READING_MAX: usize = 8;

/// What a client wants of a run.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Lines of logs too.
    pub(crate) logs: bool,
    /// Only this job's.
    pub(crate) job: Option<JobRunKey>,
}

/// Lets clients follow runs.
#[derive(Debug, Clone)]
pub(crate) struct Follow {
    listing: Listing,
    folders: Folders,
    news: News,
    places: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Follow {
    pub(crate) fn new(listing: Listing, folders: Folders, stop: CancellationToken) -> Self {
        let news = News::new(listing.clone(), folders.clone());
        let (places, reading) = (Arc::new(Semaphore::new(CLIENTS_MAX)), Arc::new(Semaphore::new(READING_MAX)));
        Self { listing, folders, news, places, reading, stop }
    }

    /// A receiver that changes when something is added to a run.
    pub(crate) fn news(&self, run: RunId) -> watch::Receiver<u64> {
        self.news.of(run)
    }

    /// A place among the clients; `None` where too many follow.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// How many follow.
    pub(crate) fn followers(&self) -> u32 {
        u32::try_from(CLIENTS_MAX - self.places.available_permits()).unwrap_or(u32::MAX)
    }

    /// Ends with the server.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Events from a place on, or from the beginning; `None` where too many follow.
    pub(crate) fn stream(
        &self,
        run: RunListed,
        place: Option<Place>,
        wanted: Wanted,
    ) -> Option<impl Stream<Item = Result<Bytes, std::convert::Infallible>> + use<>> {
        let permit = self.place()?;
        let client = Client::new(self.clone(), run, place, wanted, permit);
        Some(futures_util::stream::unfold(client, |mut client| async move {
            let bytes = client.next().await?;
            Some((Ok(bytes), client))
        }))
    }
}
