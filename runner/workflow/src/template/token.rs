//! The token: one value of a workflow file, with expressions parsed but not evaluated.

use std::sync::Arc;

use crate::expression::Expression;
use crate::source::Span;

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub struct Token {
    /// Where it was written.
    pub span: Span,
    /// What was written.
    pub kind: TokenKind,
}

/// The kinds of value, as GitHub's template reader tells them apart.
#[derive(Debug, Clone)]
pub enum TokenKind {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number by the YAML 1.2 core schema.
    Number(f64),
    /// Any other scalar without `${{ }}`.
    String(Arc<str>),
    /// A list.
    Sequence(Vec<Token>),
    /// Pairs in file order. A key is a string, an expression or `${{ insert }}`.
    Mapping(Vec<(Token, Token)>),
    /// A scalar with `${{ }}`. Text around the braces has become a call of `format`, as GitHub does it.
    Expression(Expression),
    /// `${{ insert }}` as a mapping key: the value's pairs are put in here.
    Insert,
}

impl Token {
    /// Joins the two.
    #[must_use]
    pub const fn new(kind: TokenKind, span: Span) -> Self {
        Self { span, kind }
    }

    /// The text of a literal string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let TokenKind::String(text) = &self.kind { Some(text) } else { None }
    }

    /// The items of a literal sequence.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Self]> {
        if let TokenKind::Sequence(items) = &self.kind { Some(items) } else { None }
    }

    /// The pairs of a literal mapping.
    #[must_use]
    pub fn as_mapping(&self) -> Option<&[(Self, Self)]> {
        if let TokenKind::Mapping(pairs) = &self.kind { Some(pairs) } else { None }
    }

    /// The value of a literal key of a mapping; keys are compared without case, as GitHub does.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let pairs = self.as_mapping()?;
        pairs.iter().find(|(name, _)| name.as_str().is_some_and(|name| name.eq_ignore_ascii_case(key))).map(|(_, v)| v)
    }

    /// A literal scalar as text, as GitHub writes it: null is empty, numbers have at most fifteen digits.
    #[must_use]
    pub fn literal_text(&self) -> Option<Arc<str>> {
        match &self.kind {
            TokenKind::Null => Some("".into()),
            TokenKind::Boolean(value) => Some(value.to_string().into()),
            TokenKind::Number(value) => Some(crate::expression::Value::from(*value).to_display_string()),
            TokenKind::String(text) => Some(Arc::clone(text)),
            TokenKind::Sequence(_) | TokenKind::Mapping(_) | TokenKind::Expression(_) | TokenKind::Insert => None,
        }
    }

    /// The expression, where the whole value is one.
    #[must_use]
    pub const fn as_expression(&self) -> Option<&Expression> {
        if let TokenKind::Expression(expression) = &self.kind { Some(expression) } else { None }
    }

    /// Whether an expression (or `${{ insert }}`) stands anywhere in it.
    #[must_use]
    pub fn has_expression(&self) -> bool {
        match &self.kind {
            TokenKind::Expression(_) | TokenKind::Insert => true,
            TokenKind::Sequence(items) => items.iter().any(Self::has_expression),
            TokenKind::Mapping(pairs) => pairs.iter().any(|(k, v)| k.has_expression() || v.has_expression()),
            TokenKind::Null | TokenKind::Boolean(_) | TokenKind::Number(_) | TokenKind::String(_) => false,
        }
    }

    /// Calls `visit` for every expression in it, keys included, in file order.
    pub fn each_expression<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression, Span)) {
        match &self.kind {
            TokenKind::Expression(expression) => visit(expression, self.span),
            TokenKind::Sequence(items) => items.iter().for_each(|item| item.each_expression(visit)),
            TokenKind::Mapping(pairs) => {
                for (key, value) in pairs {
                    key.each_expression(visit);
                    value.each_expression(visit);
                }
            }
            TokenKind::Null
            | TokenKind::Boolean(_)
            | TokenKind::Number(_)
            | TokenKind::String(_)
            | TokenKind::Insert => {}
        }
    }
}
