//! A part of GitHub's REST API, for the token that a job has where its owner gave none: the repository is read as it lies here, and
//! what a job says to the forge is kept (`told`), so that it finds it again. A token may do what the job's `permissions:` say.
//! See <https://docs.github.com/en/rest> and <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions>.

mod artifacts;
mod ask;
mod commits;
mod files;
mod git;
mod issues;
mod needs;
mod reactions;
mod refs;
mod reports;
mod told;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value as Json, json};

use self::ask::{Ask, Refusal, Reply};
use crate::answer::Answer;
use crate::job::Job;

/// Where it is, as on a GitHub Enterprise Server.
pub(crate) const PREFIX: &str = "/api/v3";
/// Where queries go; there are none here.
pub(crate) const GRAPHQL: &str = "/api/graphql";

/// What jobs may say to the forge here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Writes {
    /// Comments, labels, statuses and checks are kept with the repository, and nobody else is told.
    #[default]
    Kept,
    /// Nothing: there is a forge, and it is told by the server.
    Refused,
}

/// Answers a request below [`PREFIX`] or at [`GRAPHQL`].
pub(crate) async fn answer(job: &Arc<Job>, request: Request<Incoming>) -> Answer {
    if !given(&request).is_some_and(|token| job.keys.is_api_token(token)) {
        let words = "Bad credentials: the job's own token is the only one that is known here; `-s GITHUB_TOKEN=…` leads the \
                     job to GitHub, which knows others";
        return Refusal::new(StatusCode::UNAUTHORIZED, words).answer();
    }
    if request.uri().path() == GRAPHQL {
        return Refusal::not_here("GraphQL").answer();
    }
    let asked = match Ask::of(request, PREFIX).await {
        Ok(asked) => asked,
        Err(refused) => return refused.answer(),
    };
    let served = Arc::clone(job);
    let answered =
        tokio::task::spawn_blocking(move || route(&served, &asked).map(|reply| reply.answer(&asked, &served)));
    match answered.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(refused)) => refused.answer(),
        Err(error) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).answer(),
    }
}

/// The token of a request: `token X` and `Bearer X` are both in use.
fn given(request: &Request<Incoming>) -> Option<&str> {
    let mut given = request.headers().get_all(hyper::header::AUTHORIZATION).iter();
    let (Some(one), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")).then(|| token.trim())
}

fn route(job: &Job, ask: &Ask) -> Result<Reply, Refusal> {
    let parts = ask.parts();
    let (owner, name, rest) = match (&ask.method, &parts[..]) {
        (&Method::GET, ["rate_limit"]) => return Ok(Reply::json(rate_limit())),
        // A token of a job is nobody's.
        (_, ["user", ..]) => {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "Resource not accessible by integration"));
        }
        (_, ["repos", owner, name, rest @ ..]) => (*owner, *name, rest),
        _ => return Err(Refusal::not_here(&ask.path)),
    };
    if !format!("{owner}/{name}").eq_ignore_ascii_case(&job.facts.repository.name) {
        let words = format!(
            "Not Found: the token of this job is for {} only; `-s GITHUB_TOKEN=…` gives the job one of GitHub's",
            job.facts.repository.name
        );
        return Err(Refusal::new(StatusCode::NOT_FOUND, words));
    }
    if let Some(need) = needs::of(&ask.method, rest) {
        need.check(job)?;
    }
    let get = ask.method == Method::GET;
    match rest {
        [] if get => Ok(Reply::json(repository(job))),
        ["branches" | "tags", ..] | ["git", "ref" | "refs" | "matching-refs" | "tags", ..] if get => {
            refs::answer(job, ask, rest)
        }
        ["statuses", ..] | ["commits", _, "status" | "statuses" | "check-runs"] | ["check-runs", ..] => {
            reports::answer(job, ask, rest)
        }
        ["commits" | "compare", ..] | ["git", "commits", ..] | ["pulls", ..] if get => commits::answer(job, ask, rest),
        ["contents" | "readme", ..] | ["git", "trees" | "blobs", ..] if get => files::answer(job, ask, rest),
        ["issues" | "labels", ..] | ["pulls", ..] => issues::answer(job, ask, rest),
        ["actions", "runs", id] if get && **id == *text(job, "run_id") => Ok(Reply::json(run(job))),
        ["actions", "workflows", file] if get && Some(*file) == workflow_file(job) => Ok(Reply::json(workflow(job))),
        ["actions", of_actions @ ..] => artifacts::answer(job, ask, of_actions),
        _ => Err(Refusal::not_here(&ask.path)),
    }
}

