//! The reference of the API: one table of its pages, as OpenAPI 3.1. The tests hold it against the routes.
//!
//! Follows <https://spec.openapis.org/oas/v3.1.0>.

mod insights;
mod notifications;
mod people;
mod reported;
mod rollouts;

use axum::http::HeaderMap;
use axum::response::Response;
use engine::store::tokens::Scope;
use serde_json::{Map, Value as Json, json};

use super::answer;
use crate::Problem;

/// A page and a method.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) method: &'static str,
    /// Below `/api/v1`.
    pub(super) path: &'static str,
    /// The scope that it needs; `None`: everybody may see it.
    pub(super) scope: Option<Scope>,
    /// It needs no scope, but somebody who is known.
    pub(super) is_for_all: bool,
    pub(super) summary: &'static str,
    /// Name and meaning.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// Names of the body's fields, an asterisk behind those that must be there, and what they mean.
    pub(super) body: &'static [(&'static str, &'static str)],
    /// Status and what the answer holds.
    pub(super) answer: (u16, &'static str, &'static str),
}

const RUN_FILTERS: &[(&str, &str)] = &[
    ("repository", "owner/name"),
    ("branch", "a branch, or a whole ref such as refs/tags/v1"),
    ("event", "name of the event"),
    ("status", "queued, waiting, in_progress, completed, or a conclusion: success, failure, cancelled, skipped"),
    ("actor", "who did what the run is for"),
    ("sha", "the commit, whole"),
    ("workflow", "path of the workflow, or its file name"),
    ("cursor", "`next` of the page before"),
    ("limit", "1 to 200, else 50"),
];
const PLACE: &[(&str, &str)] = &[
    ("repository", "owner/name; empty: all"),
    ("environment", "a deployment environment; empty: all"),
    ("branch", "a branch or a pattern of branches; empty: all"),
];
const VALUE: &[(&str, &str)] = &[
    ("value*", "the value"),
    ("repository", "owner/name; empty: all"),
    ("environment", "a deployment environment; empty: all"),
    ("branch", "a branch or a pattern of branches; empty: all"),
];
const OF_REPOSITORY: &[(&str, &str)] = &[("repository", "owner/name")];
const JSON: &str = "application/json";
const LOG_STEP: (&str, &str) =
    ("step", "number of a step, or `setup`; without it: set-up and all steps, one after the other");

const fn page(method: &'static str, path: &'static str, scope: Scope, summary: &'static str) -> Page {
    Page {
        method,
        path,
        scope: Some(scope),
        is_for_all: false,
        summary,
        query: &[],
        body: &[],
        answer: (200, JSON, ""),
    }
}

