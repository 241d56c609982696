//! Looking at the text around a place: what stands there in the file itself, and the key that a value belongs to.

use crate::source::{SourceFile, Span};

/// The characters at a place.
pub(super) fn raw(source: &SourceFile, span: Span) -> &str {
    source.text().get(span.start as usize..span.end as usize).unwrap_or("")
}

/// The key of the value at a place, if the two are on one line, or the value is an item of a list below its key.
pub(super) fn key_before(source: &SourceFile, span: Span) -> Option<&str> {
    let position = source.position(span.start);
    let start = source.offset(crate::source::Position { line: position.line, column: 1 });
    let before = source.text().get(start as usize..span.start as usize)?;
    if let Some(key) = key_at_end(before) {
        return Some(key);
    }
    let item = before.trim_start().strip_prefix('-')?;
    if !item.trim().is_empty() {
        return None;
    }
    let above = (1..position.line).rev().map(|line| source.line(line));
    let parent = above.map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['-', '#']))?;
    key_at_end(parent)
}

/// The key at the end of the line above, whose value begins on this one.
pub(super) fn key_above(source: &SourceFile, span: Span) -> Option<&str> {
    let position = source.position(span.start);
    let mut above = (1..position.line).rev().map(|line| source.line(line).trim());
    key_at_end(above.find(|line| !line.is_empty() && !line.starts_with('#'))?)
}

/// The lines of a key without a value and of those after it: where the values below a key are not indented, they are
/// keys beside it.
pub(super) fn column_of_key(source: &SourceFile, span: Span) -> (u32, u32) {
    let line = source.position(span.start).line;
    let text = source.line(line);
    let blank = text.chars().take_while(|c| matches!(c, ' ' | '-')).count();
    (line, u32::try_from(blank + 1).unwrap_or(u32::MAX))
}

/// `key` of `key: `, `- key: [a, `.
fn key_at_end(before: &str) -> Option<&str> {
    let before = before.trim_end();
    let before = before.rfind(['[', '{']).filter(|_| !before.ends_with(':')).map_or(before, |at| &before[..at]);
    let key = before.trim_end().strip_suffix(':')?;
    let key = key.rsplit(['{', ',', ' ']).next()?.trim_matches(['\'', '"']);
    (!key.is_empty()).then_some(key)
}

/// The place of a text inside a place, the first from a byte offset in it on.
pub(super) fn find_in(source: &SourceFile, span: Span, text: &str) -> Option<Span> {
    let at = raw(source, span).find(text)?;
    Some(span.part(at, at + text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    #[test]
    fn values_have_keys() {
        for (text, value, expected) in [
            ("a:\n  shell: bsh\n", "bsh", Some("shell")),
            ("- uses: x\n", "x", Some("uses")),
            ("on: [push, x]", "x", Some("on")),
            ("on:\n  types:\n    - a\n    - x\n", "x", Some("types")),
            ("{a: b, c: x}", "x", Some("c")),
            ("x", "x", None),
        ] {
            let source = SourceFile::new("a.yml", text);
            let at = u32::try_from(text.rfind(value).unwrap()).unwrap();
            let span = Span::new(FileId(0), at, at + 1);
            assert_eq!(key_before(&source, span), expected, "{text}");
        }
    }
}
