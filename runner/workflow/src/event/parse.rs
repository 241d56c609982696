//! From a payload to an event: which parts of each kind of payload tell the ref, the commit, the actor and the files.
//!
//! It checks the few facts that later become paths, URLs or arguments (repository, refs, commits), and takes the rest
//! as it is. Ref and commit of each event follow the tables of
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{ChangedFiles, Event, EventError, EventName, GitRef, Person, PullRequestFacts, RepositoryFacts};

/// From this many commits on GitHub may leave some out of a push payload.
const PUSH_COMMITS_MAX: usize = 2_048;

impl Event {
    /// Reads a payload as GitHub sends it. `name` is the `X-GitHub-Event` header or what the user typed.
    ///
    /// # Errors
    /// When no workflow can be started by such an event, or a fact that every such payload has is missing or unusable.
    pub fn parse(name: &str, payload: Json) -> Result<Self, EventError> {
        Self::read(name, payload, Names::Plain)
    }

    /// As [`Event::parse`], for what a server of ours makes itself: whatever a repository lies on, in GitHub's form.
    ///
    /// # Errors
    /// As for [`Event::parse`].
    pub fn parse_own(name: &str, payload: Json) -> Result<Self, EventError> {
        Self::parse_nested(name, payload)
    }

    /// As [`Event::parse`], for forges where owners may lie in owners.
    pub(super) fn parse_nested(name: &str, payload: Json) -> Result<Self, EventError> {
        Self::read(name, payload, Names::Nested)
    }

    fn read(name: &str, payload: Json, names: Names) -> Result<Self, EventError> {
        let event = EventName::parse(name).filter(|name| *name != EventName::WorkflowCall);
        let event = event.ok_or_else(|| EventError::NoWorkflowEvent(name.to_owned()))?;
        if !payload.is_object() {
            return Err(EventError::NotAnObject(name.to_owned()));
        }
        let read = Reader { event, payload: &payload, names };
        let repository = read.repository()?;
        let pull_request = read.pull_request(&repository)?;
        let git_ref = read.git_ref(&repository, pull_request.as_ref())?;
        let sha = read.sha(&repository, pull_request.as_ref())?;
        Ok(Self {
            name: event,
            action: read.text("/action").or_else(|| read.text("/event_type")).map(str::to_owned),
            git_ref,
            sha,
            before: read.commit("/before", "before")?,
            pull_request,
            repository,
            actor: read.actor()?,
            created: read.flag("/created"),
            deleted: read.flag("/deleted"),
            forced: read.flag("/forced"),
            changed_files: if event == EventName::Push { read.push_files() } else { ChangedFiles::Unknown },
            head_message: read.text("/head_commit/message").map(str::to_owned),
            payload: Arc::new(payload),
        })
    }
}

/// What names of repositories look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// `owner/name`.
    Plain,
    /// `group/group/name`, to any depth.
    Nested,
}

struct Reader<'payload> {
    event: EventName,
    payload: &'payload Json,
    names: Names,
}

