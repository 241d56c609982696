//! Whether a value fits a definition of the schema, and the value that it becomes there.

use std::sync::Arc;

use super::keys::KeySet;
use super::{EvaluateError, Token};
use crate::expression::{Object, Value};
use crate::schema::{DefinitionId, MappingId, Schema};
use crate::source::Span;

/// Fits a value. `token` is what it was evaluated from, as far as the two have the same shape; `span` is where to put
/// errors otherwise.
pub(super) fn fit(
    value: Value,
    token: Option<&Token>,
    span: Span,
    schema: &Schema,
    definition: DefinitionId,
) -> Result<Value, EvaluateError> {
    let span = token.map_or(span, |token| token.span);
    let rules = schema.definition(definition);
    match value {
        Value::Null if rules.null => Ok(value),
        Value::Boolean(_) if rules.boolean => Ok(value),
        Value::Number(_) if rules.number => Ok(value),
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
            let text = value.to_display_string();
            if rules.strings.iter().any(|rule| rule.allows(&text)) {
                return Ok(Value::String(text));
            }
            Err(EvaluateError::new(span, format!("Unexpected value '{text}'")))
        }
        Value::Array(items) => {
            let Some(item) = rules.sequence else {
                return Err(EvaluateError::new(span, "A sequence was not expected"));
            };
            // Items line up with what is written only where no expression has put in several.
            let written = token.and_then(Token::as_sequence).filter(|written| written.len() == items.len());
            let fitted = items.iter().enumerate().map(|(index, value)| {
                fit(value.clone(), written.and_then(|written| written.get(index)), span, schema, item)
            });
            fitted.collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        Value::Object(object) => match rules.mappings.as_slice() {
            [] => Err(EvaluateError::new(span, "A mapping was not expected")),
            mappings => fit_mapping(&object, token, span, schema, mappings.to_vec()),
        },
    }
}

fn fit_mapping(
    object: &Arc<Object>,
    token: Option<&Token>,
    span: Span,
    schema: &Schema,
    mut candidates: Vec<MappingId>,
) -> Result<Value, EvaluateError> {
    let loose = schema.mapping(candidates[0]).loose;
    let mut fitted = Object::new();
    let mut keys = KeySet::default();
    for (name, value) in object.iter() {
        let written = token.and_then(|token| token.get(name));
        let known = candidates.iter().find_map(|id| schema.mapping(*id).properties.get(&**name));
        let definition = if let Some(property) = known {
            let value = property.value;
            candidates.retain(|id| schema.mapping(*id).properties.contains_key(&**name));
            value
        } else if let Some((key, value)) = loose {
            fit(Value::String(Arc::clone(name)), None, span, schema, key)?;
            value
        } else {
            return Err(EvaluateError::new(span, format!("Unexpected value '{name}'")));
        };
        keys.insert(name, span);
        fitted.insert(Arc::clone(name), fit(value.clone(), written, span, schema, definition)?);
    }
    match candidates.as_slice() {
        [only] => {
            let required = schema.mapping(*only).properties.iter().filter(|(_, property)| property.required);
            match required.map(|(name, _)| *name).find(|name| !keys.contains(name)) {
                Some(name) => Err(EvaluateError::new(span, format!("Required property is missing: {name}"))),
                None => Ok(Value::from(fitted)),
            }
        }
        several => {
            let names = super::keys::telling(schema, several).join(", ");
            let message =
                format!("There's not enough info to determine what you meant. Add one of these properties: {names}");
            Err(EvaluateError::new(span, message))
        }
    }
}
