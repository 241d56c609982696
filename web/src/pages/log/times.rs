//! When lines came, as far as it is known: a line has the time of the last mark before its first byte.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use engine::job::log_times;

use super::index::{LINE_BYTES_MAX, Lines};

/// Bytes of a log that are read for the times of all its lines.
const BYTES_MAX: u64 = 256 << 20;

/// From this line on (from 1), these milliseconds since 1970.
pub(crate) type Stamp = (u64, i64);

/// Of a part of a log. It blocks.
///
/// # Errors
/// The times cannot be read.
pub(crate) fn stamps(path: &Path, part: &Lines) -> std::io::Result<Vec<Stamp>> {
    // A line that was cut for its length has no line feed.
    let length = |line: &Vec<u8>| line.len() as u64 + u64::from((line.len() as u64) < LINE_BYTES_MAX);
    let end = part.begin + part.lines.iter().map(length).sum::<u64>();
    let marks = log_times(path, part.begin, end)?;
    let mut stamper = Stamper { marks: marks.into_iter().peekable(), now: None, stamps: Vec::new() };
    let mut at = part.begin;
    for (number, line) in (part.first..).zip(&part.lines) {
        stamper.line(number, at);
        at += length(line);
    }
    Ok(stamper.stamps)
}

/// Of a whole log. It blocks.
///
/// # Errors
/// The log or its times cannot be read.
pub(crate) fn of_log(path: &Path) -> std::io::Result<Vec<Stamp>> {
    let marks = log_times(path, 0, u64::MAX)?;
    if marks.is_empty() {
        return Ok(Vec::new());
    }
    let mut stamper = Stamper { marks: marks.into_iter().peekable(), now: None, stamps: Vec::new() };
    let mut reader = BufReader::with_capacity(256 * 1_024, File::open(path)?).take(BYTES_MAX);
    let (mut number, mut at, mut line) = (1, 0, Vec::new());
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok(stamper.stamps);
        }
        stamper.line(number, at);
        (number, at) = (number + 1, at + read);
    }
}

struct Stamper<I: Iterator<Item = (u64, i64)>> {
    marks: std::iter::Peekable<I>,
    now: Option<i64>,
    stamps: Vec<Stamp>,
}

impl<I: Iterator<Item = (u64, i64)>> Stamper<I> {
    fn line(&mut self, number: u64, at: u64) {
        let before = self.now;
        while let Some((_, ms)) = self.marks.next_if(|(place, _)| *place <= at) {
            self.now = Some(ms);
        }
        if let Some(ms) = self.now.filter(|_| self.now != before) {
            self.stamps.push((number, ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::log::Logs;

    #[test]
    fn lines_have_the_time_of_their_first_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0000.log");
        std::fs::write(&path, "one\ntwo\nthree\nfour\n").unwrap();
        assert_eq!(of_log(&path).unwrap(), []);
        let marks = [(0_u64, 10_i64), (5, 20), (8, 30), (8, 40)];
        let bytes: Vec<u8> = marks.iter().flat_map(|(at, ms)| [at.to_le_bytes(), ms.to_le_bytes()].concat()).collect();
        std::fs::write(path.with_extension("times"), bytes).unwrap();
        assert_eq!(of_log(&path).unwrap(), [(1, 10), (3, 40)]);
        for (first, expected) in [(1, vec![(1, 10), (3, 40)]), (2, vec![(2, 10), (3, 40)]), (4, vec![(4, 40)])] {
            let part = Logs::default().lines(&path, first, 10, 1_000).unwrap();
            assert_eq!(stamps(&path, &part).unwrap(), expected, "{first}");
        }
    }
}
