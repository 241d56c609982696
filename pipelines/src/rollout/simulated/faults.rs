//! What goes wrong in a simulated world, and where its processes die.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use rollout::Call;

use crate::rollout::CallError;

/// Where a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// Its intent is written down, nothing is done.
    BeforeCall(u32),
    /// It is done, and nobody knows.
    AfterCall(u32),
    /// It is done, and that is written down.
    AfterResult(u32),
    /// Before the fact with this number is written, whichever it is.
    BeforeFact(u64),
    /// After it.
    AfterFact(u64),
}

/// Which calls are meant.
pub(crate) type Which = fn(&Call) -> bool;

/// What goes wrong, once each.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) death: Option<Death>,
    /// Effects whose answer is lost.
    pub(crate) lost_answers: BTreeSet<u32>,
    /// Effects that fail so many times before they succeed.
    pub(crate) hiccups: BTreeMap<u32, u32>,
    /// Calls that fail for good.
    pub(crate) fails: Option<(Which, CallError)>,
    /// Calls that take so long.
    pub(crate) slow: Option<(Which, SignedDuration)>,
    /// What is seen arrives so late.
    pub(crate) late_looks: SignedDuration,
    /// Nothing can be seen.
    pub(crate) is_blind: bool,
}
