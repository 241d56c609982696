//! What a token allows.

use std::collections::BTreeSet;

/// One thing that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See runs, their events and logs, repositories, environments and deployments.
    RunsRead,
    /// Cancel runs and run them again.
    RunsWrite,
    /// Approve and reject deployments.
    ReviewsWrite,
    /// Start runs by hand.
    Dispatch,
    /// Steer rollouts: promote, pause, abort, roll back.
    Deploy,
    /// See and replay deliveries.
    Deliveries,
    /// Set and remove secrets and variables, and list their names.
    SecretsWrite,
    /// Register and forget repositories.
    Repositories,
    /// See the audit log.
    AuditRead,
    /// Everything, tokens included.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RunsRead,
        Self::RunsWrite,
        Self::ReviewsWrite,
        Self::Dispatch,
        Self::Deploy,
        Self::Deliveries,
        Self::SecretsWrite,
        Self::Repositories,
        Self::AuditRead,
        Self::Admin,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RunsRead => "runs:read",
            Self::RunsWrite => "runs:write",
            Self::ReviewsWrite => "reviews:write",
            Self::Dispatch => "dispatch",
            Self::Deploy => "deploy",
            Self::Deliveries => "deliveries",
            Self::SecretsWrite => "secrets:write",
            Self::Repositories => "repositories",
            Self::AuditRead => "audit:read",
            Self::Admin => "admin",
        }
    }

    /// The scope of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// Several scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Whether something is allowed. `admin` allows everything.
    #[must_use]
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it was stored. A word that is not known, of a newer program, allows nothing.
    pub(in crate::store) fn stored(text: &str) -> Self {
        text.split(' ').filter_map(Scope::parse).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "))
    }
}

impl serde::Serialize for Scopes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|scope| scope.as_str()))
    }
}
