//! From text to tokens, each checked against the one before it, so that the parser meets only sound sequences.
//!
//! What it does not do: know names (`parser`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions#operators>.

use std::ops::Range;

use super::error::{Cause, ErrorKind, ExpressionError};
use super::node::Operator;
use super::number::parse_number;

/// A token and where it is.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// `(` around an expression.
    StartGroup,
    /// `(` after a function's name.
    StartArguments,
    /// `[`
    StartIndex,
    /// `)` around an expression.
    EndGroup,
    /// `)` of a call.
    EndArguments,
    /// `]`
    EndIndex,
    /// `,`
    Separator,
    /// `.`
    Dereference,
    /// `*`
    Wildcard,
    /// `!`
    Not,
    /// `==`, `&&` and the like.
    Binary(Operator),
    Null,
    Boolean(bool),
    Number(f64),
    String,
    PropertyName,
    FunctionName,
    ContextName,
}

pub(super) struct Lexer<'text> {
    text: &'text str,
    index: usize,
    last: Option<TokenKind>,
    unclosed: Vec<TokenKind>,
}

impl<'text> Lexer<'text> {
    pub(super) const fn new(text: &'text str) -> Self {
        Self { text, index: 0, last: None, unclosed: Vec::new() }
    }

    /// Whether a bracket is still open.
    pub(super) fn has_unclosed(&self) -> bool {
        !self.unclosed.is_empty()
    }

    /// The next token; none at the end.
    pub(super) fn next_token(&mut self) -> Result<Option<Token>, ExpressionError> {
        let rest = self.text[self.index..].trim_start();
        self.index = self.text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let (kind, length) = match first {
            '(' if self.last == Some(TokenKind::FunctionName) => (TokenKind::StartArguments, 1),
            '(' => (TokenKind::StartGroup, 1),
            ')' if self.unclosed.last() == Some(&TokenKind::StartArguments) => (TokenKind::EndArguments, 1),
            ')' => (TokenKind::EndGroup, 1),
            '[' => (TokenKind::StartIndex, 1),
            ']' => (TokenKind::EndIndex, 1),
            ',' => (TokenKind::Separator, 1),
            '*' => (TokenKind::Wildcard, 1),
            '\'' => self.read_string(rest)?,
            '!' | '>' | '<' | '=' | '&' | '|' => self.read_operator(rest)?,
            '.' if !starts_operand(self.last) => (TokenKind::Dereference, 1),
            '.' | '-' | '+' | '0'..='9' => self.read_number(rest)?,
            _ => self.read_word(rest)?,
        };
        let span = self.index..self.index + length;
        if !self.follows(kind) || !self.brackets(kind) {
            return Err(self.unexpected(ErrorKind::Parsing, span));
        }
        self.index = span.end;
        self.last = Some(kind);
        Ok(Some(Token { kind, span }))
    }

    fn unexpected(&self, kind: ErrorKind, span: Range<usize>) -> ExpressionError {
        let symbol = self.text[span.clone()].to_owned();
        ExpressionError::at(kind, Cause::UnexpectedSymbol(symbol), self.text, span)
    }

    fn malformed<T>(&self, length: usize) -> Result<T, ExpressionError> {
        Err(self.unexpected(ErrorKind::Lexing, self.index..self.index + length))
    }

    fn read_number(&self, rest: &str) -> Result<(TokenKind, usize), ExpressionError> {
        let length = 1 + rest[1..].find(|next| is_boundary(next) && next != '.').unwrap_or(rest.len() - 1);
        let number = parse_number(&rest[..length]);
        if number.is_nan() { self.malformed(length) } else { Ok((TokenKind::Number(number), length)) }
    }

    fn read_string(&self, rest: &str) -> Result<(TokenKind, usize), ExpressionError> {
        let mut index = 1;
        while let Some(quote) = rest[index..].find('\'') {
            index += quote + 1;
            if !rest[index..].starts_with('\'') {
                return Ok((TokenKind::String, index));
            }
            index += 1;
        }
        self.malformed(rest.len())
    }

