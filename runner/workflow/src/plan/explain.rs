//! A plan told to a person or a program: `pipe plan`, with and without `--json`.
//!
//! The field names are the JSON form and stay. It renders no text.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::{JobIndex, Known, Plan, PlannedJob, PlannedLegs, Prediction};
use crate::diagnostic::Severity;
use crate::expression::Value;
use crate::matrix::is_picked;
use crate::model::{JobKind, Step, StepKind, Workflow};
use crate::source::{Position, SourceMap, Span};
use crate::template::{Token, TokenKind};
use crate::trigger::WhyNot;

/// A workflow that runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Path of its file.
    pub workflow: String,
    /// Its name.
    pub name: String,
    /// The event.
    pub event: &'static str,
    /// The activity type.
    pub action: Option<String>,
    /// The ref.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The commit.
    pub sha: Option<String>,
    /// The jobs, each after those that it needs.
    pub jobs: Vec<JobExplanation>,
    /// Secrets of the run that some job names.
    pub secrets: Vec<String>,
    /// Warnings, each one sentence.
    pub warnings: Vec<Reason>,
}

impl Explanation {
    /// Leaves out the legs that are not asked for.
    pub fn pick_legs(&mut self, wanted: &[(String, String)]) {
        for job in &mut self.jobs {
            if let LegsExplanation::Static { legs, .. } = &mut job.legs {
                legs.retain(|leg| is_picked(leg.matrix.as_deref(), wanted));
            }
        }
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobExplanation {
    /// Its id; `caller/inner` in a called workflow.
    pub id: String,
    /// Its display name as far as known.
    pub name: String,
    /// How many needs deep it lies: jobs of one level may run at once.
    pub level: usize,
    /// Ids of the jobs that it needs.
    pub needs: Vec<String>,
    /// `runs`, `depends` or `skipped`.
    pub status: &'static str,
    /// Why it is skipped.
    pub reason: Option<String>,
    /// `if:` as written; none where it is not.
    #[serde(rename = "if")]
    pub condition: Option<String>,
    /// Its legs.
    pub legs: LegsExplanation,
    /// Labels, as far as known.
    pub runs_on: Option<Vec<String>>,
    /// The environment's name, as far as known.
    pub environment: Option<String>,
    /// The concurrency group, as far as known.
    pub concurrency: Option<String>,
    /// The workflow that it calls.
    pub uses: Option<String>,
    /// Secrets that it names.
    pub secrets: Vec<String>,
    /// Its steps.
    pub steps: Vec<StepExplanation>,
}

/// The legs of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum LegsExplanation {
    /// One, without a matrix.
    Single,
    /// These.
    Static {
        /// Display name and `matrix` of each.
        legs: Vec<LegExplanation>,
        /// `fail-fast`.
        fail_fast: bool,
        /// `max-parallel`.
        max_parallel: Option<u32>,
    },
    /// Known when the jobs that it needs are done.
    Dynamic,
}

/// One leg.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LegExplanation {
    /// Display name.
    pub name: String,
    /// The `matrix` context.
    pub matrix: Option<Arc<Map<String, Json>>>,
    /// Labels, as far as known.
    pub runs_on: Option<Vec<String>>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepExplanation {
    /// `id:`, if written.
    pub id: Option<String>,
    /// `name:` as written, or what GitHub shows instead.
    pub name: String,
    /// `run`, `uses`, `wait`, `wait-all`, `cancel` or `parallel`.
    pub kind: &'static str,
    /// `if:` as written.
    #[serde(rename = "if")]
    pub condition: Option<String>,
    /// The steps of a `parallel` block.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Self>,
}

/// A sentence and its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// One sentence.
    pub message: String,
    /// `error`, `warning` or `note`.
    pub severity: Severity,
    /// Where, line and column from 1; none where no file says so.
    pub at: Option<Position>,
}

/// A workflow that does not run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NotTriggered {
    /// Path of its file.
    pub workflow: String,
    /// Its name.
    pub name: String,
    /// Why not; never empty.
    pub reasons: Vec<Reason>,
}

/// Tells a plan.
#[must_use]
pub fn explain(plan: &Plan, sources: &SourceMap) -> Explanation {
    let depths = plan.depths();
    let job = |index: &JobIndex| explain_job(plan, *index, depths[index.0 as usize]);
    let reason = |severity, message: &str, span: Option<Span>| Reason {
        message: message.to_owned(),
        severity,
        at: position(sources, span),
    };
    Explanation {
        workflow: plan.path.clone(),
        name: plan.name.clone(),
        event: plan.event.name.as_str(),
        action: plan.event.action.clone(),
        git_ref: plan.event.git_ref.to_string(),
        sha: plan.event.sha.clone(),
        jobs: plan.order.iter().map(job).collect(),
        secrets: plan.secrets().named.into_keys().collect(),
        warnings: plan.warnings.iter().map(|found| reason(found.severity, &found.message, found.span)).collect(),
    }
}

