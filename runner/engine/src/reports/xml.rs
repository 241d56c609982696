//! XML as test tools write it: read forward, nothing fetched, nothing expanded, no deeper than anybody means.
//!
//! A document that declares entities is refused, whatever they are for: no tool needs them, and they are how a small
//! file becomes a large one. Bytes that are not UTF-8 are taken as what the document says they are, as far as that is
//! one byte a character; what is left is replaced.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesStart, Event};

/// Deepest nesting.
const DEPTH_MAX: usize = 64;
/// Where an encoding is declared.
const DECLARATION_BYTES: usize = 256;

/// Why a report cannot be read, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is something else.
    #[error("it is no {expected} report: its root is <{found}>")]
    OtherRoot {
        /// What was looked for.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// It has no element at all.
    #[error("it is empty")]
    Empty,
    /// It declares entities.
    #[error("it declares entities, which are not expanded")]
    Entities,
    /// It is nested too deeply.
    #[error("it is nested more than {DEPTH_MAX} deep")]
    Depth,
    /// It ends before its end: a tool was killed while it wrote.
    #[error("it ends early, at byte {0}; what was before counts")]
    Cut(u64),
    /// It is not well formed.
    #[error("it is no XML at byte {at}: {reason}")]
    Malformed {
        /// Where.
        at: u64,
        /// Why.
        reason: String,
    },
    /// A line of another format cannot be read.
    #[error("line {line} cannot be read")]
    Line {
        /// From 1.
        line: usize,
    },
}

/// A piece of a document.
pub(super) enum Node<'a> {
    Open(BytesStart<'a>),
    Close,
    Text(Cow<'a, str>),
    End,
}

/// A document on its way.
pub(super) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    any: bool,
}

impl<'a> Xml<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Self { reader, depth: 0, any: false }
    }

    /// How many elements are open.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn next(&mut self) -> Result<Node<'a>, ReadError> {
        loop {
            let at = self.reader.buffer_position();
            let event = self.reader.read_event().map_err(|error| {
                let is_cut = matches!(error, quick_xml::Error::Syntax(_));
                if is_cut { ReadError::Cut(at) } else { ReadError::Malformed { at, reason: error.to_string() } }
            })?;
            match event {
                Event::Start(start) | Event::Empty(start) => {
                    self.any = true;
                    self.depth += 1;
                    return if self.depth > DEPTH_MAX { Err(ReadError::Depth) } else { Ok(Node::Open(start)) };
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Node::Close);
                }
                Event::Text(text) => return Ok(Node::Text(text.into_inner())),
                Event::CData(text) => return Ok(Node::Text(text.into_inner())),
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().ok().flatten().map(|c| Cow::Owned(c.to_string()));
                    let name = reference.into_inner();
                    let known = || resolve_predefined_entity(&name).map(Cow::Borrowed);
                    return Ok(Node::Text(character.or_else(known).unwrap_or_else(|| Cow::Owned(format!("&{name};")))));
                }
                Event::DocType(text) if text.contains("<!ENTITY") => return Err(ReadError::Entities),
                Event::DocType(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof if self.depth > 0 => return Err(ReadError::Cut(at)),
                Event::Eof if !self.any => return Err(ReadError::Empty),
                Event::Eof => return Ok(Node::End),
            }
        }
    }

    /// Goes behind the end of the element that was opened last.
    pub(super) fn skip(&mut self) -> Result<(), ReadError> {
        let outside = self.depth - 1;
        while self.depth > outside {
            if let Node::End = self.next()? {
                break;
            }
        }
        Ok(())
    }
}

/// The name of an element without its prefix.
pub(super) fn name(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

/// An attribute; `None` where it is absent or empty.
pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.attributes().with_checks(false).flatten().find(|found| found.key.as_ref() == name)?;
    let value = unescape(&found.value).map_or_else(|_| found.value.to_string(), Cow::into_owned);
    (!value.trim().is_empty()).then_some(value)
}

/// The text of a document.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let (pairs, little) = match bytes {
        [0xff, 0xfe, rest @ ..] => (rest, true),
        [0xfe, 0xff, rest @ ..] => (rest, false),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            return std::str::from_utf8(bytes).map_or_else(|_| of_one_byte(bytes), Cow::Borrowed);
        }
    };
    let units = pairs.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
    });
    Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

fn of_one_byte(bytes: &[u8]) -> Cow<'_, str> {
    let declared = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION_BYTES)]).to_ascii_lowercase();
    if ["iso-8859-1", "latin1", "windows-1252", "iso-8859-15"].iter().any(|name| declared.contains(name)) {
        return Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    String::from_utf8_lossy(bytes)
}
