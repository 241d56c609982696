//! The environments of the cases, with their rules.

use jiff::tz::TimeZone;

use crate::run::{Environments, Freeze, Protection};

/// `prod` wants a review, `slow` two hours, `both` both, `two` two reviews within a day, `guarded` one of somebody else,
/// `ours` cannot get one, `main` is for two branches, `night` rests for two hours (the first day is a Thursday), `reviewed`
/// wants one of somebody who wrote nothing of it, `alone` has nobody else, of `unseen` nobody knows who wrote it.
pub(super) fn environments() -> Environments {
    let protection = |reviewers: &[&str], minutes: u64| Protection {
        reviewers: reviewers.iter().map(ToString::to_string).collect(),
        wait_ms: minutes * 60_000,
        ..Protection::default()
    };
    let guarded = |reviewers| Protection { self_review: false, ..protection(reviewers, 0) };
    let authors = |reviewers| Protection { author_review: false, ..protection(reviewers, 0) };
    let two = Protection { required: 2, expires_ms: 24 * 3_600_000, ..protection(&["ada", "bob", "eve"], 0) };
    let branches = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let freeze = |from, to| Freeze::new(from, to, TimeZone::UTC, "it is late").unwrap();
    let night =
        Protection { freezes: vec![freeze("00:00", "01:00"), freeze("thu 00:30", "thu 02:00")], ..protection(&[], 0) };
    let rules = [
        ("prod", protection(&["ada"], 0)),
        ("slow", protection(&[], 120)),
        ("both", protection(&["ada"], 60)),
        ("two", two),
        ("guarded", guarded(&["Ada", "Mona"])),
        ("ours", guarded(&["Mona"])),
        ("main", Protection { branches: branches(&["main", "release/**"]), ..Protection::default() }),
        ("release", Protection { branches: branches(&["release/**"]), ..Protection::default() }),
        ("night", night),
        ("reviewed", authors(&["ada", "eve"])),
        ("alone", authors(&["Ada"])),
        ("unseen", authors(&["ada"])),
    ];
    let rules = rules.into_iter().map(|(name, rules)| (name.to_owned(), rules)).collect();
    let written =
        [("reviewed".to_owned(), Ok(vec!["ada".to_owned()])), ("alone".to_owned(), Ok(vec!["ada".to_owned()]))];
    Environments { rules, closed: false, written: written.into() }
}