/// All pages.
pub(super) const PAGES: &[Page] = &[
    Page {
        scope: None,
        answer: (200, JSON, "this document"),
        ..page("get", "/openapi.json", Scope::Admin, "This reference")
    },
    Page {
        query: RUN_FILTERS,
        answer: (200, JSON, "runs, newest first; next: the cursor of the next page, or null; gates: what jobs ask"),
        ..page("get", "/runs", Scope::RunsRead, "Runs, newest first")
    },
    Page {
        answer: (
            200,
            JSON,
            "the run with its jobs and their steps, its attempts, and what its jobs ask people (gates)",
        ),
        ..page("get", "/runs/{id}", Scope::RunsRead, "A run with its jobs and steps")
    },
    Page {
        query: &[
            ("logs", "false: only facts"),
            ("job", "only lines of this job (its key)"),
            ("after", "as Last-Event-ID"),
        ],
        answer: (
            200,
            "text/event-stream",
            "objects as `pipe run --json` prints them, with the place behind each as id; `event: end` at the end",
        ),
        ..page("get", "/runs/{id}/events", Scope::RunsRead, "A run live, from its beginning or from Last-Event-ID on")
    },
    Page {
        answer: (200, JSON, "artifacts: id, name, attempt, job, files, bytes, stored, digest, created_at, expires_at"),
        ..page("get", "/runs/{id}/artifacts", Scope::RunsRead, "What a run left: its artifacts")
    },
    Page {
        answer: (200, "application/x-tar", "the files; ETag is the SHA-256 of the answer"),
        ..page("get", "/runs/{id}/artifacts/{name}", Scope::RunsRead, "The files of an artifact, as an archive")
    },
    Page {
        body: &[("force", "stop without the steps that always run")],
        answer: (202, JSON, "run, status"),
        ..page("post", "/runs/{id}/cancel", Scope::RunsWrite, "Stop a run")
    },
    Page {
        answer: (201, JSON, "run, status"),
        ..page("post", "/runs/{id}/approve", Scope::RunsWrite, "Let a run of a fork's pull request begin")
    },
    Page {
        body: &[
            ("failed", "only jobs that failed, and what needs them"),
            ("job", "only this job or leg (id or key), and what needs it"),
        ],
        answer: (201, JSON, "run: the number of the new attempt"),
        ..page("post", "/runs/{id}/rerun", Scope::RunsWrite, "Start another attempt of a run that is over")
    },
    Page {
        body: &[
            ("state*", "approved or rejected"),
            ("environment", "which; without it: all that wait"),
            ("comment", "why"),
            ("subject", "as the page before gave it: what has changed since is refused"),
        ],
        answer: (201, JSON, "run, environment"),
        ..page("post", "/runs/{id}/reviews", Scope::ReviewsWrite, "Approve or reject deployments that wait")
    },
    Page {
        answer: (200, JSON, "reviews: what waits, who may give it, what would change; gates: what jobs ask people"),
        ..page("get", "/runs/{id}/reviews", Scope::RunsRead, "Deployments that wait for a review")
    },
    Page {
        query: &[LOG_STEP, ("from", "first byte, else 0"), ("to", "byte behind the last one; at most 1 MiB a request")],
        answer: (200, "text/plain", "bytes of the log; headers Pipe-Log-From, -To, -Size, -Complete"),
        ..page("get", "/jobs/{id}/log", Scope::RunsRead, "Part of a job's log, in bytes; the job's id is RUN:KEY")
    },
    Page {
        query: &[LOG_STEP, ("times", "true: with the time in UTC before each line, and without Range")],
        answer: (200, "text/plain", "the log as it is stored; takes Range"),
        ..page("get", "/jobs/{id}/log/raw", Scope::RunsRead, "A job's whole log")
    },
    Page {
        query: &[LOG_STEP],
        answer: (200, JSON, "times: pairs of a byte and when what begins there came"),
        ..page("get", "/jobs/{id}/log/times", Scope::RunsRead, "When the bytes of a step's log came; `step` is needed")
    },
    Page {
        body: &[
            ("repository*", "owner/name"),
            ("workflow", "path or file name"),
            ("ref", "branch, tag or whole ref; else the default branch"),
            ("inputs", "inputs of the workflow, an object"),
            ("event_type", "instead of workflow: a repository_dispatch of this type"),
            ("client_payload", "its payload, an object"),
        ],
        answer: (201, JSON, "runs: their numbers"),
        ..page("post", "/dispatch", Scope::Dispatch, "Start runs by hand")
    },
    Page {
        answer: (200, JSON, "repositories: id, forge, full_name, url, what to enter at the forge, newest_run"),
        ..page("get", "/repositories", Scope::RunsRead, "Repositories that are registered")
    },
    Page {
        body: &[
            ("url*", "where it is fetched from: https, http, ssh, user@host:path, or a path of the server's machine"),
            ("name", "owner/name, where the URL does not tell"),
            ("forge", "github, gitea, forgejo, gitlab or push, where the URL does not tell"),
            ("secret", "of its hook; without one, one is made and shown once"),
            ("token", "that fetches it"),
            ("token_user", "whose the token is"),
            ("offline", "true: do not ask whether it can be reached"),
        ],
        answer: (201, JSON, "the repository, its secret if one was made; 200 where it was registered before"),
        ..page("post", "/repositories", Scope::Repositories, "Register a repository, or change one")
    },
    Page {
        query: &[("name", "owner/name"), ("forge", "where several have one of that name")],
        answer: (200, JSON, "removed, forge"),
        ..page("delete", "/repositories", Scope::Repositories, "Forget a repository; its runs stay")
    },
    Page {
        body: &[("name*", "owner/name"), ("for*", "people (who are signed in), token, or everybody")],
        answer: (200, JSON, "name, for, path of badges, token: shown this once"),
        ..page("put", "/repositories/badges", Scope::Repositories, "Say who may see the badges of a repository")
    },
    Page {
        query: &[
            ("repository", "owner/name"),
            ("environment", "only to this one"),
            ("state", "in_progress, success, failure or error"),
            ("cursor", "`next` of the page before"),
            ("limit", "1 to 200, else 50"),
        ],
        answer: (200, JSON, "deployments, newest first; next"),
        ..page("get", "/deployments", Scope::RunsRead, "Deployments")
    },
    Page {
        query: &[
            ("repository", "owner/name"),
            ("state", "received, processed, ignored, failed"),
            ("cursor", "`next` of the page before"),
            ("limit", "1 to 500, else 50"),
        ],
        answer: (200, JSON, "deliveries, newest first; next"),
        ..page("get", "/deliveries", Scope::Deliveries, "Hooks that came")
    },
    Page {
        answer: (200, JSON, "the delivery with its headers and payload"),
        ..page("get", "/deliveries/{number}", Scope::Deliveries, "One hook, whole")
    },
    Page {
        answer: (202, JSON, "delivery, state"),
        ..page("post", "/deliveries/{number}/replay", Scope::Deliveries, "Look at a hook again")
    },
    Page {
        query: &[("cursor", "`next` of the page before"), ("limit", "1 to 500, else 50")],
        answer: (200, JSON, "messages, newest first, with what went wrong; next"),
        ..page("get", "/messages", Scope::Deliveries, "What forges and people have not been told yet")
    },
    Page {
        answer: (202, JSON, "message, state"),
        ..page("post", "/messages/{number}/retry", Scope::Deliveries, "Try a message again that was given up")
    },
    Page {
        query: OF_REPOSITORY,
        answer: (200, JSON, "secrets: name, scope, version, updated_at, updated_by; never values"),
        ..page("get", "/secrets", Scope::SecretsWrite, "Names of secrets")
    },
    Page {
        body: VALUE,
        answer: (201, JSON, "name, scope; 200 where it was replaced"),
        ..page("put", "/secrets/{name}", Scope::SecretsWrite, "Set a secret")
    },
    Page {
        query: PLACE,
        answer: (200, JSON, "name, scope"),
        ..page("delete", "/secrets/{name}", Scope::SecretsWrite, "Remove a secret")
    },
    Page {
        query: OF_REPOSITORY,
        answer: (200, JSON, "variables with their values"),
        ..page("get", "/variables", Scope::SecretsWrite, "Variables")
    },
    Page {
        body: VALUE,
        answer: (201, JSON, "name, scope; 200 where it was replaced"),
        ..page("put", "/variables/{name}", Scope::SecretsWrite, "Set a variable")
    },
    Page {
        query: PLACE,
        answer: (200, JSON, "name, scope"),
        ..page("delete", "/variables/{name}", Scope::SecretsWrite, "Remove a variable")
    },
    Page {
        answer: (200, JSON, "tokens; never the tokens themselves"),
        ..page("get", "/tokens", Scope::Admin, "Tokens")
    },
    Page {
        body: &[
            ("name*", "what people call it"),
            ("scopes*", "a list of scopes"),
            ("repositories", "only for these; else for all"),
            ("expires_in_days", "1 to 366, else 90"),
        ],
        answer: (201, JSON, "id, token (shown this once), expires_at"),
        ..page("post", "/tokens", Scope::Admin, "Make a token")
    },
    Page {
        answer: (200, JSON, "token, revoked"),
        ..page("delete", "/tokens/{id}", Scope::Admin, "Take a token back, by number or name")
    },
    Page {
        query: &[
            ("what", "such as secret.set, or a group: secret."),
            ("who", "such as `token bot`"),
            ("cursor", "`next` of the page before"),
            ("limit", "1 to 500, else 50"),
        ],
        answer: (200, JSON, "entries, newest first; next"),
        ..page("get", "/audit", Scope::AuditRead, "Who did what")
    },
];

