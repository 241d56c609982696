//! What a step printed, made fit for somebody else's terminal: colours stay where they are shown, whatever moves the
//! cursor, rings, or renames the window goes.

use std::borrow::Cow;

/// A line without its line break. Of text that was overwritten with carriage returns the last stays.
pub fn clean(line: &[u8], keep_colors: bool) -> Cow<'_, str> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.iter().rposition(|byte| *byte == b'\r').map_or(line, |at| &line[at + 1..]);
    let text = String::from_utf8_lossy(line);
    let plain = |c: char| !(c.is_control() && c != '\t');
    if text.chars().all(plain) {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find(|c| !plain(c)) {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        let (sequence, after) = match rest.strip_prefix('\u{1b}') {
            Some(inner) => rest.split_at(1 + sequence_length(inner)),
            None => rest.split_at(rest.chars().next().map_or(rest.len(), char::len_utf8)),
        };
        if keep_colors && is_color(sequence) {
            kept.push_str(sequence);
        }
        rest = after;
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// Whether it is lines of plain ASCII, as most are, that stay as they are.
pub fn is_clean(lines: &[u8]) -> bool {
    lines.iter().fold(true, |clean, byte| clean & (matches!(byte, b' '..=b'~') | (*byte == b'\t') | (*byte == b'\n')))
}

/// Whether it may have lines with a mark, such as `##[group]`.
pub fn has_marks(lines: &[u8]) -> bool {
    memchr::memmem::find(lines, b"##[").is_some()
}

/// Length of an escape sequence behind its ESC, in bytes. See ECMA-48, sections 5.4 and 5.6.
fn sequence_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'[') => {
            let end = bytes.iter().skip(1).position(|byte| (0x40..=0x7e).contains(byte));
            end.map_or(bytes.len(), |end| end + 2)
        }
        Some(b']' | b'P' | b'_' | b'^' | b'X') => {
            let bell = text.find('\u{7}').map(|at| at + 1);
            let end = text.find("\u{1b}\\").map(|at| at + 2);
            bell.into_iter().chain(end).min().unwrap_or(text.len())
        }
        Some(byte) if byte.is_ascii() => 1,
        Some(_) | None => 0,
    }
}

fn is_color(sequence: &str) -> bool {
    let Some(inner) = sequence.strip_prefix("\u{1b}[").and_then(|rest| rest.strip_suffix('m')) else { return false };
    inner.bytes().all(|byte| byte.is_ascii_digit() || byte == b';' || byte == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, colored: &str, plain: &str) {
        assert_eq!(clean(line.as_bytes(), true), colored, "{line:?}");
        assert_eq!(clean(line.as_bytes(), false), plain, "{line:?}");
        assert!(!is_clean(line.as_bytes()) || (line == colored && line == plain), "{line:?}");
    }

    #[test]
    fn only_colors_stay() {
        check("plain\ttext ü", "plain\ttext ü", "plain\ttext ü");
        check("\u{1b}[31mred\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m", "red");
        check("a\u{1b}[2Jb\u{1b}[1;1Hc", "abc", "abc");
        check("\u{1b}]0;title\u{7}x", "x", "x");
        check("\u{1b}]8;;http://a\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link", "link");
        check("10%\r20%\r30%\r", "30%", "30%");
        check("bell\u{7}\u{8}", "bell", "bell");
        // I16: what overprints the line, or writes to the clipboard.
        check("ok\r\u{1b}[2Kevil\u{1b}]52;c;aGk=\u{7}", "evil", "evil");
        check("rm -rf x\u{1b}[1A\u{1b}[8mhidden\u{1b}[28m", "rm -rf x\u{1b}[8mhidden\u{1b}[28m", "rm -rf xhidden");
        check("cut \u{1b}[3", "cut ", "cut ");
        check("end\u{1b}", "end", "end");
        assert_eq!(clean(b"\xff\xfe", true), "\u{fffd}\u{fffd}");
    }
}
