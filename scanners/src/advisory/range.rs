//! Ranges of versions: from the events of OSV to intervals, and what sets of intervals make together.
//!
//! Follows <https://ossf.github.io/osv-schema/#evaluation>.

use std::cmp::Ordering;

use super::model::{Bound, Interval};
use crate::version::{Scheme, sort_by};

/// What an OSV range says happens at a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    Introduced(&'a str),
    Fixed(&'a str),
    LastAffected(&'a str),
    Limit(&'a str),
}

impl<'a> Event<'a> {
    const fn version(self) -> &'a str {
        match self {
            Self::Introduced(version) | Self::Fixed(version) | Self::LastAffected(version) | Self::Limit(version) => {
                version
            }
        }
    }
}

/// The start of everything, as OSV writes it.
const BEGINNING: &str = "0";

/// The intervals that events in any order describe.
pub(crate) fn of_events(scheme: Scheme, events: &[Event<'_>]) -> Vec<Interval> {
    let mut limit: Option<&str> = None;
    let mut unlimited = false;
    let mut sorted: Vec<Event<'_>> = Vec::with_capacity(events.len());
    for event in events {
        match event {
            Event::Limit("*") => unlimited = true,
            Event::Limit(version) => {
                if limit.is_none_or(|limit| scheme.compare(limit, version) == Ordering::Less) {
                    limit = Some(version);
                }
            }
            Event::Introduced(_) | Event::Fixed(_) | Event::LastAffected(_) => sorted.push(*event),
        }
    }
    sort_by(&mut sorted, &|left, right| match (left.version(), right.version()) {
        (left, right) if left == right => Ordering::Equal,
        (BEGINNING, _) => Ordering::Less,
        (_, BEGINNING) => Ordering::Greater,
        (left, right) => scheme.compare(left, right),
    });
    let mut intervals = Vec::new();
    // None: not affected here; Some(None): affected since ever.
    let mut open: Option<Option<Bound>> = None;
    for at in sorted.chunk_by(|left, right| is_same(scheme, left.version(), right.version())) {
        let version = at[0].version();
        let has = |wanted: fn(&Event<'_>) -> bool| at.iter().any(wanted);
        let introduced = has(|event| matches!(event, Event::Introduced(_)));
        let fixed = has(|event| matches!(event, Event::Fixed(_)));
        let last = has(|event| matches!(event, Event::LastAffected(_)));
        let mut close = |from: Option<Bound>| {
            let to = Some(Bound { version: version.to_owned(), inclusive: !fixed });
            intervals.push(Interval { from, to, ends_with_fix: fixed });
        };
        let start = || (version != BEGINNING).then(|| Bound { version: version.to_owned(), inclusive: true });
        match open.take() {
            // Where one range ends and the next begins, whichever is written first.
            Some(from) if fixed => {
                close(from);
                open = introduced.then(start);
            }
            Some(from) if last => close(from),
            Some(from) => open = Some(from),
            None if introduced && last && !fixed => close(start()),
            None if introduced && !fixed => open = Some(start()),
            None => {}
        }
    }
    if let Some(from) = open {
        intervals.push(Interval { from, to: None, ends_with_fix: false });
    }
    match limit.filter(|_| !unlimited) {
        Some(limit) => {
            let below = Interval {
                from: None,
                to: Some(Bound { version: limit.to_owned(), inclusive: false }),
                ends_with_fix: false,
            };
            intersection(scheme, intervals, vec![below])
        }
        None => intervals,
    }
}

fn is_same(scheme: Scheme, left: &str, right: &str) -> bool {
    left == right || ((left == BEGINNING) == (right == BEGINNING) && scheme.compare(left, right) == Ordering::Equal)
}

/// Everything that is in none of them, in order.
pub(crate) fn complement(scheme: Scheme, intervals: Vec<Interval>) -> Vec<Interval> {
    let mut gaps = Vec::new();
    let mut from: Option<Bound> = None;
    for interval in union(scheme, intervals) {
        if let Some(end) = interval.from {
            let to = Bound { inclusive: !end.inclusive, version: end.version };
            gaps.push(Interval { from, ends_with_fix: !to.inclusive, to: Some(to) });
        }
        match interval.to {
            Some(to) => from = Some(Bound { inclusive: !to.inclusive, version: to.version }),
            None => return gaps,
        }
    }
    gaps.push(Interval { from, to: None, ends_with_fix: false });
    gaps
}

/// Everything that is in both.
pub(crate) fn intersection(scheme: Scheme, left: Vec<Interval>, right: Vec<Interval>) -> Vec<Interval> {
    let mut both = Vec::new();
    for a in &left {
        for b in &right {
            let from = match (&a.from, &b.from) {
                (Some(x), Some(y)) => Some(if lower(scheme, x, y) == Ordering::Less { y } else { x }),
                (x, y) => x.as_ref().or(y.as_ref()),
            };
            let (to, fix) = match (&a.to, &b.to) {
                (Some(x), Some(y)) if upper(scheme, x, y) == Ordering::Greater => (Some(y), b.ends_with_fix),
                (Some(x), _) => (Some(x), a.ends_with_fix),
                (None, y) => (y.as_ref(), b.ends_with_fix),
            };
            if let (Some(x), Some(y)) = (from, to) {
                let order = scheme.compare(&x.version, &y.version);
                if order == Ordering::Greater || (order == Ordering::Equal && !(x.inclusive && y.inclusive)) {
                    continue;
                }
            }
            both.push(Interval { from: from.cloned(), to: to.cloned(), ends_with_fix: fix });
        }
    }
    union(scheme, both)
}

/// The same versions in as few intervals as possible, in order.
pub(crate) fn union(scheme: Scheme, mut intervals: Vec<Interval>) -> Vec<Interval> {
    sort_by(&mut intervals, &|a, b| match (&a.from, &b.from) {
        (Some(x), Some(y)) => lower(scheme, x, y),
        (x, y) => x.is_some().cmp(&y.is_some()),
    });
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for next in intervals {
        let Some(last) = merged.last_mut() else {
            merged.push(next);
            continue;
        };
        let apart = match (&last.to, &next.from) {
            (Some(to), Some(from)) => match scheme.compare(&to.version, &from.version) {
                Ordering::Less => true,
                Ordering::Equal => !to.inclusive && !from.inclusive,
                Ordering::Greater => false,
            },
            _ => false,
        };
        if apart {
            merged.push(next);
            continue;
        }
        let longer = match (&last.to, &next.to) {
            (Some(x), Some(y)) => upper(scheme, x, y) == Ordering::Less,
            (last, next) => last.is_some() && next.is_none(),
        };
        if longer {
            last.to = next.to;
            last.ends_with_fix = next.ends_with_fix;
        }
    }
    merged
}

/// Which of two lower bounds comes first: one that counts itself does.
fn lower(scheme: Scheme, a: &Bound, b: &Bound) -> Ordering {
    scheme.compare(&a.version, &b.version).then(b.inclusive.cmp(&a.inclusive))
}

/// Which of two upper bounds comes first: one that counts itself comes last.
fn upper(scheme: Scheme, a: &Bound, b: &Bound) -> Ordering {
    scheme.compare(&a.version, &b.version).then(a.inclusive.cmp(&b.inclusive))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(events: &[Event<'_>], affected: &[&str], not: &[&str]) {
        let intervals = of_events(Scheme::SemVer, events);
        let hit = |version: &str| intervals.iter().any(|interval| interval.contains(Scheme::SemVer, version));
        for version in affected {
            assert!(hit(version), "{events:?}: {version} is affected: {intervals:?}");
        }
        for version in not {
            assert!(!hit(version), "{events:?}: {version} is not affected: {intervals:?}");
        }
    }

    #[test]
    fn events_in_any_order_make_intervals() {
        use Event::{Fixed, Introduced, LastAffected, Limit};
        check(&[Introduced("0"), Fixed("1.0.0")], &["0.0.0-0", "0.9.9", "1.0.0-rc.1"], &["1.0.0", "2.0.0"]);
        check(&[Fixed("1.2.0"), Introduced("1.0.0")], &["1.0.0", "1.1.9"], &["0.9.0", "1.2.0"]);
        check(
            &[Introduced("0"), Introduced("2.0.0"), Fixed("1.5.0"), Fixed("2.3.0")],
            &["1.4.0", "2.0.0", "2.2.9"],
            &["1.5.0", "1.9.0", "2.3.0"],
        );
        check(&[Introduced("1.0.0"), LastAffected("1.4.0")], &["1.0.0", "1.4.0"], &["1.4.1", "0.9.0"]);
        check(&[Introduced("1.0.0")], &["1.0.0", "99.0.0"], &["0.9.0"]);
        check(&[Introduced("0"), Limit("2.0.0")], &["1.0.0"], &["2.0.0", "3.0.0"]);
        check(&[Introduced("0"), Limit("2.0.0"), Limit("*")], &["1.0.0", "2.0.0"], &[]);
        check(&[Fixed("1.0.0")], &[], &["0.5.0", "1.0.0"]);
        check(&[Introduced("1.0.0"), Fixed("1.0.0")], &[], &["0.9.0", "1.0.0", "1.0.1"]);
        check(
            &[Introduced("1.2.0"), Fixed("1.4.0"), Introduced("0"), Fixed("1.2.0")],
            &["1.1.0", "1.2.0", "1.3.9"],
            &["1.4.0"],
        );
        check(&[LastAffected("1.2.0"), Introduced("1.2.0")], &["1.2.0"], &["1.1.0", "1.2.1"]);
    }

    #[test]
    fn what_is_patched_leaves_the_rest() {
        let half = |from: &str, to: &str| Interval {
            from: Some(Bound { version: from.to_owned(), inclusive: true }),
            to: (!to.is_empty()).then(|| Bound { version: to.to_owned(), inclusive: false }),
            ends_with_fix: false,
        };
        let rest = complement(Scheme::SemVer, vec![half("2.0.0", ""), half("1.5.0", "1.6.0")]);
        let hit = |version: &str| rest.iter().any(|interval| interval.contains(Scheme::SemVer, version));
        assert!(hit("1.4.0") && hit("1.6.0") && hit("1.9.0"));
        assert!(!hit("1.5.0") && !hit("1.5.9") && !hit("2.0.0"));
        assert!(complement(Scheme::SemVer, Vec::new()).len() == 1, "nothing patched is everything affected");
    }
}