/// A text of the `github` context.
fn text<'a>(job: &'a Job, name: &str) -> &'a str {
    job.facts.github[name].as_str().unwrap_or_default()
}

/// The address of something of the repository.
fn url(job: &Job, rest: &str) -> String {
    format!("{}{PREFIX}/repos/{}{rest}", job.facts.origin, job.facts.repository.name)
}

/// The address of a page about something of the repository, where people have one.
fn html_url(job: &Job, rest: &str) -> String {
    let server = text(job, "server_url");
    let server = if server.is_empty() { "https://github.com" } else { server };
    format!("{server}/{}{rest}", job.facts.repository.name)
}

/// There is no limit; clients that ask are told of one that they do not come to.
fn rate_limit() -> Json {
    let reset = engine::kept::now() + 3_600;
    let limit = json!({ "limit": 5_000, "remaining": 5_000, "used": 0, "reset": reset });
    json!({ "resources": { "core": limit, "search": limit, "graphql": limit }, "rate": limit })
}

/// What the event says of the repository, over what is known of each.
fn repository(job: &Job) -> Json {
    let full = &job.facts.repository.name;
    let (owner, name) = full.split_once('/').unwrap_or(("", full));
    let mut value = json!({
        "id": 0, "name": name, "full_name": full, "private": true, "fork": false, "archived": false, "disabled": false,
        "owner": { "login": owner, "type": "User" }, "html_url": html_url(job, ""), "url": url(job, ""),
        "default_branch": git::default_branch(job),
        "permissions": { "admin": false, "maintain": false, "push": false, "triage": false, "pull": true },
    });
    if let Some(said) = job.facts.github["event"]["repository"].as_object() {
        for (key, said) in said.iter().filter(|(key, said)| !said.is_null() && *key != "url") {
            value[key.as_str()] = said.clone();
        }
    }
    value
}

/// The run that the job is of.
fn run(job: &Job) -> Json {
    let number = |name: &str| text(job, name).parse::<u64>().unwrap_or_default();
    json!({
        "id": number("run_id"), "name": text(job, "workflow"), "run_number": number("run_number"),
        "run_attempt": number("run_attempt"), "event": text(job, "event_name"), "status": "in_progress",
        "conclusion": null, "head_sha": text(job, "sha"),
        "head_branch": if text(job, "head_ref").is_empty() { text(job, "ref_name") } else { text(job, "head_ref") },
        "path": workflow_path(job),
        "workflow_url": workflow_file(job).map(|file| url(job, &format!("/actions/workflows/{file}"))),
        "actor": { "login": text(job, "actor") }, "triggering_actor": { "login": text(job, "triggering_actor") },
        "url": url(job, &format!("/actions/runs/{}", text(job, "run_id"))),
        "html_url": html_url(job, &format!("/actions/runs/{}", text(job, "run_id"))),
        "repository": repository(job),
    })
}

/// The file of the run's workflow in the repository.
fn workflow_path(job: &Job) -> Option<&str> {
    text(job, "workflow_ref").split('@').next()?.splitn(3, '/').nth(2)
}

/// Its name, by which GitHub's API knows a workflow too.
fn workflow_file(job: &Job) -> Option<&str> {
    workflow_path(job)?.rsplit('/').next()
}

/// The workflow of the run; there is no number.
fn workflow(job: &Job) -> Json {
    let file = workflow_file(job).unwrap_or_default();
    json!({
        "name": text(job, "workflow"), "path": workflow_path(job), "state": "active",
        "url": url(job, &format!("/actions/workflows/{file}")),
        "html_url": html_url(job, &format!("/actions/workflows/{file}")),
    })
}
