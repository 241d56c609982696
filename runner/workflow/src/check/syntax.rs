//! What is wrong with text that is no YAML, with the mistake that most often lies behind it.

use super::lines;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Position, SourceFile, Span};
use crate::yaml::{ScalarError, SyntaxError, SyntaxKind};

const NOT_YAML: Code = Code("P0010");
const LIMIT: Code = Code("P0011");
const TAB: Code = Code("P0012");
const INDENTATION: Code = Code("P0013");
const UNKNOWN_ANCHOR: Code = Code("P0014");
const NOT_CLOSED: Code = Code("P0015");
const TAG: Code = Code("P0016");
const QUOTES_NEEDED: Code = Code("P0019");

/// A syntax error.
pub(super) fn tell(error: &SyntaxError, source: &SourceFile) -> Diagnostic {
    let span = error.span;
    if let Some(tab) = tab_indentation(source, span) {
        return Diagnostic::error(TAB, tab, "a tab is used for indentation")
            .help("YAML is indented with spaces only: replace the tab");
    }
    let is_flow = matches!(error.kind, SyntaxKind::FlowNotClosed | SyntaxKind::Other | SyntaxKind::MappingValue);
    if let Some(found) = is_flow.then(|| never_closed(source, span)).flatten() {
        return found;
    }
    let say = |code, message: &str| Diagnostic::error(code, span, message);
    match error.kind {
        SyntaxKind::Tab => say(TAB, "a tab stands where only spaces may be").help("replace the tab with spaces"),
        SyntaxKind::MappingValue => mapping_value(source, span),
        SyntaxKind::MissingColon => missing_colon(source, span),
        SyntaxKind::Indentation => say(INDENTATION, "the indentation fits nothing above")
            .help("line it up with the keys or items that it belongs to"),
        SyntaxKind::FlowNotClosed => say(NOT_CLOSED, "a list `[…]` or mapping `{…}` is not closed properly")
            .help("look for a missing `]`, `}` or `,`; a text that holds them needs quotes"),
        SyntaxKind::QuoteNotClosed => say(NOT_CLOSED, "a quote is opened and never closed")
            .help("add the closing quote; inside single quotes a quote is written twice"),
        SyntaxKind::ReservedCharacter => {
            say(QUOTES_NEEDED, "a value cannot begin with this character").help("put quotes around the value")
        }
        SyntaxKind::Escape => say(QUOTES_NEEDED, "there is no such escape in double quotes")
            .help("write `\\\\` for a backslash, or use single quotes"),
        SyntaxKind::UnknownAnchor => unknown_anchor(source, span),
        SyntaxKind::TooDeep | SyntaxKind::TooLong => say(LIMIT, error.message.trim_end_matches('.')),
        SyntaxKind::Other => {
            say(NOT_YAML, "this is no YAML here").help(format!("the parser says: {}", without_place(&error.message)))
        }
    }
}

/// The first tab in the white space before the error's line, or the line above it.
fn tab_indentation(source: &SourceFile, span: Span) -> Option<Span> {
    let line = source.position(span.start).line;
    [line, line.saturating_sub(1), line + 1].into_iter().filter(|line| *line > 0).find_map(|line| {
        let text = source.line(line);
        let blank = &text[..text.len() - text.trim_start().len()];
        let at = u32::try_from(blank.find('\t')?).ok()?;
        let is_all = text.trim().is_empty();
        let start = source.offset(Position { line, column: 1 }) + at;
        (!is_all).then(|| Span::new(span.file, start, start + 1))
    })
}

/// The message behind GitHub's `(Line: 2, Col: 5, Idx: 28) - (…): `.
fn without_place(message: &str) -> &str {
    let text = if message.starts_with("(Line") {
        message.rsplit_once("): ").map_or(message, |(_, text)| text)
    } else {
        message
    };
    text.trim_end_matches('.')
}

/// A bracket that is opened on this line or one of the few above, where a value begins, and is still open here.
fn never_closed(source: &SourceFile, span: Span) -> Option<Diagnostic> {
    const LINES_MAX: u32 = 20;
    let last = source.position(span.start).line;
    (last.saturating_sub(LINES_MAX).max(1)..=last).rev().find_map(|line| {
        let text = source.line(line);
        let value = text.find(": ").map_or_else(|| text.find("- ").map(|at| at + 2), |at| Some(at + 2))?;
        let rest = text[value..].trim_start();
        let at = text.len() - rest.len();
        let (open, close) = if rest.starts_with('[') {
            ('[', ']')
        } else if rest.starts_with('{') {
            ('{', '}')
        } else {
            return None;
        };
        let start = source.offset(Position { line, column: 1 }) + u32::try_from(at).ok()?;
        // To the end of the line: a bracket that is closed there is not what is wrong.
        let end = source.offset(Position { line: last + 1, column: 1 }).max(span.start);
        let until = source.text().get(start as usize..end as usize)?;
        if until.matches(open).count() <= until.matches(close).count() {
            return None;
        }
        let place = Span::new(span.file, start, start + 1);
        let found = Diagnostic::error(NOT_CLOSED, place, format!("this `{open}` is never closed"));
        Some(found.help(format!("add the `{close}`; a text that begins with `{open}` needs quotes")))
    })
}

