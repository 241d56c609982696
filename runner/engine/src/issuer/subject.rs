//! Which claims make `sub`: GitHub's own form, or those that whoever runs `pipe` lists, for all repositories or for one.
//!
//! It does not decide who may list them: whoever writes workflows may not.
//! Follows <https://docs.github.com/en/actions/reference/security/oidc#customizing-the-token-claims>.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::claims::OF_GITHUB;

/// What `sub` may be made of beside the claims of [`OF_GITHUB`]: the two that are no claims of their own, and those that no context has.
const MORE: [&str; 4] = ["repo", "context", "environment", "runner_environment"];
/// It is `repo` in `sub`.
const NOT_ITS_NAME: &str = "repository";
/// Claims that are empty unless the run is of a pull request, on GitHub too.
const MAY_BE_EMPTY: [&str; 2] = ["base_ref", "head_ref"];

/// One of the claims that `sub` is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectKey(&'static str);

impl SubjectKey {
    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::names().find(|known| *known == name).map(Self)
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        MORE.into_iter().chain(OF_GITHUB).filter(|name| *name != NOT_ITS_NAME)
    }
}

/// What `sub` of a repository looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectForm {
    /// The claims that make it, in this order; none: GitHub's own form.
    pub keys: Vec<SubjectKey>,
    /// Whether `repo` has the ids of owner and repository behind their names, which stay what they are when somebody else takes the names.
    /// See <https://docs.github.com/en/actions/reference/security/oidc#immutable-subject-claims>.
    pub immutable: bool,
    /// The ids of owner and repository, for jobs whose event does not say them: no forge has sent a timer or a command.
    pub owner_id: Option<u64>,
    /// The same.
    pub repository_id: Option<u64>,
}

/// Which claims make `sub`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subjects {
    /// Of repositories that have no form of their own.
    pub all: SubjectForm,
    /// By `owner/name` in small letters.
    pub repositories: BTreeMap<String, SubjectForm>,
}

impl Subjects {
    pub(super) fn of(&self, repository: &str) -> &SubjectForm {
        self.repositories.get(&repository.to_lowercase()).unwrap_or(&self.all)
    }
}

/// A claim that `sub` is made of, and that a job does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("identity tokens of this repository have the claim `{claim}` in `sub` (`{setting}`), and this job has none")]
pub struct Lacking {
    /// Its name.
    pub claim: &'static str,
    /// Which setting wants it.
    pub setting: &'static str,
}

/// Who the job is. What a trust policy separates by, or means anything else by, is written otherwise.
///
/// # Errors
/// A claim would be empty: two jobs that have none would be the same one to a cloud.
pub(super) fn subject(claims: &Map<String, Json>, form: &SubjectForm) -> Result<String, Lacking> {
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
    let part = |key: &'static str| match key {
        "repo" => Ok(format!("repo:{}", repo(&claim, form.immutable)?)),
        "context" => Ok(context()),
        key => {
            let value = claim(key);
            if value.is_empty() && !MAY_BE_EMPTY.contains(&key) {
                return Err(Lacking { claim: key, setting: "include-claim-keys" });
            }
            Ok(format!("{key}:{value}"))
        }
    };
    let usual = [SubjectKey("repo"), SubjectKey("context")];
    let keys: &[SubjectKey] = if form.keys.is_empty() { &usual } else { &form.keys };
    Ok(keys.iter().map(|key| part(key.0)).collect::<Result<Vec<_>, _>>()?.join(":"))
}

/// `owner/name`, or `owner@id/name@id`: no name of GitHub's has an `@`.
fn repo(claim: &impl Fn(&str) -> String, immutable: bool) -> Result<String, Lacking> {
    let names = claim("repository");
    if !immutable {
        return Ok(names);
    }
    let id = |name: &'static str| {
        let lacking = Lacking { claim: name, setting: "use-immutable-subject" };
        Some(claim(name)).filter(|id| !id.is_empty()).ok_or(lacking)
    };
    let (owner_id, id) = (id("repository_owner_id")?, id("repository_id")?);
    let (owner, name) = names.rsplit_once('/').unwrap_or(("", &names));
    Ok(format!("{}@{owner_id}/{}@{id}", owner.replace('@', "%40"), name.replace('@', "%40")))
}

/// As GitHub writes a `:` of an environment's name; a `*` would be one of a policy's.
fn plain(text: &str) -> String {
    text.replace('%', "%25").replace(':', "%3A").replace('*', "%2A").replace('?', "%3F")
}
