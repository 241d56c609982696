//! The lines of a file with marks below them.
//!
//! A line is shown as it is, but for what would disturb a terminal: control characters become pictures, tabs spaces, and
//! of a long line the part around the mark is kept.

use workflow::source::SourceFile;

/// Widest part of a line that is shown, in characters.
const LINE_CHARS_MAX: usize = 140;
/// How much of a long line stays before a mark.
const BEFORE_MARK_CHARS: usize = 40;
/// Width of a tab.
const TAB: &str = "    ";

/// A mark in one line; columns count characters from 1, the end is exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub line: u32,
    pub column: u32,
    pub end_column: u32,
    pub words: String,
    pub primary: bool,
}

/// A line of a snippet: the code, and the mark below it as an indentation, a length and words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub code: String,
    pub indentation: usize,
    pub length: usize,
}

/// The line of a mark, cut and cleaned.
pub(super) fn show(file: &SourceFile, mark: &Mark) -> Shown {
    let line = file.line(mark.line);
    let length = line.chars().count();
    let from = (mark.column as usize - 1).min(length);
    let to = (mark.end_column as usize - 1).clamp(from, length);
    let skipped = if length > LINE_CHARS_MAX { from.saturating_sub(BEFORE_MARK_CHARS) } else { 0 };
    let cut = length - skipped > LINE_CHARS_MAX;
    let end = if cut { skipped + LINE_CHARS_MAX } else { length };
    let part = |from: usize, to: usize| clean(line.chars().skip(from).take(to.saturating_sub(from)));
    let ellipsis = if skipped > 0 { "…" } else { "" };
    let before = format!("{ellipsis}{}", part(skipped, from));
    let marked = part(from, to.min(end));
    let after = part(to.min(end), end);
    let tail = if cut { "…" } else { "" };
    Shown {
        indentation: before.chars().count(),
        length: marked.chars().count().max(1),
        code: format!("{before}{marked}{after}{tail}"),
    }
}

fn clean(characters: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    for character in characters {
        match character {
            '\t' => text.push_str(TAB),
            '\u{0}'..='\u{1f}' => text.push(char::from_u32(0x2400 + character as u32).unwrap_or('\u{fffd}')),
            // Bidirectional controls show another text than the one that runs.
            '\u{7f}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => text.push('\u{fffd}'),
            character => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, column: u32, end_column: u32, code: &str, marked: &str) {
        let mark = Mark { line: 1, column, end_column, words: String::new(), primary: true };
        let shown = show(&SourceFile::new("a", text), &mark);
        assert_eq!(shown.code, code);
        assert_eq!(code.chars().skip(shown.indentation).take(shown.length).collect::<String>(), marked);
    }

    #[test]
    fn lines_keep_what_is_marked() {
        check("runs_on: x", 1, 8, "runs_on: x", "runs_on");
        check("\ta: \u{1b}[31m", 2, 3, "    a: ␛[31m", "a");
        check("abc", 4, 4, "abc", "");
        check("nä: b", 5, 6, "nä: b", "b");
        let long = format!("{}xyz{}", "a".repeat(200), "b".repeat(200));
        let code = format!("…{}xyz{}…", "a".repeat(40), "b".repeat(97));
        check(&long, 201, 204, &code, "xyz");
    }
}
