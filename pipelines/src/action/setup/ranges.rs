//! Ranges of versions as npm writes them, which `actions/setup-node` and `actions/setup-python` take.
//! See <https://github.com/npm/node-semver#ranges>. Releases only: what is before a release has to be named in full.

/// `20.11.1`.
pub(super) type Version = (u64, u64, u64);

/// A version out of a text like `v20.11.1` or `3.11.2+chromium`.
pub(super) fn version(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches(['v', '=']);
    let plain = text.split(['-', '+', ' ']).next()?;
    let mut parts = plain.split('.').map(|part| part.parse::<u64>().ok());
    let version = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(version)
}

/// A range: any of these, each of which is all of its bounds (the first one in, the second one out).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range(Vec<(Version, Version)>);

const ALL: (Version, Version) = ((0, 0, 0), (u64::MAX, 0, 0));

impl Range {
    /// Reads one; nothing where it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split("||").map(alternative).collect::<Option<Vec<_>>>().map(Self)
    }

    pub(super) fn has(&self, version: Version) -> bool {
        self.0.iter().any(|(from, to)| *from <= version && version < *to)
    }
}

fn alternative(text: &str) -> Option<(Version, Version)> {
    if let Some((from, to)) = text.split_once(" - ") {
        return Some((partial(from)?.0, partial(to)?.1));
    }
    // `>= 3.9` is one word.
    let mut joined = text.trim().replace(',', " ");
    for sign in [">=", "<=", ">", "<", "^", "~", "="] {
        while joined.contains(&format!("{sign} ")) {
            joined = joined.replace(&format!("{sign} "), sign);
        }
    }
    let mut all = ALL;
    for word in joined.split_whitespace() {
        let (from, to) = comparator(word)?;
        all = (all.0.max(from), all.1.min(to));
    }
    Some(all)
}

fn comparator(word: &str) -> Option<(Version, Version)> {
    let (start, end) = ALL;
    if let Some(rest) = word.strip_prefix(">=") {
        return Some((bound(rest)?.0.0, end));
    }
    if let Some(rest) = word.strip_prefix("<=") {
        let ((from, to), is_before) = bound(rest)?;
        return Some((start, if is_before { from } else { to }));
    }
    if let Some(rest) = word.strip_prefix('>') {
        let ((from, to), is_before) = bound(rest)?;
        return Some((if is_before { from } else { to }, end));
    }
    if let Some(rest) = word.strip_prefix('<') {
        return Some((start, bound(rest)?.0.0));
    }
    if let Some(rest) = word.strip_prefix('^') {
        let ((from, to), _) = bound(rest)?;
        let next = match from {
            (0, 0, patch) => (0, 0, patch.saturating_add(1)),
            (0, minor, _) => (0, minor.saturating_add(1), 0),
            (major, ..) => (major.saturating_add(1), 0, 0),
        };
        return Some((from, next.max(to)));
    }
    if let Some(rest) = word.strip_prefix('~') {
        let ((from, to), _) = bound(rest.trim_start_matches('>'))?;
        return Some((from, to.max((from.0, from.1.saturating_add(1), 0))));
    }
    partial(word)
}

/// A version behind a sign, and whether what is meant lies before that release: `<19.0.0-0`.
fn bound(text: &str) -> Option<((Version, Version), bool)> {
    match text.split_once('-') {
        Some((release, _)) => Some((partial(release)?, true)),
        None => Some((partial(text)?, false)),
    }
}

/// `20`, `20.x`, `20.11`, `20.11.1`, `*`: where it begins, and where it ends.
fn partial(text: &str) -> Option<(Version, Version)> {
    let text = text.trim().trim_start_matches(['v', '=']);
    let mut numbers = Vec::new();
    for part in text.split('.') {
        match part {
            "x" | "X" | "*" => break,
            part => numbers.push(part.parse::<u64>().ok()?),
        }
    }
    Some(match numbers[..] {
        [] => ALL,
        [major] => ((major, 0, 0), (major.saturating_add(1), 0, 0)),
        [major, minor] => ((major, minor, 0), (major, minor.saturating_add(1), 0)),
        [major, minor, patch] => ((major, minor, patch), (major, minor, patch.saturating_add(1))),
        [..] => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_npms() {
        let check = |range: &str, inside: &[&str], outside: &[&str]| {
            let read = Range::parse(range).unwrap_or_else(|| panic!("{range}"));
            for one in inside {
                assert!(read.has(version(one).unwrap()), "{range} has {one}");
            }
            for one in outside {
                assert!(!read.has(version(one).unwrap()), "{range} has not {one}");
            }
        };
        check("20", &["20.0.0", "v20.19.5"], &["21.0.0", "19.9.9"]);
        check("20.x", &["20.1.0"], &["22.0.0"]);
        check("20.11", &["20.11.3"], &["20.12.0"]);
        check("20.11.1", &["20.11.1"], &["20.11.2"]);
        check(">=18", &["18.0.0", "24.1.0"], &["17.9.9"]);
        check(">= 18 < 20", &["19.1.0"], &["20.0.0"]);
        check(">=3.9,<3.13", &["3.12.9"], &["3.13.0"]);
        check("^18.2.0 || >=22", &["18.20.1", "22.0.0"], &["18.1.0", "20.0.0"]);
        check("^0.2.3", &["0.2.9"], &["0.3.0"]);
        check("~18.2", &["18.2.9"], &["18.3.0"]);
        check("<=20", &["20.19.0"], &["21.0.0"]);
        check(">20", &["21.0.0"], &["20.19.0"]);
        check("18 - 20", &["18.0.0", "20.9.9"], &["21.0.0"]);
        check("*", &["1.2.3"], &[]);
        check(">=18.0.0 <19.0.0-0", &["18.9.9"], &["19.0.0"]);
        check("^20.1.0-rc.1", &["20.1.0", "20.9.0"], &["20.0.9", "21.0.0"]);
        check(">20.0.0-rc.1 <=22.0.0-rc.1", &["20.0.0", "21.9.9"], &["19.9.9", "22.0.0"]);
        let huge = u64::MAX;
        for range in
            [format!("{huge}"), format!("1.{huge}"), format!("1.1.{huge}"), format!("^{huge}"), format!("~1.{huge}")]
        {
            check(&range, &[], &["1.2.3", "20.0.0"]);
        }
        for wrong in ["twenty", "20.1.2.3", ">=x.y", "20-nightly"] {
            assert_eq!(Range::parse(wrong), if wrong == ">=x.y" { Range::parse("*") } else { None }, "{wrong}");
        }
        assert_eq!((version("v20.11.1"), version("20")), (Some((20, 11, 1)), None));
    }
}
