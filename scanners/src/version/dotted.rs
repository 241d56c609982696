//! Versions that are numbers only, between dots and hyphens: CRAN
//! (<https://cran.r-project.org/doc/manuals/R-exts.html#The-DESCRIPTION-file>) and Hackage (<https://pvp.haskell.org>).

use std::cmp::Ordering;

use super::numbers;

/// The one that goes on is the later one, also when it goes on with zeros.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split(['.', '-']), right.split(['.', '-']));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => numbers(a, b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}
