//! One workflow file.

use indexmap::IndexMap;

use super::{Job, JobId, Permissions, Triggers};
use crate::source::Spanned;
use crate::template::Token;

/// A whole workflow, read and checked.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// Path in the repository, such as `.github/workflows/ci.yml`.
    pub path: String,
    /// `name:`; without it GitHub shows the path.
    pub name: Option<Spanned<String>>,
    /// `description:`.
    pub description: Option<Spanned<String>>,
    /// `run-name:`, a string that may hold expressions over github, inputs, vars.
    pub run_name: Option<Token>,
    /// `on:`.
    pub on: Triggers,
    /// `permissions:`; `None` means the repository's default.
    pub permissions: Option<Permissions>,
    /// `env:`, a mapping (or an expression that gives one) of strings.
    pub env: Option<Token>,
    /// `defaults:`, the mapping `{run: {shell, working-directory}}`.
    pub defaults: Option<Token>,
    /// `concurrency:`, a group name or `{group, cancel-in-progress, queue}`.
    pub concurrency: Option<Token>,
    /// `jobs:`, in file order.
    pub jobs: IndexMap<JobId, Job>,
}

impl Workflow {
    /// What GitHub shows as its name: `name:`, or the path.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.name.as_ref().map_or(&self.path, |name| &name.value)
    }
}
