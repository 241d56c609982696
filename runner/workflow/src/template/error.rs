//! What GitHub's reader refuses, in its words, with its places.
//!
//! How it is shown is not decided here; [`ReadError::github_text`] is GitHub's own form, for comparing with it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic};
use crate::expression::{ExpressionError, utf16_length};
use crate::schema::{AllowedNames, Definition};
use crate::source::{FileId, SourceFile, SourceMap, Span};
use crate::yaml::{ScalarError, SyntaxError};

/// GitHub cuts a message after this many UTF-16 code units.
pub const MESSAGE_CHARS_MAX: usize = 500;

/// GitHub keeps this many errors of a reading.
pub const GITHUB_ERRORS_MAX: usize = 10;

/// What some scalars should have said, by where they are: a reading with these goes on as if its author had made no slip,
/// which tells errors that follow from others from those that do not.
pub type Repairs = HashMap<Span, Arc<str>>;

/// Where an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At a value.
    At(Span),
    /// In a file as a whole.
    File(FileId),
    /// In the reading as a whole.
    Reading,
}

/// Why something is refused. Candidates are what would have been right there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cause {
    /// Said by the message alone.
    #[default]
    Other,
    /// The text is not YAML.
    Syntax(SyntaxError),
    /// There is no document in the file.
    EmptyFile,
    /// There is a second document in the file.
    AnotherDocument,
    /// A key or item is itself a collection where a scalar is needed.
    KeyNotScalar,
    /// A scalar and its YAML tag do not fit.
    Scalar(ScalarError),
    /// This mapping has no such key.
    UnexpectedKey {
        /// The key.
        key: String,
        /// The keys that it may have and does not yet have.
        candidates: Vec<&'static str>,
        /// Where the mapping starts.
        mapping: Span,
    },
    /// A key that must be there is missing.
    MissingProperty {
        /// The key.
        name: &'static str,
    },
    /// The value is none that may be here.
    UnexpectedValue {
        /// The value as text.
        value: String,
        /// The constants that may be here; none where any text, number or the like may.
        candidates: Vec<&'static str>,
    },
    /// The key was there before, perhaps in another case.
    DuplicateKey {
        /// The key.
        key: String,
        /// The first of the two.
        first: Span,
    },
    /// A list stands where none may.
    SequenceNotExpected,
    /// A mapping stands where none may.
    MappingNotExpected,
    /// The keys fit several kinds of mapping.
    NotEnoughInfo {
        /// The keys that would tell them apart.
        candidates: Vec<&'static str>,
    },
    /// An expression is wrong.
    Expression(ExpressionError),
    /// `${{` without `}}`.
    ExpressionNotClosed,
    /// `${{ }}`.
    EmptyExpression,
    /// No expression may be here.
    ExpressionNotAllowed,
    /// `${{ insert }}` is not all there is, or has more words in it.
    Directive,
    /// A budget is used up.
    Limit(Limit),
}

/// The budgets of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Characters of a file.
    FileSize,
    /// Nesting.
    Depth,
    /// Values met.
    Events,
    /// Bytes of all values.
    Bytes,
    /// Nodes that aliases repeat.
    Aliases,
}

/// Something that GitHub's reader refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// Where.
    pub place: Place,
    /// The very characters that are wrong, where that is narrower than what GitHub names, or known at all.
    pub precise: Option<Span>,
    /// What is wrong, as GitHub words it.
    pub message: String,
    /// The same as data, for advice.
    pub cause: Cause,
    /// What to do about it, which GitHub does not say.
    pub help: Option<String>,
    /// What an expression there may name, for an error in one.
    pub names: Option<Arc<AllowedNames>>,
    /// What a value there may be, in words such as `a boolean`, for a value that does not fit.
    pub expected: Vec<&'static str>,
    /// For an error in a called workflow: the `uses:` that called it.
    pub called_from: Option<Span>,
}

