//! A text in a log: how often, and in which lines. Letters count the same whether they are large or small.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::index::LINE_BYTES_MAX;
use super::paint::plain;

/// Lines whose numbers are given; all are counted.
const LISTED_MAX: usize = 10_000;
/// So much of an annotation is looked for.
const BEGIN_BYTES_MAX: usize = 1_024;
/// Most that is read of one log.
const BYTES_MAX: u64 = 512 << 20;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Lines that have it.
    pub(crate) total: u64,
    /// Their numbers from 1, the first ones.
    pub(crate) lines: Vec<u64>,
    /// Whether the log is longer than what was read.
    pub(crate) is_cut: bool,
}

/// Looks for a text that is not empty. It blocks.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn search(path: &Path, wanted: &str) -> std::io::Result<Found> {
    let wanted = wanted.to_lowercase();
    let file = File::open(path)?;
    let is_cut = file.metadata()?.len() > BYTES_MAX;
    let mut reader = BufReader::with_capacity(256 * 1_024, file.take(BYTES_MAX));
    let mut found = Found { is_cut, ..Found::default() };
    let (mut line, mut text) = (Vec::new(), String::new());
    for number in 1.. {
        line.clear();
        reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if has(&line, &wanted, &mut text) {
            found.total += 1;
            if found.lines.len() < LISTED_MAX {
                found.lines.push(number);
            }
        }
    }
    Ok(found)
}

/// The line of an annotation: the first one of its level that begins with what it says. It blocks.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn line_of(path: &Path, level: &str, text: &str) -> std::io::Result<Option<u64>> {
    let first = text.lines().next().unwrap_or_default();
    let begin = format!("##[{level}]{first}").into_bytes();
    let begin = &begin[..begin.len().min(BEGIN_BYTES_MAX)];
    let mut reader = BufReader::with_capacity(256 * 1_024, File::open(path)?.take(BYTES_MAX));
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if line.starts_with(begin) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Most lines are plain or nearly, and most do not have it.
fn has(line: &[u8], wanted: &str, text: &mut String) -> bool {
    let has_sequence = line.contains(&b'\x1b');
    if wanted.is_ascii() && !has_sequence {
        return has_ascii(line, wanted.as_bytes());
    }
    text.clear();
    plain(&String::from_utf8_lossy(line), text);
    if wanted.is_ascii() { has_ascii(text.as_bytes(), wanted.as_bytes()) } else { text.to_lowercase().contains(wanted) }
}

/// `wanted` is in small letters.
fn has_ascii(mut rest: &[u8], wanted: &[u8]) -> bool {
    let (low, high) = (wanted[0], wanted[0].to_ascii_uppercase());
    while let Some(place) = rest.iter().position(|byte| *byte == low || *byte == high) {
        if rest.len() - place < wanted.len() {
            return false;
        }
        if rest[place..place + wanted.len()].eq_ignore_ascii_case(wanted) {
            return true;
        }
        rest = &rest[place + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn counts_are_true() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for number in 0..20_000 {
            writeln!(file, "{number} {}", if number % 10 == 3 { "Ein Fehler: \u{dc}bel" } else { "nothing" }).unwrap();
        }
        writeln!(file, "\u{1b}[31mfeh\u{1b}[0mler").unwrap();
        let found = search(file.path(), "FEHLER").unwrap();
        assert_eq!((found.total, found.lines[..2].to_vec(), found.lines.last()), (2_001, vec![4, 14], Some(&20_001)));
        assert_eq!(search(file.path(), "\u{fc}BEL").unwrap().total, 2_000);
        assert_eq!(search(file.path(), "nothing").unwrap().lines.len(), LISTED_MAX);
        assert_eq!(search(file.path(), "absent").unwrap(), Found::default());
    }
}
