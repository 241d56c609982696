//! GitHub's own expression cases: value and kind, or kind and text of the error.
//!
//! A text in a case may be a beginning only (`Too few parameters supplied: `), because GitHub's implementations word
//! the rest differently; ours must begin with it, and be equal where the case gives a position and the expression.

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    expr: String,
    #[serde(default)]
    contexts: Value,
    result: Option<Answer>,
    err: Option<Failure>,
    source: String,
}

#[derive(Deserialize)]
struct Answer {
    kind: String,
    value: Value,
}

#[derive(Deserialize)]
struct Failure {
    kind: String,
    value: String,
}

#[test]
fn expressions_give_githubs_answers() {
    let Some(cases) = super::load::<Case>("expressions") else { return };
    super::run("expressions", &cases, |case| case.source.clone(), &[], check);
}

fn check(case: &Case) -> Result<(), String> {
    let actual = workflow::expression::wire::evaluate(&case.expr, &case.contexts);
    let agrees = match (&case.result, &case.err) {
        (Some(answer), None) => actual["kind"] == answer.kind && super::same(&actual["value"], &answer.value),
        (None, Some(failure)) => {
            let message = actual["error"]["message"].as_str().unwrap_or_default();
            let whole = failure.value.contains(" within expression: ");
            let same_text = if whole { message == failure.value } else { message.starts_with(&failure.value) };
            actual["error"]["kind"] == failure.kind && same_text
        }
        (Some(_), Some(_)) | (None, None) => return Err("  the case gives neither one value nor one error".to_owned()),
    };
    if agrees {
        return Ok(());
    }
    let expected = match (&case.result, &case.err) {
        (Some(answer), _) => format!("{} {}", answer.kind, answer.value),
        (None, Some(failure)) => format!("{} error: {}", failure.kind, failure.value),
        (None, None) => String::new(),
    };
    Err(format!(
        "  expression: {}\n  contexts: {}\n  expected: {expected}\n  actual: {actual}",
        case.expr, case.contexts
    ))
}
