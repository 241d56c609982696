//! How many clients' connections are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts them; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Arc<AtomicUsize>);

/// One that is open, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Connections);

impl Connections {
    /// One more; and how many were open before it.
    pub(crate) fn open(&self) -> (Place, usize) {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        (Place(self.clone()), before)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
