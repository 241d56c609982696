//! The `github` context: what a run and a job know about themselves.
//!
//! It is built as JSON, so that it can be kept, sent to a step's environment, and read by expressions alike. It holds
//! the token only where the caller gives one.
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#github-context>.

use serde_json::{Map, Value as Json, json};

use super::{Event, GitRefKind};
use crate::secret::Secret;

/// What the event does not know: the run, the job and the machine. Texts may be empty where there is nothing to tell.
#[derive(Debug, Clone, Default)]
pub struct GithubFacts {
    /// `github.workflow`: `name:` or the path.
    pub workflow: String,
    /// Path of the (triggered) workflow's file in the repository.
    pub workflow_path: String,
    /// `github.run_id`; 0 before there is a run.
    pub run_id: u64,
    /// `github.run_number`, from 1.
    pub run_number: u64,
    /// `github.run_attempt`, from 1.
    pub run_attempt: u32,
    /// `github.job`: the job's own id; empty outside a job.
    pub job: String,
    /// Who started this attempt; empty: the actor.
    pub triggering_actor: String,
    /// `github.workspace` as the job sees it.
    pub workspace: String,
    /// `github.event_path` as the job sees it.
    pub event_path: String,
    /// `github.env`, the file of the current step.
    pub env: String,
    /// `github.path`, the file of the current step.
    pub path: String,
    /// `github.output`, the file of the current step.
    pub output: String,
    /// `github.state`, the file of the current step.
    pub state: String,
    /// `github.step_summary`, the file of the current step.
    pub step_summary: String,
    /// `github.server_url`, such as `https://github.com`.
    pub server_url: String,
    /// `github.api_url`.
    pub api_url: String,
    /// `github.graphql_url`.
    pub graphql_url: String,
    /// `github.retention_days`.
    pub retention_days: u32,
    /// `github.ref_protected`.
    pub ref_protected: bool,
    /// `github.token`; `None` leaves the key out.
    pub token: Option<Secret>,
}

/// The `github` context. A step adds `action`, `action_path`, `action_ref`, `action_repository` and `action_status`; a job of a
/// called workflow has another `job_workflow_ref` and `job_workflow_sha`.
/// Ids are texts, as on GitHub.
#[must_use]
pub fn github_context(event: &Event, facts: &GithubFacts) -> Map<String, Json> {
    let id = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
    let sha = event.sha.as_deref().unwrap_or("");
    let git_ref = event.git_ref.as_str();
    let located = |path: &str| format!("{}/{path}@{git_ref}", event.repository.full_name);
    let triggering = if facts.triggering_actor.is_empty() { &event.actor.login } else { &facts.triggering_actor };
    let mut context = object(json!({
        "ref": git_ref,
        "sha": sha,
        "repository": event.repository.full_name,
        "repository_owner": event.repository.owner,
        "repository_owner_id": id(event.repository.owner_id),
        "repositoryUrl": event.repository.git_url,
        "run_id": facts.run_id.to_string(),
        "run_number": facts.run_number.to_string(),
        "retention_days": facts.retention_days.to_string(),
        "run_attempt": facts.run_attempt.to_string(),
        "repository_visibility": if event.repository.private { "private" } else { "public" },
        "repository_id": id(event.repository.id),
        "actor_id": id(event.actor.id),
        "actor": event.actor.login,
        "triggering_actor": triggering,
        "workflow": facts.workflow,
        "head_ref": event.head_ref().unwrap_or(""),
        "base_ref": event.base_ref().unwrap_or(""),
        "event_name": event.name.as_str(),
        "server_url": facts.server_url,
        "api_url": facts.api_url,
        "graphql_url": facts.graphql_url,
        "ref_name": event.git_ref.short(),
        "ref_protected": facts.ref_protected,
        "ref_type": if event.git_ref.kind() == GitRefKind::Tag { "tag" } else { "branch" },
        "secret_source": if event.from_fork() { "None" } else { "Actions" },
        "event": *event.payload,
        "workflow_ref": located(&facts.workflow_path),
        "workflow_sha": sha,
        "job_workflow_ref": located(&facts.workflow_path),
        "job_workflow_sha": sha,
    }));
    for (key, text) in [
        ("job", &facts.job),
        ("workspace", &facts.workspace),
        ("event_path", &facts.event_path),
        ("env", &facts.env),
        ("path", &facts.path),
        ("output", &facts.output),
        ("state", &facts.state),
        ("step_summary", &facts.step_summary),
    ] {
        if !text.is_empty() {
            context.insert(key.to_owned(), json!(text));
        }
    }
    if let Some(token) = &facts.token {
        context.insert("token".to_owned(), json!(token.expose()));
    }
    context
}

fn object(json: Json) -> Map<String, Json> {
    if let Json::Object(map) = json { map } else { Map::new() }
}
