//! Where the lines of a log are: every so many lines a mark with its place and what was going on there, so that any
//! part is read without what is before it. Kept in memory and carried on as the file grows.
//!
//! A line ends at a line feed or after [`LINE_BYTES_MAX`]: a file without any is many lines (U13).

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::paint::pass;
use super::style::Style;

/// Longest line.
pub(crate) const LINE_BYTES_MAX: u64 = 64 * 1_024;
/// Lines between two marks.
const MARK_LINES: u64 = 1_024;
/// Places of errors that are known of one log.
const ERRORS_MAX: usize = 1_000;
/// Logs that are known at once.
const LOGS_MAX: usize = 512;

/// What goes on from one line to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) style: Style,
    pub(crate) in_group: bool,
}

impl State {
    fn pass(&mut self, line: &[u8]) {
        if line.starts_with(b"##[group]") {
            self.in_group = true;
        } else if line.starts_with(b"##[endgroup]") {
            self.in_group = false;
        }
        if line.contains(&b'\x1b') || line.contains(&0xc2) {
            pass(&mut self.style, &String::from_utf8_lossy(line));
        }
    }
}

/// What is known of one file.
#[derive(Debug, Clone, Default)]
struct Index {
    /// Bytes in whole lines.
    at: u64,
    lines: u64,
    state: State,
    marks: Vec<(u64, State)>,
    errors: Vec<u64>,
    /// Bytes behind the last line feed.
    rest: u64,
}

/// A part of a log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    /// Number of the first, from 1.
    pub(crate) first: u64,
    pub(crate) lines: Vec<Vec<u8>>,
    /// Before the first.
    pub(crate) state: State,
    /// Where the first begins, in bytes.
    pub(crate) begin: u64,
}

/// How long a log is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Length {
    /// Lines; one without a line feed at the end counts.
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    /// Whether the last line has no end yet.
    pub(crate) is_open: bool,
    /// Lines with errors, the first ones.
    pub(crate) errors: Vec<u64>,
}

/// The logs that somebody looks at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<HashMap<PathBuf, Arc<Mutex<Index>>>>>);

impl Logs {
    fn of(&self, path: &Path) -> Arc<Mutex<Index>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= LOGS_MAX && !known.contains_key(path) {
            // Finding places again costs one reading; which one is forgotten hardly matters.
            known.clear();
        }
        Arc::clone(known.entry(path.to_owned()).or_default())
    }

    /// Reads on to the end of the file. It blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn length(&self, path: &Path) -> std::io::Result<Length> {
        let index = self.of(path);
        let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
        index.read_on(path)?;
        let lines = index.lines + u64::from(index.rest > 0);
        Ok(Length { lines, bytes: index.at + index.rest, is_open: index.rest > 0, errors: index.errors.clone() })
    }

    /// At most `count` lines from number `first` on, and at most `bytes` of them. It blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn lines(&self, path: &Path, first: u64, count: u64, bytes: u64) -> std::io::Result<Lines> {
        let (mut number, mut at, mut state) = {
            let index = self.of(path);
            let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
            index.read_on(path)?;
            let mark = (first.saturating_sub(1) / MARK_LINES).min(index.marks.len() as u64);
            match mark.checked_sub(1).and_then(|mark| index.marks.get(usize::try_from(mark).ok()?)) {
                Some((at, state)) => (mark * MARK_LINES + 1, *at, *state),
                None => (1, 0, State::default()),
            }
        };
        let mut reader = BufReader::with_capacity(64 * 1_024, File::open(path)?);
        reader.seek(SeekFrom::Start(at))?;
        let mut line = Vec::new();
        while number < first && next(&mut reader, &mut line)? {
            at += line.len() as u64;
            state.pass(text(&line));
            number += 1;
        }
        let mut part = Lines { first: number, lines: Vec::new(), state, begin: at };
        let mut taken = 0;
        while (part.lines.len() as u64) < count && taken < bytes && next(&mut reader, &mut line)? {
            taken += line.len() as u64;
            part.lines.push(text(&line).to_vec());
        }
        Ok(part)
    }
}

impl Index {
    fn read_on(&mut self, path: &Path) -> std::io::Result<()> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        if size == self.at + self.rest {
            return Ok(());
        }
        if size < self.at {
            *self = Self::default();
        }
        let mut reader = BufReader::with_capacity(256 * 1_024, file);
        reader.seek(SeekFrom::Start(self.at))?;
        let mut line = Vec::new();
        self.rest = 0;
        while next(&mut reader, &mut line)? {
            if !line.ends_with(b"\n") && (line.len() as u64) < LINE_BYTES_MAX {
                self.rest = line.len() as u64;
                return Ok(());
            }
            self.at += line.len() as u64;
            self.lines += 1;
            if line.starts_with(b"##[error]") && self.errors.len() < ERRORS_MAX {
                self.errors.push(self.lines);
            }
            self.state.pass(text(&line));
            if self.lines.is_multiple_of(MARK_LINES) {
                self.marks.push((self.at, self.state));
            }
        }
        Ok(())
    }
}

/// One line with its end; false where there is none.
fn next(reader: &mut BufReader<File>, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)?;
    Ok(!line.is_empty())
}

fn text(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn any_part_is_found_while_the_log_grows() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let logs = Logs::default();
        for round in 0..3_u64 {
            for number in round * 2_000..(round + 1) * 2_000 {
                writeln!(file, "{}line {}", if number == 1_500 { "\u{1b}[31m" } else { "" }, number + 1).unwrap();
            }
            write!(file, "open").unwrap();
            let length = logs.length(file.path()).unwrap();
            assert_eq!(length.lines, (round + 1) * 2_000 + 1);
            for first in [1, 2, 1_024, 1_025, 1_026, 2_000] {
                let part = logs.lines(file.path(), first, 2, 1_000).unwrap();
                assert_eq!(part.first, first);
                assert_eq!(
                    String::from_utf8_lossy(&part.lines[0]).trim_start_matches("\u{1b}[31m"),
                    format!("line {first}")
                );
                assert_eq!(part.state.style == Style::default(), first <= 1_501, "{first}");
            }
            file.as_file_mut().set_len(length.bytes - 4).unwrap();
            file.as_file_mut().seek(SeekFrom::End(0)).unwrap();
        }
        assert!(logs.lines(file.path(), 100_000, 5, 1_000).unwrap().lines.is_empty());
    }

    #[test]
    fn a_file_of_one_line_is_many_short_ones() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'x'; 5 << 20]).unwrap();
        let logs = Logs::default();
        assert_eq!(logs.length(file.path()).unwrap().lines, 80);
        let part = logs.lines(file.path(), 70, 1_000, 200_000).unwrap();
        assert_eq!((part.first, part.lines.len()), (70, 4));
    }

    #[test]
    fn errors_are_known_by_their_lines() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a\n##[error]b\nc\n##[error]d\n").unwrap();
        assert_eq!(Logs::default().length(file.path()).unwrap().errors, [2, 4]);
    }
}
