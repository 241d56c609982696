//! The events of a YAML document: scalars, the two ends of collections, aliases.

use std::sync::Arc;

use super::SyntaxError;
use crate::source::Span;

/// How a scalar was written; the names are those that GitHub's messages use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarStyle {
    /// Without quotes.
    Plain,
    /// `'…'`.
    SingleQuoted,
    /// `"…"`.
    DoubleQuoted,
    /// `|`.
    Literal,
    /// `>`.
    Folded,
}

impl ScalarStyle {
    /// The name in GitHub's messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "Plain",
            Self::SingleQuoted => "SingleQuoted",
            Self::DoubleQuoted => "DoubleQuoted",
            Self::Literal => "Literal",
            Self::Folded => "Folded",
        }
    }
}

/// A scalar as written, its type not yet decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The content, with quotes, escapes, folding and indentation undone.
    pub text: Arc<str>,
    /// How it was written.
    pub style: ScalarStyle,
    /// The tag in full, such as `tag:yaml.org,2002:str` for `!!str`.
    pub tag: Option<Box<str>>,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// One value.
    Scalar(Scalar),
    /// The items follow, up to the matching end.
    SequenceStart,
    /// Ends the innermost open sequence.
    SequenceEnd,
    /// Keys and values follow in turn, up to the matching end.
    MappingStart,
    /// Ends the innermost open mapping.
    MappingEnd,
    /// `*name`: the same node again that began at this place in [`Stream::events`].
    Alias(usize),
}

/// An event and its place. A scalar's span holds its tag and anchor too; a collection's start has the place of its
/// first item, key, bracket, tag or anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Where.
    pub span: Span,
}

/// The events of a file's first document, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// In file order; collections nest and are balanced if `ending` is [`Ending::Complete`].
    pub events: Vec<Event>,
    /// What came after the last of them.
    pub ending: Ending,
}

/// What came after the last event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The end of the file.
    Complete,
    /// The end of the file, and there is no document in it (empty, or only comments).
    Empty,
    /// A second document begins here.
    AnotherDocument(Span),
    /// The text is not YAML, from here on.
    Broken(SyntaxError),
}
