//! What a watcher of a run is told, live: the recorded facts, the masked output, progress, annotations and summaries.
//!
//! A notice holds no secret: everything passed the masker before it got here. The channel is bounded, so a slow watcher
//! slows the run down rather than filling memory; a watcher that only wants facts should read the store.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use workflow::command::Annotation;
use workflow::run::{JobRunKey, Recorded, StepIndex};

use crate::placement::PlacementProgress;

/// How many notices wait for a watcher.
pub const NOTICES_WAITING_MAX: usize = 128;

/// How much output waits for a watcher, in all. A longer piece waits alone.
pub const OUTPUT_WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Pieces of room for output that are kept to be used again, and how large they may be.
const SPARES_MAX: usize = 4;
const SPARE_BYTES_MAX: usize = 1024 * 1024;

/// Something a watcher may want to know.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A fact was recorded.
    Recorded(Box<Recorded>),
    /// A step wrote; masked, cut anywhere.
    Output {
        /// The job run.
        key: JobRunKey,
        /// The step; `None` for the set-up and clean-up of the job.
        step: Option<StepIndex>,
        /// The bytes.
        bytes: Bytes,
    },
    /// A job is being placed.
    Placing {
        /// The job run.
        key: JobRunKey,
        /// What happens.
        progress: PlacementProgress,
    },
    /// A step reported an error, a warning or a notice.
    Annotated {
        /// The job run.
        key: JobRunKey,
        /// The step.
        step: Option<StepIndex>,
        /// What it said, masked.
        annotation: Box<Annotation>,
    },
    /// A step wrote a summary (Markdown, masked).
    Summary {
        /// The job run.
        key: JobRunKey,
        /// The step.
        step: StepIndex,
        /// The text.
        markdown: String,
    },
}

/// Where notices go. Cheap to clone; without a watcher they are dropped.
#[derive(Debug, Clone, Default)]
pub struct Notices(Option<Watched>);

#[derive(Debug, Clone)]
struct Watched {
    sender: mpsc::Sender<Waiting>,
    /// Bytes of output that may still be handed over before some are taken.
    room: Arc<Semaphore>,
    spares: Arc<Spares>,
}

/// Room that came back when its output was seen by all, rather than to be given to the kernel and cleared by it again.
#[derive(Debug, Default)]
struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, mut bytes: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < SPARES_MAX && bytes.capacity() <= SPARE_BYTES_MAX {
            bytes.clear();
            kept.push(bytes);
        }
    }
}

/// Output on its way.
#[derive(Debug)]
struct Lent {
    bytes: Vec<u8>,
    spares: Arc<Spares>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.spares.give(std::mem::take(&mut self.bytes));
    }
}

/// A notice together with the room that it takes until a watcher takes it.
#[derive(Debug)]
struct Waiting {
    notice: Notice,
    _room: Option<OwnedSemaphorePermit>,
}

/// Where a watcher takes notices.
#[derive(Debug)]
pub struct NoticeInbox(mpsc::Receiver<Waiting>);

impl NoticeInbox {
    /// The next one; `None` when none can come any more.
    pub async fn recv(&mut self) -> Option<Notice> {
        self.0.recv().await.map(|waiting| waiting.notice)
    }
}

impl Notices {
    /// A channel of [`NOTICES_WAITING_MAX`] places.
    #[must_use]
    pub fn channel() -> (Self, NoticeInbox) {
        let (sender, receiver) = mpsc::channel(NOTICES_WAITING_MAX);
        let room = Arc::new(Semaphore::new(OUTPUT_WAITING_BYTES_MAX));
        (Self(Some(Watched { sender, room, spares: Arc::default() })), NoticeInbox(receiver))
    }

    /// Hands a notice over; waits for a place.
    pub async fn send(&self, notice: Notice) {
        if let Some(watched) = &self.0 {
            // A watcher that has gone away is no reason to stop a run.
            let _gone = watched.sender.send(Waiting { notice, _room: None }).await;
        }
    }

    /// Empty room for what a step writes, for [`Self::output`].
    #[must_use]
    pub fn spare(&self) -> Vec<u8> {
        self.0.as_ref().map(|watched| watched.spares.take()).unwrap_or_default()
    }

    /// Hands over what a step wrote, masked; waits until there is room for it.
    pub async fn output(&self, key: &JobRunKey, step: Option<StepIndex>, bytes: Vec<u8>) {
        let Some(watched) = &self.0 else { return };
        let needed = u32::try_from(bytes.len().min(OUTPUT_WAITING_BYTES_MAX)).unwrap_or(u32::MAX);
        // Nobody closes the semaphore.
        let room = Arc::clone(&watched.room).acquire_many_owned(needed).await.ok();
        let bytes = Bytes::from_owner(Lent { bytes, spares: Arc::clone(&watched.spares) });
        let notice = Notice::Output { key: key.clone(), step, bytes };
        // A watcher that has gone away is no reason to stop a run.
        let _gone = watched.sender.send(Waiting { notice, _room: room }).await;
    }

    /// Hands a notice over from code that cannot wait; dropped when there is no place. For progress only.
    pub fn offer(&self, notice: Notice) {
        if let Some(watched) = &self.0 {
            let _full = watched.sender.try_send(Waiting { notice, _room: None });
        }
    }
}
