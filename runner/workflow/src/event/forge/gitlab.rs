//! GitLab's payloads, rewritten into GitHub's shape: pushes, tags, merge requests, comments, issues, releases.
//!
//! A merge request is `refs/pull/N/merge` here as a pull request is; whoever fetches it knows that GitLab keeps it at
//! `refs/merge-requests/N/`. Follows <https://docs.gitlab.com/user/project/integrations/webhook_events/>.

use serde_json::{Value as Json, json};

use super::push;
use crate::event::{Event, EventError, EventName};

/// GitLab's `visibility_level` of what everybody may see.
const PUBLIC: u64 = 20;

pub(super) fn read(name: &str, payload: &Json) -> Result<Event, EventError> {
    let kind = payload["object_kind"].as_str().unwrap_or_default();
    let (expected, event) = match name {
        "Push Hook" => ("push", EventName::Push),
        "Tag Push Hook" => ("tag_push", EventName::Push),
        "Merge Request Hook" => ("merge_request", EventName::PullRequest),
        "Note Hook" | "Confidential Note Hook" => ("note", EventName::IssueComment),
        "Issue Hook" | "Confidential Issue Hook" => ("issue", EventName::Issues),
        "Release Hook" => ("release", EventName::Release),
        _ => return Err(EventError::NoWorkflowEvent(name.to_owned())),
    };
    if kind != expected {
        return Err(EventError::Unusable { event, path: "object_kind" });
    }
    match expected {
        "push" | "tag_push" => pushed(payload),
        "merge_request" => merge_request(payload),
        "note" => comment(payload),
        "issue" => issue(payload),
        _ => release(payload),
    }
}

fn pushed(payload: &Json) -> Result<Event, EventError> {
    let count = payload["total_commits_count"].as_u64();
    let user = json!({
        "login": payload["user_username"], "id": payload["user_id"], "avatar_url": payload["user_avatar"],
    });
    // The commit of an annotated tag; `after` is the tag itself.
    let commit = payload["checkout_sha"].as_str().map(str::to_owned);
    let github = json!({
        "ref": payload["ref"],
        "before": payload["before"],
        "after": payload["after"],
        "commits": payload["commits"],
        "repository": repository(&payload["project"]),
        "pusher": { "name": payload["user_username"], "email": payload["user_email"] },
        "sender": user,
    });
    let event = push(github, count)?;
    let sha = commit.filter(|sha| event.sha.is_some() && super::is_commit(sha));
    Ok(match sha {
        Some(sha) => event.with_sha(sha),
        None => event,
    })
}

fn merge_request(payload: &Json) -> Result<Event, EventError> {
    let (pull, changes) = (&payload["object_attributes"], &payload["changes"]);
    let changed = |key: &str| changes.get(key).is_some();
    let action = match pull["action"].as_str() {
        Some("open") => "opened",
        Some("reopen") => "reopened",
        Some("close" | "merge") => "closed",
        Some("update") if pull["oldrev"].is_string() => "synchronize",
        Some("update") if changed("labels") => "labeled",
        Some("update") if changed("draft") && pull["draft"] == true => "converted_to_draft",
        Some("update") if changed("draft") => "ready_for_review",
        Some("update") => "edited",
        // Approvals start nothing; GitHub has reviews for them, which carry what GitLab does not tell.
        Some(other) => return Err(EventError::NoWorkflowEvent(format!("merge request {other}"))),
        None => return Err(EventError::Missing { event: EventName::PullRequest, path: "object_attributes.action" }),
    };
    let user = person(&payload["user"]);
    let branch = |project: &Json, name: &Json, sha: &Json| {
        let label = name.as_str().unwrap_or_default();
        json!({ "ref": name, "sha": sha, "label": label, "repo": repository(project) })
    };
    let github = json!({
        "action": action,
        "number": pull["iid"],
        "pull_request": {
            "id": pull["id"], "number": pull["iid"], "html_url": pull["url"],
            "state": if action == "closed" { "closed" } else { "open" },
            "title": pull["title"], "body": pull["description"], "draft": pull["draft"],
            "merged": pull["action"] == "merge", "merge_commit_sha": pull["merge_commit_sha"],
            "created_at": pull["created_at"], "updated_at": pull["updated_at"],
            "labels": labels(&payload["labels"]), "user": user,
            "base": branch(&pull["target"], &pull["target_branch"], &Json::Null),
            "head": branch(&pull["source"], &pull["source_branch"], &pull["last_commit"]["id"]),
        },
        "before": pull["oldrev"],
        "after": pull["last_commit"]["id"],
        "repository": repository(&payload["project"]),
        "sender": user,
    });
    Event::parse_nested("pull_request", github)
}

