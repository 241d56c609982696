//! What is known before a run, and which expressions depend on nothing else.

use serde_json::{Map, Value as Json};

use crate::expression::{Expression, Function, Node, NodeKind, Object, PathEnd, Scope, Status, Value};
use crate::matrix::{Legs, MatrixLeg};
use crate::template::{Token, evaluate};

/// Keys of `github` that only a run, a job or a step knows.
const OF_THE_RUN: &[&str] = &[
    "run_id",
    "run_number",
    "run_attempt",
    "token",
    "job",
    "workspace",
    "event_path",
    "env",
    "path",
    "output",
    "state",
    "step_summary",
    "action",
    "action_path",
    "action_ref",
    "action_repository",
    "action_status",
    "triggering_actor",
];

/// What the status functions give, where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Statuses {
    /// `success()`
    pub(super) success: Option<bool>,
    /// `failure()`
    pub(super) failure: Option<bool>,
    /// `cancelled()`
    pub(super) cancelled: Option<bool>,
}

/// The contexts that hold before anything runs.
#[derive(Debug, Clone, Default)]
pub struct Known {
    github: Value,
    vars: Value,
    /// None in a called workflow whose inputs depend on the run.
    inputs: Option<Value>,
    /// `matrix` and `strategy` of one leg.
    leg: Option<(Value, Value)>,
}

impl Known {
    /// From the `github` context, configuration variables and typed inputs.
    #[must_use]
    pub fn new(github: &Map<String, Json>, vars: &Map<String, Json>, inputs: &Map<String, Json>) -> Self {
        let value = |map: &Map<String, Json>| {
            let object: Object = map.iter().map(|(name, json)| (name.as_str(), Value::from_json(json))).collect();
            Value::from(object)
        };
        Self { github: value(github), vars: value(vars), inputs: Some(value(inputs)), leg: None }
    }

    /// The same in a called workflow, with its inputs if they are known.
    pub(super) fn called(&self, inputs: Option<Value>) -> Self {
        Self { inputs, ..self.clone() }
    }

    /// The same in one leg of a job.
    pub(super) fn leg(&self, legs: &Legs, leg: &MatrixLeg) -> Self {
        let strategy = Json::Object(leg.strategy_context(legs.fail_fast, legs.max_parallel));
        let leg = (Value::from_json(&leg.matrix_context()), Value::from_json(&strategy));
        Self { leg: Some(leg), ..self.clone() }
    }

    /// Whether an expression depends on nothing but what is known.
    #[must_use]
    pub fn covers(&self, expression: &Expression) -> bool {
        let functions =
            expression.calls().all(|(function, _)| !function.is_status() && function != Function::HashFiles);
        functions && expression.names().all(|path| self.has(&path.parts, path.end))
    }

    /// Whether a token depends on nothing but what is known.
    #[must_use]
    pub fn covers_token(&self, token: &Token) -> bool {
        let mut covered = true;
        token.each_expression(&mut |expression, _| covered &= self.covers(expression));
        covered
    }

    fn has(&self, parts: &[&str], end: PathEnd) -> bool {
        let Some(context) = parts.first() else { return false };
        match context.to_ascii_lowercase().as_str() {
            "vars" => true,
            "inputs" => self.inputs.is_some(),
            "matrix" | "strategy" => self.leg.is_some(),
            "github" => match (parts.get(1), end) {
                (Some(key), _) => !OF_THE_RUN.iter().any(|of_the_run| of_the_run.eq_ignore_ascii_case(key)),
                // The context as a whole holds facts of the run too.
                (None, _) => false,
            },
            _ => false,
        }
    }

    /// The value of a token, if it is known.
    pub(super) fn value(&self, token: &Token) -> Option<Value> {
        self.covers_token(token).then(|| evaluate(token, self).ok())?
    }

    /// The text of a token, if it is known.
    pub(super) fn text(&self, token: &Token) -> Option<String> {
        let value = self.value(token)?;
        value.is_primitive().then(|| value.to_display_string().to_string())
    }

    /// The truth of a condition, if it is known.
    pub(super) fn truth(&self, condition: &Expression, node: &Node, statuses: Statuses) -> Option<bool> {
        match &node.kind {
            NodeKind::And(operands) => all(operands.iter().map(|operand| self.truth(condition, operand, statuses))),
            NodeKind::Or(operands) => {
                all(operands.iter().map(|operand| self.truth(condition, operand, statuses).map(|truth| !truth)))
                    .map(|none| !none)
            }
            NodeKind::Not(operand) => self.truth(condition, operand, statuses).map(|truth| !truth),
            NodeKind::Call { function: Function::Success, arguments, .. } if arguments.is_empty() => statuses.success,
            NodeKind::Call { function: Function::Failure, arguments, .. } if arguments.is_empty() => statuses.failure,
            NodeKind::Call { function: Function::Cancelled, .. } => statuses.cancelled,
            NodeKind::Call { function: Function::Always, .. } => Some(true),
            NodeKind::Literal(_)
            | NodeKind::Context(_)
            | NodeKind::Wildcard
            | NodeKind::Index { .. }
            | NodeKind::Call { .. }
            | NodeKind::Compare { .. } => self.evaluate(condition, node).map(|value| value.is_truthy()),
        }
    }

    /// The value of a part of an expression, if it is known.
    fn evaluate(&self, whole: &Expression, node: &Node) -> Option<Value> {
        let text = whole.text().get(node.span.clone())?;
        let part = Expression::parse(text, &crate::expression::Allowed::ANYTHING).ok()?;
        self.covers(&part).then(|| part.evaluate(self).ok())?
    }

    /// The named values of a part of an expression, as `github.ref = 'refs/heads/x'`, for a reader.
    pub(super) fn values(&self, part: &Expression) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        for path in part.names().filter(|path| self.has(&path.parts, path.end) && path.end == PathEnd::Whole) {
            let name = path.parts.join(".");
            let found =
                path.parts.iter().skip(1).try_fold(self.context(path.parts[0]).unwrap_or_default(), |value, part| {
                    Some(value.get(part).cloned().unwrap_or_default())
                });
            let text = format!("{name} = {}", shown(&found.unwrap_or_default()));
            if !values.contains(&text) {
                values.push(text);
            }
        }
        values
    }
}

/// As a literal of an expression; long ones are cut.
fn shown(value: &Value) -> String {
    const SHOWN_MAX: usize = 60;
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(_) | Value::Number(_) => value.to_display_string().to_string(),
        Value::String(text) if text.chars().count() > SHOWN_MAX => {
            format!("'{}…'", text.chars().take(SHOWN_MAX).collect::<String>())
        }
        Value::String(text) => format!("'{text}'"),
        Value::Array(_) | Value::Object(_) => value.kind().name().to_lowercase(),
    }
}

/// Three-valued *and*.
fn all(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut sum = Some(true);
    for truth in truths {
        match truth {
            Some(false) => return Some(false),
            Some(true) => {}
            None => sum = None,
        }
    }
    sum
}

impl Scope for Known {
    fn context(&self, name: &str) -> Option<Value> {
        match name.to_ascii_lowercase().as_str() {
            "github" => Some(self.github.clone()),
            "vars" => Some(self.vars.clone()),
            "inputs" => self.inputs.clone(),
            "matrix" => self.leg.as_ref().map(|(matrix, _)| matrix.clone()),
            "strategy" => self.leg.as_ref().map(|(_, strategy)| strategy.clone()),
            _ => None,
        }
    }

    fn status(&self) -> Option<Status> {
        None
    }

    fn hash_files(&self, _: &[String]) -> Result<String, String> {
        Err("there are no files before a run".to_owned())
    }
}
