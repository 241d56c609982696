//! `permissions:` of a workflow or a job: what its token may do.
//!
//! Which of two sets is larger is decided in [`read`](crate::read). See
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#permissions>.

use indexmap::IndexMap;

/// Every scope, in the order in which GitHub compares them.
pub const SCOPES: &[&str] = &[
    "actions",
    "artifact-metadata",
    "attestations",
    "checks",
    "code-quality",
    "contents",
    "copilot-requests",
    "deployments",
    "discussions",
    "drives",
    "issues",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "statuses",
    "security-events",
    "id-token",
    "models",
    "vulnerability-alerts",
];

/// The scopes that GitHub writes out for `read-all` and `write-all`. The younger ones are granted by them too, but
/// never listed.
pub const SHORTHAND_SCOPES: &[&str] = &[
    "actions",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
];

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

impl PermissionLevel {
    /// `none`, `read` or `write`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Read, Self::Write].into_iter().find(|level| level.name() == name)
    }
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

impl Permissions {
    /// What is granted for one scope.
    #[must_use]
    pub fn level(&self, scope: &str) -> PermissionLevel {
        match self {
            Self::ReadAll => PermissionLevel::Read,
            Self::WriteAll => PermissionLevel::Write,
            Self::Scopes(scopes) => scopes.get(scope).copied().unwrap_or(PermissionLevel::None),
        }
    }

    /// Whether GitHub writes this scope out: the shorthands stand for [`SHORTHAND_SCOPES`] only.
    #[must_use]
    pub fn lists(&self, scope: &str) -> bool {
        match self {
            Self::ReadAll | Self::WriteAll => SHORTHAND_SCOPES.contains(&scope),
            Self::Scopes(scopes) => scopes.contains_key(scope),
        }
    }
}
