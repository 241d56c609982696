//! Something that happens once and that every connection waits for, looked at with each of its steps.
//!
//! A token's own question takes a lock that all connections share. Here it is one flag; the token only wakes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio_util::sync::CancellationToken;

/// Rung once.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    is_rung: AtomicBool,
    token: CancellationToken,
}

impl Bell {
    /// Rings it. The flag first: who is woken finds it set.
    pub(crate) fn ring(&self) {
        self.is_rung.store(true, Ordering::Release);
        self.token.cancel();
    }

    pub(crate) fn is_rung(&self) -> bool {
        self.is_rung.load(Ordering::Acquire)
    }

    /// Until it is rung. Whatever task polls this first has to be the one that goes on polling it.
    pub(crate) async fn rung(&self) {
        let mut token = pin!(self.token.cancelled());
        let mut is_registered = false;
        poll_fn(|context| {
            if is_registered && !self.is_rung() {
                return Poll::Pending;
            }
            is_registered = true;
            token.as_mut().poll(context)
        })
        .await;
    }
}
