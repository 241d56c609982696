//! A token to a value: literals as they are, expressions evaluated, lists in lists joined where an expression gave them.
//!
//! It allows any type; what is allowed where is the caller's question.

use crate::diagnostic::{Code, Diagnostic};
use crate::expression::{Object, Scope, Value};
use crate::template::{Token, TokenKind};

/// An expression that failed, or a key that is no text.
pub(crate) const EVALUATION: Code = Code("P0501");

/// The value of a token.
///
/// # Errors
/// The first expression that fails.
pub(crate) fn value(token: &Token, scope: &dyn Scope) -> Result<Value, Vec<Diagnostic>> {
    Ok(match &token.kind {
        TokenKind::Null | TokenKind::Insert => Value::Null,
        TokenKind::Boolean(boolean) => Value::Boolean(*boolean),
        TokenKind::Number(number) => Value::Number(*number),
        TokenKind::String(text) => Value::String(text.clone()),
        TokenKind::Expression(expression) => expression
            .evaluate(scope)
            .map_err(|error| vec![Diagnostic::error(EVALUATION, token.span, error.to_string())])?,
        TokenKind::Sequence(items) => sequence(items, scope)?,
        TokenKind::Mapping(pairs) => mapping(pairs, scope)?,
    })
}

/// An expression that gives a list puts its items into the list around it.
fn sequence(items: &[Token], scope: &dyn Scope) -> Result<Value, Vec<Diagnostic>> {
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        match (value(item, scope)?, item.as_expression()) {
            (Value::Array(inner), Some(_)) => values.extend(inner.iter().cloned()),
            (other, _) => values.push(other),
        }
    }
    Ok(Value::from(values))
}

fn mapping(pairs: &[(Token, Token)], scope: &dyn Scope) -> Result<Value, Vec<Diagnostic>> {
    let mut object = Object::new();
    for (key, item) in pairs {
        let item_value = value(item, scope)?;
        if let (TokenKind::Insert, Value::Object(inner)) = (&key.kind, &item_value) {
            for (name, inner_value) in inner.iter() {
                object.insert(name.clone(), inner_value.clone());
            }
            continue;
        }
        let name = value(key, scope)?;
        if !name.is_primitive() || matches!(key.kind, TokenKind::Insert) {
            let message = "a key must be a text, and `insert` needs a mapping";
            return Err(vec![Diagnostic::error(EVALUATION, key.span, message)]);
        }
        object.insert(name.to_display_string(), item_value);
    }
    Ok(Value::from(object))
}
