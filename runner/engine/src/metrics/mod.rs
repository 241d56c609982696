//! Numbers about this server, in the text form that Prometheus reads.
//!
//! What happens is counted here by whoever does it; what stands (queues, the outbox) is read when it is asked for, see
//! [`Standing`]. Labels take few values: no branch, no commit, no name that a stranger may choose.
//! Follows <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/practices/naming/>.

mod delivery;
mod number;
mod process;
mod standing;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use workflow::run::{JobRunKey, Recorded, RunEvent};

use crate::store::RunId;
pub use delivery::{Delivery, render as render_delivery};
use number::{Counters, Histograms, Text};
pub use standing::Standing;

/// Media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Job runs and runs whose begin is kept until their end.
const OPEN_MAX: usize = 20_000;

/// Seconds up to which runs, jobs and waits are told apart.
const LONG: &[f64] = &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 21_600.0];
/// Seconds up to which answers and commits are told apart.
const SHORT: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The numbers of this process.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::default);
    &METRICS
}

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    runs: Counters<1>,
    run_seconds: Histograms<1>,
    jobs: Counters<1>,
    job_seconds: Histograms<1>,
    queue_seconds: Histograms<0>,
    webhooks: Counters<2>,
    acknowledge_seconds: Histograms<0>,
    commit_seconds: Histograms<0>,
    messages: Counters<2>,
    begun: Mutex<HashMap<(RunId, Option<JobRunKey>), Timestamp>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            runs: Counters::new("pipe_runs_finished_total", "Runs that ended.", ["conclusion"]),
            run_seconds: Histograms::new(
                "pipe_run_duration_seconds",
                "From the start of a run to its end.",
                ["conclusion"],
                LONG,
            ),
            jobs: Counters::new("pipe_jobs_finished_total", "Job runs that ended.", ["conclusion"]),
            job_seconds: Histograms::new(
                "pipe_job_duration_seconds",
                "From the start of a job run to its end.",
                ["conclusion"],
                LONG,
            ),
            queue_seconds: Histograms::new(
                "pipe_job_queue_duration_seconds",
                "From the moment a job run could begin to its start.",
                [],
                LONG,
            ),
            webhooks: Counters::new(
                "pipe_webhooks_received_total",
                "Webhooks, by forge and what became of them.",
                ["forge", "result"],
            ),
            acknowledge_seconds: Histograms::new(
                "pipe_webhook_acknowledge_duration_seconds",
                "From the head of a webhook to its answer.",
                [],
                SHORT,
            ),
            commit_seconds: Histograms::new(
                "pipe_store_commit_duration_seconds",
                "Transactions of the database, the flush included.",
                [],
                SHORT,
            ),
            messages: Counters::new(
                "pipe_outbox_attempts_total",
                "Attempts to send messages, by target and what came of them.",
                ["target", "result"],
            ),
            begun: Mutex::default(),
        }
    }
}

impl Metrics {
    /// Counts a fact of a run, once.
    pub fn recorded(&self, run: RunId, fact: &Recorded) {
        match &fact.event {
            RunEvent::RunStarted => self.begin(run, None, fact.at),
            RunEvent::JobExpanded { job, legs, matrix, .. } => {
                for leg in 0..u32::try_from(legs.len()).unwrap_or(u32::MAX) {
                    self.begin(run, Some(JobRunKey::new(job.clone(), matrix.then_some(leg))), fact.at);
                }
            }
            RunEvent::JobRunStarted { key } => {
                if let Some(waited) = self.end(run, Some(key.clone()), fact.at) {
                    self.queue_seconds.observe([], waited);
                }
                self.begin(run, Some(key.clone()), fact.at);
            }
            // Waiting for a person is no waiting for a place.
            RunEvent::Reviewed { key, passed: true, .. } | RunEvent::JobRunReset { key } => {
                self.begin(run, Some(key.clone()), fact.at);
            }
            RunEvent::JobRunFinished { key, conclusion, .. } => {
                self.jobs.add([conclusion.word()]);
                if let Some(took) = self.end(run, Some(key.clone()), fact.at) {
                    self.job_seconds.observe([conclusion.word()], took);
                }
            }
            RunEvent::RunFinished { conclusion } => {
                self.runs.add([conclusion.word()]);
                if let Some(took) = self.end(run, None, fact.at) {
                    self.run_seconds.observe([conclusion.word()], took);
                }
                let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
                begun.retain(|(other, _), _| *other != run);
            }
            RunEvent::ReviewRequested { .. }
            | RunEvent::Reviewed { passed: false, .. }
            | RunEvent::RunHeld { .. }
            | RunEvent::RunReleased { .. }
            | RunEvent::RunRefused { .. }
            | RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::JobSkipped { .. }
            | RunEvent::JobRefused { .. }
            | RunEvent::CallStarted { .. }
            | RunEvent::JobRunPlaced { .. }
            | RunEvent::StepStarted { .. }
            | RunEvent::StepFinished { .. }
            | RunEvent::JobRunCancelRequested { .. }
            | RunEvent::RunCancelRequested { .. } => {}
        }
    }

