//! Gitea's and Forgejo's payloads: GitHub's shape with some names of their own.
//!
//! Follows <https://docs.gitea.com/usage/webhooks>.

use serde_json::{Value as Json, json};

use super::{add, complete_repository, is_commit, push};
use crate::event::{Event, EventError};

pub(super) fn read(name: &str, mut payload: Json) -> Result<Event, EventError> {
    if let Json::Object(payload) = &mut payload {
        // Old versions send the hook's secret along; it must not become `github.event.secret`.
        payload.remove("secret");
    }
    let told = payload["total_commits"].as_u64();
    match name {
        "push" => push(payload, told),
        "create" => {
            let sha = payload["sha"].as_str().filter(|sha| is_commit(sha)).map(str::to_owned);
            complete_repository(&mut payload);
            let event = Event::parse_nested("create", payload)?;
            Ok(match sha {
                Some(sha) => event.with_sha(sha),
                None => event,
            })
        }
        "pull_request"
        | "pull_request_assign"
        | "pull_request_label"
        | "pull_request_milestone"
        | "pull_request_sync"
        | "pull_request_review_request" => {
            pull_request(&mut payload);
            Event::parse_nested("pull_request", payload)
        }
        "pull_request_approved" | "pull_request_rejected" | "pull_request_comment"
            if payload.get("review").is_some() =>
        {
            pull_request(&mut payload);
            payload["action"] = json!("submitted");
            Event::parse_nested("pull_request_review", payload)
        }
        "issue_comment" | "pull_request_comment" => other("issue_comment", payload),
        "issues" | "issue_assign" | "issue_label" | "issue_milestone" => {
            rename_action(&mut payload);
            other("issues", payload)
        }
        "release" => {
            if payload["action"] == "updated" {
                payload["action"] = json!("edited");
            }
            other("release", payload)
        }
        "wiki" => other("gollum", payload),
        "package" => other("registry_package", payload),
        "delete" | "fork" => other(name, payload),
        _ => Err(EventError::NoWorkflowEvent(name.to_owned())),
    }
}

fn other(name: &str, mut payload: Json) -> Result<Event, EventError> {
    complete_repository(&mut payload);
    Event::parse_nested(name, payload)
}

/// Its activity in GitHub's words, and whose head it is.
fn pull_request(payload: &mut Json) {
    complete_repository(payload);
    rename_action(payload);
    let repository = payload["repository"].clone();
    let same = {
        let pull = &payload["pull_request"];
        let (head, base) = (&pull["head"]["repo_id"], &pull["base"]["repo_id"]);
        head.is_u64() && head == base
    };
    if let (true, Some(Json::Object(head))) = (same, payload.pointer_mut("/pull_request/head")) {
        add(head, "repo", repository);
    }
}

fn rename_action(payload: &mut Json) {
    let action = match payload["action"].as_str() {
        Some("synchronized") => "synchronize",
        Some("label_updated") => "labeled",
        Some("label_cleared") => "unlabeled",
        Some(_) | None => return,
    };
    payload["action"] = json!(action);
}
