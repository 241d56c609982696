//! What a watcher of a run is told, live: the recorded facts, the masked output, progress, annotations and summaries.
//!
//! A notice holds no secret: everything passed the masker before it got here. The channel is bounded, so a slow watcher
//! slows the run down rather than filling memory; a watcher that only wants facts should read the store.

use bytes::Bytes;
use workflow::command::Annotation;
use workflow::run::{JobRunKey, Recorded, StepIndex};

use crate::placement::PlacementProgress;

/// How many notices wait for a watcher. With output in pieces of at most 64 KiB this bounds the memory to 8 MiB.
pub const NOTICES_WAITING_MAX: usize = 128;

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
pub struct Notices(Option<tokio::sync::mpsc::Sender<Notice>>);

impl Notices {
    /// A channel of [`NOTICES_WAITING_MAX`] places.
    #[must_use]
    pub fn channel() -> (Self, tokio::sync::mpsc::Receiver<Notice>) {
        let (sender, receiver) = tokio::sync::mpsc::channel(NOTICES_WAITING_MAX);
        (Self(Some(sender)), receiver)
    }

    /// Hands a notice over; waits for a place.
    pub async fn send(&self, notice: Notice) {
        if let Some(sender) = &self.0 {
            // A watcher that has gone away is no reason to stop a run.
            let _gone = sender.send(notice).await;
        }
    }

    /// Hands a notice over from code that cannot wait; dropped when there is no place. For progress only.
    pub fn offer(&self, notice: Notice) {
        if let Some(sender) = &self.0 {
            let _full = sender.try_send(notice);
        }
    }
}
