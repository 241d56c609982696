//! Inputs that the post part of an action sees as they are by then. GitHub's runner evaluates `with:` and the action's defaults before
//! each of its parts, so that `${{ job.status }}` says at the end how the job went: `actions/setup-java` saves no cache of one that
//! failed. What cannot have changed is not evaluated again.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use workflow::action::Action;
use workflow::expression::{Allowed, Expression, Status};
use workflow::template::Token;

use super::JobOrder;
use super::context::HashFiles;
use super::facing::JobFacing;
use crate::step::PostAction;

/// Contexts that change while a job goes on.
const CHANGING: [&str; 3] = ["env", "job", "steps"];
/// Those that the steps of an action have for themselves, which are gone at the end of the job.
const OF_ACTIONS: [&str; 3] = ["env", "inputs", "steps"];

/// Expressions of a step's `with:`. `in_action`: it is a step of an action.
pub(super) fn of_step(with: Option<&Token>, in_action: bool) -> BTreeMap<String, String> {
    let pairs = with.and_then(Token::as_mapping).unwrap_or_default();
    let renewed = pairs.iter().filter_map(|(name, value)| Some((name.as_str()?, expression(value, in_action)?)));
    renewed.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// Expressions of the defaults of inputs that are not given.
pub(super) fn of_defaults(action: &Action, given: &IndexMap<String, String>) -> BTreeMap<String, String> {
    let is_given = |name: &str| given.keys().any(|given| given.eq_ignore_ascii_case(name));
    let left = action.inputs.iter().filter(|(name, _)| !is_given(name));
    let renewed = left.filter_map(|(name, input)| Some((name, expression(input.default.as_ref()?, false)?)));
    renewed.map(|(name, text)| (name.clone(), text.to_owned())).collect()
}

fn expression(value: &Token, in_action: bool) -> Option<&str> {
    let expression = value.as_expression()?;
    let names_one_of = |contexts: &[&str]| {
        let mut named = expression.names().filter_map(|path| path.parts.first().copied());
        named.any(|name| contexts.iter().any(|context| context.eq_ignore_ascii_case(name)))
    };
    (names_one_of(&CHANGING) && !(in_action && names_one_of(&OF_ACTIONS))).then(|| expression.text())
}

/// Evaluates the inputs of a post part as things stand; one that cannot be evaluated stays as it was.
pub(super) fn renew(
    post: &mut PostAction,
    (order, job, hash_files): (&JobOrder, &JobFacing, &HashFiles),
    status: Status,
) {
    let Some(script) = post.script.as_ref().filter(|script| !script.renewed.is_empty()) else { return };
    let mut env = job.env.clone();
    env.extend(script.env.clone());
    let scope = job.scope(order, &env, status, None, Some(hash_files));
    for (name, text) in &script.renewed {
        let value = Expression::parse(text, &Allowed::ANYTHING).and_then(|expression| expression.evaluate(&scope));
        if let Ok(value) = value {
            post.inputs.insert(name.clone(), value.to_display_string().to_string());
        }
    }
}
