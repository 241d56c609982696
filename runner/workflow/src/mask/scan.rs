//! One pass over bytes that finds every secret in them, and the writing of what is left.
//!
//! All matches count, not only leftmost ones, and touching ones are one run: of `abcdef` and `defghi` in `abcdefghi` no
//! tail stays. Beside the text itself, the text without its line breaks is read, so that base64 wrapped at any width is found
//! too. Holding bytes back between writes is left to `stream.rs`.

use aho_corasick::automaton::{Automaton, StateID};

use super::MASK;
use super::automaton::{PatternAutomaton, match_len, start, step, with_machine};
use super::filter::{Filter, GRAM_BYTES};

/// A secret that is broken over lines is hidden in full if this many of its bytes stand before the first break; what is
/// shorter cannot be told from ordinary ends of lines, so it is let through and only the other lines are hidden.
const WRAPPED_HEAD_BYTES_MIN: usize = 8;

/// The state of reading, between any two bytes. Positions count from the start of the buffer that the caller keeps.
#[derive(Debug)]
pub(super) struct Scan {
    state: StateID,
    wrapped: Option<Wrapped>,
    /// Ranges to hide: sorted, neither overlapping nor touching.
    pub(super) found: Vec<(usize, usize)>,
    /// Whether the last byte written belongs to a mask that the next one may continue.
    masking: bool,
}

/// The second reading, in which line breaks do not exist. It lives from a line break until both readings agree again,
/// usually one or two bytes later.
#[derive(Debug)]
struct Wrapped {
    state: StateID,
    /// Positions of the line breaks left out that the reading still spans.
    skipped: Vec<usize>,
    /// Nothing before this position is hidden by this reading.
    floor: Option<usize>,
    last_break: Option<u8>,
}

impl Scan {
    pub(super) fn new(automaton: &PatternAutomaton) -> Self {
        let state = with_machine!(&automaton.machine, machine => start(machine));
        Self { state, wrapped: None, found: Vec::new(), masking: false }
    }

    /// Reads `bytes[from..]`.
    pub(super) fn read(&mut self, automaton: &PatternAutomaton, bytes: &[u8], from: usize) {
        with_machine!(&automaton.machine, machine => self.read_with(automaton, machine, bytes, from));
    }

    fn read_with(&mut self, automaton: &PatternAutomaton, machine: &impl Automaton, bytes: &[u8], from: usize) {
        let mut at = from;
        while at < bytes.len() {
            if self.wrapped.is_none() {
                let line_end = memchr::memchr2(b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |length| at + length);
                at = match &automaton.filter {
                    Some(filter) => self.pass_over(automaton, machine, filter, (bytes, line_end), at),
                    None => self.read_line(machine, &bytes[..line_end], at),
                };
                if at > line_end {
                    continue;
                }
            }
            let Some(&byte) = bytes.get(at) else { break };
            at += 1;
            let is_break = matches!(byte, b'\n' | b'\r');
            if is_break {
                self.skip_break(automaton, byte, at);
            }
            self.state = step(machine, self.state, byte);
            if let Some(length) = match_len(machine, self.state) {
                self.hide(at.saturating_sub(length), at);
            }
            if !is_break {
                self.read_wrapped(machine, byte, at);
            }
        }
    }

    /// The hot loop where patterns are long enough for a filter: a line without any second reading, of which only what
    /// may be a pattern is read. Gives where it stopped: at the end of the line, or at the next one if nothing begins at
    /// the line break either.
    #[inline(always)]
    fn pass_over(
        &mut self,
        automaton: &PatternAutomaton,
        machine: &impl Automaton,
        filter: &Filter,
        (all, line_end): (&[u8], usize),
        from: usize,
    ) -> usize {
        let bytes = &all[..line_end];
        let mut state = self.state;
        let mut at = from;
        while at < bytes.len() {
            // Nothing of what was read begins a pattern, if its first byte does not.
            let open = automaton.open_len(state);
            if open < GRAM_BYTES
                && let Some(begin) = at.checked_sub(open)
                && !filter.may_begin(bytes, begin)
            {
                state = start(machine);
                at = filter.next(bytes, begin + 1);
                if let Some(next) = filter.next_line(all, at, line_end) {
                    self.state = state;
                    return next;
                }
                continue;
            }
            state = step(machine, state, bytes[at]);
            at += 1;
            if machine.is_special(state)
                && let Some(length) = match_len(machine, state)
            {
                self.hide(at.saturating_sub(length), at);
            }
        }
        self.state = state;
        at
    }

    /// The hot loop: a line without any second reading.
    #[inline(always)]
    fn read_line(&mut self, machine: &impl Automaton, bytes: &[u8], from: usize) -> usize {
        let mut state = self.state;
        for (index, byte) in bytes.iter().enumerate().skip(from) {
            state = step(machine, state, *byte);
            if machine.is_special(state)
                && let Some(length) = match_len(machine, state)
            {
                self.hide((index + 1).saturating_sub(length), index + 1);
            }
        }
        self.state = state;
        bytes.len()
    }

