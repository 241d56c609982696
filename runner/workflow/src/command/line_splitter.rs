//! Cuts a byte stream into lines with bounded memory.
//!
//! It does not decode and does not lose a byte: all pieces in order, each with its ending, are the stream. Lines end with `\n`,
//! `\r\n` or `\r`, as for GitHub's runner, so a command behind a progress bar is seen.
//!
//! Nearly all output is no command, and most steps print much. So it looks for what every command holds, in one pass over
//! whole chunks, rather than at each line.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::parse::{COMMAND_MARKS, may_be_command};

/// Longest line that is looked at as a command or by problem matchers: an output value of 1 MiB and room for its name.
/// A longer line passes as it is, in parts.
pub const COMMAND_LINE_BYTES_MAX: usize = (1 << 20) + 4096;

/// What the splitter found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A complete line and what ended it: `\n`, `\r\n`, `\r`, or nothing at the end of the stream.
    Line {
        /// The line without its ending.
        text: &'a [u8],
        /// The ending.
        ending: &'a [u8],
    },
    /// Whole lines with their endings, none of which is a command; [`each_line`] cuts them.
    Lines(&'a [u8]),
    /// Bytes to pass on unexamined: a part of a line that is too long or was released early.
    Part(&'a [u8]),
}

/// What a line must hold to be a command.
static MARKS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| COMMAND_MARKS.map(Finder::new));

/// The state between two chunks.
#[derive(Debug, Default)]
pub struct LineSplitter {
    held: Vec<u8>,
    /// The current line is passing in parts.
    passing: bool,
    /// The last byte was a `\r`; a `\n` now belongs to it.
    after_return: bool,
}

