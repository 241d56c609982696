//! Versions of Composer packages. Follows PHP's `version_compare` (<https://www.php.net/version_compare>) on versions without
//! their `v`, which Composer takes off.

use std::cmp::Ordering;

use super::{is_number, numbers};

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    lists(&tokens(left), &tokens(right))
}

/// Runs of digits and of other characters between the separators `.`, `-`, `_` and `+`.
fn tokens(text: &str) -> Vec<&str> {
    let text = text.trim();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let mut tokens = Vec::new();
    for part in text.split(['.', '-', '_', '+']) {
        let mut rest = part;
        while let Some(first) = rest.bytes().next() {
            let digit = first.is_ascii_digit();
            let end = rest.bytes().position(|byte| byte.is_ascii_digit() != digit).unwrap_or(rest.len());
            let (token, behind) = rest.split_at(end);
            tokens.push(token);
            rest = behind;
        }
        if part.is_empty() {
            tokens.push("");
        }
    }
    tokens
}

fn lists(left: &[&str], right: &[&str]) -> Ordering {
    for (a, b) in left.iter().zip(right) {
        let order = match (is_number(a), is_number(b)) {
            (true, true) => numbers(a, b),
            (true, false) => weight("#").cmp(&weight(b)),
            (false, true) => weight(a).cmp(&weight("#")),
            (false, false) => weight(a).cmp(&weight(b)),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    match left.len().cmp(&right.len()) {
        Ordering::Equal => Ordering::Equal,
        Ordering::Greater => rest(&left[right.len()..]),
        Ordering::Less => rest(&right[left.len()..]).reverse(),
    }
}

/// How what one version has more stands to nothing, which a number does not (`#`).
fn rest(more: &[&str]) -> Ordering {
    if more.first().is_some_and(|first| is_number(first)) { Ordering::Greater } else { lists(more, &["#"]) }
}

/// `#` stands for a number; what is unknown is as early as `dev`.
fn weight(word: &str) -> usize {
    if word.starts_with("RC") {
        return 3;
    }
    ["dev", "a", "b", "rc", "#", "p"].iter().position(|known| word.starts_with(known)).unwrap_or(0)
}
