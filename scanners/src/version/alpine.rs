//! Versions of Alpine packages: `1.2.3b_rc4_p5~hash-r6`. Follows apk-tools 3
//! (<https://gitlab.alpinelinux.org/alpine/apk-tools/-/blob/master/doc/apk-package.5.scd>).
//!
//! What does not follow the grammar is compared as far as it does, and is before what equals it so far and follows it.

use std::cmp::Ordering;

use super::{digits, numbers};

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (parse(left), parse(right));
    components(&left, &right)
        .then_with(|| left.letter.cmp(&right.letter))
        .then_with(|| numbers(left.behind_letter, right.behind_letter))
        .then_with(|| suffixes(&left.suffixes, &right.suffixes))
        .then_with(|| left.hash.cmp(right.hash))
        .then_with(|| match (left.revision, right.revision) {
            (Some(a), Some(b)) => numbers(a, b),
            // Without a revision is before any, unless something odd decides.
            (a, b) if left.rest.is_empty() && right.rest.is_empty() => a.is_some().cmp(&b.is_some()),
            _ => Ordering::Equal,
        })
        .then_with(|| left.rest.is_empty().cmp(&right.rest.is_empty()))
}

struct Parts<'a> {
    components: Vec<&'a str>,
    letter: Option<u8>,
    /// `6.6.2p1`: not in the grammar, but packaged.
    behind_letter: &'a str,
    suffixes: Vec<(i8, &'a str)>,
    hash: &'a str,
    revision: Option<&'a str>,
    /// What could not be read.
    rest: &'a str,
}

fn parse(text: &str) -> Parts<'_> {
    let mut components = Vec::new();
    let mut rest = text;
    loop {
        let (number, behind) = digits(rest);
        components.push(number);
        rest = behind;
        match rest.strip_prefix('.') {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    let mut letter = None;
    let mut behind_letter = "";
    if let Some(byte) = rest.bytes().next().filter(u8::is_ascii_lowercase) {
        letter = Some(byte);
        (behind_letter, rest) = digits(&rest[1..]);
    }
    let mut suffixes = Vec::new();
    while let Some((weight, behind)) = rest.strip_prefix('_').and_then(suffix) {
        let (number, behind) = digits(behind);
        suffixes.push((weight, number));
        rest = behind;
    }
    let mut hash = "";
    if let Some(behind) = rest.strip_prefix('~') {
        let end = behind.bytes().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(behind.len());
        (hash, rest) = behind.split_at(end);
    }
    let mut revision = None;
    if let Some(behind) = rest.strip_prefix("-r") {
        let (number, after) = digits(behind);
        if !number.is_empty() || after.is_empty() || after.starts_with('-') {
            revision = Some(number);
            rest = after;
        }
    }
    Parts { components, letter, behind_letter, suffixes, hash, revision, rest }
}

/// What the suffix weighs against none (0), and what follows it.
fn suffix(text: &str) -> Option<(i8, &str)> {
    const KNOWN: [(&str, i8); 9] =
        [("alpha", -4), ("beta", -3), ("pre", -2), ("rc", -1), ("cvs", 1), ("svn", 2), ("git", 3), ("hg", 4), ("p", 5)];
    let end = text.bytes().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    KNOWN.iter().find(|(known, _)| *known == word).map(|(_, weight)| (*weight, rest))
}

fn components(left: &Parts<'_>, right: &Parts<'_>) -> Ordering {
    for at in 0..left.components.len().max(right.components.len()) {
        let order = match (left.components.get(at), right.components.get(at)) {
            (Some(a), Some(b)) => component(at, a, b),
            // The one that goes on is later, unless it goes on with nothing.
            (Some(&""), None) => Ordering::Less,
            (None, Some(&"")) => Ordering::Greater,
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Behind the first dot a leading zero makes it text, as in decimal fractions.
fn component(at: usize, left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) if at > 0 && (left.starts_with('0') || right.starts_with('0')) => left.cmp(right),
        (false, false) => numbers(left, right),
    }
}

fn suffixes(left: &[(i8, &str)], right: &[(i8, &str)]) -> Ordering {
    for at in 0..left.len().max(right.len()) {
        let (a, b) = (left.get(at).copied().unwrap_or((0, "")), right.get(at).copied().unwrap_or((0, "")));
        let order = a.0.cmp(&b.0).then_with(|| numbers(a.1, b.1));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
