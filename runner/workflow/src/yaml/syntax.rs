//! What is wrong with text that is no YAML, in GitHub's words where it has some for it.
//!
//! GitHub parses with `YamlDotNet`, whose errors read `(Line: 3, Col: 1, Idx: 20) - (Line: 3, Col: 1, Idx: 20): …`;
//! ours come from another parser and are mapped where both see the same thing.

use crate::source::Span;

/// The kinds of syntax error that advice can be given about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxKind {
    /// A tab where indentation is expected.
    Tab,
    /// `a: b: c`, or a value where none may be.
    MappingValue,
    /// A line in a mapping that is no `key: value`.
    MissingColon,
    /// Indentation that fits no open mapping or sequence.
    Indentation,
    /// A flow collection without its end.
    FlowNotClosed,
    /// A quoted scalar without its end.
    QuoteNotClosed,
    /// A character that cannot start a plain scalar (`@`, backtick, `%`).
    ReservedCharacter,
    /// A backslash escape that does not exist.
    Escape,
    /// `*name` without `&name` before it.
    UnknownAnchor,
    /// Nested deeper than any budget allows.
    TooDeep,
    /// More events than any budget allows.
    TooLong,
    /// Anything else.
    Other,
}

/// A syntax error and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Which kind.
    pub kind: SyntaxKind,
    /// Where.
    pub span: Span,
    /// GitHub's text, or ours where it has none for this.
    pub message: String,
}

/// Part of the parser's message, kind, and GitHub's sentence; empty: the parser's own words.
const KNOWN: &[(&str, SyntaxKind, &str)] = &[
    ("mapping values are not allowed", SyntaxKind::MappingValue, "Mapping values are not allowed in this context."),
    (
        "block mapping, did not find expected key",
        SyntaxKind::Indentation,
        "While parsing a block mapping, did not find expected key.",
    ),
    (
        "block collection, did not find expected '-'",
        SyntaxKind::Indentation,
        "While parsing a block collection, did not find expected '-' indicator.",
    ),
    ("simple key expect ':'", SyntaxKind::MissingColon, "While scanning a simple key, could not find expected ':'."),
    ("simple key expected", SyntaxKind::MissingColon, "While scanning a simple key, could not find expected ':'."),
    (
        "flow mapping, did not find expected",
        SyntaxKind::FlowNotClosed,
        "While parsing a flow mapping, did not find expected ',' or '}'.",
    ),
    (
        "flow sequence, expected",
        SyntaxKind::FlowNotClosed,
        "While parsing a flow sequence, did not find expected ',' or ']'.",
    ),
    (
        "did not find expected node content",
        SyntaxKind::Other,
        "While parsing a node, did not find expected node content.",
    ),
    (
        "found unexpected end of stream",
        SyntaxKind::QuoteNotClosed,
        "While scanning a quoted scalar, found unexpected end of stream.",
    ),
    (
        "found unexpected document indicator",
        SyntaxKind::QuoteNotClosed,
        "While scanning a quoted scalar, found unexpected document indicator.",
    ),
    (
        "found unknown escape character",
        SyntaxKind::Escape,
        "While parsing a quoted scalar, found unknown escape character.",
    ),
    (
        "did not find expected hexadecimal",
        SyntaxKind::Escape,
        "While parsing a quoted scalar, did not find expected hexadecimal number.",
    ),
    (
        "unexpected character: `",
        SyntaxKind::ReservedCharacter,
        "While scanning for the next token, found character that cannot start any token.",
    ),
    (
        "block sequence entries are not allowed",
        SyntaxKind::Indentation,
        "Block sequence entries are not allowed in this context.",
    ),
    ("mapping keys are not allowed", SyntaxKind::Indentation, "Mapping keys are not allowed in this context."),
    (
        "while scanning a plain scalar, found a tab",
        SyntaxKind::Tab,
        "While scanning a plain scalar, found a tab character that violate indentation.",
    ),
    ("tab", SyntaxKind::Tab, "While scanning for the next token, found character that cannot start any token."),
    ("invalid indentation in flow construct", SyntaxKind::Indentation, ""),
    ("indent", SyntaxKind::Indentation, ""),
    ("recursion limit exceeded", SyntaxKind::TooDeep, "Maximum object depth exceeded"),
];

/// Kind and sentence for a message of the parser below.
pub(super) fn translate(info: &str) -> (SyntaxKind, String) {
    let found = KNOWN.iter().find(|(part, _, _)| info.contains(part));
    let (kind, text) = found.map_or((SyntaxKind::Other, ""), |(_, kind, text)| (*kind, *text));
    (kind, if text.is_empty() { sentence(info) } else { text.to_owned() })
}

/// A lower-case fragment as a sentence.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(std::iter::once('.')).collect()
}
