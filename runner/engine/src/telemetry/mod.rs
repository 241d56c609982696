//! Runs as OpenTelemetry traces: a span a run, a job, a step, with the names of the CI/CD conventions.
//!
//! A trace is made from the facts of a run when it is over and sent as OTLP over HTTP in its JSON form, through the
//! outbox, so that it survives restarts as everything there does. Ids are derived from the run: any process makes the
//! same ones, and steps can be told theirs before anything is sent.
//! Follows <https://opentelemetry.io/docs/specs/semconv/cicd/cicd-spans/> and
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

mod spans;

use std::sync::Arc;

use async_trait::async_trait;
use hyper::Uri;
use sha2::{Digest as _, Sha256};
use workflow::run::{JobRunKey, Recorded, StepIndex};

use crate::github::Course;
use crate::outbound::{self, OutboundError, Poster};
use crate::reporting::{Outcome, Target};
use crate::store::outbox::{Message, NewMessage, Outbox};

/// The outbox's name for where traces go.
pub const TARGET: &str = "traces";

/// How traces are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// What tells this server from others: its address, or a random text that it keeps. Part of every id.
    pub instance: String,
}

/// Ids of the spans of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceIds {
    trace: [u8; 16],
}

impl TraceIds {
    /// Those of a run (of one attempt, since each has a number of its own).
    #[must_use]
    pub fn of(instance: &str, repository: &str, run: u64) -> Self {
        let digest = Sha256::digest(format!("pipe trace\n{instance}\n{repository}\n{run}"));
        Self { trace: std::array::from_fn(|at| digest[at]) }
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn trace(&self) -> String {
        hex(&self.trace)
    }

    /// 16 hexadecimal digits: of the run, of a job run, or of a step.
    #[must_use]
    pub fn span(&self, job: Option<&JobRunKey>, step: Option<StepIndex>) -> String {
        let mut digest = Sha256::new();
        digest.update(self.trace);
        digest.update(job.map(|job| format!("/{job}")).unwrap_or_default());
        digest.update(step.map(|step| format!("#{}", step.0)).unwrap_or_default());
        hex(&digest.finalize()[..8])
    }

    /// The variable `TRACEPARENT` for what runs below a span, so that its own spans join the trace.
    /// See <https://www.w3.org/TR/trace-context/#traceparent-header>.
    #[must_use]
    pub fn traceparent(&self, job: Option<&JobRunKey>, step: Option<StepIndex>) -> String {
        format!("00-{}-{}-01", self.trace(), self.span(job, step))
    }
}

impl Traces {
    /// The ids of a run's spans.
    #[must_use]
    pub fn ids(&self, repository: &str, run: u64) -> TraceIds {
        TraceIds::of(&self.instance, repository, run)
    }

    /// The trace of a run that is over, as a message.
    pub(crate) fn message(&self, course: &Course, facts: &[Recorded]) -> NewMessage {
        let about = course.about();
        let ids = self.ids(&about.repository, about.run);
        NewMessage {
            target: TARGET.to_owned(),
            kind: "trace".to_owned(),
            lane: format!("{} {}", about.repository, about.run),
            subject: format!("trace {}", about.run),
            replaces: true,
            at_most: None,
            body: spans::export(course, &ids, facts).to_string(),
        }
    }
}

/// Where traces go.
#[derive(Debug)]
pub struct Exporter {
    poster: Poster,
    address: Uri,
    headers: Arc<[(String, String)]>,
}

impl Exporter {
    /// An exporter to the collector at an address such as `http://collector:4318`; `/v1/traces` is added where the
    /// address has no path. Headers may hold a token.
    ///
    /// # Errors
    /// The address is none, or TLS cannot be used.
    pub fn new(endpoint: &str, headers: Vec<(String, String)>) -> Result<Self, OutboundError> {
        let base = outbound::address(endpoint)?;
        let address = match base.path() {
            "/" => outbound::address(&format!("{}/v1/traces", endpoint.trim_end_matches('/')))?,
            _ => base,
        };
        Ok(Self { poster: Poster::new()?, address, headers: headers.into() })
    }
}

#[async_trait]
impl Target for Exporter {
    /// A collector that gets a trace twice has it once: the ids are the same.
    async fn send(&self, message: &Message, _outbox: &Outbox) -> Outcome {
        self.poster.post(&self.address, &self.headers, message.body.clone()).await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
