//! Inputs of `workflow_dispatch`: what was given against what is declared.
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#onworkflow_dispatchinputs>.

use serde_json::{Map, Value as Json};

use super::WhyNot;
use crate::diagnostic::suggest;
use crate::model::{DispatchInput, InputType, Trigger};
use crate::template::{Token, TokenKind};

/// Most characters in all values together, GitHub's limit.
pub const INPUT_CHARACTERS_MAX: usize = 65_535;
/// Most inputs, GitHub's limit.
pub const INPUTS_MAX: usize = 25;

/// Accepted inputs in their two forms.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DispatchInputs {
    /// The `inputs` context: booleans and numbers have their types.
    pub typed: Map<String, Json>,
    /// `github.event.inputs`: all are texts.
    pub texts: Map<String, Json>,
}

/// Checks what was given and fills in defaults.
pub(super) fn accept(trigger: &Trigger, given: Option<&Json>) -> Result<DispatchInputs, Vec<WhyNot>> {
    let declared = &trigger.dispatch_inputs;
    let empty = Map::new();
    let given = given.and_then(Json::as_object).unwrap_or(&empty);
    let mut wrong = size(trigger, given);
    for name in given.keys() {
        if !declared.keys().any(|known| known.eq_ignore_ascii_case(name)) {
            let suggestion = suggest(name, declared.keys().map(String::as_str)).map(str::to_owned);
            wrong.push(WhyNot::UnknownInput { name: name.clone(), suggestion, span: trigger.span });
        }
    }
    let mut inputs = DispatchInputs::default();
    for (name, input) in declared {
        let value = given.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| text(value));
        match one(name, input, value.as_deref()) {
            Ok((typed, text)) => {
                inputs.typed.insert(name.clone(), typed);
                inputs.texts.insert(name.clone(), Json::String(text));
            }
            Err(reason) => wrong.push(reason),
        }
    }
    if wrong.is_empty() { Ok(inputs) } else { Err(wrong) }
}

fn size(trigger: &Trigger, given: &Map<String, Json>) -> Vec<WhyNot> {
    let characters: usize = given.values().map(|value| text(value).chars().count()).sum();
    let mut wrong = Vec::new();
    let mut refuse = |what: String| wrong.push(WhyNot::InputsTooLarge { what, span: trigger.span });
    if given.len() > INPUTS_MAX {
        refuse(format!("{} inputs were given, at most {INPUTS_MAX} are allowed", given.len()));
    }
    if characters > INPUT_CHARACTERS_MAX {
        refuse(format!("the inputs hold {characters} characters, at most {INPUT_CHARACTERS_MAX} are allowed"));
    }
    wrong
}

fn one(name: &str, input: &DispatchInput, given: Option<&str>) -> Result<(Json, String), WhyNot> {
    let default = input.default.as_ref().and_then(literal);
    let missing = match given {
        // An empty text is what a form sends for an input that was left alone.
        Some(value) => value.is_empty(),
        None => default.is_none(),
    };
    if missing && input.required {
        return Err(WhyNot::MissingInput { name: name.to_owned(), span: input.span });
    }
    let value = given.map_or_else(|| default.unwrap_or_default(), str::to_owned);
    let refuse = |expected: String| {
        Err(WhyNot::InputValue { name: name.to_owned(), value: value.clone(), expected, span: input.span })
    };
    match input.kind {
        InputType::String | InputType::Environment => Ok((Json::String(value.clone()), value)),
        InputType::Boolean => match value.to_ascii_lowercase().as_str() {
            "" => Ok((Json::Bool(false), "false".to_owned())),
            "true" => Ok((Json::Bool(true), "true".to_owned())),
            "false" => Ok((Json::Bool(false), "false".to_owned())),
            _ => refuse("`true` or `false`".to_owned()),
        },
        InputType::Number if value.is_empty() => Ok((Json::from(0), String::new())),
        InputType::Number => match serde_json::from_str(value.trim()) {
            Ok(Json::Number(number)) => Ok((Json::Number(number), value)),
            Ok(_) | Err(_) => refuse("a number".to_owned()),
        },
        InputType::Choice if value.is_empty() && given.is_none() => Ok((Json::String(String::new()), value)),
        InputType::Choice if input.options.iter().any(|option| option.value == value) => {
            Ok((Json::String(value.clone()), value))
        }
        InputType::Choice => {
            let options: Vec<String> = input.options.iter().map(|option| format!("`{}`", option.value)).collect();
            refuse(format!("one of {}", options.join(", ")))
        }
    }
}

/// A given value as the text that a form would send.
fn text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    }
}

fn literal(token: &Token) -> Option<String> {
    match &token.kind {
        TokenKind::Boolean(boolean) => Some(boolean.to_string()),
        TokenKind::Number(number) => Some(number.to_string()),
        TokenKind::String(text) => Some(text.to_string()),
        TokenKind::Null
        | TokenKind::Sequence(_)
        | TokenKind::Mapping(_)
        | TokenKind::Expression(_)
        | TokenKind::Insert => None,
    }
}
