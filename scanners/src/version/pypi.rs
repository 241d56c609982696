//! Versions of Python packages: PEP 440 (<https://packaging.python.org/en/latest/specifications/version-specifiers/>), and for
//! what does not follow it the order of setuptools from before, by which all of that is earlier than all that does follow.

use std::cmp::Ordering;

use super::{digits, numbers};

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    match (parse(left), parse(right)) {
        (Some(left), Some(right)) => modern(&left, &right),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => legacy(left).cmp(&legacy(right)),
    }
}

struct Version<'a> {
    epoch: &'a str,
    /// `1.0.0`
    release: &'a str,
    pre: Option<(u8, &'a str)>,
    post: Option<&'a str>,
    dev: Option<&'a str>,
    local: Option<&'a str>,
}

fn parse(text: &str) -> Option<Version<'_>> {
    let text = text.trim();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (text, local) = text.split_once('+').map_or((text, None), |(text, local)| (text, Some(local)));
    if local.is_some_and(|local| local.split(['.', '-', '_']).any(|part| !is_alphanumeric(part))) {
        return None;
    }
    let (epoch, text) = match text.split_once('!') {
        Some((epoch, text)) if super::is_number(epoch) => (epoch, text),
        Some(_) => return None,
        None => ("", text),
    };
    let release_length = release_length(text)?;
    let (release, rest) = text.split_at(release_length);
    let (pre, rest) = match word(rest, &PRE) {
        Some((weight, number, rest)) => (Some((weight, number)), rest),
        None => (None, rest),
    };
    let (post, rest) = post(rest);
    let (dev, rest) = match word(rest, &[("dev", 0)]) {
        Some((_, number, rest)) => (Some(number), rest),
        None => (None, rest),
    };
    rest.is_empty().then_some(Version { epoch, release, pre, post, dev, local })
}

/// Longer words first, since `alpha` starts with `a`.
const PRE: [(&str, u8); 8] =
    [("alpha", 0), ("a", 0), ("beta", 1), ("b", 1), ("preview", 2), ("pre", 2), ("rc", 2), ("c", 2)];

fn is_alphanumeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// How many bytes are numbers with single dots between them.
fn release_length(text: &str) -> Option<usize> {
    let mut length = 0;
    loop {
        let (number, _) = digits(&text[length..]);
        if number.is_empty() {
            // A dot that no number follows belongs to what comes then: `1.0.dev1`.
            return length.checked_sub(1);
        }
        length += number.len();
        if !text[length..].starts_with('.') {
            return Some(length);
        }
        length += 1;
    }
}

fn separator(text: &str) -> &str {
    text.strip_prefix(['.', '-', '_']).unwrap_or(text)
}

/// A word of the list between optional separators, and its number.
fn word<'a>(text: &'a str, words: &[(&str, u8)]) -> Option<(u8, &'a str, &'a str)> {
    let start = separator(text);
    let (word, weight) =
        words.iter().find(|(word, _)| start.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)))?;
    let rest = &start[word.len()..];
    let (number, behind) = digits(separator(rest));
    // Without a number a separator belongs to what comes then.
    if number.is_empty() { Some((*weight, "", rest)) } else { Some((*weight, number, behind)) }
}

fn post(text: &str) -> (Option<&str>, &str) {
    if let Some(rest) = text.strip_prefix('-') {
        let (number, behind) = digits(rest);
        if !number.is_empty() {
            return (Some(number), behind);
        }
    }
    match word(text, &[("post", 0), ("rev", 0), ("r", 0)]) {
        Some((_, number, rest)) => (Some(number), rest),
        None => (None, text),
    }
}

fn modern(left: &Version<'_>, right: &Version<'_>) -> Ordering {
    numbers(left.epoch, right.epoch)
        .then_with(|| releases(left.release, right.release))
        .then_with(|| pre_key(left).cmp(&pre_key(right)))
        .then_with(|| match (left.pre, right.pre) {
            (Some((_, a)), Some((_, b))) => numbers(a, b),
            _ => Ordering::Equal,
        })
        .then_with(|| optional(left.post, right.post, Ordering::Less))
        .then_with(|| optional(left.dev, right.dev, Ordering::Greater))
        .then_with(|| locals(left.local, right.local))
}

/// Trailing zeros do not count.
fn releases(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let (a, b) = (left.next(), right.next());
        if a.is_none() && b.is_none() {
            return Ordering::Equal;
        }
        let order = numbers(a.unwrap_or(""), b.unwrap_or(""));
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// A development release without more is before all pre-releases; a release is after them.
const fn pre_key(version: &Version<'_>) -> u8 {
    match version.pre {
        Some((weight, _)) => 1 + weight,
        None if version.post.is_none() && version.dev.is_some() => 0,
        None => u8::MAX,
    }
}

/// How none stands to some is given.
fn optional(left: Option<&str>, right: Option<&str>, none: Ordering) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => none,
        (Some(_), None) => none.reverse(),
        (Some(a), Some(b)) => numbers(a, b),
    }
}

/// Words are before numbers, and what goes on is later.
fn locals(left: Option<&str>, right: Option<&str>) -> Ordering {
    let (Some(left), Some(right)) = (left, right) else { return left.is_some().cmp(&right.is_some()) };
    let (mut left, mut right) = (left.split(['.', '-', '_']), right.split(['.', '-', '_']));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (super::is_number(a), super::is_number(b)) {
                (true, true) => numbers(a, b),
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// What setuptools compared before PEP 440: numbers with leading zeros, words with a star before them.
fn legacy(text: &str) -> Vec<String> {
    const NUMBER_DIGITS_MIN: usize = 8;
    let zero = "0".repeat(NUMBER_DIGITS_MIN);
    let mut parts: Vec<String> = Vec::new();
    for part in legacy_parts(&text.to_lowercase()) {
        if part.starts_with('*') {
            if part.as_str() < "*final" {
                while parts.last().is_some_and(|last| last == "*final-") {
                    parts.pop();
                }
            }
            while parts.last().is_some_and(|last| *last == zero) {
                parts.pop();
            }
        }
        parts.push(part);
    }
    parts
}

fn legacy_parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_digit() {
            rest.bytes().take_while(u8::is_ascii_digit).count()
        } else if first.is_ascii_lowercase() {
            rest.bytes().take_while(u8::is_ascii_lowercase).count()
        } else if first == '.' || first == '-' {
            1
        } else {
            // Everything else stands as it is, up to the next of the three.
            rest.char_indices()
                .find(|(_, c)| c.is_ascii_digit() || c.is_ascii_lowercase() || matches!(c, '.' | '-'))
                .map_or(rest.len(), |(at, _)| at)
        };
        let (part, behind) = rest.split_at(length);
        rest = behind;
        let part = match part {
            "pre" | "preview" | "rc" => "c",
            "-" => "final-",
            "dev" => "@",
            "." => continue,
            other => other,
        };
        if first.is_ascii_digit() {
            parts.push(format!("{part:0>8}"));
        } else {
            parts.push(format!("*{part}"));
        }
    }
    parts.push("*final".to_owned());
    parts
}
