//! The patterns of all secrets as one automaton that is driven byte by byte.
//!
//! It adds to the `aho-corasick` crate what a stream needs: how many of the last bytes may still become a match. It does
//! not know what is replaced or kept; that is `stream.rs`. Method: Aho and Corasick 1975,
//! <https://doi.org/10.1145/360825.360855>.

use std::collections::BTreeSet;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::{Anchored, dfa, nfa::contiguous};

use super::filter::Filter;

/// Up to this many states (those of two secrets of forty characters, in all their forms) the fast full table is built, above
/// the compact one. The table costs some 500 bytes of memory for each state, and the filter leaves little to read.
const TABLE_STATES_MAX: usize = 8 * 1024;

/// All patterns, ready for searching.
#[derive(Debug)]
pub(super) struct PatternAutomaton {
    pub(super) machine: Machine,
    /// `None` where a pattern is too short for it.
    pub(super) filter: Option<Filter>,
    /// For a state (shifted), how many of the bytes read last are a proper beginning of some pattern.
    open: Vec<u32>,
    /// State numbers are multiples of a power of two; this takes it out.
    shift: u32,
}

/// The two ways of storing the same automaton.
#[derive(Debug)]
pub(super) enum Machine {
    /// One table lookup a byte.
    Table(dfa::DFA),
    /// Several lookups a byte, some thirtieth of the memory.
    Compact(contiguous::NFA),
}

/// Calls `$body` with the machine that is there, so that each is compiled into its own tight loop.
macro_rules! with_machine {
    ($machine:expr, $name:ident => $body:expr) => {
        match $machine {
            $crate::mask::automaton::Machine::Table($name) => $body,
            $crate::mask::automaton::Machine::Compact($name) => $body,
        }
    };
}
pub(super) use with_machine;

/// One step of the automaton.
#[inline(always)]
pub(super) fn step(machine: &impl Automaton, state: StateID, byte: u8) -> StateID {
    machine.next_state(Anchored::No, state, byte)
}

/// The state before the first byte.
pub(super) fn start(machine: &impl Automaton) -> StateID {
    machine.start_state(Anchored::No).expect("both machines are built for unanchored search")
}

/// Length in bytes of the longest pattern that ends in this state, if any does.
pub(super) fn match_len(machine: &impl Automaton, state: StateID) -> Option<usize> {
    if !machine.is_match(state) {
        return None;
    }
    (0..machine.match_len(state)).map(|index| machine.pattern_len(machine.match_pattern(state, index))).max()
}

impl PatternAutomaton {
    /// Builds the automaton; `patterns` must not hold the empty one.
    pub(super) fn new(patterns: &BTreeSet<Vec<u8>>) -> Self {
        let machine = if states(patterns) <= TABLE_STATES_MAX {
            dfa::Builder::new().prefilter(false).build(patterns).map(Machine::Table)
        } else {
            contiguous::Builder::new().prefilter(false).build(patterns).map(Machine::Compact)
        }
        .expect("the patterns of one job are far fewer than the 2³¹ states that fit");
        let (open, shift) = with_machine!(&machine, automaton => open_lengths(automaton, patterns));
        Self { machine, filter: Filter::new(patterns), open, shift }
    }

    /// How many of the bytes read last could still become part of a match that is not complete yet.
    pub(super) fn open_len(&self, state: StateID) -> usize {
        self.open[state.as_usize() >> self.shift] as usize
    }
}

/// How many states the patterns take: one for each of their beginnings, which neighbours in order share.
fn states(patterns: &BTreeSet<Vec<u8>>) -> usize {
    let mut last: &[u8] = &[];
    let mut count = 0;
    for pattern in patterns {
        let shared = last.iter().zip(pattern).take_while(|(one, other)| one == other).count();
        count += pattern.len() - shared;
        last = pattern;
    }
    count
}

/// Walks every pattern through the automaton: after `k` bytes of a pattern the state stands for exactly these `k` bytes.
fn open_lengths(automaton: &impl Automaton, patterns: &BTreeSet<Vec<u8>>) -> (Vec<u32>, u32) {
    let start = start(automaton);
    let mut inner: Vec<(StateID, u32)> = vec![(start, 0)];
    let mut ends: Vec<(StateID, &[u8])> = Vec::new();
    for pattern in patterns {
        let mut state = start;
        for (index, byte) in pattern.iter().enumerate() {
            state = step(automaton, state, *byte);
            let depth = u32::try_from(index + 1).expect("a pattern is far shorter than 4 GiB");
            if index + 1 < pattern.len() {
                inner.push((state, depth));
            } else {
                ends.push((state, pattern));
            }
        }
    }
    let states = || inner.iter().map(|(state, _)| state).chain(ends.iter().map(|(state, _)| state));
    let shift = states().fold(0, |bits, state| bits | state.as_usize()).trailing_zeros().min(31);
    let largest = states().map(|state| state.as_usize()).max().unwrap_or(0);
    let mut open = vec![0; (largest >> shift) + 1];
    for (state, depth) in inner {
        open[state.as_usize() >> shift] = depth;
    }
    // The end of a pattern that no longer pattern continues: what stays open is its longest proper suffix that begins a
    // pattern. Shorter ends first, because such a suffix may be an end of its own.
    ends.sort_by_key(|(_, pattern)| pattern.len());
    for (state, pattern) in ends {
        let slot = state.as_usize() >> shift;
        if open[slot] == 0 {
            let suffix = pattern[1..].iter().fold(start, |state, byte| step(automaton, state, *byte));
            open[slot] = open[suffix.as_usize() >> shift];
        }
    }
    (open, shift)
}
