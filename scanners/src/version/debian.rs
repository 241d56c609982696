//! Versions of Debian packages: `epoch:upstream-revision`. Follows deb-version(7).

use std::cmp::Ordering;

use super::{digits, numbers};

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left) = left.split_once(':').unwrap_or(("", left));
    let (right_epoch, right) = right.split_once(':').unwrap_or(("", right));
    let (left_upstream, left_revision) = left.rsplit_once('-').unwrap_or((left, ""));
    let (right_upstream, right_revision) = right.rsplit_once('-').unwrap_or((right, ""));
    part(left_epoch, right_epoch)
        .then_with(|| part(left_upstream, right_upstream))
        .then_with(|| part(left_revision, right_revision))
}

/// Runs of anything but digits and runs of digits, in turn.
fn part(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = text(left);
        let (right_text, right_rest) = text(right);
        let (left_number, left_rest) = digits(left_rest);
        let (right_number, right_rest) = digits(right_rest);
        let order = texts(left_text, right_text).then_with(|| numbers(left_number, right_number));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn text(part: &str) -> (&str, &str) {
    let end = part.bytes().position(|byte| byte.is_ascii_digit()).unwrap_or(part.len());
    part.split_at(end)
}

/// A tilde is before the end, the end before letters, letters before everything else.
fn texts(left: &str, right: &str) -> Ordering {
    let rank = |byte: Option<u8>| match byte {
        Some(b'~') => (0, 0),
        None => (1, 0),
        Some(byte) if byte.is_ascii_alphabetic() => (2, byte),
        Some(byte) => (3, byte),
    };
    let (mut left, mut right) = (left.bytes(), right.bytes());
    loop {
        let (a, b) = (left.next(), right.next());
        if a.is_none() && b.is_none() {
            return Ordering::Equal;
        }
        let order = rank(a).cmp(&rank(b));
        if order != Ordering::Equal {
            return order;
        }
    }
}
