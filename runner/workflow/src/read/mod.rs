//! From a workflow file to the typed [`model`](crate::model): read, checked, with the workflows that it calls.
//!
//! A file is first read into tokens against the schema ([`template`](crate::template)); what no schema can say is
//! checked here, in GitHub's words where GitHub has words for it. Nothing is evaluated, and files come through a port.
//! Follows <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions>.

mod action;
mod cache_mode;
mod call;
mod checks;
mod condition;
mod filters;
mod identifiers;
mod inputs;
mod jobs;
mod load;
mod needs;
mod options;
mod permissions;
mod root;
mod settings;
mod steps;
mod strategy;
mod triggers;
mod uses;

#[cfg(test)]
mod tests;

pub(crate) use action::read_among as read_action_among;
pub use action::{ActionReading, read_action};
pub(crate) use condition::part as part_condition;
pub use options::{FILES_MAX, NESTED_WORKFLOWS_MAX, PermissionsPolicy, ReadOptions};

use crate::diagnostic::Diagnostic;
use crate::model::Workflow;
use crate::source::{SourceFile, SourceMap};
use crate::template::{ReadError, Repairs};

use self::checks::Checks;
use self::load::Loader;

/// Gives the files of called workflows.
pub trait WorkflowFiles {
    /// The file of `./path` or `owner/repo/path@ref`, under the name that messages will use: its path in the same
    /// repository, or the whole reference. `None` leaves the call unread, for where the file cannot be had. An error
    /// is a sentence for the person who wrote the reference.
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>>;

    /// What is wrong with a file of this repository that is there and cannot be read.
    fn broken(&self, path: &str) -> Option<Diagnostic> {
        let _: &str = path;
        None
    }
}

/// No called workflow can be had: each call stays unread.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl WorkflowFiles for NoFiles {
    fn read(&self, _reference: &str) -> Option<Result<SourceFile, String>> {
        None
    }
}

/// What a reading gave.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The workflow's file, then the called ones in the order in which they were met.
    pub sources: SourceMap,
    /// The workflow, unless there are errors.
    pub workflow: Option<Workflow>,
    /// What GitHub's reader refuses, in its order and words.
    pub errors: Vec<ReadError>,
    /// What GitHub's reader lets pass but its trigger refuses, and what will hardly do what was meant.
    pub findings: Vec<Diagnostic>,
}

/// Reads a workflow file, and those that it calls as far as `files` has them.
pub fn read_workflow(file: SourceFile, files: &dyn WorkflowFiles, options: &ReadOptions) -> Reading {
    load(file, files, Checks::new(options))
}

/// Reads a workflow file that GitHub refuses on to its end, with some slips repaired: the workflow is what is left of it.
pub(crate) fn explore(
    file: SourceFile,
    files: &dyn WorkflowFiles,
    options: &ReadOptions,
    repairs: &Repairs,
) -> Reading {
    let mut checks = Checks::new(options);
    checks.explore = Some(repairs);
    load(file, files, checks)
}

fn load(file: SourceFile, files: &dyn WorkflowFiles, checks: Checks<'_>) -> Reading {
    let mut loader = Loader::new(files, checks);
    let workflow = loader.read(file);
    let Loader { checks, sources, .. } = loader;
    Reading { sources, workflow, errors: checks.errors, findings: checks.findings }
}
