//! Why an action cannot be had. The texts are GitHub's where it has one, with what to do behind it.

use crate::git::GitError;
use crate::mirror::{MirrorError, UrlError};

/// Why the repository of an action cannot be had. `action` is `owner/repo@ref`.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such repository, or it is not for everybody.
    #[error("Unable to resolve action `{action}`, repository not found (or it is private): {url}{hint}")]
    NoRepository {
        /// The action.
        action: String,
        /// Where it was looked for.
        url: String,
        /// What may open it; empty, or behind a semicolon.
        hint: &'static str,
    },
    /// It has no such branch, tag or commit.
    #[error("Unable to resolve action `{action}`, unable to find version `{reference}`{hint}")]
    NoVersion {
        /// The action.
        action: String,
        /// What stands behind the `@`.
        reference: String,
        /// What may be meant; empty, or with what leads to it.
        hint: String,
    },
    /// GitHub does not take them either.
    #[error(
        "Unable to resolve action `{action}`, the provided ref `{reference}` is the shortened version of a commit SHA, which is not supported. Please use the full commit SHA `{whole}` instead."
    )]
    Short {
        /// The action.
        action: String,
        /// What stands behind the `@`.
        reference: String,
        /// The commit.
        whole: String,
    },
    /// It is not kept, and nothing is fetched.
    #[error(
        "`{action}` is not in the store of actions, and nothing is fetched (offline); `pipe run` without `--offline` brings it where there is a network"
    )]
    Offline {
        /// The action.
        action: String,
    },
    /// It is not kept, and cannot be fetched now.
    #[error(
        "`{action}` is not in the store of actions, and cannot be fetched: {reason}; give it with `--local-repository {action}=PATH`"
    )]
    Unreachable {
        /// The action.
        action: String,
        /// What git said.
        reason: MirrorError,
    },
    /// The name of the repository makes no URL.
    #[error("`{action}` has no place to be fetched from: {reason}")]
    Url {
        /// The action.
        action: String,
        /// What is wrong with it.
        reason: UrlError,
    },
    /// Its objects cannot be read.
    #[error("the repository of `{action}` cannot be read: {reason}")]
    Repository {
        /// The action.
        action: String,
        /// What libgit2 or the system said.
        reason: GitError,
    },
    /// A run that goes by the lock meets one that is not in it.
    #[error("`{action}` is not in .github/pipe.lock; `pipe lock` adds what the workflows use")]
    NotLocked {
        /// The action.
        action: String,
    },
    /// A branch or tag is another commit than when it was locked.
    #[error(
        "`{action}` has moved since the lock: it is commit {now}, and .github/pipe.lock has {locked}; look at what changed, then `pipe lock`"
    )]
    Moved {
        /// The action.
        action: String,
        /// The commit in the lock.
        locked: String,
        /// What it is now.
        now: String,
    },
    /// What is kept is not what was locked.
    #[error(
        "what is kept of `{action}` is not the tree that .github/pipe.lock has ({locked}); remove it from the store of actions"
    )]
    Changed {
        /// The action.
        action: String,
        /// The tree in the lock.
        locked: String,
    },
    /// A folder has no commit.
    #[error("`{action}` is taken from the folder `{path}`, whose files may change at any time: it cannot be locked")]
    Folder {
        /// The action.
        action: String,
        /// The folder.
        path: String,
    },
    /// The store.
    #[error("cannot write to the store of actions `{path}`: {reason}")]
    Store {
        /// Its folder.
        path: String,
        /// What the system said.
        reason: std::io::Error,
    },
}
