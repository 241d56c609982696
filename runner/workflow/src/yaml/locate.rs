//! Where GitHub says that an event is, in bytes.
//!
//! The parser below us counts characters and puts some events elsewhere than GitHub's does: a block scalar at its
//! first line instead of its `|`, an empty value at the next token instead of after its `:`, and a sequence that is
//! not indented at its first item instead of its `-`. Those places are found again in the text.

use saphyr_parser::Marker;

/// Finds byte offsets in one text.
pub(super) struct Locator<'a> {
    text: &'a str,
    /// Byte offset of each character, only where the text has any beyond ASCII.
    offsets: Option<Vec<u32>>,
}

impl<'a> Locator<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let offsets = (!text.is_ascii())
            .then(|| text.char_indices().map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)).collect());
        Self { text, offsets }
    }

    /// The byte offset of a marker.
    pub(super) fn offset(&self, marker: Marker) -> usize {
        let index = marker.index();
        let offset = match &self.offsets {
            None => index,
            Some(offsets) => offsets.get(index).map_or(self.text.len(), |offset| *offset as usize),
        };
        offset.min(self.text.len())
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The first place from `at` on that is neither white space nor in a comment.
    fn skip_blank(&self, mut at: usize) -> usize {
        while let Some(byte) = self.byte(at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => at += 1,
                b'#' => {
                    let rest = &self.text.as_bytes()[at..];
                    at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                _ => break,
            }
        }
        at
    }

    /// The first place from `end` on that is no tag or anchor of a collection that begins there either.
    fn skip_properties(&self, end: usize) -> usize {
        let mut at = self.skip_blank(end);
        while matches!(self.byte(at), Some(b'!' | b'&')) {
            let rest = &self.text.as_bytes()[at..];
            let length = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            at = self.skip_blank(at + length);
        }
        at
    }

    /// After the `:`, `-` or `?` that follows `end`, the end of the event before; `end` itself where there is none.
    fn after_indicator(&self, end: usize) -> Option<usize> {
        let at = self.skip_properties(end);
        matches!(self.byte(at), Some(b':' | b'-' | b'?')).then_some(at + 1)
    }

    /// The place of an empty value, given the end of the event before.
    pub(super) fn empty(&self, end: usize, reported: usize) -> usize {
        self.after_indicator(end).unwrap_or(reported)
    }

    /// The place of a block scalar's `|` or `>`.
    pub(super) fn block_scalar(&self, end: usize, reported: usize) -> usize {
        if matches!(self.byte(reported), Some(b'!' | b'&')) {
            return reported;
        }
        let mut at = self.skip_properties(end);
        while let Some(next) = self.after_indicator(at) {
            at = self.skip_blank(next);
        }
        if matches!(self.byte(at), Some(b'|' | b'>')) && at <= reported { at } else { reported }
    }

    /// The place of a sequence.
    pub(super) fn sequence(&self, end: usize, reported: usize) -> usize {
        // Only the value of a key may be a sequence that is not indented.
        let colon = self.skip_blank(end);
        if !matches!(self.byte(colon), Some(b':' | b'?')) {
            return reported;
        }
        let dash = self.skip_blank(colon + 1);
        if self.byte(dash) == Some(b'-') && dash < reported { dash } else { reported }
    }
}
