//! Bare copies of repositories, kept up to date by `git`, read by libgit2.
//!
//! A push costs one small fetch, or none when an earlier one brought its commit along; many that wait share one. Nothing
//! is ever checked out here: workflows are read as blobs of a commit, and a job gets a clone of its own
//! ([`crate::step::checkout`]).
//!
//! | where | what |
//! |---|---|
//! | `refs/heads/*`, `refs/tags/*` | as they were fetched last |
//! | `refs/pull/N/head`, `refs/pull/N/merge` | of pull requests; GitLab's `refs/merge-requests/N/head` lands here too |
//! | `refs/pipe/commits/ID` | commits that were fetched by their id |
//! | `refs/remotes/origin/HEAD` | names the default branch |
//!
//! What is guarded against: research/security-reliability.md 1.11.

mod apart;
mod behind;
mod brought;
mod changed;
mod error;
mod fetch;
mod lanes;
mod merge;
pub(crate) mod program;
mod read;
#[cfg(test)]
pub(crate) mod tests;
mod url;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use workflow::event::GitRef;

pub use apart::{Apart, Author, COMMITS_SHOWN_MAX, CommitLine, FILES_SHOWN_MAX, FileChange, Lag, texts};
pub use brought::{Brought, COMMITS_READ_MAX};
pub use changed::{CHANGED_FILES_MAX, Compared};
pub use error::MirrorError;
pub use merge::Merged;
pub use program::GitCredential;
pub(crate) use read::WORKFLOW_BYTES_MAX;
pub use read::{CommitText, WORKFLOW_FOLDERS, WorkflowSources, default_branch};
pub use url::{RemoteUrl, Transport, UrlError};
pub use written::{WRITTEN_MAX, written};

use lanes::Lanes;

/// Limits and the program.
#[derive(Debug, Clone)]
pub struct MirrorOptions {
    /// `git`, found by `PATH` unless it is a path.
    pub program: PathBuf,
    /// For the first fetch of a repository.
    pub first_time_max: Duration,
    /// For each later one.
    pub time_max: Duration,
    /// Most bytes of one mirror's objects.
    pub bytes_max: u64,
    /// Most bytes of a remote's list of branches and tags (about 60 a name).
    pub refs_bytes_max: u64,
    /// Fetches at once, over all repositories.
    pub at_once: usize,
}

impl Default for MirrorOptions {
    fn default() -> Self {
        Self {
            program: PathBuf::from("git"),
            first_time_max: Duration::from_secs(30 * 60),
            time_max: Duration::from_secs(5 * 60),
            bytes_max: 20 * 1_024 * 1_024 * 1_024,
            refs_bytes_max: 16 * 1_024 * 1_024,
            at_once: 4,
        }
    }
}

/// Tells who we are for a repository.
#[async_trait]
pub trait GitCredentials: Send + Sync + std::fmt::Debug {
    /// Asked before each fetch.
    ///
    /// # Errors
    /// It cannot be said now, and why.
    async fn credential(&self, repository: u64) -> Result<GitCredential, String>;
}

/// Nobody in particular, for every repository.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

#[async_trait]
impl GitCredentials for Anonymous {
    async fn credential(&self, _repository: u64) -> Result<GitCredential, String> {
        Ok(GitCredential::None)
    }
}

/// A repository to keep a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its number in the store.
    pub id: u64,
    /// Where it is fetched from.
    pub url: RemoteUrl,
}

/// A ref there and its name here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefPair {
    /// In the remote repository.
    pub there: GitRef,
    /// In the mirror.
    pub here: GitRef,
}

impl From<GitRef> for RefPair {
    fn from(name: GitRef) -> Self {
        Self { there: name.clone(), here: name }
    }
}

/// What a mirror shall have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// These refs must be there.
    pub refs: Vec<RefPair>,
    /// These may be missing.
    pub optional: Vec<RefPair>,
    /// These commits must be there; if they and all refs are, nothing is fetched. Without any, refs are always asked for.
    pub commits: Vec<String>,
}

/// What a remote tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFacts {
    /// Where its HEAD points, without `refs/heads/`; `None` if it does not say.
    pub default_branch: Option<String>,
    /// How many branches and tags it has.
    pub refs: usize,
}

/// All mirrors of a server, in one folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mirrors(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    options: MirrorOptions,
    credentials: Arc<dyn GitCredentials>,
    lanes: Lanes,
    places: Semaphore,
    looked: behind::Looked,
}

impl Mirrors {
    /// Mirrors in `folder`, which is made; what killed fetches left there is removed.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(
        folder: &Path,
        options: MirrorOptions,
        credentials: Arc<dyn GitCredentials>,
    ) -> Result<Self, MirrorError> {
        use std::os::unix::fs::PermissionsExt as _;
        let failed = |error: std::io::Error| mirror_error(folder, &error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        for entry in std::fs::read_dir(&folder).map_err(failed)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".git-") {
                // What cannot be removed is in nobody's way.
                let _left = std::fs::remove_dir_all(entry.path());
            }
        }
        let places = Semaphore::new(options.at_once.max(1));
        Ok(Self(Arc::new(Shared {
            folder,
            options,
            credentials,
            lanes: Lanes::default(),
            places,
            looked: behind::Looked::default(),
        })))
    }

    /// The mirror of a repository, whether it is there or not.
    #[must_use]
    pub fn folder(&self, repository: u64) -> PathBuf {
        self.0.folder.join(format!("{repository}.git"))
    }

    /// Removes the mirror of a repository.
    ///
    /// # Errors
    /// Something of it is left.
    pub async fn remove(&self, repository: u64) -> Result<(), MirrorError> {
        let _alone = self.0.lanes.enter(repository).await;
        let folder = self.folder(repository);
        let removal = folder.clone();
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(removal)).await;
        match removed.unwrap_or(Ok(())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(mirror_error(&folder, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Reads a mirror on a thread that may wait for the disk.
    ///
    /// # Errors
    /// As the work's.
    pub async fn read<T: Send + 'static>(
        &self,
        repository: u64,
        work: impl FnOnce(&git2::Repository) -> Result<T, MirrorError> + Send + 'static,
    ) -> Result<T, MirrorError> {
        let folder = self.folder(repository);
        let reading = tokio::task::spawn_blocking(move || {
            let opened = crate::git::open(&folder).map_err(|error| mirror_error(&folder, &error))?;
            work(&opened)
        });
        reading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

fn mirror_error(folder: &Path, reason: &dyn std::fmt::Display) -> MirrorError {
    MirrorError::Mirror { path: folder.display().to_string(), reason: reason.to_string() }
}

/// An error of libgit2 while reading a mirror.
fn library(repository: &git2::Repository) -> impl Fn(git2::Error) -> MirrorError {
    let folder = repository.path().to_path_buf();
    move |error| mirror_error(&folder, &error.message())
}