fn comment(payload: &Json) -> Result<Event, EventError> {
    let note = &payload["object_attributes"];
    let (subject, is_merge_request) = match note["noteable_type"].as_str() {
        Some("MergeRequest") => (&payload["merge_request"], true),
        Some("Issue") => (&payload["issue"], false),
        Some(_) | None => return Err(EventError::NoWorkflowEvent("note on something else than an issue".to_owned())),
    };
    let mut issue = issue_of(subject);
    if is_merge_request {
        issue["pull_request"] = json!({ "html_url": subject["url"] });
    }
    let user = person(&payload["user"]);
    let action = if note["action"] == "update" { "edited" } else { "created" };
    let github = json!({
        "action": action,
        "issue": issue,
        "comment": { "id": note["id"], "body": note["note"], "html_url": note["url"], "user": user },
        "repository": repository(&payload["project"]),
        "sender": user,
    });
    Event::parse_nested("issue_comment", github)
}

fn issue(payload: &Json) -> Result<Event, EventError> {
    let issue = &payload["object_attributes"];
    let action = match issue["action"].as_str() {
        Some("open") => "opened",
        Some("close") => "closed",
        Some("reopen") => "reopened",
        Some(_) | None => "edited",
    };
    let github = json!({
        "action": action,
        "issue": issue_of(issue),
        "repository": repository(&payload["project"]),
        "sender": person(&payload["user"]),
    });
    Event::parse_nested("issues", github)
}

fn release(payload: &Json) -> Result<Event, EventError> {
    let action = match payload["action"].as_str() {
        Some("update") => "edited",
        Some("delete") => "deleted",
        Some(_) | None => "published",
    };
    let commit = &payload["commit"];
    let github = json!({
        "action": action,
        "release": {
            "id": payload["id"], "tag_name": payload["tag"], "name": payload["name"], "body": payload["description"],
            "html_url": payload["url"], "draft": false, "prerelease": false, "created_at": payload["created_at"],
            "target_commitish": commit["id"],
        },
        "repository": repository(&payload["project"]),
        // GitLab names nobody but the author of the commit.
        "sender": { "login": commit["author"]["name"].as_str().unwrap_or("gitlab") },
    });
    Event::parse_nested("release", github)
}

fn issue_of(issue: &Json) -> Json {
    json!({
        "id": issue["id"], "number": issue["iid"], "title": issue["title"], "body": issue["description"],
        "state": if issue["state"] == "opened" { "open" } else { "closed" },
        "html_url": issue["url"], "labels": labels(&issue["labels"]),
    })
}

fn labels(labels: &Json) -> Json {
    let labels = labels.as_array().map_or(&[][..], Vec::as_slice);
    let label = |label: &Json| json!({ "id": label["id"], "name": label["title"], "color": label["color"] });
    Json::Array(labels.iter().map(label).collect())
}

fn person(user: &Json) -> Json {
    json!({ "login": user["username"], "id": user["id"], "avatar_url": user["avatar_url"] })
}

/// A project as a repository. Groups may lie in groups: the owner is all but the last name.
fn repository(project: &Json) -> Json {
    let full_name = project["path_with_namespace"].as_str();
    let (owner, name) = full_name.and_then(|name| name.rsplit_once('/')).unwrap_or_default();
    let url = [&project["git_http_url"], &project["http_url"]].into_iter().find(|url| url.is_string());
    let url = url.cloned().unwrap_or(Json::Null);
    json!({
        "id": project["id"], "name": name, "full_name": project["path_with_namespace"],
        "owner": { "login": owner }, "private": project["visibility_level"].as_u64() != Some(PUBLIC),
        "html_url": project["web_url"], "description": project["description"],
        "clone_url": url, "git_url": url, "ssh_url": project["git_ssh_url"],
        "default_branch": project["default_branch"],
    })
}