pub(super) async fn document(headers: HeaderMap) -> Result<Response, Problem> {
    answer::json(&headers, &reference())
}

/// The document.
fn reference() -> Json {
    let mut paths = Map::new();
    for page in PAGES
        .iter()
        .chain(people::PAGES)
        .chain(reported::PAGES)
        .chain(notifications::PAGES)
        .chain(insights::PAGES)
        .chain(rollouts::PAGES)
    {
        let entry = paths.entry(format!("/api/v1{}", page.path)).or_insert_with(|| json!({}));
        entry[page.method] = operation(page);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pipe",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs of GitHub Actions workflows on your own server. Errors are RFC 9457 problem+json; `type` \
                            ends with a word that programs can compare. POST takes `Idempotency-Key`.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "made by `pipe token create`" },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-pipe",
                    "description": "of a browser that is signed in; what changes something needs X-Pipe-CSRF as well",
                },
            },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": { "type": "string" }, "title": { "type": "string" },
                        "status": { "type": "integer" }, "detail": { "type": "string", "description": "what to do" },
                    },
                },
            },
        },
    })
}

fn operation(page: &Page) -> Json {
    let in_path = page
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = page.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": "string" } })
    });
    let (status, kind, meaning) = page.answer;
    let problem = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    let mut responses = Map::new();
    responses.insert(status.to_string(), json!({ "description": meaning, "content": { kind: {} } }));
    responses.insert("default".to_owned(), json!({ "description": "why not, and what to do", "content": problem }));
    let mut operation = json!({
        "operationId": operation_id(page),
        "summary": page.summary,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": responses,
    });
    if !page.body.is_empty() {
        let names = || page.body.iter().map(|(name, meaning)| (name.trim_end_matches('*'), meaning));
        let properties: Map<_, _> =
            names().map(|(name, meaning)| (name.to_owned(), json!({ "description": meaning }))).collect();
        let required: Vec<_> = page.body.iter().filter_map(|(name, _)| name.strip_suffix('*')).collect();
        let schema =
            json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required });
        operation["requestBody"] = json!({ "content": { JSON: { "schema": schema } } });
    }
    match page.scope {
        Some(scope) => {
            operation["security"] = json!([{ "token": [] }, { "session": [] }]);
            operation["description"] = format!("Needs the scope `{}`.", scope.as_str()).into();
        }
        None if page.is_for_all => {
            operation["security"] = json!([{ "token": [] }, { "session": [] }]);
            operation["description"] = "Needs no scope.".into();
        }
        None => operation["security"] = json!([]),
    }
    operation
}

fn operation_id(page: &Page) -> String {
    let words = page.path.split('/').filter(|part| !part.is_empty()).map(|part| part.trim_matches(['{', '}']));
    std::iter::once(page.method).chain(words).collect::<Vec<_>>().join("_").replace('.', "_")
}
