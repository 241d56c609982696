//! Counting, without a lock: each answer adds to a few numbers, whoever reads them takes them as they are.
//!
//! A tally is of a service and a revision, not of a colour: green keeps its numbers when it is called blue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::Method;
use tokio::sync::Notify;

use crate::stats::{self, RevisionStats};

const CLASSES: [&str; 6] = ["failed", "1xx", "2xx", "3xx", "4xx", "5xx"];
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With this status.
    Answered(u16),
    /// No backend could be reached, or it went away before it answered.
    Failed,
    /// It did not answer in time.
    TimedOut,
}

/// Counters of one revision.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) service: Arc<str>,
    pub(crate) revision: Arc<str>,
    in_flight: AtomicU64,
    idle: Notify,
    counts: [[AtomicU64; METHODS.len()]; CLASSES.len()],
    errors: AtomicU64,
    errors_in_a_row: AtomicU64,
    connection_errors: AtomicU64,
    time_outs: AtomicU64,
    abandoned: AtomicU64,
    diverted: AtomicU64,
    test_requests: AtomicU64,
    latency: [AtomicU64; stats::BUCKETS],
}

impl Tally {
    pub(crate) fn new(service: &str, revision: &str) -> Self {
        Self {
            service: service.into(),
            revision: revision.into(),
            in_flight: AtomicU64::new(0),
            idle: Notify::new(),
            counts: Default::default(),
            errors: AtomicU64::new(0),
            errors_in_a_row: AtomicU64::new(0),
            connection_errors: AtomicU64::new(0),
            time_outs: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            diverted: AtomicU64::new(0),
            test_requests: AtomicU64::new(0),
            latency: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// One more is in flight. Ordered before what is read after it: see `Shared::enter`.
    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn leave(&self) {
        if self.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.idle.notify_waiters();
        }
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Until nothing is in flight.
    pub(crate) async fn drained(&self) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            idle.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            idle.await;
        }
    }

    pub(crate) fn record(&self, method: &Method, outcome: Outcome, microseconds: u64) {
        let class = match outcome {
            Outcome::Answered(status) => usize::from(status / 100).clamp(1, 5),
            Outcome::Failed | Outcome::TimedOut => 0,
        };
        add(&self.counts[class][method_index(method)], 1);
        // What could not be reached was not slow.
        if outcome != Outcome::Failed {
            add(&self.latency[stats::bucket(microseconds)], 1);
        }
        if outcome == Outcome::TimedOut {
            add(&self.time_outs, 1);
        }
        if class == 0 || class == 5 {
            self.error();
        } else if self.errors_in_a_row.load(Ordering::Relaxed) != 0 {
            self.errors_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// An error that is told after the answer began: it broke off.
    pub(crate) fn error(&self) {
        add(&self.errors, 1);
        add(&self.errors_in_a_row, 1);
    }

    pub(crate) fn connection_error(&self) {
        add(&self.connection_errors, 1);
    }

    pub(crate) fn abandoned(&self) {
        add(&self.abandoned, 1);
    }

    pub(crate) fn diverted(&self) {
        add(&self.diverted, 1);
    }

    pub(crate) fn test_request(&self) {
        add(&self.test_requests, 1);
    }

    /// What has been counted; what the table says of it is left out.
    pub(crate) fn read(&self) -> RevisionStats {
        let mut by_status: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        let mut requests = 0;
        for (class, row) in CLASSES.iter().zip(&self.counts) {
            for (method, count) in METHODS.iter().zip(row) {
                let count = get(count);
                if count > 0 {
                    by_status.entry((*class).to_owned()).or_default().insert((*method).to_owned(), count);
                    requests += count;
                }
            }
        }
        RevisionStats {
            service: self.service.to_string(),
            revision: self.revision.to_string(),
            requests,
            errors: get(&self.errors),
            errors_in_a_row: get(&self.errors_in_a_row),
            connection_errors: get(&self.connection_errors),
            time_outs: get(&self.time_outs),
            abandoned: get(&self.abandoned),
            diverted: get(&self.diverted),
            test_requests: get(&self.test_requests),
            in_flight: self.in_flight(),
            by_status,
            latency: stats::bounds().into_iter().zip(self.latency.iter().map(get)).collect(),
            ..RevisionStats::default()
        }
    }

    /// Counts what another process has counted before this one.
    pub(crate) fn inherit(&self, from: &RevisionStats) {
        for (class, row) in CLASSES.iter().zip(&self.counts) {
            for (method, count) in METHODS.iter().zip(row) {
                let counted = from.by_status.get(*class).and_then(|methods| methods.get(*method));
                add(count, counted.copied().unwrap_or(0));
            }
        }
        for (count, (_, counted)) in self.latency.iter().zip(&from.latency) {
            add(count, *counted);
        }
        for (count, counted) in [
            (&self.errors, from.errors),
            (&self.errors_in_a_row, from.errors_in_a_row),
            (&self.connection_errors, from.connection_errors),
            (&self.time_outs, from.time_outs),
            (&self.abandoned, from.abandoned),
            (&self.diverted, from.diverted),
            (&self.test_requests, from.test_requests),
        ] {
            add(count, counted);
        }
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn method_index(method: &Method) -> usize {
    METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_once_each() {
        let tally = Tally::new("orders", "r1");
        for (outcome, errors, in_a_row) in [
            (Outcome::Answered(200), 0, 0),
            (Outcome::Answered(503), 1, 1),
            (Outcome::Failed, 2, 2),
            (Outcome::TimedOut, 3, 3),
            (Outcome::Answered(404), 3, 0),
            (Outcome::Answered(101), 3, 0),
        ] {
            tally.record(&Method::POST, outcome, 1_000);
            let read = tally.read();
            assert_eq!((read.errors, read.errors_in_a_row), (errors, in_a_row), "{outcome:?}");
        }
        let read = tally.read();
        assert_eq!((read.requests, read.time_outs), (6, 1));
        assert_eq!(read.by_status["failed"]["POST"], 2);
        assert_eq!(read.latency.iter().map(|(_, count)| count).sum::<u64>(), 5);

        let heir = Tally::new("orders", "r1");
        heir.inherit(&read);
        assert_eq!(heir.read(), read);
    }

    #[tokio::test]
    async fn drained_waits_for_the_last() {
        let tally = Arc::new(Tally::new("orders", "r1"));
        tally.enter();
        tally.enter();
        let waiting = tokio::spawn({
            let tally = Arc::clone(&tally);
            async move { tally.drained().await }
        });
        tally.leave();
        assert_eq!(tally.in_flight(), 1);
        tally.leave();
        waiting.await.unwrap();
    }
}