impl LineSplitter {
    /// Whether it stands between two lines and holds nothing back.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.held.is_empty() && !self.passing && !self.after_return
    }

    /// A splitter at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk and hands its pieces to `sink` in order.
    pub fn push(&mut self, mut chunk: &[u8], mut sink: impl FnMut(Piece<'_>)) {
        if self.after_return && !chunk.is_empty() {
            self.after_return = false;
            if let Some(rest) = chunk.strip_prefix(b"\n") {
                sink(Piece::Part(b"\n"));
                chunk = rest;
            }
        }
        if let Some(last) = memchr::memrchr2(b'\n', b'\r', chunk) {
            self.after_return = chunk[last] == b'\r' && last + 1 == chunk.len();
            let (mut whole, rest) = chunk.split_at(last + 1);
            chunk = rest;
            if self.passing || !self.held.is_empty() {
                let (text, ending, after) = first_line(whole);
                self.line(text, ending, &mut sink);
                whole = after;
            }
            whole_lines(whole, &mut sink);
        }
        if self.passing {
            if !chunk.is_empty() {
                sink(Piece::Part(chunk));
            }
        } else if self.held.len() + chunk.len() > COMMAND_LINE_BYTES_MAX {
            self.pass(&mut sink);
            sink(Piece::Part(chunk));
        } else {
            self.held.extend_from_slice(chunk);
        }
    }

    fn line(&mut self, text: &[u8], ending: &[u8], sink: &mut impl FnMut(Piece<'_>)) {
        if self.passing || self.held.len() + text.len() > COMMAND_LINE_BYTES_MAX {
            self.pass(sink);
            for part in [text, ending] {
                if !part.is_empty() {
                    sink(Piece::Part(part));
                }
            }
            self.passing = false;
        } else {
            self.held.extend_from_slice(text);
            sink(Piece::Line { text: &self.held, ending });
            self.held.clear();
        }
    }

    fn pass(&mut self, sink: &mut impl FnMut(Piece<'_>)) {
        self.passing = true;
        if !self.held.is_empty() {
            sink(Piece::Part(&self.held));
            self.held = Vec::new();
        }
    }

    /// The stream has been silent for a while: lets an unfinished line go, so that a prompt appears, unless it may become
    /// a command. The rest of that line follows in parts.
    pub fn release(&mut self, mut sink: impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() && !may_be_command(&self.held) {
            self.pass(&mut sink);
        }
    }

    /// The end of the stream: what is held is the last line.
    pub fn finish(&mut self, mut sink: impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() {
            sink(Piece::Line { text: &self.held, ending: b"" });
        }
        *self = Self::default();
    }
}

/// Cuts what [`Piece::Lines`] holds, or a part of it.
pub fn each_line(mut lines: &[u8], mut sink: impl FnMut(Piece<'_>)) {
    while !lines.is_empty() {
        let (text, ending, after) = first_line(lines);
        lines = after;
        give(text, ending, &mut sink);
    }
}

/// Text, ending and what follows. Without an ending all is text.
fn first_line(lines: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let at = memchr::memchr2(b'\n', b'\r', lines).unwrap_or(lines.len());
    let (text, rest) = lines.split_at(at);
    let ending = if rest.starts_with(b"\r\n") { 2 } else { rest.len().min(1) };
    let (ending, after) = rest.split_at(ending);
    (text, ending, after)
}

fn give(text: &[u8], ending: &[u8], sink: &mut impl FnMut(Piece<'_>)) {
    if text.len() <= COMMAND_LINE_BYTES_MAX {
        return sink(Piece::Line { text, ending });
    }
    for part in [text, ending] {
        if !part.is_empty() {
            sink(Piece::Part(part));
        }
    }
}

/// Gives whole lines, those that may be commands one by one, the others together.
fn whole_lines(lines: &[u8], sink: &mut impl FnMut(Piece<'_>)) {
    let mut given = 0;
    // For each mark where its next line begins, so that a mark that is rare is not looked for again and again.
    let mut next = MARKS.each_ref().map(|mark| candidate(mark, lines, 0));
    while let Some(start) = next.iter().flatten().min().copied() {
        if given < start {
            sink(Piece::Lines(&lines[given..start]));
        }
        let (text, ending, after) = first_line(&lines[start..]);
        give(text, ending, sink);
        given = lines.len() - after.len();
        for (mark, next) in MARKS.iter().zip(&mut next) {
            if next.is_some_and(|next| next < given) {
                *next = candidate(mark, lines, given);
            }
        }
    }
    if given < lines.len() {
        sink(Piece::Lines(&lines[given..]));
    }
}

/// Where the first line from `from` on begins that may be a command with this mark. A line begins at `from`.
fn candidate(mark: &Finder<'_>, lines: &[u8], mut from: usize) -> Option<usize> {
    while let Some(found) = mark.find(&lines[from..]) {
        let at = from + found;
        let start = memchr::memrchr2(b'\n', b'\r', &lines[from..at]).map_or(from, |end| from + end + 1);
        if may_be_command(&lines[start..=at]) {
            return Some(start);
        }
        // The first mark of a line decides: what stands before a later one is no white space.
        from = memchr::memchr2(b'\n', b'\r', &lines[at..]).map_or(lines.len(), |end| at + end + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{COMMAND_LINE_BYTES_MAX, LineSplitter, Piece, each_line, may_be_command};

    fn show(piece: Piece<'_>) -> String {
        match piece {
            Piece::Line { text, ending } => format!("{}|{}", text.escape_ascii(), ending.escape_ascii()),
            Piece::Lines(lines) => format!("={}", lines.escape_ascii()),
            Piece::Part(part) => format!("~{}", part.escape_ascii()),
        }
    }

    #[test]
    fn pieces() {
        for (chunks, expect) in [
            (&["a\nb\n"][..], &["=a\\nb\\n"][..]),
            (&["a", "b", "\nc"], &["ab|\\n", "c|"]),
            (&["a\r\nb\rc\n"], &["=a\\r\\nb\\rc\\n"]),
            (&["a\r", "\nb\r", "c"], &["=a\\r", "~\\n", "=b\\r", "c|"]),
            (&["a\r", "", "\nb"], &["=a\\r", "~\\n", "b|"]),
            (&["\n\n"], &["=\\n\\n"]),
            (&["a\n::b\r\nc\nd"], &["=a\\n", "::b|\\r\\n", "=c\\n", "d|"]),
            (&["::a\r ##[b]\n\u{a0}::c\n"], &["::a|\\r", " ##[b]|\\n", "\\xc2\\xa0::c|\\n"]),
            (&["a::b\nc ##[d]\n\n::e ##[f\n"], &["=a::b\\nc ##[d]\\n\\n", "::e ##[f|\\n"]),
            (&["x", "::a\n::b\n"], &["x::a|\\n", "::b|\\n"]),
            (&[""], &[]),
        ] {
            let (mut splitter, mut found) = (LineSplitter::new(), Vec::new());
            chunks.iter().for_each(|chunk| splitter.push(chunk.as_bytes(), |piece| found.push(show(piece))));
            splitter.finish(|piece| found.push(show(piece)));
            assert_eq!(found, expect, "{chunks:?}");
        }
    }

    #[test]
    fn a_line_without_end_passes_in_parts() {
        let (mut splitter, mut lines, mut bytes) = (LineSplitter::new(), 0, 0);
        let chunk = vec![b'x'; 64 << 10];
        for _ in 0..1024 {
            splitter.push(&chunk, |piece| match piece {
                Piece::Line { .. } => lines += 1,
                Piece::Lines(part) | Piece::Part(part) => bytes += part.len(),
            });
            assert!(splitter.held.capacity() <= 2 * COMMAND_LINE_BYTES_MAX);
        }
        splitter.push(b"end\n::debug::x\n", |piece| match piece {
            Piece::Line { text, .. } => assert_eq!(text, b"::debug::x"),
            Piece::Lines(part) | Piece::Part(part) => bytes += part.len(),
        });
        assert_eq!((lines, bytes), (0, (64 << 20) + 4));
        let whole = [vec![b'y'; COMMAND_LINE_BYTES_MAX + 1], b"\nz\n".to_vec()].concat();
        let mut found = Vec::new();
        splitter.push(&whole, |piece| found.push(show(piece).len()));
        assert_eq!(found, [whole.len() + 3], "also within one chunk");
        found.clear();
        each_line(&whole, |piece| found.push(show(piece).len()));
        assert_eq!(found, [COMMAND_LINE_BYTES_MAX + 2, 3, 4]);
    }

    #[test]
    fn prompts_are_released_but_commands_are_not() {
        let (mut splitter, mut found) = (LineSplitter::new(), Vec::new());
        splitter.push(b"Password: ", |piece| found.push(show(piece)));
        splitter.release(|piece| found.push(show(piece)));
        splitter.push(b"::debug::no\n ::debug", |piece| found.push(show(piece)));
        splitter.release(|piece| found.push(show(piece)));
        splitter.push(b"::yes\n", |piece| found.push(show(piece)));
        assert_eq!(found, ["~Password: ", "~::debug::no", "~\\n", " ::debug::yes|\\n"]);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(chunks in prop::collection::vec("[a:\r\n]{0,6}", 0..8)) {
            let (mut splitter, mut all) = (LineSplitter::new(), Vec::new());
            let mut sink = |piece: Piece<'_>| match piece {
                Piece::Lines(lines) => all.extend_from_slice(lines),
                Piece::Line { text, ending } => {
                    all.extend_from_slice(text);
                    all.extend_from_slice(ending);
                }
                Piece::Part(part) => all.extend_from_slice(part),
            };
            chunks.iter().for_each(|chunk| splitter.push(chunk.as_bytes(), &mut sink));
            splitter.finish(&mut sink);
            prop_assert_eq!(all, chunks.concat().into_bytes());
        }

        #[test]
        fn every_line_that_may_be_a_command_is_seen(text in "([a# \n\r]|::|##\\[){0,40}") {
            let (mut splitter, mut found) = (LineSplitter::new(), Vec::new());
            splitter.push(text.as_bytes(), |piece| match piece {
                Piece::Line { text, .. } => found.push(text.to_vec()),
                Piece::Lines(_) | Piece::Part(_) => {}
            });
            splitter.finish(|_| {});
            let (whole, _) = text.split_at(text.rfind(['\n', '\r']).map_or(0, |at| at + 1));
            let lines = whole.split(['\n', '\r']).map(str::trim_start);
            let expect = lines.filter(|line| line.starts_with("::") || line.starts_with("##[")).count();
            prop_assert!(found.len() >= expect, "{:?}", found);
            prop_assert!(found.iter().all(|line| may_be_command(line)));
        }
    }
}
