//! A text in a log: how often, and in which lines. Letters count the same whether they are large or small.
//!
//! A log of 100,000 lines is searched while somebody waits. So it is read in blocks whose lines are not copied, a line is
//! looked at for the letter of the text that is rarest in words, and only lines that have it and sequences of terminals
//! are written anew without these.

use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use memchr::{memchr, memchr2};

use super::index::LINE_BYTES_MAX;
use super::paint::plain;

/// Lines whose numbers are given; all are counted.
const LISTED_MAX: usize = 10_000;
/// So much of an annotation is looked for.
const BEGIN_BYTES_MAX: usize = 1_024;
/// Most that is read of one log.
const BYTES_MAX: u64 = 512 << 20;
/// Read at once.
const BLOCK_BYTES: usize = 1 << 20;
/// Letters of words and numbers, the most frequent first; what is not among them is rarer still.
const FREQUENT: &[u8] = b" etaoinsrhl0d1c2u3m45f6p7g8w9y.b-:/v_kxjqz";

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

/// A text that is looked for.
struct Wanted {
    /// In small letters.
    text: String,
    /// Where its rarest byte is.
    rare: usize,
}

/// Looks for a text that is not empty. It blocks.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn search(path: &Path, wanted: &str) -> std::io::Result<Found> {
    let wanted = Wanted::new(wanted);
    let is_cut = std::fs::metadata(path)?.len() > BYTES_MAX;
    let mut found = Found { is_cut, ..Found::default() };
    let mut text = String::new();
    each_line(path, |number, line| {
        if wanted.is_in(line, &mut text) {
            found.total += 1;
            if found.lines.len() < LISTED_MAX {
                found.lines.push(number);
            }
        }
        ControlFlow::Continue(())
    })?;
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
    let mut found = None;
    each_line(path, |number, line| {
        if !line.starts_with(begin) {
            return ControlFlow::Continue(());
        }
        found = Some(number);
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// Calls for each line, from 1, of as much as is read. Lines end as [`super::index`] says.
fn each_line(path: &Path, mut look: impl FnMut(u64, &[u8]) -> ControlFlow<()>) -> std::io::Result<()> {
    let mut file = File::open(path)?.take(BYTES_MAX);
    let longest = usize::try_from(LINE_BYTES_MAX).unwrap_or(usize::MAX);
    let mut block = vec![0; BLOCK_BYTES];
    let (mut filled, mut number) = (0, 0);
    loop {
        let read = file.read(&mut block[filled..])?;
        let (is_end, mut at) = (read == 0, 0);
        filled += read;
        while at < filled {
            let rest = &block[at..filled];
            let window = &rest[..rest.len().min(longest)];
            let length = match memchr(b'\n', window) {
                Some(place) => place + 1,
                None if window.len() == longest || is_end => window.len(),
                None => break,
            };
            number += 1;
            if look(number, &window[..length]).is_break() {
                return Ok(());
            }
            at += length;
        }
        if is_end {
            return Ok(());
        }
        block.copy_within(at..filled, 0);
        filled -= at;
    }
}

impl Wanted {
    fn new(text: &str) -> Self {
        let text = text.to_lowercase();
        let rarity = |byte: u8| FREQUENT.iter().position(|frequent| *frequent == byte).unwrap_or(FREQUENT.len());
        let rare = text.bytes().enumerate().max_by_key(|(_, byte)| rarity(*byte)).map_or(0, |(place, _)| place);
        Self { text, rare }
    }

    /// Whether a line has it; `text` is room to write in.
    fn is_in(&self, line: &[u8], text: &mut String) -> bool {
        // Small letters that are not ASCII come of such letters only.
        let is_ascii = self.text.is_ascii();
        if if is_ascii { self.rarest(line).is_none() } else { line.is_ascii() } {
            return false;
        }
        if is_ascii && memchr(b'\x1b', line).is_none() {
            return self.is_in_ascii(line);
        }
        text.clear();
        plain(&String::from_utf8_lossy(line), text);
        if is_ascii { self.is_in_ascii(text.as_bytes()) } else { text.to_lowercase().contains(&self.text) }
    }

    /// Where its rarest byte is, large or small.
    fn rarest(&self, line: &[u8]) -> Option<usize> {
        let low = self.text.as_bytes()[self.rare];
        memchr2(low, low.to_ascii_uppercase(), line)
    }

    fn is_in_ascii(&self, line: &[u8]) -> bool {
        let wanted = self.text.as_bytes();
        let mut from = self.rare;
        while let Some(place) = line.get(from..).and_then(|rest| self.rarest(rest)) {
            let begin = from + place - self.rare;
            let Some(found) = line.get(begin..begin + wanted.len()) else { return false };
            if found.eq_ignore_ascii_case(wanted) {
                return true;
            }
            from += place + 1;
        }
        false
    }
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

    #[test]
    fn a_text_is_found_wherever_it_stands() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        // A line longer than any is cut at 64 KiB, and what is found lies at the ends of blocks and lines.
        for length in [0, 1, 65_530, 65_536, 65_540, 200_000, 1_048_570, 1_048_576] {
            writeln!(file, "{}Zebra", "x".repeat(length)).unwrap();
        }
        write!(file, "ze\u{1b}]8;;http://a.b\u{1b}\\bra\u{1b}]8;;\u{7} zebr").unwrap();
        let whole = std::fs::read(file.path()).unwrap();
        let mut lines: Vec<String> = Vec::new();
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            for part in line.chunks(65_536) {
                let mut text = String::new();
                plain(&String::from_utf8_lossy(part), &mut text);
                lines.push(text.to_lowercase());
            }
        }
        for wanted in ["zebra", "ZEBRA", "z", "xz", "a", "bra zebr", "x", "zebr"] {
            let has = |(number, line): (u64, &String)| line.contains(&wanted.to_lowercase()).then_some(number);
            let expected: Vec<u64> = (1..).zip(&lines).filter_map(has).collect();
            assert_eq!(search(file.path(), wanted).unwrap().lines, expected, "{wanted}");
        }
    }

    #[test]
    fn annotations_have_lines() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a\n##[error]one\n##[warning]two and more\n##[error]two and more\n").unwrap();
        for (level, text, expected) in [("error", "two", Some(4)), ("warning", "two", Some(3)), ("notice", "one", None)]
        {
            assert_eq!(line_of(file.path(), level, text).unwrap(), expected, "{level} {text}");
        }
    }
}
