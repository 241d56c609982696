//! What a job's own keys come to: its condition, its legs and their names and limits, its concurrency group, the inputs
//! and outputs of the workflow that it calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::contexts::{JobScope, strategy_context};
use super::{JobPath, JobRunKey, Leg, QueueMode, Run, RunEvent, SkipReason};
use crate::diagnostic::Diagnostic;
use crate::expression::{Expression, Scope, Value, ValueKind};
use crate::matrix::{self, Legs, MatrixLeg};
use crate::model::{CallInput, CalledWorkflow, InputType, Job, JobKind};
use crate::template::{Token, TokenKind, evaluate};

/// `timeout-minutes` where it is not written.
pub(super) const JOB_TIMEOUT_MINUTES_DEFAULT: f64 = 360.0;
/// `cancel-timeout-minutes` where it is not written.
pub(super) const CANCEL_TIMEOUT_MINUTES_DEFAULT: f64 = 5.0;
/// The longest job, 35 days.
const TIMEOUT_MINUTES_MAX: f64 = 35.0 * 24.0 * 60.0;

/// What becomes of a job whose needs have ended.
pub(super) enum Planned {
    Skip(SkipReason),
    Refuse(String),
    Expand { matrix: bool, legs: Vec<Leg>, fail_fast: bool, max_parallel: Option<u32> },
}

/// An evaluated `concurrency:`.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) cancel_in_progress: bool,
    pub(super) queue: QueueMode,
}

impl Group {
    pub(super) fn requested(self, holder: Option<JobRunKey>) -> RunEvent {
        RunEvent::GroupRequested {
            holder,
            group: self.name,
            cancel_in_progress: self.cancel_in_progress,
            queue: self.queue,
        }
    }
}

pub(super) fn plan_job(run: &Run, path: &JobPath, job: &Job) -> Planned {
    if !selected(run, path) {
        return Planned::Skip(SkipReason::NotSelected);
    }
    if let Some(message) = nameless_group(run, path) {
        return Planned::Refuse(message);
    }
    let scope = JobScope::of_job(run, path);
    if run.cancel.as_ref().is_some_and(|cancel| cancel.force) {
        return Planned::Skip(SkipReason::Cancelled);
    }
    match condition(&job.condition, &scope) {
        Ok(true) => {}
        Ok(false) => return Planned::Skip(skip_reason(run, path, job)),
        Err(message) => return Planned::Refuse(format!("`if`: {message}")),
    }
    match expand_legs(run, path, job, &scope) {
        Ok((legs, _)) if legs.legs.is_empty() => Planned::Skip(SkipReason::EmptyMatrix),
        Ok((Legs { fail_fast, max_parallel, .. }, legs)) => {
            let matrix = job.strategy.as_ref().is_some_and(|strategy| strategy.matrix.is_some());
            if legs.is_empty() {
                return Planned::Skip(SkipReason::EmptyMatrix);
            }
            Planned::Expand { matrix, legs, fail_fast, max_parallel }
        }
        Err(message) => Planned::Refuse(message),
    }
}

/// A run whose `concurrency:` cannot be evaluated must not run beside the others of a group that nobody can name.
fn nameless_group(run: &Run, path: &JobPath) -> Option<String> {
    let token = run.facts.workflow.concurrency.as_ref()?;
    if path.parent().is_some() || run.group.is_some() || run.cancel.is_some() {
        return None;
    }
    concurrency(token, &JobScope::of_run(run)).err()
}

/// Jobs of called workflows follow their caller; only the workflow's own jobs are picked.
fn selected(run: &Run, path: &JobPath) -> bool {
    path.parent().is_some()
        || run.facts.selected.as_ref().is_none_or(|ids| ids.iter().any(|id| id.as_str() == path.id()))
}

fn skip_reason(run: &Run, path: &JobPath, job: &Job) -> SkipReason {
    if run.cancelled_above(path).is_some() {
        return SkipReason::Cancelled;
    }
    let text = job.condition.text();
    let own_words = ["failure(", "cancelled(", "always("].iter().any(|word| text.to_ascii_lowercase().contains(word));
    match JobScope::of_job(run, path).nearest_bad().filter(|_| !own_words) {
        Some((need, result)) => SkipReason::Needs { job: need.id().to_owned(), result },
        // A condition of several lines (`if: |`) is told in one.
        None => SkipReason::Condition { expression: text.lines().map(str::trim).collect::<Vec<_>>().join(" ") },
    }
}

/// Evaluates a condition.
pub(super) fn condition(expression: &Expression, scope: &dyn Scope) -> Result<bool, String> {
    expression.evaluate(scope).map(|value| value.is_truthy()).map_err(|error| error.message)
}

