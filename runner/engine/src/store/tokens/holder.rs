//! Who asks, once a token or a session is known, and what they may do where.

use workflow::secret::Secret;

use super::{Scope, Scopes, TOKEN};
use crate::service::Reviewer;
use crate::store::people::UserId;

/// What is allowed in some repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// What is allowed.
    pub scopes: Scopes,
    /// Only for these; empty: for all.
    pub repositories: Vec<String>,
    /// Reviews and orders only about deployments to these; empty: to all.
    pub environments: Vec<String>,
}

/// Who asks, once the token or the session is known.
#[derive(Debug, Clone)]
pub struct Holder {
    /// As the audit log has it: `token deploy-bot`, or the name of a user.
    pub who: String,
    /// The user, if it is one who signed in.
    pub user: Option<UserId>,
    /// Other names of the same person: of a user their aliases, of a token whoever made it.
    pub aliases: Vec<String>,
    /// Of a token: the user who made it, or made the token that did.
    pub maker: Option<String>,
    /// The teams that they are in.
    pub teams: Vec<String>,
    /// What is allowed, in any repository.
    pub scopes: Scopes,
    /// What may be seen; empty: all. A handler gets those in which its scope is allowed.
    pub repositories: Vec<String>,
    /// What is allowed where.
    pub grants: Vec<Grant>,
    /// What forms send back in the field `csrf`; only where a cookie let them in.
    pub csrf: Option<Secret>,
}

impl Holder {
    /// Somebody who may do the same in all of some repositories.
    #[must_use]
    pub fn of(who: String, scopes: Scopes, repositories: Vec<String>) -> Self {
        let grant = Grant { scopes: scopes.clone(), repositories: repositories.clone(), environments: Vec::new() };
        Self {
            who,
            user: None,
            aliases: Vec::new(),
            maker: None,
            teams: Vec::new(),
            scopes,
            repositories,
            grants: vec![grant],
            csrf: None,
        }
    }

    /// The name that reviewers are known by: that of the token or the user.
    #[must_use]
    pub fn person(&self) -> &str {
        self.who.strip_prefix(TOKEN).unwrap_or(&self.who)
    }

    /// As reviews are checked.
    #[must_use]
    pub fn reviewer(&self) -> Reviewer {
        Reviewer {
            name: self.person().to_owned(),
            aliases: self.aliases.clone(),
            teams: self.teams.clone(),
            person: self.maker.clone(),
        }
    }

    /// Whether it may see and touch this repository.
    #[must_use]
    pub fn may_see(&self, repository: &str) -> bool {
        names(&self.repositories, repository)
    }

    /// Whether something is allowed in a repository.
    #[must_use]
    pub fn may(&self, scope: Scope, repository: &str) -> bool {
        self.grants.iter().any(|grant| grant.scopes.allow(scope) && names(&grant.repositories, repository))
    }

    /// Whether deployments of a repository to an environment may be approved and rejected.
    #[must_use]
    pub fn may_review(&self, repository: &str, environment: &str) -> bool {
        self.may_at(Scope::ReviewsWrite, repository, environment)
    }

    /// Whether rollouts of a repository to an environment may be steered: promoted, paused, aborted, rolled back.
    #[must_use]
    pub fn may_deploy(&self, repository: &str, environment: &str) -> bool {
        self.may_at(Scope::Deploy, repository, environment)
    }

    fn may_at(&self, scope: Scope, repository: &str, environment: &str) -> bool {
        let mut grants = self.grants.iter().filter(|grant| grant.scopes.allow(scope));
        grants.any(|grant| names(&grant.repositories, repository) && names(&grant.environments, environment))
    }

    /// The same one, bound to the repositories in which something is allowed. `None` if there are none.
    #[must_use]
    pub fn bound_to(mut self, scope: Scope) -> Option<Self> {
        let mut grants = self.grants.iter().filter(|grant| grant.scopes.allow(scope)).peekable();
        grants.peek()?;
        let mut repositories: Vec<String> = Vec::new();
        for grant in grants {
            if grant.repositories.is_empty() {
                repositories.clear();
                break;
            }
            repositories.extend(grant.repositories.iter().cloned());
        }
        repositories.sort();
        repositories.dedup();
        self.repositories = repositories;
        Some(self)
    }
}

/// An empty list names all.
fn names(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scope: Scope, repositories: &[&str], environments: &[&str]) -> Grant {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Grant {
            scopes: [scope].into_iter().collect(),
            repositories: owned(repositories),
            environments: owned(environments),
        }
    }

    #[test]
    fn what_is_allowed_in_one_repository_is_not_in_another() {
        let mut holder = Holder::of("ada".into(), Scopes::default(), Vec::new());
        assert!(holder.clone().bound_to(Scope::RunsRead).is_none());
        holder.grants = vec![
            grant(Scope::RunsRead, &[], &[]),
            grant(Scope::RunsWrite, &["octo/shop"], &[]),
            grant(Scope::ReviewsWrite, &["octo/shop"], &["staging"]),
            grant(Scope::Deploy, &["octo/shop"], &["staging"]),
            grant(Scope::RunsWrite, &["octo/till"], &[]),
        ];
        let bound = |scope| holder.clone().bound_to(scope).map(|holder| holder.repositories);
        assert_eq!(bound(Scope::RunsRead), Some(vec![]));
        assert_eq!(bound(Scope::RunsWrite), Some(vec!["octo/shop".to_owned(), "octo/till".to_owned()]));
        assert_eq!(bound(Scope::Admin), None);
        assert!(holder.may(Scope::RunsWrite, "Octo/Shop") && !holder.may(Scope::RunsWrite, "octo/other"));
        assert!(holder.may_review("octo/shop", "Staging") && !holder.may_review("octo/shop", "production"));
        assert!(!holder.may_review("octo/till", "staging"));
        assert!(holder.may_deploy("octo/shop", "Staging") && !holder.may_deploy("octo/shop", "production"));
    }
}
