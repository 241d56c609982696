//! Events of a local run: payloads made from what the local repository knows.
//!
//! The payloads hold what workflows commonly read below `github.event`, in GitHub's shape. It reads no repository;
//! [`LocalFacts`] is filled by the caller.
//! Follows <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.

use serde_json::{Map, Value as Json, json};

use super::{ChangedFiles, Event, EventError, EventName, GitRef};

const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// What the local repository knows.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalFacts {
    /// `owner/name`, from the remote's URL or made up.
    pub repository: String,
    /// The default branch, without `refs/heads/`.
    pub default_branch: String,
    /// The ref that is checked out.
    pub git_ref: GitRef,
    /// The commit that is checked out.
    pub sha: String,
    /// The commit before it; `None` for a first commit.
    pub before: Option<String>,
    /// Login of who runs it.
    pub actor: String,
    /// Mail address of who runs it.
    pub email: String,
    /// Such as `https://github.com`, without `/` at the end.
    pub server_url: String,
    /// The commit that is checked out, in detail.
    pub head_commit: Option<CommitFacts>,
    /// What changed since `before`.
    pub changed_files: ChangedFiles,
    /// The branch that a pull request is for: the one that the given event names, else the default branch.
    pub base: String,
    /// Its last commit; `None` where it is not here.
    pub base_sha: Option<String>,
    /// What changed since this commit's line and that of the base parted: what a pull request is about. `None` where it
    /// holds no commit of its own.
    pub proposed_files: Option<ChangedFiles>,
}

/// One commit, for `github.event.head_commit` and `github.event.commits`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommitFacts {
    /// Its id, 40 digits.
    pub id: String,
    /// Its tree's id.
    pub tree_id: String,
    /// The whole message.
    pub message: String,
    /// RFC 3339.
    pub timestamp: String,
    /// The author's name.
    pub author_name: String,
    /// The author's mail address.
    pub author_email: String,
    /// The committer's name.
    pub committer_name: String,
    /// The committer's mail address.
    pub committer_email: String,
    /// Paths added.
    pub added: Vec<String>,
    /// Paths removed.
    pub removed: Vec<String>,
    /// Paths modified.
    pub modified: Vec<String>,
}

/// An event of any kind from local facts, with the payload that the user gave (`{}` where none). What the payload has
/// wins; what it lacks is added. Only whole keys are added to `repository` and `pull_request`, nothing is changed.
///
/// # Errors
/// When no workflow can be started by such an event, or a given fact is unusable.
pub fn event(name: &str, given: Json, facts: &LocalFacts) -> Result<Event, EventError> {
    let known = EventName::parse(name).ok_or_else(|| EventError::NoWorkflowEvent(name.to_owned()))?;
    if !given.is_object() {
        return Err(EventError::NotAnObject(name.to_owned()));
    }
    let files_given = given.get("commits").is_some();
    let mut payload = given;
    complete(&mut payload, defaults(known, facts));
    let mut event = Event::parse(name, payload)?;
    event.sha.get_or_insert_with(|| facts.sha.clone());
    if !files_given || event.changed_files == ChangedFiles::Unknown {
        let to_base = known.is_pull_request() && event.base_ref() == Some(&*facts.base);
        let proposed = facts.proposed_files.as_ref().filter(|_| to_base);
        event.changed_files = proposed.unwrap_or(&facts.changed_files).clone();
    }
    if event.head_message.is_none() && (known == EventName::Push || known.is_pull_request()) {
        event.head_message = facts.head_commit.as_ref().map(|commit| commit.message.clone());
    }
    Ok(event)
}

impl Event {
    /// A push of the commit that is checked out.
    ///
    /// # Errors
    /// When a fact is unusable.
    pub fn push(facts: &LocalFacts) -> Result<Self, EventError> {
        event("push", json!({}), facts)
    }

    /// A pull request from the branch that is checked out to `base`, opened or with new commits.
    ///
    /// # Errors
    /// When a fact is unusable.
    pub fn pull_request(facts: &LocalFacts, base: &str) -> Result<Self, EventError> {
        event("pull_request", json!({ "pull_request": { "base": { "ref": base } } }), facts)
    }

    /// A dispatch by hand, with the inputs as typed by the user.
    ///
    /// # Errors
    /// When a fact is unusable.
    pub fn workflow_dispatch(facts: &LocalFacts, inputs: &[(String, String)]) -> Result<Self, EventError> {
        let inputs: Map<String, Json> = inputs.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        event("workflow_dispatch", json!({ "inputs": inputs }), facts)
    }

    /// A time of a schedule; `cron` is the line that came due.
    ///
    /// # Errors
    /// When a fact is unusable.
    pub fn schedule(facts: &LocalFacts, cron: &str) -> Result<Self, EventError> {
        event("schedule", json!({ "schedule": cron }), facts)
    }
}

