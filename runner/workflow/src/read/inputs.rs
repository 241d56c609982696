//! Inputs, secrets and outputs that a workflow declares below `workflow_dispatch` and `workflow_call`.
//!
//! What a caller passes is compared with them in `call`. Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#onworkflow_dispatchinputs>.

use indexmap::IndexMap;

use super::checks::Checks;
use super::triggers::strings;
use crate::diagnostic::Code;
use crate::model::{CallInput, CallOutput, CallSecret, DispatchInput, InputType};
use crate::template::{Token, TokenKind};
use crate::trigger::INPUTS_MAX;

/// A default that is not of its input's type.
const DEFAULT_TYPE: Code = Code("P0114");
/// A default that is none of the input's options.
const DEFAULT_OPTION: Code = Code("P0115");
/// A secret with the name of the token that every job has.
const RESERVED_SECRET: Code = Code("P0116");
/// More inputs than a dispatch may have.
const TOO_MANY_INPUTS: Code = Code("P0117");

/// The secret that every job has without being given it.
const TOKEN_SECRET: &str = "GITHUB_TOKEN";

fn pairs(written: Option<&Token>) -> &[(Token, Token)] {
    written.and_then(Token::as_mapping).unwrap_or_default()
}

/// `workflow_dispatch.inputs`.
pub(super) fn read_dispatch(checks: &mut Checks<'_>, written: Option<&Token>) -> IndexMap<String, DispatchInput> {
    let mut inputs = IndexMap::new();
    if let Some((first, _)) = pairs(written).get(INPUTS_MAX) {
        let message = format!("`workflow_dispatch` has more than {INPUTS_MAX} inputs");
        checks.refuse(TOO_MANY_INPUTS, first.span, message, "join some of them, such as into one text of JSON");
    }
    for (name, value) in pairs(written) {
        let input = DispatchInput {
            span: name.span,
            description: text(value, "description"),
            required: is_true(value.get("required")),
            kind: kind(value),
            default: value.get("default").cloned(),
            options: value.get("options").map(strings).unwrap_or_default(),
        };
        check_dispatch(checks, &input, value);
        inputs.insert(name.as_str().unwrap_or_default().to_owned(), input);
    }
    inputs
}

fn check_dispatch(checks: &mut Checks<'_>, input: &DispatchInput, value: &Token) {
    let choice = input.kind == InputType::Choice;
    if choice && input.options.is_empty() {
        checks.event_error(value.span, "Missing 'options' for choice input", None);
    }
    if !choice && value.get("options").is_some() {
        checks.event_error(value.span, "Input type is not 'choice', but 'options' is defined", None);
    }
    check_default(checks, input.kind, input.default.as_ref());
    let Some((default, text)) = input.default.as_ref().and_then(|default| Some((default, default.as_str()?))) else {
        return;
    };
    if choice && !input.options.is_empty() && !input.options.iter().any(|option| option.value == text) {
        let message = format!("`{text}` is none of the options");
        checks.warn(DEFAULT_OPTION, default.span, message, "the default of a choice is one of its `options:`");
    }
}

/// A default of another type works at GitHub, often differently than its author thinks: `'false'` is true.
fn check_default(checks: &mut Checks<'_>, kind: InputType, default: Option<&Token>) {
    let Some(default) = default else { return };
    let wanted = match (kind, &default.kind) {
        (InputType::Boolean, TokenKind::String(_) | TokenKind::Number(_)) => "`true` or `false`, without quotes",
        (InputType::Number, TokenKind::String(_) | TokenKind::Boolean(_)) => "a number, without quotes",
        _ => return,
    };
    checks.warn(DEFAULT_TYPE, default.span, "the default is not of the input's type", &format!("write {wanted}"));
}

/// `workflow_call.inputs`.
pub(super) fn read_call(checks: &mut Checks<'_>, written: Option<&Token>) -> IndexMap<String, CallInput> {
    let mut inputs = IndexMap::new();
    for (name, value) in pairs(written) {
        let input = CallInput {
            span: name.span,
            description: text(value, "description"),
            required: is_true(value.get("required")),
            kind: kind(value),
            default: value.get("default").cloned(),
        };
        check_default(checks, input.kind, input.default.as_ref());
        inputs.insert(name.as_str().unwrap_or_default().to_owned(), input);
    }
    inputs
}

/// `workflow_call.secrets`.
pub(super) fn read_secrets(checks: &mut Checks<'_>, written: Option<&Token>) -> IndexMap<String, CallSecret> {
    for (name, _) in pairs(written) {
        if let Some(reserved) = name.as_str().filter(|name| name.eq_ignore_ascii_case(TOKEN_SECRET)) {
            let message = format!("a called workflow cannot declare a secret `{reserved}`: every job has its own");
            let help = "remove it here and where the workflow is called; `secrets.GITHUB_TOKEN` is there without";
            checks.refuse(RESERVED_SECRET, name.span, message, help);
        }
    }
    let secret = |(name, value): &(Token, Token)| {
        let secret = CallSecret {
            span: name.span,
            description: text(value, "description"),
            required: is_true(value.get("required")),
        };
        (name.as_str().unwrap_or_default().to_owned(), secret)
    };
    pairs(written).iter().map(secret).collect()
}

/// `workflow_call.outputs`.
pub(super) fn read_outputs(written: Option<&Token>) -> IndexMap<String, CallOutput> {
    let output = |(name, settings): &(Token, Token)| {
        let value = settings.get("value").cloned()?;
        let output = CallOutput { span: name.span, description: text(settings, "description"), value };
        Some((name.as_str().unwrap_or_default().to_owned(), output))
    };
    pairs(written).iter().filter_map(output).collect()
}

fn text(value: &Token, key: &str) -> Option<String> {
    value.get(key).and_then(Token::as_str).map(str::to_owned)
}

/// Whether a token is the literal `true`.
pub(super) fn is_true(token: Option<&Token>) -> bool {
    token.is_some_and(|token| matches!(token.kind, TokenKind::Boolean(true)))
}

fn kind(value: &Token) -> InputType {
    match value.get("type").and_then(Token::as_str) {
        Some("boolean") => InputType::Boolean,
        Some("number") => InputType::Number,
        Some("choice") => InputType::Choice,
        Some("environment") => InputType::Environment,
        Some(_) | None => InputType::String,
    }
}
