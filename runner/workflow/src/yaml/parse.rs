//! From text to [`Stream`]: the parser's events with byte places, anchors resolved to event numbers, and budgets.

use std::sync::Arc;

use saphyr_parser::{Event as RawEvent, Marker, Parser, ScalarStyle as RawStyle, ScanError, Tag};

use super::flow::Padded;
use super::locate::Locator;
use super::syntax::translate;
use super::{Ending, Event, EventKind, Scalar, ScalarStyle, Stream, SyntaxError, SyntaxKind};
use crate::source::{FileId, Span};

/// How deep collections may nest before parsing stops. Readers have lower limits of their own.
pub const NESTING_MAX: usize = 1000;

/// How many events are parsed. A text within GitHub's limit of a megabyte cannot reach it in earnest.
const EVENTS_MAX: usize = 1_000_000;

/// Parses the first document of a text. What follows a syntax error or the first document is not looked at.
#[must_use]
pub fn parse(text: &str, file: FileId) -> Stream {
    let mut builder = Builder::new(text, file, None);
    let ending = builder.run();
    let first = Stream { events: std::mem::take(&mut builder.events), ending };
    match builder.refused_indentation {
        Some((from, failed)) => mended(text, file, from, failed).unwrap_or(first),
        None => first,
    }
}

/// Parses again with the lines of flow collections moved to where the parser below accepts them; `None` where that does
/// not help.
fn mended(text: &str, file: FileId, mut from: usize, mut failed: usize) -> Option<Stream> {
    let mut padded = Padded::new(text);
    loop {
        if !padded.mend(from, failed) {
            break;
        }
        let mut builder = Builder::new(&padded.text, file, Some(&padded));
        let ending = builder.run();
        let again = builder.refused_indentation;
        if let (Ending::Broken(_), Some(at)) = (&ending, builder.broken_at)
            && padded.in_mended(at)
        {
            return None;
        }
        let events = std::mem::take(&mut builder.events);
        drop(builder);
        match again {
            Some(next) => (from, failed) = next,
            None => return Some(Stream { events, ending }),
        }
    }
    // What is refused now is wrong elsewhere.
    if !padded.is_changed() {
        return None;
    }
    let mut builder = Builder::new(&padded.text, file, Some(&padded));
    let ending = builder.run();
    Some(Stream { events: std::mem::take(&mut builder.events), ending })
}

