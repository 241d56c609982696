//! The spans of a run in OTLP's JSON form.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use workflow::run::{CancelReason, Conclusion, JobRunKey, Recorded, RunEvent, StepIndex};

use super::TraceIds;
use crate::github::Course;

/// Most spans of one trace; the first ones are kept.
const SPANS_MAX: usize = 5_000;
/// OTLP's numbers of span kinds and status codes.
const KIND_INTERNAL: u8 = 1;
const KIND_SERVER: u8 = 2;
const STATUS_OK: u8 = 1;
const STATUS_ERROR: u8 = 2;

/// One `ExportTraceServiceRequest` with the whole trace.
pub(super) fn export(course: &Course, ids: &TraceIds, facts: &[Recorded]) -> Json {
    let mut spans = Spans { course, ids, open: HashMap::new(), timed_out: Vec::new(), done: Vec::new() };
    facts.iter().for_each(|fact| spans.take(fact));
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(resource(course)) },
        "scopeSpans": [{
            "scope": { "name": "pipe", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans.done,
        }],
    }] })
}

type Pairs = Vec<(&'static str, Option<String>)>;
type Key = (Option<JobRunKey>, Option<StepIndex>);

struct Spans<'a> {
    course: &'a Course,
    ids: &'a TraceIds,
    /// When it began, and its name.
    open: HashMap<Key, (Timestamp, String)>,
    timed_out: Vec<JobRunKey>,
    done: Vec<Json>,
}

impl Spans<'_> {
    fn take(&mut self, fact: &Recorded) {
        let at = fact.at;
        match &fact.event {
            RunEvent::RunStarted => {
                let name = format!("RUN {}", self.course.about().workflow);
                self.open.insert((None, None), (at, name));
            }
            RunEvent::JobRunStarted { key } => {
                let leg = self.course.run().and_then(|run| Some(run.job_run(key)?.leg.name.clone()));
                self.open.insert((Some(key.clone()), None), (at, leg.unwrap_or_else(|| key.to_string())));
            }
            RunEvent::StepStarted { key, step, name } => {
                self.open.insert((Some(key.clone()), Some(*step)), (at, name.clone()));
            }
            RunEvent::JobRunCancelRequested { key, reason: CancelReason::Timeout { .. } } => {
                self.timed_out.push(key.clone());
            }
            RunEvent::StepFinished { key, step, result } => {
                self.task((Some(key.clone()), Some(*step)), result.outcome, at);
            }
            RunEvent::JobRunFinished { key, conclusion, .. } => self.task((Some(key.clone()), None), *conclusion, at),
            RunEvent::RunFinished { conclusion } => self.run(*conclusion, at),
            RunEvent::JobRunReset { key } => self.open.retain(|(job, _), _| job.as_ref() != Some(key)),
            RunEvent::ReviewRequested { .. }
            | RunEvent::Reviewed { .. }
            | RunEvent::RunHeld { .. }
            | RunEvent::RunReleased { .. }
            | RunEvent::RunRefused { .. }
            | RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::JobSkipped { .. }
            | RunEvent::JobExpanded { .. }
            | RunEvent::JobRefused { .. }
            | RunEvent::CallStarted { .. }
            | RunEvent::JobRunPlaced { .. }
            | RunEvent::JobRunCancelRequested { .. }
            | RunEvent::RunCancelRequested { .. } => {}
        }
    }

    fn run(&mut self, conclusion: Conclusion, at: Timestamp) {
        let about = self.course.about();
        let name = format!("RUN {}", about.workflow);
        let (began, name) = self.open.remove(&(None, None)).unwrap_or((at, name));
        let result = if about.problems.is_empty() { result(conclusion, false) } else { "error" };
        let pairs = vec![
            ("cicd.pipeline.action.name", Some("RUN".to_owned())),
            ("cicd.pipeline.result", Some(result.to_owned())),
            ("error.type", error_type(result)),
        ];
        self.push(&(None, None), KIND_SERVER, name, (began, at), pairs, result);
    }

    /// A step that never began has no span.
    fn task(&mut self, key: Key, conclusion: Conclusion, at: Timestamp) {
        let Some((began, name)) = self.open.remove(&key) else { return };
        let about = self.course.about();
        let (Some(job), step) = (&key.0, key.1) else { return };
        let result = result(conclusion, self.timed_out.contains(job));
        let id = match step {
            Some(step) => format!("{}/{}/{job}/{}", about.run, about.attempt, step.0),
            None => format!("{}/{}/{job}", about.run, about.attempt),
        };
        let job_run = self.course.run().and_then(|run| run.job_run(job)).filter(|_| step.is_none());
        let environment = step.is_none().then(|| self.course.environment(job)).flatten();
        let pairs = vec![
            ("cicd.pipeline.task.name", Some(name.clone())),
            ("cicd.pipeline.task.run.id", Some(id)),
            ("cicd.pipeline.task.run.result", Some(result.to_owned())),
            ("cicd.pipeline.task.run.url.full", self.course.job_url(job)),
            ("cicd.pipeline.task.type", environment.as_ref().map(|_| "deploy".to_owned())),
            ("deployment.environment.name", environment),
            ("cicd.worker.name", job_run.and_then(|run| run.runner.clone())),
            ("error.type", error_type(result)),
        ];
        self.push(&key, KIND_INTERNAL, name, (began, at), pairs, result);
    }

    fn push(&mut self, key: &Key, kind: u8, name: String, time: (Timestamp, Timestamp), pairs: Pairs, result: &str) {
        if self.done.len() >= SPANS_MAX && key.0.is_some() {
            return;
        }
        let (job, step) = (key.0.as_ref(), key.1);
        let parent = match (job, step) {
            (None, _) => String::new(),
            (Some(_), None) => self.ids.span(None, None),
            (Some(job), Some(_)) => self.ids.span(Some(job), None),
        };
        let status = match result {
            "success" => json!({ "code": STATUS_OK }),
            "failure" | "error" | "timeout" => json!({ "code": STATUS_ERROR, "message": result }),
            _ => json!({}),
        };
        self.done.push(json!({
            "traceId": self.ids.trace(), "spanId": self.ids.span(job, step), "parentSpanId": parent,
            "name": name, "kind": kind, "status": status, "attributes": attributes(pairs),
            "startTimeUnixNano": time.0.as_nanosecond().to_string(), "endTimeUnixNano": time.1.as_nanosecond().to_string(),
        }));
    }
}

