//! Requirements as the databases that are no OSV write them: `>= 1.2.3, < 2`, `~> 5.2.4`, `^0.6.3 || 1.x`.
//!
//! Follows npm's ranges (<https://github.com/npm/node-semver#ranges>), Cargo's
//! (<https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html>), RubyGems' and Composer's where they agree in what
//! those databases use.

use super::model::{Bound, Interval};
use super::range;
use crate::version::Scheme;

/// The versions that meet a requirement. None when it cannot be read. `bare` is the operator of versions that have none.
pub(crate) fn parse(scheme: Scheme, text: &str, bare: &str) -> Option<Vec<Interval>> {
    let mut any = Vec::new();
    for alternative in text.split("||") {
        let mut all = vec![Interval::default()];
        let comparators = comparators(alternative)?;
        for (operator, version) in comparators {
            let operator = if operator.is_empty() { bare } else { operator };
            all = range::intersection(scheme, all, vec![interval(scheme, operator, version)?]);
        }
        any.extend(all);
    }
    Some(range::union(scheme, any))
}

/// Operators and versions, between commas or spaces; a space may also stand between the two.
fn comparators(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !matches!(c, '<' | '>' | '=' | '^' | '~' | '!')).unwrap_or(rest.len());
        let (operator, behind) = rest.split_at(end);
        let behind = behind.trim_start();
        let end = behind.find([' ', ',', '<', '>']).unwrap_or(behind.len());
        let (version, behind) = behind.split_at(end);
        if version.is_empty() {
            return None;
        }
        found.push((operator, version));
        rest = behind.trim_start_matches([' ', ',']);
    }
    Some(found)
}

fn interval(scheme: Scheme, operator: &str, version: &str) -> Option<Interval> {
    if version == "*" || version == "x" {
        return Some(Interval::default());
    }
    let (bare, wild) = without_wildcards(version);
    let from = |inclusive| Some(Bound { version: bare.to_owned(), inclusive });
    let before = |version: String| Some(Bound { version, inclusive: false });
    let between = |end: String| Interval { from: from(true), to: before(end), ends_with_fix: false };
    Some(match operator {
        ">=" | "=>" => Interval { from: from(true), ..Interval::default() },
        ">" => Interval { from: from(false), ..Interval::default() },
        "<" => Interval { to: from(false), ..Interval::default() },
        "<=" | "=<" => Interval { to: from(true), ..Interval::default() },
        "=" | "==" if wild => between(next(scheme, bare, numbers(bare).len().checked_sub(1)?)?),
        "=" | "==" => Interval { from: from(true), to: from(true), ends_with_fix: false },
        "^" => {
            let leading =
                numbers(bare).iter().position(|number| !number.trim_start_matches('0').is_empty()).unwrap_or(0);
            between(next(scheme, bare, leading)?)
        }
        "~>" => between(next(scheme, bare, numbers(bare).len().saturating_sub(2))?),
        "~" => between(next(scheme, bare, numbers(bare).len().saturating_sub(1).min(1))?),
        _ => return None,
    })
}

/// `1.2` of `1.2.x` and `1.2.*`, and whether there was one.
fn without_wildcards(version: &str) -> (&str, bool) {
    let mut bare = version;
    while let Some(shorter) = [".x", ".X", ".*"].iter().find_map(|wildcard| bare.strip_suffix(wildcard)) {
        bare = shorter;
    }
    (bare, bare.len() < version.len())
}

/// The numbers before a pre-release or a build.
fn numbers(version: &str) -> Vec<&str> {
    let version = version.trim_start_matches(['v', 'V']);
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    version[..end].split('.').filter(|number| !number.is_empty()).collect()
}

/// The first version behind all that share the numbers up to `at`, its own pre-releases included.
fn next(scheme: Scheme, version: &str, at: usize) -> Option<String> {
    let mut numbers: Vec<String> = numbers(version).into_iter().take(at + 1).map(str::to_owned).collect();
    let last = numbers.last_mut()?;
    *last = last.parse::<u64>().ok()?.checked_add(1)?.to_string();
    if scheme == Scheme::SemVer {
        numbers.resize(3, "0".to_owned());
        return Some(format!("{}-0", numbers.join(".")));
    }
    Some(if scheme == Scheme::RubyGems { format!("{}.a", numbers.join(".")) } else { numbers.join(".") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scheme: Scheme, text: &str, inside: &[&str], outside: &[&str]) {
        let intervals = parse(scheme, text, "=").expect(text);
        let hit = |version: &str| intervals.iter().any(|interval| interval.contains(scheme, version));
        for version in inside {
            assert!(hit(version), "{text}: {version} is inside {intervals:?}");
        }
        for version in outside {
            assert!(!hit(version), "{text}: {version} is outside {intervals:?}");
        }
    }

    #[test]
    fn requirements_of_each_database() {
        check(Scheme::SemVer, ">= 0.13.5, < 0.14.0", &["0.13.5", "0.13.9"], &["0.13.4", "0.14.0"]);
        check(Scheme::SemVer, "<2.0.18 || >=3.0.0 <3.0.16", &["1.0.0", "3.0.1"], &["2.0.18", "3.0.16"]);
        check(
            Scheme::SemVer,
            "^2.0.18 || ^3.0.16",
            &["2.0.18", "2.9.0", "3.0.16"],
            &["2.0.17", "3.0.0", "4.0.0", "4.0.0-beta"],
        );
        check(Scheme::SemVer, "^0.6.3", &["0.6.3", "0.6.9"], &["0.7.0", "0.6.2"]);
        check(Scheme::SemVer, ">= 2.x", &["2.0.0", "3.0.0"], &["1.9.9"]);
        check(Scheme::SemVer, "1.2.x || 1.4.x", &["1.2.0", "1.4.9"], &["1.3.0", "1.5.0"]);
        check(Scheme::SemVer, "~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0"]);
        check(Scheme::SemVer, "*", &["0.0.1", "9.9.9"], &[]);
        check(Scheme::SemVer, "<  1.0.0", &["0.9.0"], &["1.0.0"]);
        check(Scheme::SemVer, "<=1.0.0 >=0.5.0", &["0.5.0", "1.0.0"], &["0.4.0", "1.0.1"]);
        check(Scheme::RubyGems, "~> 5.2.4, >= 5.2.4.3", &["5.2.4.3", "5.2.9"], &["5.2.4.2", "5.3.0", "5.3.0.beta1"]);
        check(Scheme::RubyGems, "~> 2.3", &["2.3", "2.9"], &["3.0", "2.2"]);
        check(Scheme::Packagist, ">=2.3", &["2.3.2-p2", "2.4"], &["2.2.9"]);
        assert_eq!(parse(Scheme::SemVer, ">=", "="), None);
    }
}
