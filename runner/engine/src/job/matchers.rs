//! Problem matchers of a job: the files that steps name are read, and what is found in their output gets its place in the
//! repository.
//!
//! A matcher that one step adds holds for all that follow. Matching itself is `workflow::command::matcher`'s. Follows
//! <https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md>.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use workflow::command::{Annotation, MatcherSet};

use crate::placement::JobHandle;
use crate::step::WorkspaceFacts;

/// Largest file of matchers; those that exist have a few kilobytes.
const MATCHER_FILE_BYTES_MAX: u64 = 1 << 20;

/// The matchers of a job. Every change has a number, so that logs that are open notice it.
#[derive(Debug)]
pub(super) struct JobMatchers {
    handle: Arc<dyn JobHandle>,
    workspace: WorkspaceFacts,
    set: Mutex<MatcherSet>,
    generation: AtomicU64,
}

/// What a line asks for.
#[derive(Debug, Clone)]
pub(super) enum MatcherChange {
    /// Add those of a file.
    Add { file: String },
    /// Remove those that a file names.
    RemoveFile { file: String },
    /// Remove that of an owner.
    RemoveOwner(String),
}

impl MatcherChange {
    /// The command that asks for it.
    pub(super) fn command(&self) -> String {
        match self {
            Self::Add { file } => format!("::add-matcher::{file}"),
            Self::RemoveFile { file } => format!("::remove-matcher::{file}"),
            Self::RemoveOwner(owner) => format!("::remove-matcher owner={owner}::"),
        }
    }
}

impl JobMatchers {
    /// None yet.
    pub(super) fn new(handle: Arc<dyn JobHandle>, workspace: WorkspaceFacts) -> Self {
        Self { handle, workspace, set: Mutex::default(), generation: AtomicU64::new(0) }
    }

    /// The matchers as they are now, and the number of their last change.
    pub(super) fn current(&self) -> (MatcherSet, u64) {
        let set = self.lock();
        (set.clone(), self.generation())
    }

    /// The number of the last change.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Does what a line asks for. Gives sentences about matchers that cannot be used.
    ///
    /// # Errors
    /// The file is not there, cannot be read, or is no file of matchers.
    pub(super) async fn change(&self, change: &MatcherChange) -> Result<Vec<String>, String> {
        let json = match change {
            MatcherChange::Add { file } | MatcherChange::RemoveFile { file } => self.read(file).await?,
            MatcherChange::RemoveOwner(_) => bytes::Bytes::new(),
        };
        let mut set = self.lock();
        let skipped = match change {
            MatcherChange::Add { .. } => set.add(&json).map_err(|error| error.to_string())?,
            MatcherChange::RemoveFile { .. } => {
                set.remove_file(&json).map_err(|error| error.to_string())?;
                Vec::new()
            }
            MatcherChange::RemoveOwner(owner) => {
                set.remove_owner(owner);
                Vec::new()
            }
        };
        self.generation.fetch_add(1, Ordering::Release);
        Ok(skipped.iter().map(ToString::to_string).collect())
    }

    /// Reads through the job, never beside it: a link in the workspace must not lead to a file of this machine.
    async fn read(&self, file: &str) -> Result<bytes::Bytes, String> {
        let path = self.absolute(file);
        let read = self.handle.read_file(&path.display().to_string(), MATCHER_FILE_BYTES_MAX).await;
        read.map_err(|error| error.to_string())?.ok_or_else(|| format!("Could not find file '{}'.", path.display()))
    }

    /// Makes the file of an annotation relative to the workspace. One outside, or one that is not there, is left out, as
    /// GitHub does it.
    pub(super) fn locate(&self, annotation: &mut Annotation) {
        annotation.file = annotation.file.take().and_then(|file| {
            let path = self.absolute(&file);
            let relative = path.strip_prefix(&self.workspace.inside).ok()?;
            let there = !self.workspace.shared || self.workspace.host.join(relative).symlink_metadata().is_ok();
            there.then(|| relative.display().to_string())
        });
    }

    /// A path as the job sees it, without `.` and `..`.
    fn absolute(&self, file: &str) -> PathBuf {
        let mut path = PathBuf::new();
        for component in Path::new(&self.workspace.inside).join(file).components() {
            match component {
                Component::ParentDir => {
                    path.pop();
                }
                Component::CurDir => {}
                Component::Prefix(_) | Component::RootDir | Component::Normal(_) => path.push(component),
            }
        }
        path
    }

    fn lock(&self) -> MutexGuard<'_, MatcherSet> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
