//! A backend: its address, how many use it, and whether it is out because it could not be reached (`ejection`).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// An address that answers, or not.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    is_out: AtomicBool,
    /// Connections that requests wait for or use.
    busy: AtomicU64,
}

impl Backend {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, is_out: AtomicBool::new(false), busy: AtomicU64::new(0) }
    }

    pub(crate) fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Acquire)
    }

    /// It gets nothing from now on; whether that is news.
    pub(crate) fn take_out(&self) -> bool {
        !self.is_out.swap(true, Ordering::AcqRel)
    }

    /// It gets requests again.
    pub(crate) fn put_in(&self) {
        self.is_out.store(false, Ordering::Release);
    }

    pub(crate) fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