/// Adds to `given` what it lacks; goes into objects that both have.
fn complete(given: &mut Json, defaults: Json) {
    let (Json::Object(given), Json::Object(defaults)) = (given, defaults) else { return };
    for (key, value) in defaults {
        match given.get_mut(&key) {
            None => {
                given.insert(key, value);
            }
            Some(present) => complete(present, value),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other events carry nothing of their own")]
fn defaults(name: EventName, facts: &LocalFacts) -> Json {
    let mut payload = json!({ "repository": repository(facts), "sender": sender(facts) });
    let more = match name {
        EventName::Push => push(facts),
        EventName::WorkflowDispatch => json!({ "ref": facts.git_ref.as_str(), "inputs": {}, "workflow": "" }),
        EventName::RepositoryDispatch => {
            json!({ "action": "local", "branch": facts.default_branch, "client_payload": {} })
        }
        EventName::Create => json!({
            "ref": facts.git_ref.short(),
            "ref_type": if facts.git_ref.kind() == super::GitRefKind::Tag { "tag" } else { "branch" },
            "master_branch": facts.default_branch,
            "pusher_type": "user",
        }),
        EventName::Delete => json!({ "ref": "gone", "ref_type": "branch", "pusher_type": "user" }),
        EventName::Release => release(facts),
        EventName::MergeGroup => json!({ "action": "checks_requested", "merge_group": {
            "head_sha": facts.sha, "head_ref": facts.git_ref.as_str(),
            "base_sha": facts.before, "base_ref": format!("refs/heads/{}", facts.default_branch),
        }}),
        EventName::Deployment | EventName::DeploymentStatus => json!({ "deployment": {
            "id": 1, "ref": facts.git_ref.short(), "sha": facts.sha, "environment": "production", "task": "deploy",
        }}),
        _ if name.is_pull_request() => pull_request(name, facts),
        _ => name.activities().first().map_or_else(|| json!({}), |action| json!({ "action": action })),
    };
    complete(&mut payload, more);
    payload
}

fn repository(facts: &LocalFacts) -> Json {
    let (owner, name) = facts.repository.split_once('/').unwrap_or(("local", &facts.repository));
    let url = format!("{}/{}", facts.server_url, facts.repository);
    let host = facts.server_url.split_once("://").map_or(facts.server_url.as_str(), |(_, host)| host);
    json!({
        "name": name,
        "full_name": facts.repository,
        "owner": { "login": owner, "name": owner, "type": "User" },
        "private": false,
        "html_url": url,
        "url": url,
        "clone_url": format!("{url}.git"),
        "git_url": format!("git://{host}/{}.git", facts.repository),
        "ssh_url": format!("git@{host}:{}.git", facts.repository),
        "default_branch": facts.default_branch,
        "master_branch": facts.default_branch,
        "fork": false,
        "archived": false,
        "visibility": "public",
    })
}

fn sender(facts: &LocalFacts) -> Json {
    json!({ "login": facts.actor, "type": "User", "html_url": format!("{}/{}", facts.server_url, facts.actor) })
}

fn commit(facts: &LocalFacts, commit: &CommitFacts) -> Json {
    json!({
        "id": commit.id,
        "tree_id": commit.tree_id,
        "distinct": true,
        "message": commit.message,
        "timestamp": commit.timestamp,
        "url": format!("{}/{}/commit/{}", facts.server_url, facts.repository, commit.id),
        "author": { "name": commit.author_name, "email": commit.author_email, "username": facts.actor },
        "committer": { "name": commit.committer_name, "email": commit.committer_email, "username": facts.actor },
        "added": commit.added,
        "removed": commit.removed,
        "modified": commit.modified,
    })
}

fn push(facts: &LocalFacts) -> Json {
    let before = facts.before.as_deref().unwrap_or(NO_COMMIT);
    let head = facts.head_commit.as_ref().map(|head| commit(facts, head));
    json!({
        "ref": facts.git_ref.as_str(),
        "before": before,
        "after": facts.sha,
        "created": facts.before.is_none(),
        "deleted": false,
        "forced": false,
        "base_ref": null,
        "compare": format!("{}/{}/compare/{before}...{}", facts.server_url, facts.repository, facts.sha),
        "commits": head.iter().collect::<Vec<_>>(),
        "head_commit": head,
        "pusher": { "name": facts.actor, "email": facts.email },
    })
}

fn pull_request(name: EventName, facts: &LocalFacts) -> Json {
    let repository = repository(facts);
    // Of a branch that lies in it.
    let owner = &repository["owner"];
    let title = facts.head_commit.as_ref().and_then(|head| head.message.lines().next()).unwrap_or("").to_owned();
    let action = if name.default_activities().is_some() { "synchronize" } else { name.activities()[0] };
    json!({ "action": action, "number": 1, "pull_request": {
        "number": 1,
        "state": "open",
        "title": title,
        "body": null,
        "draft": false,
        "merged": false,
        "labels": [],
        "user": sender(facts),
        "head": { "ref": facts.git_ref.short(), "sha": facts.sha, "repo": repository, "user": owner },
        "base": { "ref": facts.base, "sha": facts.base_sha.as_ref().or(facts.before.as_ref()), "repo": repository, "user": owner },
        "merge_commit_sha": facts.sha,
        "html_url": format!("{}/{}/pull/1", facts.server_url, facts.repository),
    }})
}

fn release(facts: &LocalFacts) -> Json {
    let is_tag = facts.git_ref.kind() == super::GitRefKind::Tag;
    let tag = if is_tag { facts.git_ref.short() } else { "v0.0.0" };
    json!({ "action": "published", "release": {
        "tag_name": tag, "name": tag, "target_commitish": facts.default_branch, "body": "",
        "draft": false, "prerelease": false,
    }})
}