fn mapping_value(source: &SourceFile, span: Span) -> Diagnostic {
    let position = source.position(span.start);
    let line = source.line(position.line);
    let above = source.line(position.line.saturating_sub(1)).trim();
    if !above.is_empty() && !above.contains(':') && !above.starts_with(['#', '-']) {
        return missing_colon(
            source,
            Span { start: span.start.saturating_sub(column_bytes(source, span) + 1), ..span },
        );
    }
    let inside = line
        .trim_start()
        .trim_start_matches("- ")
        .split_once(": ")
        .is_some_and(|(_, rest)| rest.contains(": ") || rest.trim_end().ends_with(':'));
    if inside {
        Diagnostic::error(QUOTES_NEEDED, span, "a `: ` inside a text makes it a key")
            .help("put the whole value in quotes, or write it below a `|`")
    } else {
        Diagnostic::error(INDENTATION, span, "a key may not stand here: the line above has a value already")
            .help("line the key up with the others of its mapping, or remove the value above it")
    }
}

fn column_bytes(source: &SourceFile, span: Span) -> u32 {
    let line = source.position(span.start).line;
    span.start - source.offset(Position { line, column: 1 })
}

/// The parser stops at the line after; the line that lacks its colon is the one where the word stands.
fn missing_colon(source: &SourceFile, span: Span) -> Diagnostic {
    let at = source.position(span.start);
    let lacks = |line: u32| {
        let text = source.line(line).trim();
        !text.is_empty() && !text.contains(": ") && !text.ends_with(':') && !text.starts_with(['#', '-'])
    };
    let line = [at.line, at.line.saturating_sub(1)].into_iter().find(|line| *line > 0 && lacks(*line));
    let place = line.map_or(span, |line| {
        let text = source.line(line);
        let blank = text.len() - text.trim_start().len();
        let start = source.offset(Position { line, column: 1 }) + u32::try_from(blank).unwrap_or(0);
        Span::new(span.file, start, start + u32::try_from(text.trim().len()).unwrap_or(0))
    });
    let word = lines::raw(source, place).split_whitespace().next().unwrap_or_default().to_owned();
    Diagnostic::error(NOT_YAML, place, format!("a `:` is missing after `{word}`"))
        .help("each line of a mapping is `key: value`")
}

fn unknown_anchor(source: &SourceFile, span: Span) -> Diagnostic {
    let name = lines::raw(source, span).trim_start_matches('*').to_owned();
    let anchors = source.text().split('&').skip(1).filter_map(|rest| {
        rest.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).next().filter(|name| !name.is_empty())
    });
    let near = crate::diagnostic::suggest(&name, anchors);
    let found = Diagnostic::error(UNKNOWN_ANCHOR, span, format!("there is no anchor `&{name}` before this"));
    match near {
        Some(near) => found.help(format!("did you mean `*{near}`?")),
        None => found.help("a text that begins with `*` needs quotes; an alias needs its `&anchor` above it"),
    }
}

/// A scalar and its tag.
pub(super) fn tell_scalar(error: &ScalarError, span: Span, source: &SourceFile) -> Diagnostic {
    match error {
        ScalarError::Tag { .. } => {
            let raw = lines::raw(source, span);
            let written = if raw.is_empty() { "!" } else { raw };
            let word = written.split_whitespace().next().unwrap_or("!").to_owned();
            Diagnostic::error(TAG, span, format!("`{word}` is read as a YAML tag, because it begins with `!`"))
                .help(format!("put it in an expression: `${{{{ {written} }}}}`"))
        }
        ScalarError::Invalid { value, tag } => {
            let kind = tag.rsplit(':').next().unwrap_or(tag);
            Diagnostic::error(TAG, span, format!("`{value}` is no `{kind}`, which its tag says"))
                .help("remove the tag or mend the value")
        }
        ScalarError::Style { tag, .. } => {
            let kind = tag.rsplit(':').next().unwrap_or(tag);
            Diagnostic::error(TAG, span, format!("a quoted value is a text, and its tag says `{kind}`"))
                .help("remove the tag or the quotes")
        }
    }
}
