//! For tests: the process dies at a transaction, as far as the database and its users can tell.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// When, within a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing of it is written.
    Before,
    /// It is on disk, and nobody was told; not even the file that proves what was acknowledged.
    Committed,
    /// All is on disk, and nobody was told.
    Kept,
}

/// Where one database dies.
#[derive(Debug, Default)]
pub(crate) struct KillPoint {
    at: AtomicUsize,
    moment: AtomicUsize,
    pub(super) count: AtomicUsize,
    pub(super) is_dead: AtomicBool,
}

impl KillPoint {
    pub(super) fn set(&self, transaction: usize, moment: Moment) {
        self.at.store(transaction, Ordering::SeqCst);
        self.moment.store(moment as usize, Ordering::SeqCst);
    }

    /// Whether this is it; transactions count from 1.
    pub(super) fn strikes(&self, moment: Moment) -> bool {
        if moment == Moment::Before {
            self.count.fetch_add(1, Ordering::SeqCst);
        }
        let here = self.count.load(Ordering::SeqCst) == self.at.load(Ordering::SeqCst);
        let strikes = here && self.moment.load(Ordering::SeqCst) == moment as usize;
        if strikes {
            self.is_dead.store(true, Ordering::SeqCst);
        }
        strikes
    }
}
