//! Scalars of the reader: their type, the expressions in them, and whether they may be where they are.

use std::sync::Arc;

use super::error::github_position;
use super::read::{Reader, Stop, TypedScalar};
use super::{Cause, ReadError, Token, TokenKind, locate, text};
use crate::expression::{Allowed, Value};
use crate::schema::{AllowedNames, ContextSet, Definition, StringRule};
use crate::source::Span;
use crate::yaml::{Literal, ScalarError};

impl Reader<'_> {
    /// A literal as it is, or what its `${{ }}` make of it. What is wrong in them leaves the literal.
    pub(super) fn parse_scalar(&mut self, scalar: TypedScalar, context: ContextSet) -> Token {
        let TypedScalar { literal, span } = scalar;
        let kind = match literal {
            Literal::Null => TokenKind::Null,
            Literal::Boolean(value) => TokenKind::Boolean(value),
            Literal::Number(value) => TokenKind::Number(value),
            Literal::String(content) if text::has_expression(&content) => {
                let names = self.names(context);
                match text::parse(&content, &Allowed::new(&names.contexts, &names.functions)) {
                    Ok(kind) => kind,
                    Err(error) => {
                        let precise = error
                            .expression
                            .and_then(|(at, piece)| locate::in_scalar(self.source.text(), span, &content, at, piece));
                        let error =
                            ReadError::at(span, error.message).because(error.cause).precisely(precise).naming(names);
                        self.errors.push(error);
                        TokenKind::String(content)
                    }
                }
            }
            Literal::String(content) => TokenKind::String(content),
        };
        Token::new(kind, span)
    }

    fn names(&mut self, context: ContextSet) -> Arc<AllowedNames> {
        if let Some((_, names)) = self.allowed.iter().find(|(set, _)| *set == context) {
            return Arc::clone(names);
        }
        let names = Arc::new(self.schema.allowed(context));
        self.allowed.push((context, Arc::clone(&names)));
        names
    }

    /// A scalar that the definition allows, perhaps as the string that it also is.
    pub(super) fn validate(&mut self, token: Token, definition: &Definition, context: ContextSet) -> Token {
        let literal = match &token.kind {
            TokenKind::Expression(_) => {
                if context.is_empty() {
                    self.errors.push(not_allowed(token.span));
                }
                return token;
            }
            TokenKind::Insert => Arc::from("${{ insert }}"),
            TokenKind::Null if definition.null => return token,
            TokenKind::Boolean(_) if definition.boolean => return token,
            TokenKind::Number(_) if definition.number => return token,
            TokenKind::Null | TokenKind::Boolean(_) | TokenKind::Number(_) | TokenKind::String(_) => {
                let literal = literal_text(&token.kind);
                if definition.strings.iter().any(|rule| rule.allows(&literal)) {
                    return Token::new(TokenKind::String(literal), token.span);
                }
                literal
            }
            TokenKind::Sequence(_) | TokenKind::Mapping(_) => return token,
        };
        let candidates = definition.strings.iter().filter_map(|rule| match rule {
            StringRule::Constant(constant) => Some(*constant),
            StringRule::Any | StringRule::NonEmpty | StringRule::Condition => None,
        });
        let cause = Cause::UnexpectedValue { value: literal.to_string(), candidates: candidates.collect() };
        let error = ReadError::at(token.span, format!("Unexpected value '{literal}'")).because(cause);
        self.errors.push(error.expecting(definition));
        let is_insert = matches!(token.kind, TokenKind::Insert);
        if is_insert { token } else { Token::new(TokenKind::String(literal), token.span) }
    }

    pub(super) fn scalar_error(&self, span: Span, error: ScalarError) -> Stop {
        let (line, column) = github_position(self.source, span.start);
        let message = match &error {
            ScalarError::Invalid { value, tag } => {
                format!("The value '{value}' on line {line} and column {column} is invalid for the type '{tag}'")
            }
            ScalarError::Style { style, tag } => format!(
                "The scalar style '{}' on line {line} and column {column} is not valid with the tag '{tag}'",
                style.name()
            ),
            ScalarError::Tag { tag } => format!("Unexpected tag '{tag}'"),
        };
        Box::new(ReadError::in_file(self.file, message).because(Cause::Scalar(error)).precisely(span))
    }
}

pub(super) fn not_allowed(at: Span) -> ReadError {
    ReadError::at(at, "A template expression is not allowed in this context").because(Cause::ExpressionNotAllowed)
}

/// The text of a key, which becomes a string if it is none.
pub(super) fn key_text(key: &mut Token) -> Arc<str> {
    let text = literal_text(&key.kind);
    key.kind = TokenKind::String(Arc::clone(&text));
    text
}

/// A literal as the string that it also is.
pub(super) fn literal_text(kind: &TokenKind) -> Arc<str> {
    match kind {
        TokenKind::String(text) => Arc::clone(text),
        TokenKind::Boolean(value) => Value::from(*value).to_display_string(),
        TokenKind::Number(value) if *value == 0.0 && value.is_sign_negative() => Arc::from("-0"),
        TokenKind::Number(value) => Value::from(*value).to_display_string(),
        TokenKind::Null
        | TokenKind::Sequence(_)
        | TokenKind::Mapping(_)
        | TokenKind::Expression(_)
        | TokenKind::Insert => Arc::from(""),
    }
}