    /// Counts a webhook: `accepted`, `duplicate`, `refused` …
    pub fn webhook(&self, forge: &'static str, result: &'static str, took: Duration) {
        self.webhooks.add([forge, result]);
        self.acknowledge_seconds.observe([], took);
    }

    /// Counts a transaction.
    pub fn commit(&self, took: Duration) {
        self.commit_seconds.observe([], took);
    }

    /// Counts an attempt to send a message: `arrived`, `unwanted`, `refused`, `later`. Targets are those of the
    /// configuration.
    pub fn message(&self, target: &str, result: &'static str) {
        self.messages.add([target, result]);
    }

    /// All numbers as text.
    #[must_use]
    pub fn render(&self, standing: &Standing) -> String {
        let mut text = Text::default();
        text.gauge("pipe_build_info", "The program.", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        for counters in [&self.runs, &self.jobs] {
            counters.render(&mut text);
        }
        for counters in [&self.webhooks, &self.messages] {
            counters.render(&mut text);
        }
        for histograms in [&self.run_seconds, &self.job_seconds] {
            histograms.render(&mut text);
        }
        for histograms in [&self.queue_seconds, &self.acknowledge_seconds, &self.commit_seconds] {
            histograms.render(&mut text);
        }
        standing.render(&mut text);
        process::render(&mut text);
        text.finish()
    }

    fn begin(&self, run: RunId, job: Option<JobRunKey>, at: Timestamp) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.len() < OPEN_MAX {
            begun.insert((run, job), at);
        }
    }

    fn end(&self, run: RunId, job: Option<JobRunKey>, at: Timestamp) -> Option<Duration> {
        let began = self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&(run, job))?;
        Some(Duration::try_from(at.duration_since(began)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use workflow::run::{Conclusion, EVENT_VERSION, Leg};

    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        let key = JobRunKey::parse("test(0)");
        let leg = Leg {
            name: "test".into(),
            matrix: serde_json::Value::Null,
            continue_on_error: false,
            timeout_ms: 0,
            cancel_timeout_ms: 0,
        };
        let job = key.job.clone();
        let facts = [
            (0, RunEvent::RunStarted),
            (1, RunEvent::JobExpanded { job, matrix: true, legs: vec![leg], fail_fast: true, max_parallel: None }),
            (3, RunEvent::JobRunStarted { key: key.clone() }),
            (
                9,
                RunEvent::JobRunFinished {
                    key,
                    conclusion: Conclusion::Failure,
                    outputs: Default::default(),
                    message: None,
                },
            ),
            (10, RunEvent::RunFinished { conclusion: Conclusion::Failure }),
        ];
        for (second, event) in facts {
            let at = Timestamp::from_second(second).unwrap();
            metrics.recorded(RunId(1), &Recorded { v: EVENT_VERSION, seq: 1, at, event });
        }
        metrics.webhook("github", "accepted", Duration::from_millis(3));
        metrics.message("a\"b\\c\n", "arrived");
        let text = metrics.render(&Standing::default());
        for line in [
            "# HELP pipe_jobs_finished_total Job runs that ended.",
            "# TYPE pipe_jobs_finished_total counter",
            "pipe_jobs_finished_total{conclusion=\"failure\"} 1",
            "# TYPE pipe_job_duration_seconds histogram",
            "pipe_job_duration_seconds_bucket{conclusion=\"failure\",le=\"5\"} 0",
            "pipe_job_duration_seconds_bucket{conclusion=\"failure\",le=\"10\"} 1",
            "pipe_job_duration_seconds_bucket{conclusion=\"failure\",le=\"+Inf\"} 1",
            "pipe_job_duration_seconds_sum{conclusion=\"failure\"} 6",
            "pipe_job_duration_seconds_count{conclusion=\"failure\"} 1",
            "pipe_job_queue_duration_seconds_sum 2",
            "pipe_run_duration_seconds_sum{conclusion=\"failure\"} 10",
            "pipe_webhook_acknowledge_duration_seconds_bucket{le=\"0.005\"} 1",
            "pipe_webhooks_received_total{forge=\"github\",result=\"accepted\"} 1",
            "pipe_outbox_attempts_total{target=\"a\\\"b\\\\c\\n\",result=\"arrived\"} 1",
            "# TYPE process_resident_memory_bytes gauge",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with('\n') && metrics.begun.lock().unwrap().is_empty());
        // Each family stands in one piece, with its type before its values.
        let mut seen = std::collections::BTreeSet::new();
        for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            assert!(seen.insert(name.to_owned()), "{name} twice");
        }
    }
}