fn expand_legs(run: &Run, path: &JobPath, job: &Job, scope: &JobScope<'_>) -> Result<(Legs, Vec<Leg>), String> {
    let mut legs = match &job.strategy {
        Some(strategy) => matrix::expand(strategy, scope).map_err(|problems| messages(&problems))?,
        None => Legs::single(),
    };
    legs.legs.retain(|leg| matrix::is_picked(leg.values.as_deref(), &run.facts.legs));
    let total = legs.legs.len();
    let finished = legs
        .legs
        .iter()
        .zip(0_u32..)
        .map(|(leg, index)| {
            let values = leg.values.as_ref().map_or(Json::Null, |values| Json::Object((**values).clone()));
            let strategy = strategy_context(legs.fail_fast, legs.max_parallel, f64::from(index), total);
            let scope = JobScope::with_leg(run, path, Value::from_json(&values), strategy);
            leg_facts(run, path, job, leg, values, &scope)
        })
        .collect::<Result<_, _>>()?;
    Ok((legs, finished))
}

fn messages(problems: &[Diagnostic]) -> String {
    problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ")
}

fn leg_facts(
    run: &Run,
    path: &JobPath,
    job: &Job,
    leg: &MatrixLeg,
    matrix: Json,
    scope: &JobScope<'_>,
) -> Result<Leg, String> {
    let (timeout, cancel_timeout) = match &job.kind {
        JobKind::Steps(steps) => (steps.timeout_minutes.as_ref(), steps.cancel_timeout_minutes.as_ref()),
        JobKind::Call(_) => (None, None),
    };
    let continue_on_error = match &job.continue_on_error {
        Some(token) => boolean(token, scope, "continue-on-error")?,
        None => false,
    };
    Ok(Leg {
        name: leg_name(run, path, job, leg, scope)?,
        matrix,
        continue_on_error,
        timeout_ms: minutes(timeout, scope, "timeout-minutes", JOB_TIMEOUT_MINUTES_DEFAULT)?,
        cancel_timeout_ms: minutes(cancel_timeout, scope, "cancel-timeout-minutes", CANCEL_TIMEOUT_MINUTES_DEFAULT)?,
    })
}

/// GitHub appends the matrix values to a job's name, unless the name itself holds an expression.
fn leg_name(run: &Run, path: &JobPath, job: &Job, leg: &MatrixLeg, scope: &JobScope<'_>) -> Result<String, String> {
    let written = match &job.name {
        Some(token) => Some((string(token, scope, "name")?, token.has_expression())),
        None => None,
    };
    let own = match written {
        Some((name, true)) if !name.trim().is_empty() => name,
        Some((name, _)) if !name.trim().is_empty() => matrix::leg_name(&name, &leg.segments),
        Some(_) | None => matrix::leg_name(job.id.value.as_str(), &leg.segments),
    };
    let caller = path.parent().and_then(|key| run.job_run(&key).map(|run| run.leg.name.clone()));
    Ok(caller.map_or(own.clone(), |caller| format!("{caller} / {own}")))
}

/// Evaluates `concurrency:`.
pub(super) fn concurrency(token: &Token, scope: &JobScope<'_>) -> Result<Group, String> {
    let value = evaluate(token, scope).map_err(|error| format!("`concurrency`: {}", error.message))?;
    if value.kind() != ValueKind::Object {
        return group(value.to_display_string().to_string(), false, None);
    }
    let name = value.get("group").map(|name| name.to_display_string().to_string()).unwrap_or_default();
    let cancel = value.get("cancel-in-progress").is_some_and(Value::is_truthy);
    group(name, cancel, value.get("queue").map(Value::to_display_string))
}

fn group(name: String, cancel_in_progress: bool, queue: Option<Arc<str>>) -> Result<Group, String> {
    if name.is_empty() {
        return Err("`concurrency`: the name of the group is empty".into());
    }
    let queue = match queue.as_deref() {
        None | Some("single") => QueueMode::Single,
        Some("max") => QueueMode::Max,
        Some(other) => return Err(format!("`concurrency.queue`: expected `single` or `max`, got `{other}`")),
    };
    Ok(Group { name, cancel_in_progress, queue })
}

/// The group of a job run: that of its job, or for a call that of the workflow that it calls.
pub(super) fn job_group(run: &Run, key: &JobRunKey) -> Option<Result<Group, String>> {
    let job = run.job(&key.job)?;
    if let Some(token) = &job.concurrency {
        return Some(concurrency(token, &JobScope::of_leg(run, key)?));
    }
    let JobKind::Call(call) = &job.kind else { return None };
    let token = call.called.as_ref()?.concurrency.as_ref()?;
    Some(
        call_inputs(run, key)
            .and_then(|inputs| concurrency(token, &JobScope::of_coming_call(run, Value::from_json(&inputs)))),
    )
}