    /// A line break that ends just before `at`: the second reading begins, or goes on as if it were not there.
    fn skip_break(&mut self, automaton: &PatternAutomaton, byte: u8, at: usize) {
        let Some(wrapped) = &mut self.wrapped else {
            let open = automaton.open_len(self.state);
            if open > 0 {
                let floor = (open < WRAPPED_HEAD_BYTES_MIN).then_some(at);
                self.wrapped =
                    Some(Wrapped { state: self.state, skipped: vec![at - 1], floor, last_break: Some(byte) });
            }
            return;
        };
        // An empty line ends whatever was wrapped; that also bounds how long bytes are held back.
        if wrapped.last_break.is_some() && (wrapped.last_break, byte) != (Some(b'\r'), b'\n') {
            self.wrapped = None;
            return;
        }
        wrapped.skipped.push(at - 1);
        if wrapped.last_break.is_some() && wrapped.floor == Some(at - 1) {
            wrapped.floor = Some(at);
        }
        wrapped.last_break = Some(byte);
    }

    fn read_wrapped(&mut self, machine: &impl Automaton, byte: u8, at: usize) {
        let Some(wrapped) = &mut self.wrapped else { return };
        wrapped.state = step(machine, wrapped.state, byte);
        wrapped.last_break = None;
        let hidden = match_len(machine, wrapped.state).map(|length| wrapped.start_of(length, at));
        if wrapped.state == self.state {
            self.wrapped = None;
        }
        if let Some(from) = hidden {
            self.hide(from, at);
        }
    }

    /// How many of the `read` bytes can be let go: none of the bytes before can become part of a new match.
    pub(super) fn decided(&self, automaton: &PatternAutomaton, read: usize) -> usize {
        let plain = read.saturating_sub(automaton.open_len(self.state));
        match &self.wrapped {
            Some(wrapped) => {
                let open = automaton.open_len(wrapped.state);
                plain.min(if open == 0 { read } else { wrapped.start_of(open, read) })
            }
            None => plain,
        }
    }

    /// Adds a range; ranges come in the order of their ends.
    fn hide(&mut self, mut from: usize, to: usize) {
        while let Some(&(last_from, last_to)) = self.found.last()
            && last_to >= from
        {
            from = from.min(last_from);
            self.found.pop();
        }
        if from < to {
            self.found.push((from, to));
        }
    }

    /// Writes `bytes[..end]` with the hidden ranges replaced, and counts positions from `end` on.
    pub(super) fn emit(&mut self, bytes: &[u8], end: usize, out: &mut Vec<u8>) {
        let mut at = 0;
        for &(from, to) in self.found.iter().take_while(|(from, _)| *from < end) {
            if at < from {
                out.extend_from_slice(&bytes[at..from]);
                self.masking = false;
            }
            at = to.min(end);
            // The line breaks in a hidden range stay, and each line of it is masked by itself.
            for byte in &bytes[from..at] {
                if matches!(byte, b'\n' | b'\r') {
                    out.push(*byte);
                    self.masking = false;
                } else if !self.masking {
                    out.extend_from_slice(MASK.as_bytes());
                    self.masking = true;
                }
            }
        }
        if at < end {
            out.extend_from_slice(&bytes[at..end]);
            self.masking = false;
        }
        self.found.retain_mut(|(from, to)| {
            *from = from.saturating_sub(end);
            *to = to.saturating_sub(end);
            *to > 0
        });
        if let Some(wrapped) = &mut self.wrapped {
            wrapped.floor = wrapped.floor.map(|floor| floor.saturating_sub(end));
            wrapped.skipped.retain(|position| *position >= end);
            wrapped.skipped.iter_mut().for_each(|position| *position -= end);
        }
    }

    /// Reads `bytes` once more with another automaton; what has been found before stays found.
    pub(super) fn read_again(&mut self, automaton: &PatternAutomaton, bytes: &[u8]) {
        let before = std::mem::take(&mut self.found);
        self.state = Self::new(automaton).state;
        self.wrapped = None;
        self.read(automaton, bytes, 0);
        let mut all = std::mem::take(&mut self.found);
        all.extend(before);
        all.sort_by_key(|(_, to)| *to);
        for (from, to) in all {
            self.hide(from, to);
        }
    }
}

impl Wrapped {
    /// Where the last `length` bytes of this reading begin, which end at `at`.
    fn start_of(&self, length: usize, at: usize) -> usize {
        let mut from = at.saturating_sub(length);
        for &position in self.skipped.iter().rev().take_while(|position| **position < at) {
            if position < from {
                break;
            }
            from = from.saturating_sub(1);
        }
        from.max(self.floor.unwrap_or(0))
    }
}
