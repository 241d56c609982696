//! Roles: what a person may do, for all repositories or for some.

use crate::store::tokens::{Grant, Scope, Scopes};

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees runs.
    Viewer,
    /// Stops runs, runs them again and starts them.
    Developer,
    /// A developer who may start deployments.
    Deployer,
    /// Approves and rejects deployments.
    Approver,
    /// Sets secrets, registers repositories, looks at hooks again.
    Maintainer,
    /// Everything, people included.
    Admin,
    /// Sees runs and the audit log.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Viewer, Self::Developer, Self::Deployer, Self::Approver, Self::Maintainer, Self::Admin, Self::Auditor];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Deployer => "deployer",
            Self::Approver => "approver",
            Self::Maintainer => "maintainer",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }

    /// What it is for, in a sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Viewer => "sees runs, logs and deployments",
            Self::Developer => "also stops runs, runs them again and starts them",
            Self::Deployer => "a developer who also promotes, pauses, aborts and takes back rollouts",
            Self::Approver => "sees runs, approves and rejects deployments",
            Self::Maintainer => "also sets secrets, registers repositories and replays hooks",
            Self::Admin => "may do everything, people and tokens included",
            Self::Auditor => "sees runs and the audit log",
        }
    }

    /// The role of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(word))
    }

    /// What it allows.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        let scopes: &[Scope] = match self {
            Self::Viewer => &[Scope::RunsRead],
            Self::Developer => &[Scope::RunsRead, Scope::RunsWrite, Scope::Dispatch],
            Self::Deployer => &[Scope::RunsRead, Scope::RunsWrite, Scope::Dispatch, Scope::Deploy],
            Self::Approver => &[Scope::RunsRead, Scope::ReviewsWrite],
            Self::Maintainer => &[
                Scope::RunsRead,
                Scope::RunsWrite,
                Scope::Dispatch,
                Scope::Deploy,
                Scope::SecretsWrite,
                Scope::Deliveries,
                Scope::Repositories,
            ],
            Self::Admin => &[Scope::Admin],
            Self::Auditor => &[Scope::RunsRead, Scope::AuditRead],
        };
        scopes.iter().copied().collect()
    }
}

/// A role for all repositories and environments or for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// What.
    pub role: Role,
    /// Only in this repository; empty: in all.
    pub repository: String,
    /// Reviews and orders only about deployments to this environment; empty: to all.
    pub environment: String,
}

impl Assignment {
    /// A role for all.
    #[must_use]
    pub fn of_all(role: Role) -> Self {
        Self { role, repository: String::new(), environment: String::new() }
    }

    /// What it allows where.
    #[must_use]
    pub fn grant(&self) -> Grant {
        let one = |name: &String| if name.is_empty() { Vec::new() } else { vec![name.clone()] };
        Grant { scopes: self.role.scopes(), repositories: one(&self.repository), environments: one(&self.environment) }
    }

    /// What is wrong with it, if something is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let role = self.role.as_str();
        let is_of_all = match self.role {
            Role::Admin | Role::Auditor => true,
            Role::Viewer | Role::Developer | Role::Deployer | Role::Approver | Role::Maintainer => false,
        };
        if is_of_all && !self.repository.is_empty() {
            return Some(format!("the role `{role}` is for all repositories"));
        }
        let is_of_one = match self.role {
            Role::Approver | Role::Deployer => true,
            Role::Viewer | Role::Developer | Role::Maintainer | Role::Admin | Role::Auditor => false,
        };
        if !is_of_one && !self.environment.is_empty() {
            return Some(format!("only the roles `approver` and `deployer` are for one environment, not `{role}`"));
        }
        let is_name = self.repository.split('/').filter(|part| !part.is_empty()).count() == 2;
        if !self.repository.is_empty() && (!is_name || self.repository.contains(char::is_whitespace)) {
            return Some(format!("`{}` is no repository: one is owner/name", self.repository));
        }
        if self.environment.chars().any(char::is_control) {
            return Some("the name of an environment holds no control characters".to_owned());
        }
        None
    }
}

impl std::fmt::Display for Assignment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.role.as_str())?;
        if !self.repository.is_empty() {
            write!(f, " in {}", self.repository)?;
        }
        if !self.environment.is_empty() {
            write!(f, " for {}", self.environment)?;
        }
        Ok(())
    }
}

impl serde::Serialize for Role {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_allow_what_they_are_for() {
        for (role, expected) in [
            (Role::Viewer, "runs:read"),
            (Role::Developer, "runs:read runs:write dispatch"),
            (Role::Deployer, "runs:read runs:write dispatch deploy"),
            (Role::Approver, "runs:read reviews:write"),
            (Role::Maintainer, "runs:read runs:write dispatch deploy deliveries secrets:write repositories"),
            (Role::Admin, "admin"),
            (Role::Auditor, "runs:read audit:read"),
        ] {
            assert_eq!(role.scopes().to_string(), expected);
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
    }

    #[test]
    fn assignments_that_mean_nothing_are_refused() {
        let check = |role, repository: &str, environment: &str, fine: bool| {
            let assignment = Assignment { role, repository: repository.into(), environment: environment.into() };
            assert_eq!(assignment.problem().is_none(), fine, "{assignment}");
        };
        check(Role::Admin, "", "", true);
        check(Role::Admin, "octo/shop", "", false);
        check(Role::Auditor, "octo/shop", "", false);
        check(Role::Approver, "octo/shop", "production", true);
        check(Role::Approver, "", "production", true);
        check(Role::Deployer, "octo/shop", "production", true);
        check(Role::Maintainer, "octo/shop", "production", false);
        check(Role::Viewer, "shop", "", false);
        check(Role::Viewer, "octo/", "", false);
        check(Role::Viewer, "octo/the shop", "", false);
    }
}
