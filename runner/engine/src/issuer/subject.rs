//! Which claims make `sub`: GitHub's own form, or those that whoever runs `pipe` lists, for all repositories or for one.
//!
//! It does not decide who may list them: whoever writes workflows may not.
//! Follows <https://docs.github.com/en/actions/reference/security/oidc#customizing-the-token-claims>.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

/// What `sub` may be made of: the two that are no claims of their own, and the claims of a token under their names. `repository` is
/// `repo` there.
pub(super) const KEYS: [&str; 25] = [
    "repo",
    "context",
    "actor",
    "actor_id",
    "base_ref",
    "environment",
    "event_name",
    "head_ref",
    "job_workflow_ref",
    "job_workflow_sha",
    "ref",
    "ref_protected",
    "ref_type",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "run_attempt",
    "run_id",
    "run_number",
    "runner_environment",
    "sha",
    "workflow",
    "workflow_ref",
    "workflow_sha",
];
/// Claims that are empty unless the run is of a pull request, on GitHub too.
const MAY_BE_EMPTY: [&str; 2] = ["base_ref", "head_ref"];

/// One of the claims that `sub` is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectKey(&'static str);

impl SubjectKey {
    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        KEYS.iter().find(|known| **known == name).map(|known| Self(known))
    }

    /// All names.
    #[must_use]
    pub const fn names() -> &'static [&'static str] {
        &KEYS
    }
}

/// Which claims make `sub`, in this order; an empty list is GitHub's own form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subjects {
    /// Of repositories that have no list of their own.
    pub all: Vec<SubjectKey>,
    /// By `owner/name` in small letters.
    pub repositories: BTreeMap<String, Vec<SubjectKey>>,
}

impl Subjects {
    pub(super) fn of(&self, repository: &str) -> &[SubjectKey] {
        self.repositories.get(&repository.to_lowercase()).unwrap_or(&self.all)
    }
}

/// A claim that `sub` is made of, and that a job does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "identity tokens of this repository have the claim `{claim}` in `sub` (`include-claim-keys`), and this job has none"
)]
pub struct Lacking {
    /// Its name.
    pub claim: &'static str,
}

/// Who the job is. What a trust policy separates by, or means anything else by, is written otherwise.
///
/// # Errors
/// A claim would be empty: two jobs that have none would be the same one to a cloud.
pub(super) fn subject(claims: &Map<String, Json>, keys: &[SubjectKey]) -> Result<String, Lacking> {
    let claim = |name: &str| plain(claims.get(name).and_then(Json::as_str).unwrap_or_default());
    let context = || {
        if claims.contains_key("environment") {
            format!("environment:{}", claim("environment"))
        } else if claim("event_name") == "pull_request" {
            "pull_request".to_owned()
        } else {
            format!("ref:{}", claim("ref"))
        }
    };
    let part = |key: &str| match key {
        "repo" => Some(format!("repo:{}", claim("repository"))),
        "context" => Some(context()),
        key => Some(claim(key))
            .filter(|value| !value.is_empty() || MAY_BE_EMPTY.contains(&key))
            .map(|value| format!("{key}:{value}")),
    };
    let usual = [SubjectKey("repo"), SubjectKey("context")];
    let keys: &[SubjectKey] = if keys.is_empty() { &usual } else { keys };
    let parts = keys.iter().map(|key| part(key.0).ok_or(Lacking { claim: key.0 }));
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join(":"))
}

/// As GitHub writes a `:` of an environment's name; a `*` would be one of a policy's.
fn plain(text: &str) -> String {
    text.replace('%', "%25").replace(':', "%3A").replace('*', "%2A").replace('?', "%3F")
}