impl<'payload> Reader<'payload> {
    fn text(&self, pointer: &str) -> Option<&'payload str> {
        self.payload.pointer(pointer)?.as_str()
    }

    fn flag(&self, pointer: &str) -> bool {
        self.payload.pointer(pointer).and_then(Json::as_bool).unwrap_or(false)
    }

    fn number(&self, pointer: &str) -> Option<u64> {
        self.payload.pointer(pointer)?.as_u64()
    }

    fn missing(&self, path: &'static str) -> EventError {
        EventError::Missing { event: self.event, path }
    }

    fn unusable(&self, path: &'static str) -> EventError {
        EventError::Unusable { event: self.event, path }
    }

    /// A commit id; none where it is absent, null or all zeros (no commit).
    fn commit(&self, pointer: &str, path: &'static str) -> Result<Option<String>, EventError> {
        match self.text(pointer) {
            None | Some("") => Ok(None),
            Some(text) if !is_commit(text) => Err(self.unusable(path)),
            Some(text) if text.bytes().all(|byte| byte == b'0') => Ok(None),
            Some(text) => Ok(Some(text.to_owned())),
        }
    }

    fn repository(&self) -> Result<RepositoryFacts, EventError> {
        let full_name = self.text("/repository/full_name").ok_or_else(|| self.missing("repository.full_name"))?;
        let owner = repository_owner(full_name, self.names).ok_or_else(|| self.unusable("repository.full_name"))?;
        let default_branch = self.text("/repository/default_branch").unwrap_or("main");
        if GitRef::branch(default_branch).is_none() {
            return Err(self.unusable("repository.default_branch"));
        }
        let git_url = self.text("/repository/git_url").map(str::to_owned);
        Ok(RepositoryFacts {
            full_name: full_name.to_owned(),
            id: self.number("/repository/id"),
            owner: owner.to_owned(),
            owner_id: self.number("/repository/owner/id"),
            default_branch: default_branch.to_owned(),
            git_url: git_url.unwrap_or_else(|| format!("git://github.com/{full_name}.git")),
            private: self.flag("/repository/private"),
        })
    }

    fn actor(&self) -> Result<Person, EventError> {
        let login = self.text("/sender/login").or_else(|| self.text("/pusher/name"));
        let login = login.ok_or_else(|| self.missing("sender.login"))?;
        Ok(Person { login: login.to_owned(), id: self.number("/sender/id") })
    }

    fn pull_request(&self, repository: &RepositoryFacts) -> Result<Option<PullRequestFacts>, EventError> {
        if !self.event.is_pull_request() {
            return Ok(None);
        }
        let branch = |pointer: &str, path: &'static str| {
            let name = self.text(pointer).ok_or_else(|| self.missing(path))?;
            GitRef::branch(name).map(|_| name.to_owned()).ok_or_else(|| self.unusable(path))
        };
        let number = self.number("/pull_request/number").or_else(|| self.number("/number"));
        let head_repository = self.text("/pull_request/head/repo/full_name");
        Ok(Some(PullRequestFacts {
            number: number.ok_or_else(|| self.missing("pull_request.number"))?,
            base_ref: branch("/pull_request/base/ref", "pull_request.base.ref")?,
            head_ref: branch("/pull_request/head/ref", "pull_request.head.ref")?,
            base_sha: self.commit("/pull_request/base/sha", "pull_request.base.sha")?,
            head_sha: self.commit("/pull_request/head/sha", "pull_request.head.sha")?,
            // A deleted fork is null: still not this repository.
            from_fork: head_repository != Some(&repository.full_name),
        }))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the other events run for the default branch")]
    fn git_ref(&self, repository: &RepositoryFacts, pull: Option<&PullRequestFacts>) -> Result<GitRef, EventError> {
        let named = |kind: &str, text: Option<&str>, path: &'static str| {
            let text = text.ok_or_else(|| self.missing(path))?;
            let full = if text.starts_with("refs/") { text.to_owned() } else { format!("refs/{kind}/{text}") };
            GitRef::parse(&full).ok_or_else(|| self.unusable(path))
        };
        if let Some(pull) = pull.filter(|_| self.event != EventName::PullRequestTarget) {
            let merged = self.flag("/pull_request/merged");
            return if merged {
                named("heads", Some(&pull.base_ref), "pull_request.base.ref")
            } else {
                Ok(GitRef::pull_merge(pull.number))
            };
        }
        match self.event {
            EventName::Push | EventName::WorkflowDispatch => named("heads", self.text("/ref"), "ref"),
            EventName::Create => {
                let kind = if self.text("/ref_type") == Some("tag") { "tags" } else { "heads" };
                named(kind, self.text("/ref"), "ref")
            }
            EventName::Release => named("tags", self.text("/release/tag_name"), "release.tag_name"),
            EventName::MergeGroup => named("heads", self.text("/merge_group/head_ref"), "merge_group.head_ref"),
            EventName::Deployment | EventName::DeploymentStatus
                if self.text("/deployment/ref") != self.text("/deployment/sha") =>
            {
                named("heads", self.text("/deployment/ref"), "deployment.ref")
            }
            _ => named("heads", Some(&repository.default_branch), "repository.default_branch"),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the other payloads do not tell the commit")]
    fn sha(&self, repository: &RepositoryFacts, pull: Option<&PullRequestFacts>) -> Result<Option<String>, EventError> {
        if let Some(pull) = pull {
            if self.event == EventName::PullRequestTarget {
                return Ok(pull.base_sha.clone().filter(|_| pull.base_ref == repository.default_branch));
            }
            let merge = self.commit("/pull_request/merge_commit_sha", "pull_request.merge_commit_sha")?;
            return Ok(merge.or_else(|| pull.head_sha.clone()));
        }
        match self.event {
            EventName::Push => self.commit("/after", "after"),
            EventName::MergeGroup => self.commit("/merge_group/head_sha", "merge_group.head_sha"),
            EventName::Deployment | EventName::DeploymentStatus => self.commit("/deployment/sha", "deployment.sha"),
            // The last commit of the ref: the payload does not tell it.
            _ => Ok(None),
        }
    }

    /// The union of what the commits of a push name. Not known where the payload may leave some out, or where GitHub
    /// compares with something else than the commits pushed.
    fn push_files(&self) -> ChangedFiles {
        let commits = self.payload.pointer("/commits").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        if commits.is_empty() || commits.len() >= PUSH_COMMITS_MAX || self.flag("/forced") {
            return ChangedFiles::Unknown;
        }
        let mut files = BTreeSet::new();
        for commit in commits {
            for key in ["added", "removed", "modified"] {
                let Some(paths) = commit.get(key).and_then(Json::as_array) else { return ChangedFiles::Unknown };
                files.extend(paths.iter().filter_map(Json::as_str).map(str::to_owned));
            }
        }
        ChangedFiles::Known(files.into_iter().collect())
    }
}

/// 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The owner of `owner/name`, if all parts have the form that forges allow.
fn repository_owner(full_name: &str, names: Names) -> Option<&str> {
    let (owner, name) = full_name.rsplit_once('/')?;
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.starts_with('-')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let owners = match names {
        Names::Plain => plain(owner),
        Names::Nested => owner.split('/').all(plain),
    };
    (owners && plain(name)).then_some(owner)
}
