//! How many containers are made ahead, of which kind, and which go. Pure.

use std::time::Duration;

/// How many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Of each kind that is in use.
    pub(super) each: usize,
    /// Of all kinds together.
    pub(super) all: usize,
    /// A kind that no job has used for so long is not in use.
    pub(super) idle: Duration,
}

/// A kind of container, and what there is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// Since a job has used it.
    pub(super) unused: Duration,
    pub(super) ready: usize,
    pub(super) making: usize,
    /// Jobs that are about to come, beside those that come by surprise.
    pub(super) expected: usize,
    /// The last one could not be made.
    pub(super) fails: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Make one of this kind.
    Make(usize),
    /// Remove one of this kind.
    Remove(usize),
    /// This kind is not in use any more; it has none.
    Forget(usize),
}

/// Those in use last come first.
pub(super) fn plan(kinds: &[Kind], bounds: Bounds) -> Vec<Step> {
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    order.sort_by_key(|index| kinds[*index].unused);
    let (mut steps, mut left) = (Vec::new(), bounds.all);
    for index in order {
        let kind = &kinds[index];
        let is_used = kind.unused < bounds.idle && !kind.fails;
        let wanted = if is_used { (bounds.each + kind.expected).min(left) } else { 0 };
        let there = kind.ready + kind.making;
        left -= wanted;
        steps.extend((there..wanted).map(|_| Step::Make(index)));
        steps.extend((wanted..there).take(kind.ready).map(|_| Step::Remove(index)));
        if kind.unused >= bounds.idle && there == 0 {
            steps.push(Step::Forget(index));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::Step::{Forget, Make, Remove};
    use super::*;

    const fn kind(unused: u64, ready: usize, making: usize) -> Kind {
        Kind { unused: Duration::from_secs(unused), ready, making, expected: 0, fails: false }
    }

    #[test]
    fn plans() {
        let check = |kinds: &[Kind], each: usize, all: usize, expect: &[Step]| {
            assert_eq!(plan(kinds, Bounds { each, all, idle: Duration::from_secs(60) }), expect, "{kinds:?}");
        };
        check(&[], 1, 4, &[]);
        check(&[kind(0, 0, 0)], 1, 4, &[Make(0)]);
        check(&[kind(0, 0, 1)], 1, 4, &[]);
        check(&[kind(0, 1, 0)], 1, 4, &[]);
        check(&[kind(0, 0, 0)], 0, 4, &[]);
        check(&[kind(0, 0, 0)], 3, 2, &[Make(0), Make(0)]);
        // Not enough for all: those in use last have them.
        check(&[kind(9, 1, 0), kind(1, 0, 0)], 1, 1, &[Make(1), Remove(0)]);
        check(&[kind(9, 0, 1), kind(1, 0, 0)], 1, 1, &[Make(1)]);
        // Out of use.
        check(&[kind(61, 2, 0)], 1, 4, &[Remove(0), Remove(0)]);
        check(&[kind(61, 0, 1)], 1, 4, &[]);
        check(&[kind(61, 0, 0)], 1, 4, &[Forget(0)]);
        // Jobs that are expected, and one that cannot be made.
        check(&[Kind { expected: 2, ..kind(0, 1, 0) }], 1, 4, &[Make(0), Make(0)]);
        check(&[Kind { expected: 1, ..kind(0, 0, 0) }], 0, 4, &[Make(0)]);
        check(&[Kind { fails: true, ..kind(0, 0, 0) }], 1, 4, &[]);
    }
}
