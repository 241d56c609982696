//! A job run that another process had begun: gone on with at its agent, begun anew where it had no place, or lost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::PoisonError;

use tokio::sync::mpsc;
use workflow::expression::Value;
use workflow::run::{Conclusion, JobRunKey, RunEvent, StepResult};

use super::facing::JobFacing;
use super::journal::{Journal, Remembered};
use super::placed::PlacedRecord;
use super::run::{JobEnd, Parts, PlacedJobs, failed};
use super::{Begun, JobOrder, JobReport};
use crate::placement::LeftoverFilter;

impl PlacedJobs {
    /// A job that another process had begun: from its agent on, or anew where it had no place yet.
    pub(super) async fn taken_up(&self, parts: Parts<'_>, mut job: JobFacing, secrets: Value, begun: Begun) -> JobEnd {
        let Parts { order, control, reports, log } = parts;
        let left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner).remove(&order.key);
        if let Some(left) = left {
            return self.gone_on(Parts { order, control, reports, log }, (job, secrets), begun, left).await;
        }
        let path = self.0.journals.as_ref().map(|folder| Journal::path(folder, &order.key));
        let mut remembered = path.map(|path| Remembered::read(&path)).unwrap_or_default();
        let Some(record) = remembered.placed.take() else {
            self.remove_parts(order).await;
            if begun.steps.is_empty() {
                return self.placed(Parts { order, control, reports, log }, job, secrets).await;
            }
            return self.lost(order, &begun, reports, "what was known of its place is gone").await;
        };
        if let Some(end) = remembered.over {
            self.remove_rest(order, &record).await;
            return end;
        }
        match record.clone().adopt(&self.0).await {
            Ok(mut placed) => {
                self.serve(order, &mut job, &mut placed, log).await;
                if !begun.placed {
                    let _gone = reports.send(JobReport::new([placed.record.placed(&order.key)])).await;
                }
                let journal = self.journal(&order.key);
                let parts = Parts { order, control, reports, log };
                self.stepped(parts, (job, secrets), placed, journal, Some((begun, remembered))).await
            }
            Err(reason) => {
                self.remove_rest(order, &record).await;
                self.lost(order, &begun, reports, &reason).await
            }
        }
    }

    /// Whether another process had come so far.
    pub(super) fn has_had_a_place(&self, key: &JobRunKey, begun: &Begun) -> bool {
        let placed = |folder: &PathBuf| Remembered::read(&Journal::path(folder, key)).placed.is_some();
        begun.placed || !begun.steps.is_empty() || self.0.journals.as_ref().is_some_and(placed)
    }

    /// Nobody knows what became of the steps that ran.
    pub(super) async fn lost(
        &self,
        order: &JobOrder,
        begun: &Begun,
        reports: &mpsc::Sender<JobReport>,
        reason: &str,
    ) -> JobEnd {
        let message = format!("The runner was lost: {reason}");
        let open = begun.steps.iter().filter(|(_, run)| run.finished.is_none());
        let ends: Vec<_> = open
            .map(|(step, _)| {
                let (outcome, conclusion) = (Conclusion::Failure, Conclusion::Failure);
                let message = Some(message.clone());
                let result = StepResult { outcome, conclusion, outputs: BTreeMap::new(), exit_code: None, message };
                RunEvent::StepFinished { key: order.key.clone(), step: *step, result }
            })
            .collect();
        if !ends.is_empty() {
            let _gone = reports.send(JobReport::new(ends)).await;
        }
        failed(message)
    }

    /// Removes what another process had made of a job that cannot be taken up.
    async fn remove_parts(&self, order: &JobOrder) {
        let filter = LeftoverFilter::Job { run: order.run.to_string(), job: order.key.to_string() };
        for placement in self.0.docker.iter().chain([&self.0.host]) {
            if let Err(error) = placement.remove_leftovers(filter.clone()).await {
                tracing::error!(%error, "parts of a lost job are left");
            }
        }
    }

    /// Removes what is left of a job that has had its place.
    pub(super) async fn remove_rest(&self, order: &JobOrder, record: &PlacedRecord) {
        // One that still runs can be asked to stop; else its parts are looked for.
        if let Ok(placed) = record.clone().adopt(&self.0).await
            && placed.stop().await.is_ok()
        {
            return;
        }
        self.remove_parts(order).await;
        if let Err(left) = record.remove_folders() {
            tracing::warn!(left, "a job that had ended left folders");
        }
    }
}
