//! Single values: literals bare or with their place, lists, mappings, expressions.

use serde_json::{Map, Value, json};
use workflow::expression::{Expression, NodeKind};
use workflow::model::Permissions;
use workflow::source::Span;
use workflow::template::{Token, TokenKind};

use super::Writer;

/// Numbers of the kinds of value.
const STRING: u8 = 0;
const SEQUENCE: u8 = 1;
const MAPPING: u8 = 2;
const EXPRESSION: u8 = 3;
const INSERT: u8 = 4;
const BOOLEAN: u8 = 5;
const NUMBER: u8 = 6;
const NULL: u8 = 7;

impl Writer<'_> {
    pub(super) fn optional(&self, token: Option<&Token>) -> Option<Value> {
        token.map(|token| self.token(token))
    }

    pub(super) fn token(&self, token: &Token) -> Value {
        let span = Some(token.span);
        match &token.kind {
            TokenKind::Null => self.literal(NULL, span, None),
            TokenKind::Boolean(value) => self.literal(BOOLEAN, span, Some(("bool", json!(value)))),
            TokenKind::Number(value) => self.literal(NUMBER, span, Some(("num", number(*value)))),
            TokenKind::String(text) => self.text(text, span),
            TokenKind::Sequence(items) => {
                let items: Vec<Value> = items.iter().map(|item| self.token(item)).collect();
                self.object(SEQUENCE, span, (!items.is_empty()).then(|| ("seq", items.into())))
            }
            TokenKind::Mapping(pairs) => {
                let pair = |(key, value): &(Token, Token)| json!({"Key": self.token(key), "Value": self.token(value)});
                let pairs: Vec<Value> = pairs.iter().map(pair).collect();
                self.object(MAPPING, span, (!pairs.is_empty()).then(|| ("map", pairs.into())))
            }
            TokenKind::Expression(expression) => {
                self.object(EXPRESSION, span, Some(("expr", expression.text().into())))
            }
            TokenKind::Insert => self.object(INSERT, span, Some(("directive", "insert".into()))),
        }
    }

    /// A literal text.
    pub(super) fn text(&self, text: &str, span: Option<Span>) -> Value {
        self.literal(STRING, span, Some(("lit", text.into())))
    }

    /// A condition: GitHub adds `success()` to the text, we to the tree.
    pub(super) fn condition(&self, condition: &Expression, span: Option<Span>) -> Value {
        let text = condition.text();
        let added = matches!(&condition.root().kind, NodeKind::And(operands)
            if operands.first().is_some_and(|first| first.span.is_empty()));
        let text = if added { format!("success() && ({text})") } else { text.to_owned() };
        self.object(EXPRESSION, span, Some(("expr", text.into())))
    }

    /// Bare where no places are written.
    fn literal(&self, kind: u8, span: Option<Span>, value: Option<(&str, Value)>) -> Value {
        if self.form.source && span.is_some() {
            self.object(kind, span, value)
        } else {
            value.map_or(Value::Null, |(_, value)| value)
        }
    }

    fn object(&self, kind: u8, span: Option<Span>, value: Option<(&str, Value)>) -> Value {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), kind.into());
        if let Some(span) = span.filter(|_| self.form.source) {
            let (_, start, _) = self.sources.locate(span).expect("a value stands in a file that was read");
            fields.insert("file".to_owned(), (span.file.0 + 1).into());
            fields.insert("line".to_owned(), start.line.into());
            fields.insert("col".to_owned(), start.column.into());
        }
        fields.extend(value.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(fields)
    }

    pub(super) fn permissions(permissions: Option<&Permissions>) -> Option<Value> {
        permissions.map(super::permissions)
    }
}

/// JSON has no infinities; GitHub writes them as texts.
fn number(value: f64) -> Value {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        json!(value)
    }
}
