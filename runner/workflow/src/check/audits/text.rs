//! Characters that show a text otherwise than it is read (<https://trojansource.codes/>).

use super::{BIDI_CHARACTERS, Look};
use crate::source::Span;

/// What a character does that no reader of the file sees.
fn unseen(c: char) -> Option<&'static str> {
    match c {
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => Some("turns the direction of what is shown after it"),
        '\u{200B}' | '\u{2060}' | '\u{FEFF}' => Some("has no width"),
        '\u{E0000}'..='\u{E007F}' => Some("is never shown"),
        _ => None,
    }
}

pub(super) fn audit(look: &mut Look<'_>) {
    let text = look.source.text();
    // A mark of the byte order is how some editors begin a file.
    let from = if text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
    let mut line_told = None;
    for (at, c) in text.char_indices().filter(|(at, c)| *at >= from && !c.is_ascii()) {
        let Some(does) = unseen(c) else { continue };
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let span = Span::new(look.file, offset(at), offset(at + c.len_utf8()));
        let line = look.source.position(span.start).line;
        if line_told.replace(line) == Some(line) {
            continue;
        }
        let message = format!("U+{:04X} {does}: this line is not what it looks like", u32::from(c));
        look.tell(&BIDI_CHARACTERS, span, message, "take it out; an editor that shows control characters helps");
    }
}
