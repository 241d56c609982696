//! What templates can do with values: names that cannot deceive, times, durations, sizes.

use std::fmt::Write as _;

use jiff::Timestamp;
use minijinja::Environment;
use minijinja::value::Value;

/// Characters shown of a commit.
const SHA_SHOWN: usize = 7;

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("name", |text: String| Value::from_safe_string(name(&text)));
    environment.add_filter("plain", |text: String| plain(&text));
    environment.add_filter("time", |text: String| Value::from_safe_string(time(&text, Timestamp::now())));
    environment.add_filter("duration", |seconds: f64| duration(seconds));
    environment.add_filter("size", |bytes: f64| size(bytes));
    environment.add_filter("sha", |text: String| text.chars().take(SHA_SHOWN).collect::<String>());
    environment.add_filter("ref", |text: String| short_ref(&text).into_owned());
    environment.add_filter("words", |text: String| words(&text));
    environment.add_filter("link", |text: String| encoded(&text));
}

/// Text of others as HTML: isolated from what stands beside it, what one cannot see written out.
pub(crate) fn name(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    html.push_str("<bdi>");
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c if is_unseen(c) => {
                write!(html, "<span class=\"odd\">U+{:04X}</span>", c as u32).expect("writing to memory cannot fail");
            }
            c => html.push(c),
        }
    }
    html.push_str("</bdi>");
    html
}

/// The same for places that take no elements: attributes, titles, pictures.
pub(crate) fn plain(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) {
            write!(clean, "\u{27e8}U+{:04X}\u{27e9}", c as u32).expect("writing to memory cannot fail");
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Controls, and characters that have no width or turn the direction of what follows (U14).
pub(crate) fn is_unseen(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'
        | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Characters that turn the direction of what follows, and the space without a width. Others that are not seen may belong to an emoji.
pub(crate) fn is_turning(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A moment, as far as it is away; the moment itself is its title. A script keeps it right.
fn time(text: &str, now: Timestamp) -> String {
    let Ok(at) = text.parse::<Timestamp>() else { return name(text) };
    let whole = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    format!("<time datetime=\"{at}\" title=\"{whole}\">{}</time>", away(at, now))
}

fn away(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let one = |count: i64, unit: &str| format!("{count} {unit} ago");
    match seconds {
        ..-60 => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        -60..45 => "just now".to_owned(),
        45..5_400 => one((seconds + 30) / 60, "min"),
        5_400..129_600 => one((seconds + 1_800) / 3_600, "h"),
        129_600..2_592_000 => one((seconds + 43_200) / 86_400, "d"),
        2_592_000.. => at.strftime("%Y-%m-%d").to_string(),
    }
}

/// Seconds as people say them: `850 ms`, `12.4 s`, `3 m 05 s`, `2 h 10 m`, `3 d 4 h`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 1.0 => format!("{} ms", (seconds.max(0.0) * 1_000.0).round()),
        _ if seconds < 59.95 => format!("{seconds:.1} s"),
        ..3_600 => format!("{} m {:02} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {:02} m", whole / 3_600, whole % 3_600 / 60),
        86_400.. => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// Bytes as people say them.
pub(crate) fn size(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1_000.0 {
            let is_exact = unit == "B" || value >= 100.0;
            return if is_exact { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") };
        }
        value /= 1_000.0;
    }
    format!("{value:.1} TB")
}

/// `refs/heads/main` as `main`, `refs/pull/7/merge` as `#7`.
pub(crate) fn short_ref(text: &str) -> std::borrow::Cow<'_, str> {
    let rest = |prefix| text.strip_prefix(prefix);
    if let Some(number) = rest("refs/pull/").and_then(|rest| rest.split('/').next()) {
        return format!("#{number}").into();
    }
    rest("refs/heads/").or_else(|| rest("refs/tags/")).unwrap_or(text).into()
}

/// `in_progress` as `In progress`.
fn words(text: &str) -> String {
    let spaced = text.replace('_', " ");
    let mut characters = spaced.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// A part of an address: all but letters, digits and a few marks as `%xx`.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to memory cannot fail");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_show_what_hides_in_them() {
        for (text, expected) in [
            ("main", "<bdi>main</bdi>"),
            ("<b>&\"'", "<bdi>&lt;b&gt;&amp;&quot;&#39;</bdi>"),
            ("rel\u{202e}gpj", "<bdi>rel<span class=\"odd\">U+202E</span>gpj</bdi>"),
            ("a\u{200b}b\u{feff}", "<bdi>a<span class=\"odd\">U+200B</span>b<span class=\"odd\">U+FEFF</span></bdi>"),
            ("\u{1b}[31m", "<bdi><span class=\"odd\">U+001B</span>[31m</bdi>"),
        ] {
            assert_eq!(name(text), expected);
        }
        assert_eq!(plain("a\u{2066}b"), "a\u{27e8}U+2066\u{27e9}b");
    }

    #[test]
    fn durations_and_sizes() {
        for (seconds, expected) in [
            (0.0, "0 ms"),
            (0.85, "850 ms"),
            (1.0, "1.0 s"),
            (59.94, "59.9 s"),
            (59.96, "1 m 00 s"),
            (185.0, "3 m 05 s"),
            (7_800.0, "2 h 10 m"),
            (273_600.0, "3 d 4 h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
        for (bytes, expected) in
            [(0.0, "0 B"), (999.0, "999 B"), (1_500.0, "1.5 kB"), (2.5e8, "250 MB"), (5e12, "5.0 TB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn moments() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-03-01T11:59:30Z", "just now"),
            ("2026-03-01T11:57:00Z", "3 min ago"),
            ("2026-03-01T09:00:00Z", "3 h ago"),
            ("2026-02-25T12:00:00Z", "4 d ago"),
            ("2025-02-25T12:00:00Z", "2025-02-25"),
            ("2026-03-02T12:00:00Z", "2026-03-02 12:00 UTC"),
        ] {
            assert_eq!(away(text.parse().unwrap(), now), expected);
        }
        assert_eq!(time("<x>", now), "<bdi>&lt;x&gt;</bdi>");
    }

    #[test]
    fn refs_and_parts_of_addresses() {
        assert_eq!(
            ["refs/heads/a/b", "refs/tags/v1", "refs/pull/7/merge", "x"].map(short_ref),
            ["a/b", "v1", "#7", "x"]
        );
        assert_eq!(encoded("a/b (ü)"), "a%2Fb%20%28%C3%BC%29");
        assert_eq!(words("in_progress"), "In progress");
    }
}
