//! `permissions:` of a workflow or a job.
//! See <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#permissions>.

use indexmap::IndexMap;

/// How much a token may do with one scope, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionLevel {
    /// Nothing.
    None,
    /// Read.
    Read,
    /// Read and write.
    Write,
}

/// The scopes as written. A scope that is not named is `None`, except under `read-all` and `write-all`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permissions {
    /// `read-all`.
    ReadAll,
    /// `write-all`.
    WriteAll,
    /// A mapping of scope to level; `{}` takes all away.
    Scopes(IndexMap<String, PermissionLevel>),
}
