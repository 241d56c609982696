//! Counting the memory that an evaluation takes, so that a short expression cannot ask for gigabytes.
//!
//! Sizes are GitHub's estimates (two bytes a UTF-16 code unit), because the limit is part of the language. What it does
//! not do: measure what our own representation really takes.
//! Follows <https://github.com/actions/runner/blob/main/src/Sdk/Expressions/Sdk/EvaluationMemory.cs>.

use super::error::DEPTH_MAX;
use super::text::utf16_length;

/// What a workflow's expression may take, as on GitHub.
pub const EVALUATION_BYTES_MAX: usize = 10 * 1024 * 1024;

/// What an expression may take that is evaluated on its own, as in GitHub's conformance cases.
pub const STANDALONE_BYTES_MAX: usize = 1024 * 1024;

/// Estimated bytes of an object, without its content.
pub(super) const OBJECT_BYTES: usize = 24;

/// Estimated bytes of a pointer in a list.
pub(super) const POINTER_BYTES: usize = 8;

const STRING_BYTES: usize = 26;

/// The limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Estimated bytes of a text.
pub(super) fn string_bytes(text: &str) -> usize {
    STRING_BYTES + 2 * utf16_length(text)
}

/// Counts the bytes of one result while it is built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    bytes: usize,
    bytes_max: usize,
}

impl Counter {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes: 0, bytes_max }
    }

    pub(super) fn add(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.bytes_max { Err(TooLarge) } else { Ok(()) }
    }

    pub(super) fn add_string(&mut self, text: &str) -> Result<(), TooLarge> {
        self.add(string_bytes(text))
    }
}

/// Counts the bytes of a whole evaluation, level by level of the tree.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    // One more level than the tree has, for the condition that wraps it.
    levels: [usize; DEPTH_MAX + 2],
    deepest: usize,
    total: usize,
    bytes_max: usize,
}

impl Memory {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { levels: [0; DEPTH_MAX + 2], deepest: 0, total: 0, bytes_max }
    }

    pub(super) const fn counter(&self) -> Counter {
        Counter::new(self.bytes_max)
    }

    /// Accounts a result. A `whole` result holds nothing of the levels below, which are then free again.
    pub(super) fn add(&mut self, level: usize, bytes: usize, whole: bool) -> Result<(), TooLarge> {
        if whole {
            for freed in self.levels.iter_mut().take(self.deepest + 1).skip(level + 1) {
                self.total -= *freed;
                *freed = 0;
            }
            self.deepest = level;
        }
        self.deepest = self.deepest.max(level);
        self.levels[level] = self.levels[level].saturating_add(bytes);
        self.total = self.total.saturating_add(bytes);
        if self.total > self.bytes_max { Err(TooLarge) } else { Ok(()) }
    }
}
