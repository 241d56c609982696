//! An `action.yml`, read: what the action takes, what it gives, and how it runs.
//!
//! Says nothing of where the file came from, and runs nothing. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax>.

use indexmap::IndexMap;

use crate::model::Step;
use crate::template::Token;

/// How deep composite actions may use each other.
pub const COMPOSITE_DEPTH_MAX: usize = 9;

/// An action as its author wrote it.
#[derive(Debug, Clone)]
pub struct Action {
    /// `name:`.
    pub name: Option<String>,
    /// `inputs:` by name as written, in their order.
    pub inputs: IndexMap<String, ActionInput>,
    /// `outputs:` of a composite action: the whole mapping, whose values are evaluated when its steps have ended.
    pub outputs: IndexMap<String, Token>,
    /// `runs:`.
    pub runs: ActionRuns,
}

/// One input.
#[derive(Debug, Clone, Default)]
pub struct ActionInput {
    /// `required:`. GitHub does not insist on it: an input that is missing is empty.
    pub required: bool,
    /// `default:`.
    pub default: Option<Token>,
    /// `deprecationMessage:`, shown where the input is given.
    pub deprecation: Option<String>,
}

/// How an action runs.
#[derive(Debug, Clone)]
pub enum ActionRuns {
    /// `using: composite`: these steps.
    Composite(Vec<Step>),
    /// `using: node20` and the like, as written.
    Script(String),
    /// `using: docker`.
    Container,
}
