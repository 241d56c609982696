//! What users wrote, as values in somebody else's markup: no mention, link or heading comes of it.

/// In one line, without characters that hide or turn around what follows, at most `max` characters.
pub(super) fn plain(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut was_space = true;
    for c in text.chars().take(max.saturating_mul(4)) {
        if c.is_control() || c.is_whitespace() {
            if !was_space {
                out.push(' ');
            }
            was_space = true;
            continue;
        }
        was_space = false;
        if is_unseen(c) { out.push_str(&format!("[U+{:04X}]", u32::from(c))) } else { out.push(c) }
    }
    let out = out.trim();
    if out.chars().count() <= max {
        return out.to_owned();
    }
    out.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// Marks of direction, joiners, spaces of no width, tags: what makes one text look like another.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// For Slack's mrkdwn. Its three characters make links, mentions and channels; nothing else does where the text is sent
/// with `verbatim`. See <https://docs.slack.dev/messaging/formatting-message-text#escaping>.
pub(super) fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// For Discord's Markdown; mentions are shut off in the message as well. An address is none after a backslash.
/// See <https://support.discord.com/hc/en-us/articles/210298617>.
pub(super) fn discord(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_link = c == ':' && text[at..].starts_with("://");
        if "\\*_~`|>#[]()<@-".contains(c) {
            out.push('\\');
        }
        out.push(c);
        if is_link {
            out.push('\\');
        }
        // A mention that a parser sees all the same has no name behind it.
        if c == '@' {
            out.push('\u{200b}');
        }
    }
    out
}

/// For runs of text in an Adaptive Card, which know no Markdown: only what Teams makes a link by itself is broken up.
pub(super) fn teams(text: &str) -> String {
    text.replace("://", ":\u{200b}//").replace("<at>", "<\u{200b}at>")
}

/// For HTML.
pub(super) fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// At most so many bytes, cut where something ends: nothing that was escaped is torn apart.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub(4));
    let end = text[..end].rfind(char::is_whitespace).unwrap_or(end);
    let kept = text[..end].trim_end();
    let torn = kept.rfind('&').filter(|at| !kept[*at..].contains(';')).unwrap_or(kept.len());
    format!("{}…", kept[..torn].trim_end_matches('\\'))
}

/// A part of a path in a URL.
pub(super) fn in_path(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