/// The `inputs` context of the workflow that a job run calls: `with:`, completed with defaults, typed.
pub(super) fn call_inputs(run: &Run, key: &JobRunKey) -> Result<Json, String> {
    let job = run.job(&key.job).ok_or("no such job")?;
    let JobKind::Call(call) = &job.kind else { return Err("it calls no workflow".into()) };
    let Some(called) = &call.called else {
        return Err(format!("the workflow `{}` could not be read", call.reference.value));
    };
    let scope = JobScope::of_leg(run, key).ok_or("no such job run")?;
    let given = match &call.inputs {
        Some(token) => evaluate(token, &scope).map_err(|error| format!("`with`: {}", error.message))?,
        None => Value::Null,
    };
    let mut inputs = serde_json::Map::new();
    for (name, input) in &called.inputs {
        let value = match (given.get(name), &input.default) {
            (Some(value), _) => given_input(name, input, value)?,
            (None, Some(default)) => {
                let value = evaluate(default, &JobScope::of_run(run))
                    .map_err(|error| format!("default of the input `{name}`: {}", error.message))?;
                typed_input(name, input, &value)?
            }
            (None, None) if input.required => return Err(format!("the input `{name}` is required")),
            (None, None) => typed_input(name, input, &Value::Null)?,
        };
        inputs.insert(name.clone(), value);
    }
    Ok(Json::Object(inputs))
}

/// What a caller gives must be of the input's type, as on GitHub: outputs and `github.event.inputs` are texts whatever they
/// say, and nothing is no boolean. Any of them is a text.
fn given_input(name: &str, input: &CallInput, value: &Value) -> Result<Json, String> {
    let (wanted, fits, hint) = match input.kind {
        InputType::Boolean => ("boolean", matches!(value, Value::Boolean(_)), "compare it (`== 'true'`)"),
        InputType::Number => ("number", matches!(value, Value::Number(_)), "write `fromJSON(…)` around it"),
        InputType::String | InputType::Choice | InputType::Environment => ("text", true, ""),
    };
    if !fits {
        let text = value.to_display_string();
        let kind = match value {
            Value::Null => "nothing".to_owned(),
            Value::String(_) => format!("the text `{text}`"),
            Value::Boolean(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => format!("`{text}`"),
        };
        return Err(format!("Unexpected value '{text}': the input `{name}` is a {wanted}, not {kind}; {hint}"));
    }
    typed_input(name, input, value)
}

/// A default, or what is given: it is made a value of the input's type.
fn typed_input(name: &str, input: &CallInput, value: &Value) -> Result<Json, String> {
    let wrong =
        |expected: &str| Err(format!("the input `{name}` must be a {expected}, not `{}`", value.to_display_string()));
    match (input.kind, value) {
        (InputType::Boolean, Value::Null) => Ok(Json::Bool(false)),
        (InputType::Boolean, Value::Boolean(value)) => Ok(Json::Bool(*value)),
        (InputType::Boolean, _) => match &*value.to_display_string() {
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            _ => wrong("boolean"),
        },
        (InputType::Number, Value::Null) => Ok(Json::from(0)),
        (InputType::Number, _) if value.to_number().is_nan() => wrong("number"),
        (InputType::Number, _) => Ok(Value::Number(value.to_number()).to_json()),
        (InputType::String | InputType::Choice | InputType::Environment, _) => {
            Ok(Json::String(value.to_display_string().to_string()))
        }
    }
}

/// The outputs of a called workflow, evaluated when its jobs have ended.
pub(super) fn call_outputs(
    run: &Run,
    key: &JobRunKey,
    called: &CalledWorkflow,
) -> Result<BTreeMap<String, String>, String> {
    let scope = JobScope::of_call(run, key);
    let mut outputs = BTreeMap::new();
    for (name, output) in &called.outputs {
        outputs.insert(name.clone(), string(&output.value, &scope, &format!("outputs.{name}"))?);
    }
    Ok(outputs)
}

fn string(token: &Token, scope: &JobScope<'_>, what: &str) -> Result<String, String> {
    evaluate(token, scope)
        .map(|value| value.to_display_string().to_string())
        .map_err(|error| format!("`{what}`: {}", error.message))
}

fn boolean(token: &Token, scope: &JobScope<'_>, what: &str) -> Result<bool, String> {
    if let TokenKind::Boolean(value) = token.kind {
        return Ok(value);
    }
    let value = evaluate(token, scope).map_err(|error| format!("`{what}`: {}", error.message))?;
    if let Value::Boolean(value) = value {
        return Ok(value);
    }
    Err(format!("`{what}` must be true or false, not `{}`", value.to_display_string()))
}

/// Minutes, with fractions, in milliseconds.
fn minutes(token: Option<&Token>, scope: &JobScope<'_>, what: &str, default: f64) -> Result<u64, String> {
    let number = match token {
        None => default,
        Some(token) => evaluate(token, scope).map_err(|error| format!("`{what}`: {}", error.message))?.to_number(),
    };
    if !number.is_finite() || number <= 0.0 {
        return Err(format!("`{what}` must be a number above 0"));
    }
    Ok(milliseconds(number.min(TIMEOUT_MINUTES_MAX)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 35 days")]
fn milliseconds(minutes: f64) -> u64 {
    (minutes * 60_000.0) as u64
}