/// Tells why a workflow does not run.
#[must_use]
pub fn not_triggered(workflow: &Workflow, reasons: &[WhyNot], sources: &SourceMap) -> NotTriggered {
    let reason = |reason: &WhyNot| Reason {
        message: reason.to_string(),
        severity: if reason.is_input_error() { Severity::Error } else { Severity::Note },
        at: position(sources, reason.span()),
    };
    NotTriggered {
        workflow: workflow.path.clone(),
        name: workflow.display_name().to_owned(),
        reasons: reasons.iter().map(reason).collect(),
    }
}

fn position(sources: &SourceMap, span: Option<Span>) -> Option<Position> {
    sources.locate(span?).map(|(_, from, _)| from)
}

fn explain_job(plan: &Plan, index: JobIndex, level: usize) -> JobExplanation {
    let job = plan.job(index);
    let known = &plan.frame(job.frame).known;
    let name = plan.display_name(index);
    let legs = explain_legs(plan, index, job);
    let (steps, environment, runs_on, uses) = match &job.job.kind {
        JobKind::Steps(steps) => (
            steps.steps.iter().map(explain_step).collect(),
            steps.environment.as_ref().and_then(|token| known.text(token.get("name").unwrap_or(token))),
            labels(known, &steps.runs_on),
            None,
        ),
        JobKind::Call(call) => (Vec::new(), None, None, Some(call.reference.value.clone())),
    };
    let group = job.job.concurrency.as_ref().and_then(|token| known.text(token.get("group").unwrap_or(token)));
    JobExplanation {
        id: job.id.to_string(),
        name,
        level,
        needs: job.needs.iter().map(|need| plan.job(*need).id.to_string()).collect(),
        status: match job.prediction {
            Prediction::Runs => "runs",
            Prediction::Depends => "depends",
            Prediction::Skipped { .. } | Prediction::SkippedWith { .. } => "skipped",
        },
        reason: job.prediction.why_skipped(),
        condition: job.job.condition_span.map(|_| job.job.condition.text().trim().to_owned()),
        legs,
        runs_on,
        environment,
        concurrency: group,
        uses,
        secrets: job.secrets.named.keys().cloned().collect(),
        steps,
    }
}

fn explain_legs(plan: &Plan, index: JobIndex, job: &PlannedJob) -> LegsExplanation {
    match &job.legs {
        PlannedLegs::Single => LegsExplanation::Single,
        PlannedLegs::Dynamic => LegsExplanation::Dynamic,
        PlannedLegs::Static(legs) => LegsExplanation::Static {
            legs: legs
                .legs
                .iter()
                .map(|leg| LegExplanation {
                    name: plan.leg_name(index, legs, leg),
                    matrix: leg.values.clone(),
                    runs_on: match &job.job.kind {
                        JobKind::Steps(steps) => labels(&plan.frame(job.frame).known.leg(legs, leg), &steps.runs_on),
                        JobKind::Call(_) => None,
                    },
                })
                .collect(),
            fail_fast: legs.fail_fast,
            max_parallel: legs.max_parallel,
        },
    }
}

/// The labels of `runs-on`, if none depends on the run.
fn labels(known: &Known, runs_on: &Token) -> Option<Vec<String>> {
    let value = known.value(runs_on)?;
    let labels = value.get("labels").cloned().unwrap_or(value);
    match &labels {
        Value::Array(items) => Some(items.iter().map(|item| item.to_display_string().to_string()).collect()),
        // `group:` alone.
        Value::Null | Value::Object(_) => None,
        Value::Boolean(_) | Value::Number(_) | Value::String(_) => Some(vec![labels.to_display_string().to_string()]),
    }
}

fn explain_step(step: &Step) -> StepExplanation {
    let (kind, fallback, steps) = match &step.kind {
        StepKind::Run { script, .. } => {
            let first = written(script).lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
            ("run", format!("Run {}", first.unwrap_or_default()), Vec::new())
        }
        StepKind::Uses { uses, .. } => ("uses", format!("Run {}", uses.value.text()), Vec::new()),
        StepKind::Wait(_) => ("wait", default_name(step), Vec::new()),
        StepKind::WaitAll => ("wait-all", default_name(step), Vec::new()),
        StepKind::Cancel(_) => ("cancel", default_name(step), Vec::new()),
        StepKind::Parallel(steps) => ("parallel", default_name(step), steps.iter().map(explain_step).collect()),
    };
    StepExplanation {
        id: step.id_written.then(|| step.id.to_string()),
        name: step.name.as_ref().map_or(fallback, written),
        kind,
        condition: step.condition_span.map(|_| step.condition.text().trim().to_owned()),
        steps,
    }
}

fn default_name(step: &Step) -> String {
    step.kind.default_name().unwrap_or_default().to_owned()
}

/// A text as written, or its expression.
fn written(token: &Token) -> String {
    match &token.kind {
        TokenKind::String(text) => text.to_string(),
        TokenKind::Expression(expression) => format!("${{{{ {} }}}}", expression.text().trim()),
        TokenKind::Boolean(boolean) => boolean.to_string(),
        TokenKind::Number(number) => number.to_string(),
        TokenKind::Null | TokenKind::Sequence(_) | TokenKind::Mapping(_) | TokenKind::Insert => String::new(),
    }
}
