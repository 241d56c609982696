//! The repository's files as a checkout without inputs gives them, for actions that work on the repository itself and not on
//! what steps have made of the workspace.

use std::path::PathBuf;

use tempfile::TempDir;

use super::inputs::{Inputs, Submodules};
use super::prepare::Prepare;
use super::stoppable;
use crate::step::{ActionCall, ActionError};

/// The files, in a folder that no job sees; gone when dropped.
#[derive(Debug)]
pub struct SourceFiles {
    /// Where they are. There is no `.git`.
    pub folder: PathBuf,
    /// What they are, for a log.
    pub lines: Vec<String>,
    /// Submodules that are left out: not checked out in the repository's folder, or of a commit.
    pub left_out: Vec<PathBuf>,
    _scratch: TempDir,
}

/// Makes them: of the run's commit, or as they lie in the repository's folder where a local run has its files from there; then
/// with the submodules that are checked out there.
///
/// # Errors
/// The repository cannot be read, or the action is cancelled.
pub async fn source_files(call: &ActionCall<'_>) -> Result<SourceFiles, ActionError> {
    let mut prepare = Prepare::of(call, Inputs { submodules: Submodules::Present, ..Inputs::none() });
    prepare.keeps_git = false;
    let (done, scratch) = stoppable(call, move |stop| prepare.aside(stop)).await?;
    let folder = scratch.path().join("stage");
    Ok(SourceFiles { folder, lines: done.lines, left_out: done.missing, _scratch: scratch })
}
