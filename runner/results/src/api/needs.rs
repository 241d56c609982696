//! What the token of a job must be allowed for a request: <https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps>.

use hyper::Method;
use workflow::model::{PermissionLevel, Permissions};

use super::Writes;
use super::ask::Refusal;
use crate::job::Job;

/// One of several scopes is enough.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Need {
    scopes: &'static [&'static str],
    writes: bool,
    /// Whether it is the forge that is told, not what lies here.
    said: bool,
}

/// `None`: everybody who has a token may.
pub(super) fn of(method: &Method, rest: &[&str]) -> Option<Need> {
    let writes = !matches!(*method, Method::GET | Method::HEAD);
    let scopes: &[&str] = match rest {
        ["statuses", ..] | ["commits", _, "status" | "statuses"] => &["statuses"],
        ["check-runs", ..] | ["commits", _, "check-runs"] => &["checks"],
        ["pulls", ..] | ["commits", _, "pulls"] => &["pull-requests"],
        // What is said about a pull request is said about an issue of that number.
        ["issues" | "labels", ..] => &["issues", "pull-requests"],
        ["actions", ..] => &["actions"],
        ["branches" | "tags" | "git" | "commits" | "compare" | "contents" | "readme", ..] => &["contents"],
        _ => return None,
    };
    Some(Need { scopes, writes, said: writes && !matches!(rest, ["actions", ..]) })
}

impl Need {
    /// Whether the job may.
    ///
    /// # Errors
    /// Which permission is missing, and what to do.
    pub(super) fn check(&self, job: &Job) -> Result<(), Refusal> {
        let (first, facts) = (self.scopes[0], &job.facts);
        let wanted = if self.writes { PermissionLevel::Write } else { PermissionLevel::Read };
        let word = if self.writes { "write" } else { "read" };
        let refused = |why: String| Err(Refusal::forbidden(first, word, &why));
        if self.writes && !facts.trusted {
            return refused("the token of a run of a fork may read only, whatever its `permissions:` say".to_owned());
        }
        if !self.scopes.iter().any(|scope| level(facts.permissions.as_ref(), scope) >= wanted) {
            return refused(format!("the job needs `permissions: {{ {first}: {word} }}`"));
        }
        if self.said && job.writes == Writes::Refused {
            return refused(
                "this server tells the forge of runs itself and keeps nothing that jobs say; the secret GITHUB_TOKEN with a \
                 token of the forge lets them say it there"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// Where nothing is written, a token may read the repository and no more: <https://docs.github.com/en/actions/tutorials/authenticate-with-github_token>,
/// what new repositories are set to.
fn level(permissions: Option<&Permissions>, scope: &str) -> PermissionLevel {
    match permissions {
        Some(given) => given.level(scope),
        None if scope == "contents" => PermissionLevel::Read,
        None => PermissionLevel::None,
    }
}
