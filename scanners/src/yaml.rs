//! A small tree of YAML with places, for the files that people write for the scanners.
//!
//! The events are those of `workflow`'s reader, so that a policy is read as strictly as a workflow and errors have lines
//! and columns. Aliases are not followed: nothing in these files is long enough to need them. It says nothing about what a
//! file means. Follows <https://yaml.org/spec/1.2.2/>.

use std::sync::Arc;

use workflow::diagnostic::{Code, Diagnostic};
use workflow::source::{FileId, Span};
use workflow::yaml::{Ending, EventKind, Literal, parse, resolve};

/// Longest file that is read.
pub(crate) const FILE_BYTES_MAX: usize = 1024 * 1024;
/// How deep lists and mappings may nest.
const NESTING_MAX: usize = 32;
/// The text is no YAML, or uses something that these files have no need for.
const NOT_YAML: Code = Code("P0801");

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    /// The number, and as it was written.
    Number(f64, Arc<str>),
    Text(Arc<str>),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// What it is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Boolean(_) => "a boolean",
            Value::Number(..) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The words of a scalar that is not null.
    pub(crate) fn words(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(_, text) => Some(text),
            Value::Boolean(true) => Some("true"),
            Value::Boolean(false) => Some("false"),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// Reads one document. A file without one is `Null`.
///
/// # Errors
/// What is wrong, once: behind a syntax error nothing is known.
pub(crate) fn read(text: &str, file: FileId) -> Result<Node, Box<Diagnostic>> {
    let start = Span::new(file, 0, 0);
    if text.len() > FILE_BYTES_MAX {
        return Err(wrong(start, format!("the file is longer than {FILE_BYTES_MAX} bytes")));
    }
    let stream = parse(text, file);
    match &stream.ending {
        Ending::Complete => {}
        Ending::Empty => return Ok(Node { value: Value::Null, span: start }),
        Ending::AnotherDocument(span) => {
            let problem = plain(*span, "a second document begins here");
            return Err(Box::new(problem.help("keep one document in a file")));
        }
        Ending::Broken(error) => {
            let message = error.message.rsplit(": ").next().unwrap_or(&error.message).trim_end_matches('.');
            return Err(wrong(error.span, format!("this is not YAML: {message}")));
        }
    }
    build(&stream.events)
}

/// A collection that is being filled.
struct Open {
    node: Node,
    key: Option<(Arc<str>, Span)>,
}

fn build(events: &[workflow::yaml::Event]) -> Result<Node, Box<Diagnostic>> {
    let mut open: Vec<Open> = Vec::new();
    for event in events {
        let span = event.span;
        let begin = |value| Open { node: Node { value, span }, key: None };
        let done = match &event.kind {
            EventKind::SequenceStart | EventKind::MappingStart if open.len() >= NESTING_MAX => {
                let message = format!("lists and mappings are nested more than {NESTING_MAX} deep");
                return Err(wrong(span, message));
            }
            EventKind::SequenceStart => {
                open.push(begin(Value::List(Vec::new())));
                continue;
            }
            EventKind::MappingStart => {
                open.push(begin(Value::Map(Vec::new())));
                continue;
            }
            EventKind::Alias(_) => {
                let problem = plain(span, "aliases (`*name`) are not read here");
                return Err(Box::new(problem.help("write the value again")));
            }
            EventKind::Scalar(scalar) => Some(Node { value: literal(scalar, span)?, span }),
            EventKind::SequenceEnd | EventKind::MappingEnd => open.pop().map(|open| open.node),
        };
        let Some(done) = done else { continue };
        match open.last_mut() {
            Some(parent) => put(parent, done)?,
            None => return Ok(done),
        }
    }
    // A complete stream is balanced, so that its outermost node has been returned.
    Ok(Node { value: Value::Null, span: Span::default() })
}

fn put(parent: &mut Open, done: Node) -> Result<(), Box<Diagnostic>> {
    match (&mut parent.node.value, parent.key.take()) {
        (Value::Map(entries), Some((key, key_span))) => {
            if let Some(earlier) = entries.iter().find(|entry| entry.key == key) {
                let problem = plain(key_span, format!("`{key}` is there twice"));
                return Err(Box::new(problem.related(earlier.key_span, "it is here first")));
            }
            entries.push(Entry { key, key_span, value: done });
        }
        (Value::Map(_), None) => match done.words() {
            Some(words) => parent.key = Some((Arc::from(words), done.span)),
            None => return Err(wrong(done.span, format!("a key cannot be {}", done.kind()))),
        },
        (Value::List(items), _) => items.push(done),
        (Value::Null | Value::Boolean(_) | Value::Number(..) | Value::Text(_), _) => {}
    }
    Ok(())
}

fn plain(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(NOT_YAML, span, message)
}

fn wrong(span: Span, message: impl Into<String>) -> Box<Diagnostic> {
    Box::new(plain(span, message))
}

fn literal(scalar: &workflow::yaml::Scalar, span: Span) -> Result<Value, Box<Diagnostic>> {
    let found = resolve(scalar).map_err(|error| wrong(span, error.to_string()))?;
    Ok(match found {
        Literal::Null => Value::Null,
        Literal::Boolean(value) => Value::Boolean(value),
        Literal::Number(number) => Value::Number(number, Arc::clone(&scalar.text)),
        Literal::String(text) => Value::Text(text),
    })
}
