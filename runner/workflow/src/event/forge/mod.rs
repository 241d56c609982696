//! Payloads of other forges than GitHub, read as the same events.
//!
//! Each is first rewritten into the payload that GitHub would have sent, so that `github.event` has the names that
//! workflows read, and then goes through the one reader of payloads. What a forge does not tell stays away; what only
//! it tells stays where it was. Whether a payload is genuine was decided before.
//! Follows <https://docs.gitea.com/usage/webhooks>, <https://forgejo.org/docs/latest/user/webhooks/> and
//! <https://docs.gitlab.com/user/project/integrations/webhook_events/>.

mod gitea;
mod gitlab;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value as Json, json};

use super::parse::is_commit;
use super::{ChangedFiles, Event, EventError};

/// What sends a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    /// GitHub, and GitHub Enterprise Server.
    Github,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
    /// GitLab.
    Gitlab,
    /// Our own hook in a plain repository, which sends pushes only, in GitHub's shape:
    /// `{"repository": {"full_name": …}, "ref": …, "before": …, "after": …, "pusher": {"name": …}}`.
    Push,
}

impl Forge {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Github, Self::Gitea, Self::Forgejo, Self::Gitlab, Self::Push];

    /// As in `/webhooks/…` and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Gitlab => "gitlab",
            Self::Push => "push",
        }
    }

    /// The forge of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|forge| forge.as_str() == name)
    }

    /// Where a payload names its repository: the key of an object at the top, and a key in it.
    #[must_use]
    pub const fn repository_keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Github | Self::Gitea | Self::Forgejo | Self::Push => ("repository", "full_name"),
            Self::Gitlab => ("project", "path_with_namespace"),
        }
    }
}

impl std::fmt::Display for Forge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// Reads a payload as `forge` sends it. `name` is the forge's own name of the event: `X-GitHub-Event`,
    /// `X-Gitea-Event` (such as `push`), `X-Gitlab-Event` (such as `Push Hook`).
    ///
    /// # Errors
    /// As [`Event::parse`].
    pub fn from_forge(forge: Forge, name: &str, payload: Json) -> Result<Self, EventError> {
        if !payload.is_object() {
            return Err(EventError::NotAnObject(name.to_owned()));
        }
        match forge {
            Forge::Github => Self::parse(name, payload),
            Forge::Gitea | Forge::Forgejo => gitea::read(name, payload),
            Forge::Gitlab => gitlab::read(name, &payload),
            Forge::Push if name == "push" => push(payload, None),
            Forge::Push => Err(EventError::NoWorkflowEvent(name.to_owned())),
        }
    }
}

/// A push in GitHub's shape from one that says less. `commits_count` is how many there were, where not all are told.
fn push(mut payload: Json, commits_count: Option<u64>) -> Result<Event, EventError> {
    let is_none = |payload: &Json, key: &str| {
        payload[key].as_str().is_some_and(|id| is_commit(id) && id.bytes().all(|digit| digit == b'0'))
    };
    let (created, deleted) = (is_none(&payload, "before"), is_none(&payload, "after"));
    let after = payload["after"].clone();
    let commits = payload["commits"].as_array().map_or(&[][..], Vec::as_slice);
    let told = commits.len() as u64;
    let head = commits.iter().find(|commit| commit["id"] == after).cloned();
    if let Json::Object(payload) = &mut payload {
        add(payload, "created", json!(created));
        add(payload, "deleted", json!(deleted));
        add(payload, "forced", json!(false));
        add(payload, "head_commit", head.unwrap_or(Json::Null));
    }
    complete_repository(&mut payload);
    let event = Event::parse_nested("push", payload)?;
    let is_cut = commits_count.is_some_and(|count| count > told);
    Ok(if is_cut { event.with_changed_files(ChangedFiles::Unknown) } else { event })
}

/// `git_url`, from which `github.repositoryUrl` is taken.
fn complete_repository(payload: &mut Json) {
    let Some(Json::Object(repository)) = payload.get_mut("repository") else { return };
    let url = ["clone_url", "ssh_url", "html_url"].iter().find_map(|key| repository.get(*key).cloned());
    if let Some(url) = url {
        add(repository, "git_url", url);
    }
}

/// Only where there is nothing.
fn add(object: &mut Map<String, Json>, key: &str, value: Json) {
    if object.get(key).is_none_or(Json::is_null) {
        object.insert(key.to_owned(), value);
    }
}
