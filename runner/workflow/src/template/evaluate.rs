//! From a token to a value: literals as they are, expressions evaluated, `${{ insert }}` and lists put in place.
//!
//! [`evaluate`] takes any type; [`evaluate_as`] also checks the result against the schema, since an expression may
//! give anything. The first thing wrong ends it. Follows GitHub's template evaluator in what it accepts and says.

use super::{Token, TokenKind, fit};
use crate::expression::{EVALUATION_BYTES_MAX, ExpressionError, Object, Scope, Value, utf16_length};
use crate::schema::{DefinitionId, Schema};
use crate::source::Span;

/// How deep a result may nest, as on GitHub.
pub const RESULT_DEPTH_MAX: usize = 50;

/// Why a token has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluateError {
    /// The value that is to blame; see [`super::locate`] for the piece of it where an expression failed.
    pub span: Span,
    /// What is wrong, as GitHub words it.
    pub message: String,
    /// The failed expression, if it is one that failed.
    pub expression: Option<Box<ExpressionError>>,
}

impl EvaluateError {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), expression: None }
    }
}

/// The value of a token.
///
/// An expression among the items of a list that gives a list puts in its items. A key may be an expression of a string
/// or `${{ insert }}`, whose mapping's pairs are put in.
///
/// # Errors
/// A failed expression, a key that is no string or is there twice, `insert` without a mapping, a result above
/// [`EVALUATION_BYTES_MAX`] bytes or [`RESULT_DEPTH_MAX`] levels.
pub fn evaluate(token: &Token, scope: &dyn Scope) -> Result<Value, EvaluateError> {
    evaluate_within(token, scope, EVALUATION_BYTES_MAX)
}

/// [`evaluate`] with a memory limit of its own, in bytes by GitHub's estimate, for the whole result.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_within(token: &Token, scope: &dyn Scope, bytes_max: usize) -> Result<Value, EvaluateError> {
    Evaluator { scope, bytes_max, bytes: 0 }.value(token, 0)
}

/// [`evaluate`], and then the result has to fit a definition: numbers become strings where only those may be, and so
/// on, as while reading.
///
/// # Errors
/// As [`evaluate`], and where the result does not fit.
pub fn evaluate_as(
    token: &Token,
    scope: &dyn Scope,
    schema: &Schema,
    definition: DefinitionId,
) -> Result<Value, EvaluateError> {
    let value = evaluate(token, scope)?;
    fit::fit(value, Some(token), token.span, schema, definition)
}

struct Evaluator<'a> {
    scope: &'a dyn Scope,
    bytes_max: usize,
    bytes: usize,
}

impl Evaluator<'_> {
    fn value(&mut self, token: &Token, depth: usize) -> Result<Value, EvaluateError> {
        if depth > RESULT_DEPTH_MAX {
            return Err(EvaluateError::new(token.span, "Maximum object depth exceeded"));
        }
        match &token.kind {
            TokenKind::Null => self.kept(Value::Null, token.span),
            TokenKind::Boolean(value) => self.kept(Value::Boolean(*value), token.span),
            TokenKind::Number(value) => self.kept(Value::Number(*value), token.span),
            TokenKind::String(text) => self.kept(Value::String(text.clone()), token.span),
            TokenKind::Expression(expression) => {
                let result = expression.evaluate_within(self.scope, self.bytes_max);
                let value = result.map_err(|error| EvaluateError {
                    span: token.span,
                    message: error.message.clone(),
                    expression: Some(Box::new(error)),
                })?;
                self.charge_all(&value, token.span, depth)?;
                Ok(value)
            }
            TokenKind::Sequence(items) => self.sequence(items, token.span, depth),
            TokenKind::Mapping(pairs) => self.mapping(pairs, token.span, depth),
            TokenKind::Insert => {
                let message = "The expression directive 'insert' is not supported in this context";
                Err(EvaluateError::new(token.span, message))
            }
        }
    }

    fn sequence(&mut self, items: &[Token], span: Span, depth: usize) -> Result<Value, EvaluateError> {
        self.charge(0, span)?;
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match (self.value(item, depth + 1)?, &item.kind) {
                (Value::Array(inner), TokenKind::Expression(_)) => values.extend(inner.iter().cloned()),
                (value, _) => values.push(value),
            }
        }
        Ok(Value::from(values))
    }

    fn mapping(&mut self, pairs: &[(Token, Token)], span: Span, depth: usize) -> Result<Value, EvaluateError> {
        self.charge(0, span)?;
        let mut object = Object::new();
        for (key, item) in pairs {
            if matches!(key.kind, TokenKind::Insert) {
                let Value::Object(inner) = self.value(item, depth + 1)? else {
                    return Err(EvaluateError::new(item.span, "Expected a mapping"));
                };
                for (name, value) in inner.iter() {
                    insert(&mut object, name, value.clone(), key.span)?;
                }
                continue;
            }
            let name = self.value(key, depth + 1)?;
            if !name.is_primitive() {
                return Err(EvaluateError::new(key.span, "Expected a string"));
            }
            let value = self.value(item, depth + 1)?;
            insert(&mut object, &name.to_display_string(), value, key.span)?;
        }
        Ok(Value::from(object))
    }

    fn kept(&mut self, value: Value, span: Span) -> Result<Value, EvaluateError> {
        self.charge(value.as_str().map_or(0, text_bytes), span)?;
        Ok(value)
    }

    /// Counts a result of an expression with all that is in it.
    fn charge_all(&mut self, value: &Value, span: Span, depth: usize) -> Result<(), EvaluateError> {
        if depth > RESULT_DEPTH_MAX {
            return Err(EvaluateError::new(span, "Maximum object depth exceeded"));
        }
        self.charge(value.as_str().map_or(0, text_bytes), span)?;
        for item in value.as_array().unwrap_or_default() {
            self.charge_all(item, span, depth + 1)?;
        }
        for (name, item) in value.as_object().into_iter().flat_map(Object::iter) {
            self.charge(text_bytes(name), span)?;
            self.charge_all(item, span, depth + 1)?;
        }
        Ok(())
    }

    /// Counts one value, `bytes` for its text.
    fn charge(&mut self, bytes: usize, span: Span) -> Result<(), EvaluateError> {
        self.bytes = self.bytes.saturating_add(bytes + super::budget::VALUE_BYTES);
        if self.bytes > self.bytes_max {
            return Err(EvaluateError::new(span, "Maximum object size exceeded"));
        }
        Ok(())
    }
}

fn text_bytes(text: &str) -> usize {
    super::budget::TEXT_BYTES + 2 * utf16_length(text)
}

fn insert(object: &mut Object, name: &str, value: Value, span: Span) -> Result<(), EvaluateError> {
    if object.contains(name) {
        return Err(EvaluateError::new(span, format!("'{name}' is already defined")));
    }
    object.insert(name, value);
    Ok(())
}
