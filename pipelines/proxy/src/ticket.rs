//! A request that is in flight: counted as long as this lives, however it ends.

use std::sync::Arc;
use std::time::Instant;

use hyper::Method;

use crate::backend::Backend;
use crate::tally::{Outcome, Tally};

/// Of one request and the colour that has it now.
#[derive(Debug)]
pub(crate) struct Ticket {
    tally: Arc<Tally>,
    backend: Option<Arc<Backend>>,
    /// Those of tests say nothing about users' requests.
    is_test: bool,
    begun: Instant,
    is_recorded: bool,
    /// An answer that broke off after it began 5xx is one error, not two.
    is_error: bool,
}

impl Ticket {
    /// For a tally that was entered already (`Shared::enter`).
    pub(crate) fn of_entered(tally: &Arc<Tally>, is_test: bool, begun: Instant) -> Self {
        let tally = Arc::clone(tally);
        Self { tally, backend: None, is_test, begun, is_recorded: false, is_error: false }
    }

    pub(crate) fn is_test(&self) -> bool {
        self.is_test
    }

    /// Another backend has it now.
    pub(crate) fn at(&mut self, backend: &Arc<Backend>) {
        backend.enter();
        if let Some(before) = self.backend.replace(Arc::clone(backend)) {
            before.leave();
        }
    }

    pub(crate) fn connection_error(&self) {
        self.tally.connection_error();
    }

    /// How it ended for this colour.
    pub(crate) fn record(&mut self, method: &Method, outcome: Outcome) {
        self.is_recorded = true;
        self.is_error = !matches!(outcome, Outcome::Answered(status) if status < 500);
        if self.is_test {
            self.tally.test_request();
        } else {
            let microseconds = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.tally.record(method, outcome, microseconds);
        }
    }

    /// It could not be served by its colour: another one has it from now on.
    pub(crate) fn divert(&mut self, method: &Method, other: &Arc<Tally>) {
        self.record(method, Outcome::Failed);
        self.tally.diverted();
        other.enter();
        self.tally.leave();
        self.tally = Arc::clone(other);
        self.is_recorded = false;
        self.is_error = false;
    }

    /// The answer broke off.
    pub(crate) fn broken(&self) {
        if !self.is_test && !self.is_error {
            self.tally.error();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_recorded && !self.is_test {
            self.tally.abandoned();
        }
        if let Some(backend) = &self.backend {
            backend.leave();
        }
        self.tally.leave();
    }
}
