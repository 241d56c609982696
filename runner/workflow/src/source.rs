//! Source texts and positions in them: which file, which byte, which line and column.
//!
//! Positions are kept as byte offsets, since those are cheap and can be cut; lines and columns are computed when
//! somebody wants to read them.

use std::sync::Arc;

/// One file of a reading session, numbered in the order in which it was added (the workflow itself is 0, the reusable
/// workflows that it calls follow).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FileId(pub u16);

/// A half-open range of bytes in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// A span in a file. Offsets fit `u32`, since files are bounded far below 4 GiB.
    #[must_use]
    pub const fn new(file: FileId, start: u32, end: u32) -> Self {
        Self { file, start, end }
    }

    /// The empty span at its start.
    #[must_use]
    pub const fn at_start(self) -> Self {
        Self { file: self.file, start: self.start, end: self.start }
    }

    /// From the start of this span to the end of a later one in the same file.
    #[must_use]
    pub const fn to(self, last: Self) -> Self {
        Self { file: self.file, start: self.start, end: last.end }
    }

    /// A part of this span: `from..to` are byte offsets inside it, clamped to it.
    #[must_use]
    pub fn part(self, from: usize, to: usize) -> Self {
        let clamp = |offset: usize| {
            u32::try_from(offset).map_or(self.end, |offset| self.start.saturating_add(offset).min(self.end))
        };
        Self { file: self.file, start: clamp(from), end: clamp(to) }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins the two.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A place that a person can go to: both numbers start at 1, columns count characters (Unicode scalar values), as
/// editors and GitHub's messages do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A text with a name, and the starts of its lines.
#[derive(Debug, Clone)]
pub struct SourceFile {
    name: Arc<str>,
    text: Arc<str>,
    line_starts: Arc<[u32]>,
}

impl SourceFile {
    /// Keeps a text under the name that messages will use (for a workflow: its path in the repository).
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let starts = std::iter::once(0)
            .chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1))
            .map_while(|at| u32::try_from(at).ok())
            .collect();
        Self { name: name.into(), text, line_starts: starts }
    }

    /// The name that messages use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset; offsets past the end give the end.
    #[must_use]
    pub fn position(&self, offset: u32) -> Position {
        let index = self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.line_starts.get(index).copied().unwrap_or(0) as usize;
        let end = (offset as usize).min(self.text.len());
        let column = self.text.get(start..end).map_or(0, |part| part.chars().count());
        Position { line: saturating(index + 1), column: saturating(column + 1) }
    }

    /// Byte offset of a line and column, both from 1; beyond a line's end gives the line's end.
    #[must_use]
    pub fn offset(&self, position: Position) -> u32 {
        let index = (position.line as usize).saturating_sub(1);
        let start = self.line_starts.get(index).copied().unwrap_or_else(|| saturating(self.text.len()));
        let line = self.line(position.line);
        let inside = line.char_indices().nth((position.column as usize).saturating_sub(1));
        start.saturating_add(saturating(inside.map_or(line.len(), |(at, _)| at)))
    }

    /// A line's text without its line break, `""` past the end. Lines count from 1.
    #[must_use]
    pub fn line(&self, line: u32) -> &str {
        let index = (line as usize).saturating_sub(1);
        let Some(start) = self.line_starts.get(index).map(|start| *start as usize) else { return "" };
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |end| *end as usize);
        self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }
}

/// The files of one reading session, by [`FileId`].
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Adds a file and gives its number. At most `u16::MAX` files; more share the last number.
    pub fn add(&mut self, file: SourceFile) -> FileId {
        let id = FileId(u16::try_from(self.files.len()).unwrap_or(u16::MAX));
        self.files.push(file);
        id
    }

    /// The file with that number.
    #[must_use]
    pub fn get(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(usize::from(id.0))
    }

    /// All files, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    /// File name and both ends of a span.
    #[must_use]
    pub fn locate(&self, span: Span) -> Option<(&str, Position, Position)> {
        let file = self.get(span.file)?;
        Some((file.name(), file.position(span.start), file.position(span.end)))
    }
}

fn saturating(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_go_both_ways() {
        let file = SourceFile::new("a.yml", "on: push\nnäme: ü x\r\nlast");
        for (offset, line, column) in [(0, 1, 1), (4, 1, 5), (9, 2, 1), (16, 2, 7), (25, 3, 4), (99, 3, 5)] {
            assert_eq!(file.position(offset), Position { line, column }, "offset {offset}");
        }
        assert_eq!(file.offset(Position { line: 2, column: 7 }), 16);
        assert_eq!(file.offset(Position { line: 2, column: 99 }), 20);
        assert_eq!(file.offset(Position { line: 99, column: 1 }), 26);
        assert_eq!(file.line(2), "näme: ü x");
    }
}
