//! How things stand now, read from the store when the numbers are asked for.

use std::collections::BTreeMap;

use super::number::Text;
use crate::store::outbox::{Depth, Outbox};
use crate::store::{Database, StoreError};

/// Numbers that are read, not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Runs that are not over, by status.
    pub runs: BTreeMap<String, u64>,
    /// Hooks that wait to be looked at.
    pub deliveries_waiting: u64,
    /// The outbox.
    pub outbox: Depth,
    /// Whether the store takes writes.
    pub is_healthy: bool,
    /// Job runs that have their place, and places that there are; where the queue is known.
    pub jobs: Option<(u64, u64)>,
    /// Job runs that could begin.
    pub jobs_queued: Option<u64>,
}

impl Standing {
    /// What the store knows; the rest is for whoever knows it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn read(database: &Database) -> Result<Self, StoreError> {
        let outbox = Outbox::on(database.clone());
        let (runs, deliveries_waiting) = outbox.standing().await?;
        let depth = outbox.depth().await?;
        Ok(Self { runs, deliveries_waiting, outbox: depth, is_healthy: database.is_healthy(), ..Self::default() })
    }

    pub(super) fn render(&self, text: &mut Text) {
        let name = "pipe_runs";
        text.head(name, "Runs that are not over, by status.", "gauge");
        for status in ["queued", "waiting", "in_progress"] {
            let count = self.runs.get(status).copied().unwrap_or(0);
            text.value(name, &[("status", status)], count as f64);
        }
        let waiting = self.deliveries_waiting as f64;
        text.gauge("pipe_deliveries_waiting", "Webhooks that wait to be looked at.", &[], waiting);
        let name = "pipe_outbox_messages";
        text.head(name, "Messages that have not arrived, by state.", "gauge");
        text.value(name, &[("state", "open")], self.outbox.open as f64);
        text.value(name, &[("state", "given_up")], self.outbox.given_up as f64);
        let healthy = f64::from(u8::from(self.is_healthy));
        text.gauge("pipe_store_healthy", "Whether the database takes writes.", &[], healthy);
        if let Some((running, places)) = self.jobs {
            text.gauge("pipe_jobs_running", "Job runs that have a place.", &[], running as f64);
            text.gauge("pipe_job_places", "Job runs that may go on at once.", &[], places as f64);
        }
        let known = [("pipe_jobs_queued", "Job runs that wait for a place.", self.jobs_queued)];
        for (name, help, value) in known {
            if let Some(value) = value {
                text.gauge(name, help, &[], value as f64);
            }
        }
    }
}
