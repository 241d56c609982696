//! The local repository: what is in it, what lies in its folder, and making a job's own clone of it.
//!
//! Everything is read with libgit2, which runs no hooks, filters or monitors, so nothing that a repository configures is
//! executed on this machine. Nothing is ever read from a workspace that a job could write to.
//! See `research/security-reliability.md` 1.11 for what is guarded against.

mod clone;
mod copy;
mod files;
mod install;
mod objects;
mod refs;
mod remote;
#[cfg(test)]
pub(crate) mod test_repository;

pub use clone::{CloneOrder, Depth, make_git_folder};
pub use copy::{CopyJob, copy_files, folder_files};
pub use files::{FileKind, SnapshotFile, WorkingFiles, commit_files, working_files};
pub use install::install;
pub(crate) use install::{is_same_folder, open_below};
pub use refs::{Head, Target, resolve, unborn_or_head};
pub use remote::{default_branch, origin_url, server_url};

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository, RepositoryOpenFlags};

/// What went wrong with a repository.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The folder is not in a repository.
    #[error("{0} is not a git repository")]
    NotARepository(PathBuf),
    /// It belongs to somebody else.
    #[error(
        "the repository {0} belongs to another user, so git does not trust its settings; if you do: git config --global --add safe.directory {0}"
    )]
    Owner(PathBuf),
    /// libgit2 said no.
    #[error("cannot {action}: {reason}")]
    Library {
        /// Such as `read the index`.
        action: &'static str,
        /// What it said.
        reason: String,
    },
    /// A branch, tag or commit that is not there, in GitHub's words.
    #[error("{0}")]
    NoSuchRef(String),
    /// A file.
    #[error("cannot {action} {path}: {reason}")]
    File {
        /// `copy`, `create`, `read` …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
}

impl GitError {
    /// An error of libgit2.
    pub(crate) fn library(action: &'static str) -> impl FnOnce(git2::Error) -> Self {
        move |error| Self::Library { action, reason: error.message().to_owned() }
    }

    /// An error of the system.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |reason| Self::File { action, path, reason }
    }
}

/// Opens the repository whose root is `folder`; folders above are not looked at.
///
/// # Errors
/// There is none, or it belongs to another user.
pub fn open(folder: &Path) -> Result<Repository, GitError> {
    let none: [&std::ffi::OsStr; 0] = [];
    Repository::open_ext(folder, RepositoryOpenFlags::NO_SEARCH, none).map_err(|error| {
        if error.code() == ErrorCode::NotFound {
            GitError::NotARepository(folder.to_path_buf())
        } else if error.code() == ErrorCode::Owner {
            GitError::Owner(folder.to_path_buf())
        } else {
            GitError::library("open the repository")(error)
        }
    })
}
