//! What a reading may cost. The estimates are GitHub's, since its limits are part of what it accepts.
//!
//! One budget serves a workflow and all that it calls.

use super::{Cause, Limit};
use crate::expression::utf16_length;

/// Estimated bytes of any value, without its text.
pub(super) const VALUE_BYTES: usize = 24;
/// Estimated bytes of a text, without its characters.
pub(super) const TEXT_BYTES: usize = 26;

/// The limits of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most characters (UTF-16 code units) of one file.
    pub file_chars_max: usize,
    /// Deepest nesting of collections. Values beyond [`DEPTH_LIMIT_MAX`] count as that.
    pub depth_max: usize,
    /// Most values, keys included.
    pub events_max: usize,
    /// Most bytes of all values by GitHub's estimate; what aliases repeat counts again.
    pub result_bytes_max: usize,
}

/// The deepest that [`Limits::depth_max`] may be set, since reading goes one call deeper a level.
pub const DEPTH_LIMIT_MAX: usize = 200;

impl Default for Limits {
    fn default() -> Self {
        Self { file_chars_max: 1024 * 1024, depth_max: 50, events_max: 1_000_000, result_bytes_max: 10 * 1024 * 1024 }
    }
}

/// What a reading has cost so far, against its [`Limits`].
#[derive(Debug, Clone)]
pub struct Budget {
    limits: Limits,
    depth: usize,
    events: usize,
    bytes: usize,
    /// Names of files, in lower case. A file that is read again costs its values again, but not its name.
    files: Vec<String>,
}

/// A limit was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded(pub Limit);

impl Exceeded {
    /// GitHub's words for it.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self.0 {
            Limit::FileSize => "The maximum file size has been exceeded",
            Limit::Depth => "Maximum object depth exceeded",
            Limit::Events => {
                "Maximum events exceeded while evaluating the template. \
                 This may indicate an infinite loop or too many nested loops."
            }
            Limit::Bytes => "Maximum object size exceeded",
            Limit::Aliases => "Maximum YAML nodes exceeded",
        }
    }

    /// The same as a cause.
    #[must_use]
    pub const fn cause(self) -> Cause {
        Cause::Limit(self.0)
    }
}

impl Budget {
    /// Nothing spent yet.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, depth: 0, events: 0, bytes: 0, files: Vec::new() }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bytes spent so far, by GitHub's estimate.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Spends the bytes of a file's name.
    pub(super) fn add_file(&mut self, name: &str) -> Result<(), Exceeded> {
        let folded = name.to_lowercase();
        if self.files.contains(&folded) {
            return Ok(());
        }
        self.files.push(folded);
        self.add(TEXT_BYTES + 2 * utf16_length(name))
    }

    /// Spends the bytes of a value with a text.
    pub(super) fn add_string(&mut self, text: &str) -> Result<(), Exceeded> {
        self.add(VALUE_BYTES + TEXT_BYTES + 2 * utf16_length(text))
    }

    /// Spends the bytes of any other value.
    pub(super) fn add_value(&mut self) -> Result<(), Exceeded> {
        self.add(VALUE_BYTES)
    }

    fn add(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.result_bytes_max { Err(Exceeded(Limit::Bytes)) } else { Ok(()) }
    }

    pub(super) fn event(&mut self) -> Result<(), Exceeded> {
        self.events += 1;
        if self.events > self.limits.events_max { Err(Exceeded(Limit::Events)) } else { Ok(()) }
    }

    pub(super) fn deeper(&mut self) -> Result<(), Exceeded> {
        self.depth += 1;
        let depth_max = self.limits.depth_max.min(DEPTH_LIMIT_MAX);
        if self.depth > depth_max { Err(Exceeded(Limit::Depth)) } else { Ok(()) }
    }

    pub(super) fn shallower(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Forgets the depth of a reading that broke off.
    pub(super) fn surface(&mut self) {
        self.depth = 0;
    }
}
