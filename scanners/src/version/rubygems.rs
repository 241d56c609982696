//! Versions of gems. Follows `Gem::Version` (<https://docs.ruby-lang.org/en/master/Gem/Version.html>).

use std::cmp::Ordering;

use super::{is_number, numbers};

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (segments(left), segments(right));
    for at in 0..left.len().max(right.len()) {
        // What is not there is a zero.
        let (a, b) = (left.get(at).copied().unwrap_or("0"), right.get(at).copied().unwrap_or("0"));
        let order = match (is_number(a), is_number(b)) {
            (true, true) => numbers(a, b),
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Runs of digits and of letters, without the zeros before the first letters and those at the end. A hyphen reads `.pre.`.
fn segments(text: &str) -> Vec<&str> {
    let mut segments: Vec<&str> = Vec::new();
    let mut letters_seen = false;
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_digit() {
            rest.bytes().take_while(u8::is_ascii_digit).count()
        } else if first.is_ascii_alphabetic() {
            rest.bytes().take_while(u8::is_ascii_alphabetic).count()
        } else {
            if first == '-' {
                drop_zeros(&mut segments, letters_seen);
                letters_seen = true;
                segments.push("pre");
            }
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let (segment, behind) = rest.split_at(length);
        if first.is_ascii_alphabetic() {
            drop_zeros(&mut segments, letters_seen);
            letters_seen = true;
        }
        segments.push(segment);
        rest = behind;
    }
    drop_zeros(&mut segments, false);
    segments
}

/// Only the zeros before the first letters and at the very end are dropped, not those between letters.
fn drop_zeros(segments: &mut Vec<&str>, letters_seen: bool) {
    while !letters_seen && segments.last().is_some_and(|last| is_number(last) && last.bytes().all(|byte| byte == b'0'))
    {
        segments.pop();
    }
}
