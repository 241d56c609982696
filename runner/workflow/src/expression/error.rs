//! Why an expression could not be read or evaluated: GitHub's own words, where it is, and what a program may do about it.
//!
//! What it does not do: find the line and column in a file, or suggest names (`template`, `read`).
//! Follows <https://github.com/actions/runner/blob/main/src/Sdk/Expressions/ParseException.cs> in its texts.

use std::ops::Range;

use super::text::utf16_length;

/// The deepest that operators and calls may nest.
pub const DEPTH_MAX: usize = 50;

/// The longest expression, in UTF-16 code units.
pub const LENGTH_MAX: usize = 21_000;

/// A failed expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// In which stage it failed.
    pub kind: ErrorKind,
    /// GitHub's text, whole.
    pub message: String,
    /// The bytes of the expression's text that are to blame.
    pub span: Range<usize>,
    /// The same as data, for suggestions.
    pub cause: Cause,
}

/// The stage in which an expression failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A word, number, text or operator that cannot be one.
    Lexing,
    /// Words in the wrong place, unknown names, too many or too few arguments.
    Parsing,
    /// It was well-formed, and failed on the values it found.
    Evaluation,
}

impl ErrorKind {
    /// `lexing`, `parsing` or `evaluation`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lexing => "lexing",
            Self::Parsing => "parsing",
            Self::Evaluation => "evaluation",
        }
    }
}

/// Why an expression failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No such context, or not here.
    UnknownName(String),
    /// No such function, or not here.
    UnknownFunction(String),
    /// This text is no word, or stands where it cannot.
    UnexpectedSymbol(String),
    /// Something is missing after this.
    UnexpectedEnd(String),
    /// This function wants more arguments.
    TooFewArguments(String),
    /// This function wants fewer arguments.
    TooManyArguments(String),
    /// `case` wants an odd number of arguments.
    EvenArguments(String),
    /// Deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Longer than [`LENGTH_MAX`].
    TooLong,
    /// The values would take more memory than allowed.
    TooLarge,
    /// The text given to `format` is no format.
    Format,
    /// The text given to `fromJSON` is no JSON.
    Json,
    /// A predicate of `case` is no boolean.
    CasePredicate,
    /// `hashFiles` could not read the files.
    HashFiles,
    /// The function has no meaning in the scope it was evaluated in.
    NotHere,
}

impl ExpressionError {
    /// An error at a piece of the expression's text.
    pub(super) fn at(kind: ErrorKind, cause: Cause, text: &str, span: Range<usize>) -> Self {
        let description = match &cause {
            Cause::UnknownName(_) => "Unrecognized named-value",
            Cause::UnknownFunction(_) => "Unrecognized function",
            Cause::UnexpectedEnd(_) => "Unexpected end of expression",
            Cause::TooFewArguments(_) => "Too few parameters supplied",
            Cause::TooManyArguments(_) => "Too many parameters supplied",
            Cause::EvenArguments(_) => "Even number of parameters supplied, requires an odd number of parameters",
            Cause::UnexpectedSymbol(_)
            | Cause::TooDeep
            | Cause::TooLong
            | Cause::TooLarge
            | Cause::Format
            | Cause::Json
            | Cause::CasePredicate
            | Cause::HashFiles
            | Cause::NotHere => "Unexpected symbol",
        };
        let symbol = &text[span.clone()];
        let position = utf16_length(&text[..span.start]) + 1;
        let message = format!("{description}: '{symbol}'. Located at position {position} within expression: {text}");
        Self { kind, message, span, cause }
    }

    /// The expression nests too deeply.
    pub(super) fn too_deep(text: &str) -> Self {
        let message = format!("Exceeded max expression depth {DEPTH_MAX}");
        Self { kind: ErrorKind::Parsing, message, span: 0..text.len(), cause: Cause::TooDeep }
    }

    /// The expression is too long.
    pub(super) fn too_long(text: &str) -> Self {
        let message = format!("Exceeded max expression length {LENGTH_MAX}");
        Self { kind: ErrorKind::Parsing, message, span: 0..text.len(), cause: Cause::TooLong }
    }

    /// A failure on values.
    pub(super) const fn evaluation(cause: Cause, message: String, span: Range<usize>) -> Self {
        Self { kind: ErrorKind::Evaluation, message, span, cause }
    }
}
