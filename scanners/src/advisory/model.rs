//! One advisory as every source is turned into it, before it is written into the index.

use std::cmp::Ordering;

use crate::finding::Rating;
use crate::version::Scheme;

/// One document of a database of vulnerabilities.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Advisory {
    /// `GHSA-…`, `CVE-…`, `DSA-…`.
    pub(crate) id: String,
    /// Other names of the same vulnerability.
    pub(crate) aliases: Vec<String>,
    /// The vulnerabilities that an erratum of a distribution mends, which are findings of their own. Empty for everything else.
    pub(crate) covers: Vec<String>,
    pub(crate) summary: String,
    pub(crate) ratings: Vec<Rating>,
    /// Seconds since 1970.
    pub(crate) published: Option<i64>,
    pub(crate) modified: Option<i64>,
    pub(crate) references: Vec<String>,
    pub(crate) affected: Vec<Affected>,
}

/// The versions of one package in one release that an advisory is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Affected {
    /// As [`super::names::Release`] writes it: `debian:12`, `npm`.
    pub(crate) release: String,
    /// In the spelling that is compared ([`super::names::normal_name`]).
    pub(crate) name: String,
    pub(crate) intervals: Vec<Interval>,
    /// Versions beside those of the intervals.
    pub(crate) versions: Vec<String>,
    /// Versions with the fix beside those that end an interval.
    pub(crate) fixed: Vec<String>,
    /// What the vendor says about this release alone.
    pub(crate) rating: Option<Rating>,
    /// The vendor has said that no fix will come.
    pub(crate) will_not_fix: bool,
}

/// All versions between two bounds; none is unbounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) from: Option<Bound>,
    pub(crate) to: Option<Bound>,
    /// Whether the version at its end has the fix.
    pub(crate) ends_with_fix: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) version: String,
    pub(crate) inclusive: bool,
}

impl Interval {
    /// Every version before `version`, which has the fix.
    pub(crate) fn before_fix(version: &str) -> Self {
        let to = Some(Bound { version: version.to_owned(), inclusive: false });
        Self { from: None, to, ends_with_fix: true }
    }

    pub(crate) fn contains(&self, scheme: Scheme, version: &str) -> bool {
        contains(
            scheme,
            version,
            self.from.as_ref().map(|bound| (bound.version.as_str(), bound.inclusive)),
            self.to.as_ref().map(|bound| (bound.version.as_str(), bound.inclusive)),
        )
    }
}

/// Whether a version lies between two bounds, each a version and whether it counts itself.
pub(crate) fn contains(scheme: Scheme, version: &str, from: Option<(&str, bool)>, to: Option<(&str, bool)>) -> bool {
    let inside = |bound: Option<(&str, bool)>, side: Ordering| {
        bound.is_none_or(|(bound, inclusive)| {
            let order = scheme.compare(version, bound);
            order == side || (inclusive && order == Ordering::Equal)
        })
    };
    inside(from, Ordering::Greater) && inside(to, Ordering::Less)
}
