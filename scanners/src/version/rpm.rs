//! Versions of rpm packages: `epoch:version-release`. Follows rpm's `rpmvercmp`
//! (<https://rpm-software-management.github.io/rpm/man/rpm-version.7>).

use std::cmp::Ordering;

use super::{is_number, numbers};

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left) = left.split_once(':').unwrap_or(("0", left));
    let (right_epoch, right) = right.split_once(':').unwrap_or(("0", right));
    let (left_version, left_release) = release(left);
    let (right_version, right_release) = release(right);
    part(left_epoch, right_epoch).then_with(|| part(left_version, right_version)).then_with(|| {
        match (left_release, right_release) {
            (Some(left), Some(right)) => part(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        }
    })
}

/// A release that is empty is still one: `1` is before `1-`.
fn release(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once('-').map_or((text, None), |(version, release)| (version, Some(release)))
}

fn part(mut left: &str, mut right: &str) -> Ordering {
    loop {
        left = skip(left);
        right = skip(right);
        for (mark, order) in [('~', Ordering::Less), ('^', Ordering::Greater)] {
            match (left.strip_prefix(mark), right.strip_prefix(mark)) {
                (Some(rest_left), Some(rest_right)) => {
                    // Behind a mark the comparison starts afresh, marks included.
                    return part(rest_left, rest_right);
                }
                // A caret is after the end, but before anything else that goes on.
                (Some(_), None) if mark == '^' && !right.is_empty() => return Ordering::Less,
                (None, Some(_)) if mark == '^' && !left.is_empty() => return Ordering::Greater,
                (Some(_), None) => return order,
                (None, Some(_)) => return order.reverse(),
                (None, None) => {}
            }
        }
        if left.is_empty() || right.is_empty() {
            return left.len().min(1).cmp(&right.len().min(1));
        }
        let (a, left_rest) = segment(left);
        let (b, right_rest) = segment(right);
        let order = match (is_number(a), is_number(b)) {
            (true, true) => numbers(a, b),
            (false, false) => a.cmp(b),
            (number, _) => {
                // Numbers are after letters.
                if number { Ordering::Greater } else { Ordering::Less }
            }
        };
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// What is neither letter, digit nor mark only separates, and how much of it there is does not matter.
fn skip(text: &str) -> &str {
    text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^')
}

/// The run of digits or of letters at the start.
fn segment(text: &str) -> (&str, &str) {
    let number = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text
        .bytes()
        .position(|byte| if number { !byte.is_ascii_digit() } else { !byte.is_ascii_alphabetic() })
        .unwrap_or(text.len());
    text.split_at(end)
}