struct Builder<'a> {
    locator: Locator<'a>,
    text: &'a str,
    file: FileId,
    events: Vec<Event>,
    /// The event that an anchor stands before, by the parser's number for the anchor (which counts from 1).
    anchors: Vec<usize>,
    depth: usize,
    /// Where the last event ended, in bytes.
    end: usize,
    /// Where flow collections begin that are open.
    flow: Vec<Option<usize>>,
    /// How the text differs from what was written.
    padded: Option<&'a Padded>,
    /// Where the text is broken, in bytes.
    broken_at: Option<usize>,
    /// The place is in a flow collection that begins at or after the first of these, and only its indentation is refused.
    refused_indentation: Option<(usize, usize)>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, file: FileId, padded: Option<&'a Padded>) -> Self {
        Self {
            locator: Locator::new(text),
            text,
            file,
            events: Vec::new(),
            anchors: Vec::new(),
            depth: 0,
            end: 0,
            flow: Vec::new(),
            padded,
            broken_at: None,
            refused_indentation: None,
        }
    }

    fn run(&mut self) -> Ending {
        let mut documents = 0_usize;
        for item in Parser::new_from_str(self.text) {
            let (event, span) = match item {
                Ok(item) => item,
                Err(error) => return Ending::Broken(self.syntax_error(&error)),
            };
            let start = self.locator.offset(span.start);
            let end = self.locator.offset(span.end).max(start);
            match event {
                RawEvent::DocumentStart(_) if documents > 0 => return Ending::AnotherDocument(self.span(start, end)),
                RawEvent::DocumentStart(_) => documents += 1,
                RawEvent::Nothing | RawEvent::StreamStart | RawEvent::DocumentEnd | RawEvent::StreamEnd => {}
                RawEvent::Alias(anchor) => {
                    let target = self.anchors.get(anchor.wrapping_sub(1)).copied().unwrap_or(0);
                    self.push(EventKind::Alias(target), start, end);
                }
                RawEvent::Scalar(value, style, anchor, tag) => {
                    self.anchor(anchor);
                    self.scalar(&value, style, tag.as_deref(), start, end);
                }
                RawEvent::SequenceStart(anchor, _) => {
                    self.anchor(anchor);
                    self.open(start);
                    let start = self.locator.sequence(self.end, start);
                    self.push(EventKind::SequenceStart, start, start);
                }
                RawEvent::MappingStart(anchor, _) => {
                    self.anchor(anchor);
                    self.open(start);
                    self.push(EventKind::MappingStart, start, start);
                }
                RawEvent::SequenceEnd => self.close(EventKind::SequenceEnd, start, end),
                RawEvent::MappingEnd => self.close(EventKind::MappingEnd, start, end),
            }
            if let Some(ending) = self.over_budget(start) {
                return ending;
            }
        }
        if documents == 0 { Ending::Empty } else { Ending::Complete }
    }

    fn over_budget(&self, at: usize) -> Option<Ending> {
        let (kind, message) = if self.depth > NESTING_MAX {
            (SyntaxKind::TooDeep, "Maximum object depth exceeded")
        } else if self.events.len() > EVENTS_MAX {
            (SyntaxKind::TooLong, "Maximum YAML nodes exceeded")
        } else {
            return None;
        };
        Some(Ending::Broken(SyntaxError { kind, span: self.span(at, at), message: message.to_owned() }))
    }

    fn scalar(&mut self, value: &str, style: RawStyle, tag: Option<&Tag>, start: usize, end: usize) {
        let style = match style {
            RawStyle::Plain => ScalarStyle::Plain,
            RawStyle::SingleQuoted => ScalarStyle::SingleQuoted,
            RawStyle::DoubleQuoted => ScalarStyle::DoubleQuoted,
            RawStyle::Literal => ScalarStyle::Literal,
            RawStyle::Folded => ScalarStyle::Folded,
        };
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let (start, end) = if start == end && value.is_empty() && style == ScalarStyle::Plain {
            let start = self.locator.empty(self.end, start);
            (start, start)
        } else if is_block {
            // The parser's end is at the next token; the scalar's own is the end of its last line with text.
            let start = self.locator.block_scalar(self.end, start);
            let trimmed = self.text.get(start..end).map_or(end, |raw| start + raw.trim_end().len());
            (start, trimmed)
        } else {
            (start, end)
        };
        let value = if is_block { self.without_invented_break(value, end) } else { value };
        let tag = tag.map(|tag| format!("{}{}", tag.handle, tag.suffix).into_boxed_str());
        self.push(EventKind::Scalar(Scalar { text: Arc::from(value), style, tag }), start, end);
    }

    /// A block scalar that ends with the text, where the text has no final line break: the parser adds one that
    /// GitHub's does not.
    fn without_invented_break<'v>(&self, value: &'v str, end: usize) -> &'v str {
        let at_end = self.text.get(end..).is_none_or(|rest| rest.trim().is_empty());
        let value_without = value.strip_suffix('\n');
        if at_end && !self.text.ends_with(['\n', '\r']) { value_without.unwrap_or(value) } else { value }
    }

    fn open(&mut self, start: usize) {
        self.depth += 1;
        let bracket = self.text.as_bytes().get(start).is_some_and(|byte| matches!(byte, b'[' | b'{'));
        self.flow.push(bracket.then_some(start));
    }

    fn close(&mut self, kind: EventKind, start: usize, end: usize) {
        self.depth = self.depth.saturating_sub(1);
        self.flow.pop();
        self.push(kind, start, end);
    }

    fn push(&mut self, kind: EventKind, start: usize, end: usize) {
        let span = self.span(start, end);
        self.events.push(Event { kind, span });
        self.end = end;
    }

    /// Remembers that the next event has this anchor; 0 is none.
    fn anchor(&mut self, anchor: usize) {
        if anchor > 0 {
            self.anchors.resize(self.anchors.len().max(anchor), 0);
            self.anchors[anchor - 1] = self.events.len();
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let offset = |at: usize| u32::try_from(self.written(at)).unwrap_or(u32::MAX);
        Span::new(self.file, offset(start), offset(end))
    }

    /// A place in the text as it was written.
    fn written(&self, at: usize) -> usize {
        self.padded.map_or(at, |padded| padded.original(at))
    }

    fn syntax_error(&mut self, error: &ScanError) -> SyntaxError {
        let start = self.locator.offset(*error.marker());
        self.broken_at = Some(start);
        if error.info().starts_with("invalid indentation") {
            // The events may lag behind: a bracket that nothing follows on its line has none yet.
            let open = self.flow.iter().flatten().next().copied();
            self.refused_indentation = Some((open.unwrap_or(self.end), start));
        }
        if error.info().contains("unknown anchor") {
            let name: String = self.text[start..].chars().skip(1).take_while(|c| is_anchor_name(*c)).collect();
            let span = self.span(start, start + 1 + name.len());
            return SyntaxError { kind: SyntaxKind::UnknownAnchor, span, message: format!("Unknown anchor '{name}'") };
        }
        let (kind, text) = translate(error.info());
        let span = self.span(start, self.text[start..].chars().next().map_or(start, |c| start + c.len_utf8()));
        let message = if kind == SyntaxKind::TooDeep {
            text
        } else {
            let place = self.mark(*error.marker(), start);
            format!("{place} - {place}: {text}")
        };
        SyntaxError { kind, span, message }
    }

    /// A place as GitHub writes it.
    fn mark(&self, marker: Marker, start: usize) -> String {
        let characters = |from: usize| self.written_characters(from, start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let (column, index) = match self.padded {
            None => (marker.col(), marker.index()),
            Some(_) => (characters(line_start), characters(0)),
        };
        format!("(Line: {}, Col: {}, Idx: {index})", marker.line(), column + 1)
    }

    /// How many characters were written between two places.
    fn written_characters(&self, from: usize, to: usize) -> usize {
        let added = (to - from) - (self.written(to) - self.written(from));
        self.text[from..to].chars().count() - added
    }
}

fn is_anchor_name(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '[' | ']' | '{' | '}' | ',')
}
