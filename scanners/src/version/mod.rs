//! Which of two versions is the later one, as the package manager of each ecosystem says.
//!
//! Every ordering here is total: whatever two strings are given, one answer comes out, because what is installed does not
//! always follow the rules. Each file follows the page that it names. The orderings are ours rather than those of a crate each:
//! they compare borrowed text without building anything (a match compares thousands), and the crates at hand reject versions
//! that are installed in practice (PyPI's from before PEP 440, npm's with five numbers) or bring a tree of their own.

mod alpine;
mod debian;
mod dotted;
mod maven;
mod packagist;
mod pypi;
mod rpm;
mod rubygems;
mod semver;

use std::cmp::Ordering;

use crate::package::Ecosystem;

/// One way to order versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// dpkg (deb-version(7)).
    Debian,
    /// rpm's `rpmvercmp` over epoch, version and release.
    Rpm,
    /// apk-tools 3.
    Alpine,
    /// Semantic Versioning 2, with or without a `v`: npm, Go and crates.io.
    SemVer,
    /// PEP 440, with what setuptools made of other versions before it.
    PyPi,
    /// Maven's version order specification.
    Maven,
    /// `Gem::Version`.
    RubyGems,
    /// PHP's `version_compare` without a leading `v`, as Composer has it.
    Packagist,
    /// Semantic versions with up to four numbers, in any case of letters.
    NuGet,
    /// Semantic versions of which the build counts too.
    Pub,
    /// Numbers between dots and hyphens and nothing else: CRAN and Hackage.
    Dotted,
}

impl Scheme {
    /// The ordering of the versions of an ecosystem.
    #[must_use]
    pub const fn of(ecosystem: Ecosystem) -> Self {
        match ecosystem {
            Ecosystem::Debian => Self::Debian,
            Ecosystem::Rpm => Self::Rpm,
            Ecosystem::Alpine => Self::Alpine,
            Ecosystem::Npm | Ecosystem::Go | Ecosystem::Cargo => Self::SemVer,
            Ecosystem::PyPi => Self::PyPi,
            Ecosystem::Maven => Self::Maven,
            Ecosystem::RubyGems => Self::RubyGems,
            Ecosystem::Packagist => Self::Packagist,
        }
    }

    /// How `left` stands to `right`: `Less` when `left` is the earlier version.
    #[must_use]
    pub fn compare(self, left: &str, right: &str) -> Ordering {
        if left == right {
            return Ordering::Equal;
        }
        match self {
            Self::Debian => debian::compare(left, right),
            Self::Rpm => rpm::compare(left, right),
            Self::Alpine => alpine::compare(left, right),
            Self::SemVer => semver::compare(left, right),
            Self::PyPi => pypi::compare(left, right),
            Self::Maven => maven::compare(left, right),
            Self::RubyGems => rubygems::compare(left, right),
            Self::Packagist => packagist::compare(left, right),
            Self::NuGet => semver::compare_nuget(left, right),
            Self::Pub => semver::compare_pub(left, right),
            Self::Dotted => dotted::compare(left, right),
        }
    }

    /// Whether this can be a version at all, rather than `(devel)`, `file:../x` or the name of a branch, which compare to
    /// something but mean nothing.
    #[must_use]
    pub fn is_version(self, text: &str) -> bool {
        let text = text.trim();
        match self {
            Self::SemVer | Self::NuGet | Self::Pub | Self::Dotted | Self::RubyGems => {
                text.strip_prefix(['v', 'V', '=']).unwrap_or(text).starts_with(|c: char| c.is_ascii_digit())
            }
            Self::Packagist => {
                let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
                bare.starts_with(|c: char| c.is_ascii_digit())
            }
            Self::Debian | Self::Rpm | Self::Alpine | Self::PyPi | Self::Maven => {
                !text.is_empty()
                    && !text.contains(['$', '/', ' '])
                    && text.contains(|c: char| c.is_ascii_alphanumeric())
            }
        }
    }
}

/// Sorts without minding whether the ordering is one: of odd versions some tools say that A is before B, B before C and C before
/// A, at which the sorting of the standard library may panic. Equal ones stay as they are.
pub(crate) fn sort_by<Item>(items: &mut Vec<Item>, compare: &impl Fn(&Item, &Item) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let mut right = items.split_off(items.len() / 2);
    sort_by(items, compare);
    sort_by(&mut right, compare);
    let mut merged = Vec::with_capacity(items.len() + right.len());
    let mut left = std::mem::take(items).into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let from = if compare(first, second) == Ordering::Greater { &mut right } else { &mut left };
        merged.extend(from.next());
    }
    merged.extend(left);
    merged.extend(right);
    *items = merged;
}

/// Compares two runs of digits of any length as numbers. Nothing stands for zero.
fn numbers(left: &str, right: &str) -> Ordering {
    let left = left.trim_start_matches('0');
    let right = right.trim_start_matches('0');
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Splits off the digits at the start.
fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Whether it is digits only, and at least one.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ordering_is_total_whatever_is_installed() {
        let odd = [
            "", "(devel)", "0", "1", "v1", "1.0", "1..0", "~", "-", "1-", "-1", "1:2", ":", "α", "1.α", "latest", "1_",
            "1e9",
        ];
        for scheme in SCHEMES {
            for left in odd {
                for right in odd {
                    let forth = scheme.compare(left, right);
                    assert_eq!(forth, scheme.compare(right, left).reverse(), "{scheme:?}: {left:?} and {right:?}");
                }
            }
        }
    }

    #[test]
    fn sorting_survives_an_ordering_that_goes_in_circles() {
        let mut numbers: Vec<u32> = (0..1000).map(|number| number * 7919 % 1000).collect();
        let before = numbers.clone();
        sort_by(&mut numbers, &|left, right| (left % 3).cmp(&((right + 1) % 3)));
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..1000));
        let mut sorted = before;
        sort_by(&mut sorted, &|left, right| left.cmp(right));
        assert_eq!(sorted, numbers);
    }

    proptest::proptest! {
        #[test]
        fn whatever_two_versions_are_they_compare_both_ways(left in "[0-9a-zA-Z.:~^_+#α-]{0,14}", right in "\\PC{0,10}") {
            for scheme in SCHEMES {
                proptest::prop_assert_eq!(scheme.compare(&left, &right), scheme.compare(&right, &left).reverse());
                proptest::prop_assert_eq!(scheme.compare(&left, &left.clone()), Ordering::Equal);
            }
        }
    }

    const SCHEMES: [Scheme; 11] = [
        Scheme::Debian,
        Scheme::Rpm,
        Scheme::Alpine,
        Scheme::SemVer,
        Scheme::PyPi,
        Scheme::Maven,
        Scheme::RubyGems,
        Scheme::Packagist,
        Scheme::NuGet,
        Scheme::Pub,
        Scheme::Dotted,
    ];
}
