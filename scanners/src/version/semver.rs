//! Semantic versions (<https://semver.org>, section 11) and the two families that differ a little: NuGet and pub.
//!
//! A leading `v` and missing numbers are accepted, as npm, Go and the databases of both write them.

use std::cmp::Ordering;

use super::{is_number, numbers};

struct Parts<'a> {
    numbers: &'a str,
    pre_release: Option<&'a str>,
    build: Option<&'a str>,
}

fn parts(text: &str) -> Parts<'_> {
    let text = text.trim();
    let text = text.strip_prefix('=').unwrap_or(text).trim_start();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (numbers, pre_release) = text.split_once('-').map_or((text, None), |(text, pre)| (text, Some(pre)));
    Parts { numbers, pre_release, build }
}

/// Numbers from the fourth on are of no account, as are builds.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (parts(left), parts(right));
    core(left.numbers, right.numbers, 3).then_with(|| pre_releases(left.pre_release, right.pre_release, false))
}

/// <https://learn.microsoft.com/nuget/concepts/package-versioning>
pub(super) fn compare_nuget(left: &str, right: &str) -> Ordering {
    let (left, right) = (parts(left), parts(right));
    core(left.numbers, right.numbers, 4).then_with(|| pre_releases(left.pre_release, right.pre_release, true))
}

/// <https://pub.dev/documentation/pub_semver/latest/>
pub(super) fn compare_pub(left: &str, right: &str) -> Ordering {
    let (left, right) = (parts(left), parts(right));
    core(left.numbers, right.numbers, 3)
        .then_with(|| pre_releases(left.pre_release, right.pre_release, false))
        .then_with(|| match (left.build, right.build) {
            (Some(left), Some(right)) => identifiers(left, right, false),
            (left, right) => left.is_some().cmp(&right.is_some()),
        })
}

fn core(left: &str, right: &str, count: usize) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    for _ in 0..count {
        let (a, b) = (left.next().unwrap_or(""), right.next().unwrap_or(""));
        let order = match (a.is_empty() || is_number(a), b.is_empty() || is_number(b)) {
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

/// A pre-release is before the release.
fn pre_releases(left: Option<&str>, right: Option<&str>, any_case: bool) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => identifiers(left, right, any_case),
    }
}

fn identifiers(left: &str, right: &str, any_case: bool) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (is_number(a), is_number(b)) {
                (true, true) => numbers(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) if any_case => {
                    a.bytes().map(|b| b.to_ascii_lowercase()).cmp(b.bytes().map(|b| b.to_ascii_lowercase()))
                }
                (false, false) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}
