//! How many jobs this process performs at once, over all of its runs.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Places for jobs, shared by clones.
#[derive(Debug, Clone)]
pub struct Slots {
    free: Arc<Mutex<usize>>,
    all: usize,
    changed: watch::Sender<()>,
}

/// A place; free again when this is dropped.
#[derive(Debug)]
pub struct Slot(Slots);

impl Slots {
    /// So many places, at least one.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let all = count.max(1);
        Self { free: Arc::new(Mutex::new(all)), all, changed: watch::Sender::new(()) }
    }

    /// How many there are.
    #[must_use]
    pub const fn all(&self) -> usize {
        self.all
    }

    /// Takes a place, if one is free.
    #[must_use]
    pub fn take(&self) -> Option<Slot> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Slot(self.clone()))
    }

    /// Wakes when a place may have become free.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let _nobody_waits = self.0.changed.send(());
    }
}
