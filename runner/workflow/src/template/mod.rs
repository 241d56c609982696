//! From YAML events and a schema to tokens: literals, sequences, mappings and parsed `${{ }}` expressions, each with
//! its place. And from tokens to values, once there are contexts to evaluate them in.
//!
//! A token is what a workflow file says once the schema has accepted it, before any expression is evaluated. The
//! typed model keeps tokens wherever a value may still depend on a context.

mod budget;
mod error;
mod evaluate;
mod fit;
mod keys;
mod literal;
mod locate;
mod read;
mod text;
mod token;

#[cfg(test)]
mod evaluate_tests;
#[cfg(test)]
mod tests;

pub use budget::{Budget, DEPTH_LIMIT_MAX, Exceeded, Limits};
pub use error::{Cause, GITHUB_ERRORS_MAX, Limit, MESSAGE_CHARS_MAX, Place, ReadError, Repairs, github_position};
pub use evaluate::{EvaluateError, RESULT_DEPTH_MAX, evaluate, evaluate_as, evaluate_within};
pub use locate::locate;
pub use read::{Reading, read};
pub use token::{Token, TokenKind};

/// Whether steps may run in the background, which GitHub's reader knows as an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackgroundSteps {
    /// They may, but errors do not propose them.
    #[default]
    Allowed,
    /// They may, and errors propose them.
    Proposed,
    /// They may not.
    Refused,
}

impl BackgroundSteps {
    /// Whether errors name this key among what could be meant.
    fn tells(self, name: &str) -> bool {
        self == Self::Proposed || !matches!(name, "wait" | "wait-all" | "cancel")
    }
}
