//! What is there already, now; and a look at the remote behind it, for the next who asks.
//!
//! For pages: whoever looks at a form does not wait for a forge. What is done by it is decided by a fetch of its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use git2::Repository;

use super::fetch::was_fetched;
use super::{MirrorError, Mirrors, Origin};

/// A remote is looked at behind a page at most once in this time.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// When each remote was last looked at, by its repository's number.
pub(super) type Looked = Mutex<HashMap<u64, Instant>>;

impl Mirrors {
    /// Reads a mirror as it is, if everything was fetched once, and lets it be refreshed behind the reader's back.
    ///
    /// # Errors
    /// As the work's.
    pub async fn read_now<T: Send + 'static>(
        &self,
        origin: &Origin,
        work: impl FnOnce(&Repository) -> Result<T, MirrorError> + Send + 'static,
    ) -> Result<Option<T>, MirrorError> {
        let (folder, url) = (self.folder(origin.id), origin.url.clone());
        let was_fetched = tokio::task::spawn_blocking(move || was_fetched(&folder, &url)).await;
        if !was_fetched.unwrap_or(false) {
            return Ok(None);
        }
        let read = self.read(origin.id, work).await?;
        if self.is_due(origin.id) {
            let (mirrors, origin) = (self.clone(), origin.clone());
            tokio::spawn(async move {
                if let Err(error) = mirrors.refresh(&origin).await {
                    tracing::info!(%error, repository = origin.id, "a mirror could not be refreshed behind a page");
                }
            });
        }
        Ok(Some(read))
    }

    fn is_due(&self, repository: u64) -> bool {
        let mut looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked.get(&repository).is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        if is_due {
            looked.insert(repository, Instant::now());
        }
        is_due
    }
}
