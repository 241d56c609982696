//! From what people write (`steps:`, `analysis:`, `hooks:`, `rollback-on:` of the deploy actions) to a plan's parts, or to everything
//! that is wrong with it: where, what, what to do.
//!
//! It looks at form alone; whether a target can do it is the target's to say.

mod analysis;
mod duration;
mod entry;
mod hooks;
mod schedule;
#[cfg(test)]
mod tests;

use std::fmt;

pub use duration::duration;

use crate::plan::{OnActive, RollbackOn};
use entry::unknown;

/// Something that is wrong in what a person wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `steps[2].weight`; entries count from 1.
    pub place: String,
    /// The key there that is meant itself, not its value.
    pub key: Option<String>,
    /// What is wrong, and what to do.
    pub words: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.words)
    }
}

/// All that is wrong with one input, a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<Mistake>);

/// Gathers mistakes while the rest is read on.
#[derive(Debug, Default)]
struct Reader {
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn wrong(&mut self, place: impl Into<String>, words: impl Into<String>) {
        self.mistakes.push(Mistake { place: place.into(), key: None, words: words.into() });
    }

    fn wrong_key(&mut self, place: &str, key: &str, words: String) {
        self.mistakes.push(Mistake { place: place.to_owned(), key: Some(key.to_owned()), words });
    }

    fn end<T>(self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() { Ok(value) } else { Err(Mistakes(self.mistakes)) }
    }
}

impl RollbackOn {
    /// All of them.
    pub const ALL: Self = Self { failure: true, alarm: true, analysis: true, cancel: true };

    /// Reads `failure,alarm,analysis,cancel` (any of them, commas or lines between them); nothing written is all of them, `none` is none.
    ///
    /// # Errors
    /// Words that are not among these.
    pub fn read(text: &str) -> Result<Self, Mistakes> {
        let words: Vec<&str> = text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Ok(Self::ALL);
        }
        let mut on = Self { failure: false, alarm: false, analysis: false, cancel: false };
        if words == ["none"] {
            return Ok(on);
        }
        let mut reader = Reader::default();
        for word in words {
            match word {
                "failure" => on.failure = true,
                "alarm" => on.alarm = true,
                "analysis" => on.analysis = true,
                "cancel" => on.cancel = true,
                other => {
                    let known = ["failure", "alarm", "analysis", "cancel", "none"];
                    reader.wrong("rollback-on", unknown("cause", other, &known));
                }
            }
        }
        reader.end(on)
    }
}

impl OnActive {
    /// Reads `wait`, `supersede` or `fail`; nothing written is `wait`.
    ///
    /// # Errors
    /// Another word.
    pub fn read(text: &str) -> Result<Self, Mistakes> {
        match text.trim() {
            "" | "wait" => Ok(Self::Wait),
            "supersede" => Ok(Self::Supersede),
            "fail" => Ok(Self::Fail),
            other => {
                let mut reader = Reader::default();
                reader.wrong("on-active-deployment", unknown("word", other, &["wait", "supersede", "fail"]));
                reader.end(Self::Wait)
            }
        }
    }
}
