//! What happened in a repository, as facts: the event that may start workflows.
//!
//! An [`Event`] keeps the payload whole, as GitHub sends it (it becomes `github.event`), beside the few facts that
//! triggers, plans and the `github` context need. It comes from a webhook or a file ([`Event::parse`]), or is built for
//! a local run ([`local`]). It never asks git or the network: what the payload does not tell is given by the caller.
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows> and
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.

mod context;
mod forge;
mod git_ref;
pub mod local;
mod name;
mod parse;
#[cfg(test)]
mod tests;

pub use context::{GithubFacts, github_context};
pub use forge::Forge;
pub use git_ref::{GitRef, GitRefKind};
pub use local::LocalFacts;
pub use name::EventName;

use std::sync::Arc;

use serde_json::Value as Json;

/// Something that happened in a repository.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// Which kind of event.
    pub name: EventName,
    /// The payload, whole, as GitHub sends it: `github.event`.
    pub payload: Arc<Json>,
    /// The activity type (`action` of the payload, `event_type` of `repository_dispatch`).
    pub action: Option<String>,
    /// The ref that a run would be for: `github.ref`. For a pull request its merge ref.
    pub git_ref: GitRef,
    /// The commit that a run would be for: `github.sha`. `None` where the payload does not tell (an event that runs
    /// on the last commit of the default branch) and nobody has looked it up.
    pub sha: Option<String>,
    /// The commit before a push; `None` for a new ref and for other events.
    pub before: Option<String>,
    /// Base and head of a pull request.
    pub pull_request: Option<PullRequestFacts>,
    /// The repository that it happened in.
    pub repository: RepositoryFacts,
    /// Who did it: `github.actor`.
    pub actor: Person,
    /// A push that made its ref.
    pub created: bool,
    /// A push that removed its ref.
    pub deleted: bool,
    /// A push that was no fast-forward.
    pub forced: bool,
    /// Which files it changed, for `paths` filters.
    pub changed_files: ChangedFiles,
    /// The message that `[skip ci]` is looked for in: of the head commit.
    pub head_message: Option<String>,
}

/// The files that an event changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedFiles {
    /// Paths from the root of the repository, `/` between names. At most 300 are looked at.
    Known(Vec<String>),
    /// Nobody knows; `paths` filters then let the run happen, as GitHub does when its diff is too large.
    #[default]
    Unknown,
}

/// A pull request, as far as runs need it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PullRequestFacts {
    /// Its number.
    pub number: u64,
    /// Branch that it wants to change, without `refs/heads/`: `github.base_ref`.
    pub base_ref: String,
    /// Branch that it comes from, without `refs/heads/`: `github.head_ref`.
    pub head_ref: String,
    /// The tip of the base branch.
    pub base_sha: Option<String>,
    /// The tip of the head branch.
    pub head_sha: Option<String>,
    /// Whether the head lies in another repository; such runs get no secrets and a read-only token.
    pub from_fork: bool,
}

/// A repository, as far as runs need it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RepositoryFacts {
    /// `owner/name`: `github.repository`.
    pub full_name: String,
    /// Its number on GitHub; `None` for a local repository.
    pub id: Option<u64>,
    /// The owner's login: `github.repository_owner`.
    pub owner: String,
    /// The owner's number on GitHub.
    pub owner_id: Option<u64>,
    /// The default branch, without `refs/heads/`.
    pub default_branch: String,
    /// `git://` URL: `github.repositoryUrl`.
    pub git_url: String,
    /// Whether it is private.
    pub private: bool,
}

/// A user of the forge.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Person {
    /// The login.
    pub login: String,
    /// The number on GitHub; `None` for a local user.
    pub id: Option<u64>,
}

/// Why a payload is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// GitHub sends it, but no workflow can be started by it (`ping`, `installation` …).
    #[error("event `{0}` starts no workflows")]
    NoWorkflowEvent(String),
    /// The payload is no JSON object.
    #[error("payload of `{0}` is not a JSON object")]
    NotAnObject(String),
    /// A fact is missing or of a wrong type.
    #[error("payload of `{event}` lacks `{path}`")]
    Missing {
        /// The event.
        event: EventName,
        /// The place in the payload, names joined by dots.
        path: &'static str,
    },
    /// A fact that a path, a URL or a command is built from has a form that GitHub never sends.
    #[error("payload of `{event}` has an unusable `{path}`")]
    Unusable {
        /// The event.
        event: EventName,
        /// The place in the payload, names joined by dots.
        path: &'static str,
    },
}

impl Event {
    /// `github.ref_type`: `branch` or `tag`.
    #[must_use]
    pub fn is_tag(&self) -> bool {
        self.git_ref.kind() == GitRefKind::Tag
    }

    /// `github.base_ref`, for pull requests.
    #[must_use]
    pub fn base_ref(&self) -> Option<&str> {
        self.pull_request.as_ref().map(|pull| pull.base_ref.as_str())
    }

    /// `github.head_ref`, for pull requests.
    #[must_use]
    pub fn head_ref(&self) -> Option<&str> {
        self.pull_request.as_ref().map(|pull| pull.head_ref.as_str())
    }

    /// Whether it comes from a fork: no secrets, a read-only token, no host placement.
    #[must_use]
    pub fn from_fork(&self) -> bool {
        self.name != EventName::PullRequestTarget && self.pull_request.as_ref().is_some_and(|pull| pull.from_fork)
    }

    /// The same event with the files that it changed.
    #[must_use]
    pub fn with_changed_files(mut self, changed_files: ChangedFiles) -> Self {
        self.changed_files = changed_files;
        self
    }

    /// The same event with the commit that it is for, where the payload did not tell.
    #[must_use]
    pub fn with_sha(mut self, sha: impl Into<String>) -> Self {
        self.sha = Some(sha.into());
        self
    }
}
