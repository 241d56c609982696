//! Texts within GitHub's limits, and names of strangers made harmless in Markdown.

use std::fmt::Write as _;

use jiff::Timestamp;

/// Characters of a description of statuses and deployments.
pub(super) const DESCRIPTION_CHARS_MAX: usize = 140;
/// Characters of a title, a status context or a check's name.
pub(super) const NAME_CHARS_MAX: usize = 255;
/// Bytes of a summary or a comment. GitHub counts characters, of which there are never more.
pub(super) const MARKDOWN_BYTES_MAX: usize = 65_535;
/// Bytes of an annotation's message.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// At most so many characters; what is cut ends in `…`.
pub(super) fn cut_chars(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// At most so many bytes, ending in `note` where something is cut.
pub(super) fn cut_bytes(text: &str, max: usize, note: &str) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub(note.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{note}", &text[..end])
}

/// A name as code: nobody is mentioned by it, nothing in it is Markdown.
pub(super) fn code(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c == '`' {
                '\''
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    format!("`{}`", if plain.trim().is_empty() { "-" } else { plain.trim() })
}

/// A table cell may not hold its own border.
pub(super) fn cell(name: &str) -> String {
    code(&name.replace('|', "¦"))
}

/// `1h 2m`, `2m 3s`, `4s`.
pub(super) fn duration(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _infallible = match (hours, minutes) {
        (0, 0) => write!(text, "{seconds}s"),
        (0, _) => write!(text, "{minutes}m {seconds}s"),
        _ => write!(text, "{hours}h {minutes}m"),
    };
    text
}

/// Only links that a browser follows without running anything, and nothing that was hidden.
pub(super) fn web_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let known = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let clean = !rest.contains(workflow::mask::MASK) && !rest.chars().any(|c| c.is_control() || c == ' ');
    // A name and password before the host are never shown.
    (known && clean && !host.is_empty() && !host.contains('@')).then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_within_limits() {
        assert_eq!(cut_chars("äöü", 3), "äöü");
        assert_eq!(cut_chars("äöüß", 3), "äö…");
        assert_eq!(cut_bytes("ääää", 7, "+"), "äää+");
        assert_eq!(cut_bytes("abc", 3, "+"), "abc");
        assert_eq!(code("a`b\n@team"), "`a'b @team`");
        assert_eq!(cell(" a|b "), "`a¦b`");
        let at = |second| Timestamp::from_second(second).unwrap();
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3_725, "1h 2m"), (-5, "0s")] {
            assert_eq!(duration(at(0), at(seconds)), text);
        }
    }

    #[test]
    fn only_web_addresses_are_links() {
        for (text, expected) in [
            ("https://shop.example/x?y#z", true),
            ("HTTP://127.0.0.1:8080", true),
            ("javascript:alert(1)", false),
            ("javascript://%0aalert(1)", false),
            ("data:text/html,x", false),
            ("https://", false),
            ("https://***.example", false),
            ("https://a b", false),
            ("https://user:pass@host/", false),
            ("shop.example", false),
        ] {
            assert_eq!(web_url(text).is_some(), expected, "{text}");
        }
    }
}