fn resource(course: &Course) -> Pairs {
    let about = course.about();
    let (owner, name) = about.repository.rsplit_once('/').unwrap_or(("", &about.repository));
    let reference = about.git_ref.strip_prefix("refs/heads/").map(|branch| (branch, "branch"));
    let reference = reference.or_else(|| about.git_ref.strip_prefix("refs/tags/").map(|tag| (tag, "tag")));
    vec![
        ("service.name", Some("pipe".to_owned())),
        ("service.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("cicd.pipeline.name", Some(about.workflow.clone())),
        ("cicd.pipeline.run.id", Some(about.run.to_string())),
        ("cicd.pipeline.run.url.full", about.url.clone()),
        ("vcs.provider.name", Some(about.forge.clone()).filter(|forge| !forge.is_empty())),
        ("vcs.owner.name", Some(owner.to_owned()).filter(|owner| !owner.is_empty())),
        ("vcs.repository.name", Some(name.to_owned())),
        ("vcs.ref.head.name", reference.map(|(name, _)| name.to_owned())),
        ("vcs.ref.head.type", reference.map(|(_, kind)| kind.to_owned())),
        ("vcs.ref.head.revision", Some(about.commit.clone()).filter(|commit| !commit.is_empty())),
        ("vcs.change.id", about.pull_request.map(|number| number.to_string())),
    ]
}

fn attributes(pairs: Pairs) -> Json {
    let known = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.map(|(name, value)| json!({ "key": name, "value": { "stringValue": value } })).collect()
}

/// The conventions' word.
fn result(conclusion: Conclusion, timed_out: bool) -> &'static str {
    match conclusion {
        Conclusion::Failure | Conclusion::Cancelled if timed_out => "timeout",
        Conclusion::Success => "success",
        Conclusion::Failure => "failure",
        Conclusion::Cancelled => "cancellation",
        Conclusion::Skipped => "skip",
    }
}

fn error_type(result: &str) -> Option<String> {
    matches!(result, "failure" | "error" | "timeout").then(|| result.to_owned())
}
