//! What a caller passes to a called workflow, compared with what that workflow declares.
//!
//! Values that hold expressions are compared when they are evaluated. Follows
//! <https://docs.github.com/en/actions/sharing-automations/reusing-workflows#using-inputs-and-secrets-in-a-reusable-workflow>.

use super::checks::Checks;
use super::inputs::is_true;
use crate::model::{CallDefinitions, ReusableCall, Secrets};
use crate::source::Span;
use crate::template::{Token, TokenKind};

type Pairs<'a> = &'a [(Token, Token)];

/// Records inputs and secrets that are missing, of the wrong type or not declared.
pub(super) fn check(checks: &mut Checks<'_>, call: &ReusableCall, definitions: &CallDefinitions) {
    let values = pairs(call.inputs.as_ref());
    for (name, definition) in pairs(definitions.inputs.as_ref()) {
        let kind = definition.get("type").and_then(Token::as_str).unwrap_or_default();
        if let Some(default) = definition.get("default") {
            check_type(checks, kind, default);
        }
        match find(values, name) {
            Some(value) => check_type(checks, kind, value),
            None => require(checks, "Input", name, definition, call.reference.span),
        }
    }
    check_declared(checks, "input", values, pairs(definitions.inputs.as_ref()));
    match &call.secrets {
        Secrets::None => check_secrets(checks, &[], definitions, call.reference.span),
        Secrets::Mapping(values) => check_secrets(checks, pairs(Some(values)), definitions, call.reference.span),
        Secrets::Inherit => {}
    }
}

fn check_secrets(checks: &mut Checks<'_>, values: Pairs<'_>, definitions: &CallDefinitions, call: Span) {
    let declared = pairs(definitions.secrets.as_ref());
    for (name, definition) in declared.iter().filter(|(name, _)| find(values, name).is_none()) {
        require(checks, "Secret", name, definition, call);
    }
    check_declared(checks, "secret", values, declared);
}

fn pairs(written: Option<&Token>) -> Pairs<'_> {
    written.and_then(Token::as_mapping).unwrap_or_default()
}

/// The value of a name, case ignored.
fn find<'a>(values: Pairs<'a>, name: &Token) -> Option<&'a Token> {
    let name = name.as_str()?;
    values
        .iter()
        .find(|(key, _)| key.as_str().is_some_and(|key| key.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value)
}

fn require(checks: &mut Checks<'_>, what: &str, name: &Token, definition: &Token, call: Span) {
    if is_true(definition.get("required")) {
        let name = name.as_str().unwrap_or_default();
        checks.error(call, format!("{what} {name} is required, but not provided while calling."));
    }
}

fn check_declared(checks: &mut Checks<'_>, what: &str, values: Pairs<'_>, declared: Pairs<'_>) {
    for (name, value) in values.iter().filter(|(name, _)| find(declared, name).is_none()) {
        let name = name.as_str().unwrap_or_default();
        checks.error(value.span, format!("Invalid {what}, {name} is not defined in the referenced workflow."));
    }
}

/// Any literal is a string; booleans and numbers must be literal ones.
fn check_type(checks: &mut Checks<'_>, kind: &str, value: &Token) {
    let fits = match (kind, &value.kind) {
        (_, TokenKind::Expression(_) | TokenKind::Sequence(_) | TokenKind::Mapping(_) | TokenKind::Insert)
        | ("boolean", TokenKind::Boolean(_))
        | ("number", TokenKind::Number(_)) => true,
        ("boolean" | "number", _) => false,
        _ => true,
    };
    if !fits {
        checks.error(value.span, format!("Unexpected value '{}'", value.literal_text().unwrap_or_default()));
    }
}