impl ReadError {
    /// An error at a value.
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self::new(Place::At(span), message)
    }

    /// An error in a file as a whole.
    pub fn in_file(file: FileId, message: impl Into<String>) -> Self {
        Self::new(Place::File(file), message)
    }

    /// An error of the reading as a whole.
    pub fn unplaced(message: impl Into<String>) -> Self {
        Self::new(Place::Reading, message)
    }

    fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            precise: None,
            message: message.into(),
            cause: Cause::Other,
            help: None,
            names: None,
            expected: Vec::new(),
            called_from: None,
        }
    }

    /// Adds why, as data.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// Adds the very characters.
    #[must_use]
    pub fn precisely(mut self, span: impl Into<Option<Span>>) -> Self {
        self.precise = span.into();
        self
    }

    /// Adds what an expression there may name.
    #[must_use]
    pub(crate) fn naming(mut self, names: Arc<AllowedNames>) -> Self {
        self.names = Some(names);
        self
    }

    /// Adds what a value there may be.
    #[must_use]
    pub(super) fn expecting(mut self, definition: &Definition) -> Self {
        let kinds = [
            (definition.boolean, "a boolean"),
            (definition.number, "a number"),
            (!definition.strings.is_empty(), "a text"),
            (definition.sequence.is_some(), "a list"),
            (!definition.mappings.is_empty(), "a mapping"),
        ];
        self.expected = kinds.iter().filter(|(allowed, _)| *allowed).map(|(_, kind)| *kind).collect();
        self
    }

    /// The file that it is in.
    #[must_use]
    pub const fn file(&self) -> Option<FileId> {
        match self.place {
            Place::At(span) => Some(span.file),
            Place::File(file) => Some(file),
            Place::Reading => None,
        }
    }

    /// Notes the call that led to it, unless it is in the caller's own file.
    pub fn come_from_call(&mut self, call: Span) {
        if self.file() != Some(call.file) {
            self.called_from = Some(call);
        }
    }

    /// The whole line that GitHub shows, such as `.github/workflows/ci.yml (Line: 3, Col: 5): Unexpected value 'x'`.
    #[must_use]
    pub fn github_text(&self, sources: &SourceMap) -> String {
        let name = |file| sources.get(file).map_or("", SourceFile::name);
        let text = match self.place {
            Place::At(span) => format!("{}: {}", located(sources, span), self.message),
            Place::File(file) => format!("{}: {}", name(file), self.message),
            Place::Reading => self.message.clone(),
        };
        let text = if utf16_length(&text) > MESSAGE_CHARS_MAX { cut(&text) } else { text };
        match self.called_from {
            Some(call) => format!("In {}: Error from called workflow {text}", located(sources, call)),
            None => text,
        }
    }

    /// The same as a diagnostic.
    #[must_use]
    pub fn to_diagnostic(&self, code: Code) -> Diagnostic {
        let span = self.precise.or(match self.place {
            Place::At(span) => Some(span),
            Place::File(file) => Some(Span::new(file, 0, 0)),
            Place::Reading => self.called_from,
        });
        let mut diagnostic = Diagnostic::error(code, span, self.message.trim_end_matches('.'));
        diagnostic.help.clone_from(&self.help);
        if let Some(call) = self.called_from {
            diagnostic = diagnostic.related(call, "called from here");
        }
        diagnostic
    }
}

fn located(sources: &SourceMap, span: Span) -> String {
    let Some(file) = sources.get(span.file) else { return String::new() };
    let (line, column) = github_position(file, span.start);
    format!("{} (Line: {line}, Col: {column})", file.name())
}

/// Line and column as GitHub counts them: from 1, columns in UTF-16 code units.
#[must_use]
pub fn github_position(file: &SourceFile, offset: u32) -> (u32, u32) {
    let position = file.position(offset);
    let before = file.line(position.line).chars().take((position.column - 1) as usize);
    let units: usize = before.map(char::len_utf16).sum();
    (position.line, u32::try_from(units + 1).unwrap_or(u32::MAX))
}

fn cut(text: &str) -> String {
    let mut units = 0;
    let kept = text.chars().take_while(|character| {
        units += character.len_utf16();
        units <= MESSAGE_CHARS_MAX
    });
    kept.chain("[...]".chars()).collect()
}