    fn read_operator(&self, rest: &str) -> Result<(TokenKind, usize), ExpressionError> {
        let two = [
            ("!=", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("==", Operator::Equal),
            ("&&", Operator::And),
            ("||", Operator::Or),
        ];
        if let Some((_, operator)) = two.into_iter().find(|(sign, _)| rest.starts_with(sign)) {
            return Ok((TokenKind::Binary(operator), 2));
        }
        match rest.as_bytes()[0] {
            b'!' => Ok((TokenKind::Not, 1)),
            b'>' => Ok((TokenKind::Binary(Operator::Greater), 1)),
            b'<' => Ok((TokenKind::Binary(Operator::Less), 1)),
            _ => self.malformed(1 + rest[1..].find(is_boundary).unwrap_or(rest.len() - 1)),
        }
    }

    fn read_word(&self, rest: &str) -> Result<(TokenKind, usize), ExpressionError> {
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let length = first + rest[first..].find(is_boundary).unwrap_or(rest.len() - first);
        let word = &rest[..length];
        if !is_keyword(word) {
            return self.malformed(length);
        }
        if self.last == Some(TokenKind::Dereference) {
            return Ok((TokenKind::PropertyName, length));
        }
        let kind = match word {
            "null" => TokenKind::Null,
            "true" => TokenKind::Boolean(true),
            "false" => TokenKind::Boolean(false),
            "NaN" => TokenKind::Number(f64::NAN),
            "Infinity" => TokenKind::Number(f64::INFINITY),
            _ if rest[length..].trim_start().starts_with('(') => TokenKind::FunctionName,
            _ => TokenKind::ContextName,
        };
        Ok((kind, length))
    }

    /// Whether the token may follow the last one.
    fn follows(&self, kind: TokenKind) -> bool {
        match kind {
            TokenKind::StartGroup
            | TokenKind::Not
            | TokenKind::Null
            | TokenKind::Boolean(_)
            | TokenKind::Number(_)
            | TokenKind::String
            | TokenKind::FunctionName
            | TokenKind::ContextName => starts_operand(self.last),
            TokenKind::StartArguments => self.last == Some(TokenKind::FunctionName),
            TokenKind::StartIndex | TokenKind::Dereference => self.last.is_some_and(can_be_indexed),
            TokenKind::EndArguments if self.last == Some(TokenKind::StartArguments) => true,
            TokenKind::EndGroup
            | TokenKind::EndIndex
            | TokenKind::EndArguments
            | TokenKind::Separator
            | TokenKind::Binary(_) => self.last.is_some_and(ends_operand),
            TokenKind::Wildcard => matches!(self.last, Some(TokenKind::StartIndex | TokenKind::Dereference)),
            TokenKind::PropertyName => self.last == Some(TokenKind::Dereference),
        }
    }

    /// Keeps the stack of open brackets; false where the token does not fit the innermost.
    fn brackets(&mut self, kind: TokenKind) -> bool {
        let (wanted, closes) = match kind {
            TokenKind::StartGroup | TokenKind::StartIndex | TokenKind::StartArguments => {
                self.unclosed.push(kind);
                return true;
            }
            TokenKind::EndGroup => (TokenKind::StartGroup, true),
            TokenKind::EndIndex => (TokenKind::StartIndex, true),
            TokenKind::EndArguments => (TokenKind::StartArguments, true),
            TokenKind::Separator => (TokenKind::StartArguments, false),
            TokenKind::Dereference
            | TokenKind::Wildcard
            | TokenKind::Not
            | TokenKind::Binary(_)
            | TokenKind::Null
            | TokenKind::Boolean(_)
            | TokenKind::Number(_)
            | TokenKind::String
            | TokenKind::PropertyName
            | TokenKind::FunctionName
            | TokenKind::ContextName => return true,
        };
        if self.unclosed.last() != Some(&wanted) {
            return false;
        }
        if closes {
            self.unclosed.pop();
        }
        true
    }
}

/// Whether an operand may come next.
fn starts_operand(last: Option<TokenKind>) -> bool {
    last.is_none_or(|last| {
        matches!(
            last,
            TokenKind::Separator
                | TokenKind::StartGroup
                | TokenKind::StartArguments
                | TokenKind::StartIndex
                | TokenKind::Not
                | TokenKind::Binary(_)
        )
    })
}

/// Whether an operand is complete after this token.
fn ends_operand(last: TokenKind) -> bool {
    can_be_indexed(last)
        || matches!(last, TokenKind::Null | TokenKind::Boolean(_) | TokenKind::Number(_) | TokenKind::String)
}

/// Whether `[` or `.` may follow this token.
fn can_be_indexed(last: TokenKind) -> bool {
    matches!(
        last,
        TokenKind::EndGroup
            | TokenKind::EndArguments
            | TokenKind::EndIndex
            | TokenKind::Wildcard
            | TokenKind::PropertyName
            | TokenKind::ContextName
    )
}

fn is_boundary(character: char) -> bool {
    matches!(character, '(' | ')' | '[' | ']' | ',' | '.' | '!' | '>' | '<' | '=' | '&' | '|')
        || character.is_whitespace()
}

/// Whether a text can be a name: `[A-Za-z_][A-Za-z0-9_-]*`.
pub(super) fn is_keyword(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
