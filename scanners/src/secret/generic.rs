//! Secrets without a format of their own: what is assigned to `password`, `api_key`…, and passwords in addresses.
//!
//! Both are read by hand, since their keywords are in every file: an expression at each would be most of the work.

use std::ops::Range;

/// Longest rest of a name after its keyword.
const NAME_BYTES_MAX: usize = 40;
/// What is looked at behind a name.
const GAP_BYTES_MAX: usize = 16;
const VALUE_BYTES_MIN: usize = 10;
const VALUE_BYTES_MAX: usize = 200;
/// Longest user or password in an address.
const PART_BYTES_MAX: usize = 128;
const PASSWORD_BYTES_MIN: usize = 6;

/// The value that is assigned to a name which has a keyword at `at`: `api_key = "…"`, `"secret": "…"`, `SECRET=…`.
pub(super) fn assigned(text: &[u8], at: usize, keyword: usize) -> Option<Range<usize>> {
    let mut place = at + keyword;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let rest = text.get(place..)?.iter().take(NAME_BYTES_MAX + 1).take_while(|byte| is_name(byte)).count();
    if rest > NAME_BYTES_MAX {
        return None;
    }
    place += rest;
    let limit = (place + GAP_BYTES_MAX).min(text.len());
    // The end of a quoted name, and of an index: `config['secret']`.
    place += usize::from(matches!(text.get(place), Some(b'"' | b'\'' | b'`')));
    place += usize::from(text.get(place) == Some(&b']'));
    place = skip_blanks(text, place, limit);
    let operator = text.get(place..)?;
    let length = [&b":="[..], b"=>", b"==", b"=", b":"].iter().find(|one| operator.starts_with(one))?.len();
    let is_compared = operator.starts_with(b"==") || operator.starts_with(b"::");
    if is_compared {
        return None;
    }
    place = skip_blanks(text, place + length, limit);
    value(text, place)
}

/// A quoted text, or a bare word to the end of its line, as environment files have.
fn value(text: &[u8], start: usize) -> Option<Range<usize>> {
    let first = *text.get(start)?;
    let is_quoted = matches!(first, b'"' | b'\'' | b'`');
    let start = start + usize::from(is_quoted);
    let is_value = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b',' | b';');
    let length = text.get(start..)?.iter().take(VALUE_BYTES_MAX + 1).take_while(|byte| is_value(byte)).count();
    let end = start + length;
    let is_ended = match text.get(end) {
        None => !is_quoted,
        Some(byte) if is_quoted => *byte == first,
        Some(byte) => matches!(byte, b'\n' | b'\r'),
    };
    let value = text.get(start..end)?;
    let has = |of: fn(&u8) -> bool| value.iter().any(of);
    // A call, a path or a word of a language is no secret; one has digits and letters.
    let is_code = value.iter().any(|byte| matches!(byte, b'(' | b')' | b'<' | b'>' | b'{' | b'}' | b'[' | b']'));
    let is_path =
        value.iter().filter(|byte| **byte == b'/').count() > 2 || value.windows(3).any(|three| three == b"://");
    let is_good = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) && !is_code && !is_path;
    (is_ended && is_good && (VALUE_BYTES_MIN..=VALUE_BYTES_MAX).contains(&length)).then_some(start..end)
}

fn skip_blanks(text: &[u8], from: usize, limit: usize) -> usize {
    let blanks = text
        .get(from..limit.max(from))
        .map_or(0, |rest| rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count());
    from + blanks
}

/// The password of `scheme://user:password@host`, where `at` is that of `://`.
pub(super) fn in_address(text: &[u8], at: usize) -> Option<Range<usize>> {
    if !at.checked_sub(1).and_then(|before| text.get(before)).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let is_part = |byte: &u8| byte.is_ascii_graphic() && !b"/:@\"'`<>()[]{}\\,;|?#".contains(byte);
    let part = |from: usize| {
        let length = text.get(from..)?.iter().take(PART_BYTES_MAX + 1).take_while(|byte| is_part(byte)).count();
        (length <= PART_BYTES_MAX).then_some(from + length)
    };
    let user = part(at + 3)?;
    if text.get(user) != Some(&b':') {
        return None;
    }
    let end = part(user + 1)?;
    if text.get(end) != Some(&b'@') || !text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    (end - user > PASSWORD_BYTES_MIN).then_some(user + 1..end)
}

/// Shannon's entropy, in bits a byte.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    text.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let all = text.len() as f64;
    let share = |count: &u32| f64::from(*count) / all;
    counts.iter().filter(|count| **count > 0).map(|count| -share(count) * share(count).log2()).sum()
}
