//! Runs: listed, shown, stopped, run again, reviewed, started by hand.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::store::audit::Deed;
use engine::store::listing::{LISTED_MAX, RunFilter, RunListed};
use engine::store::{RunId, RunStatus};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::answer::{self, Body, Path, Query, store};
use super::view::Jobs;
use super::{Dispatch, Rerun, SteerError, gates, not_found};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// Runs of a list where no number is given.
const LISTED: usize = 50;

/// What runs are filtered by: statuses, and conclusions.
const STATUSES: [&str; 8] =
    ["queued", "waiting", "in_progress", "completed", "success", "failure", "cancelled", "skipped"];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filters {
    repository: Option<String>,
    branch: Option<String>,
    event: Option<String>,
    status: Option<String>,
    actor: Option<String>,
    sha: Option<String>,
    workflow: Option<String>,
    /// The `next` of the page before.
    cursor: Option<u64>,
    limit: Option<usize>,
}

pub(crate) async fn list(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(filters): Query<Filters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(status) = filters.status.as_deref().filter(|status| !STATUSES.contains(status)) {
        return Err(answer::bad("query", format!("`{status}` is no status; there are {}", STATUSES.join(", "))));
    }
    let limit = filters.limit.unwrap_or(LISTED).clamp(1, LISTED_MAX);
    let filter = RunFilter {
        repository: filters.repository,
        branch: filters.branch,
        event: filters.event,
        status: filters.status,
        actor: filters.actor,
        sha: filters.sha,
        workflow: filters.workflow,
        before: filters.cursor.map(RunId),
        visible: allowed.holder.repositories.clone(),
        limit,
    };
    let runs = shared.listing.list(filter).await.map_err(|error| store(&error))?;
    let next = runs.last().filter(|_| runs.len() == limit).map(|run| run.id);
    let mut gates = gates::waiting_anywhere(&shared, &allowed.holder).await?;
    gates.retain(|gate| runs.iter().any(|run| run.id.0 == gate.run));
    answer::json(&headers, &json!({ "runs": runs, "next": next, "gates": gates }))
}

pub(crate) async fn show(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&shared, &allowed, RunId(id)).await?;
    let jobs = Jobs::read(&shared.listing, run.id).await.map_err(|error| store(&error))?;
    let attempts = shared.listing.attempts(run.id).await.map_err(|error| store(&error))?;
    let attempts: Vec<_> = attempts.iter().map(|one| json!({ "id": one.id, "attempt": one.attempt })).collect();
    let mut value = serde_json::to_value(&run).map_err(|error| answer::unreadable(&error))?;
    value["held"] = json!(jobs.held);
    value["released_by"] = json!(jobs.released_by);
    value["jobs"] = jobs.into_json();
    value["gates"] = match run.status {
        RunStatus::Completed => json!([]),
        RunStatus::Queued | RunStatus::Waiting | RunStatus::InProgress => {
            json!(gates::waiting(&shared, &allowed.holder, run.id).await?)
        }
    };
    value["attempts"] = Json::Array(attempts);
    answer::json(&headers, &value)
}

/// The run, if there is one for this token.
pub(crate) async fn visible<N>(shared: &Site, allowed: &Allowed<N>, run: RunId) -> Result<RunListed, Problem> {
    let found = shared.listing.one(run).await.map_err(|error| store(&error))?;
    found.filter(|found| allowed.may_see(&found.repository)).ok_or_else(|| not_found(format!("there is no run {run}")))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CancelWish {
    force: bool,
}

pub(crate) async fn cancel(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path(id): Path<u64>,
    body: Body,
) -> Result<Response, Problem> {
    let CancelWish { force } = body.read()?;
    let deed = async {
        cancel_run(&shared, &allowed, RunId(id), force).await?;
        Ok((StatusCode::ACCEPTED, json!({ "run": id, "status": "cancelling" })))
    };
    shared.once.perform(&allowed.holder, &body, deed).await
}

/// The deed itself, for the API and for pages.
pub(crate) async fn cancel_run(
    shared: &Site,
    allowed: &Allowed<access::RunsWrite>,
    run: RunId,
    force: bool,
) -> Result<(), Problem> {
    let run = visible(shared, allowed, run).await?;
    shared.api.steering.cancel(run.id, force, allowed.holder.person()).await.map_err(refused)?;
    audit(shared, allowed, "run.cancel", &run, json!({ "force": force })).await
}

pub(crate) async fn approve(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path(id): Path<u64>,
    body: Body,
) -> Result<Response, Problem> {
    let deed = async {
        release_run(&shared, &allowed, RunId(id)).await?;
        Ok((StatusCode::CREATED, json!({ "run": id, "status": "queued" })))
    };
    shared.once.perform(&allowed.holder, &body, deed).await
}

/// Lets a run of a stranger's code begin: the deed itself.
pub(crate) async fn release_run(
    shared: &Site,
    allowed: &Allowed<access::RunsWrite>,
    run: RunId,
) -> Result<(), Problem> {
    let run = visible(shared, allowed, run).await?;
    shared.api.steering.release(run.id, allowed.holder.person()).await.map_err(refused)?;
    audit(shared, allowed, "run.release", &run, json!({ "sha": run.sha })).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RerunWish {
    failed: bool,
    job: Option<String>,
}

pub(crate) async fn rerun(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path(id): Path<u64>,
    body: Body,
) -> Result<Response, Problem> {
    let which = match body.read::<RerunWish>()? {
        RerunWish { failed: true, job: Some(_) } => {
            return Err(answer::bad("body", "`failed` and `job` exclude each other".to_owned()));
        }
        RerunWish { failed: true, job: None } => Rerun::Failed,
        RerunWish { failed: false, job: Some(job) } => Rerun::Job(job),
        RerunWish { failed: false, job: None } => Rerun::All,
    };
    let deed = async {
        let made = rerun_run(&shared, &allowed, RunId(id), which).await?;
        Ok((StatusCode::CREATED, json!({ "run": made })))
    };
    shared.once.perform(&allowed.holder, &body, deed).await
}

/// The deed itself; the number of the new attempt.
pub(crate) async fn rerun_run(
    shared: &Site,
    allowed: &Allowed<access::RunsWrite>,
    run: RunId,
    which: Rerun,
) -> Result<RunId, Problem> {
    let run = visible(shared, allowed, run).await?;
    let detail = json!({ "which": format!("{which:?}") });
    let made = shared.api.steering.rerun(run.id, which, allowed.holder.person()).await.map_err(refused)?;
    audit(shared, allowed, "run.rerun", &run, detail).await?;
    Ok(made)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DispatchWish {
    repository: String,
    workflow: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    inputs: Map<String, Json>,
    event_type: Option<String>,
    client_payload: Map<String, Json>,
}

pub(crate) async fn dispatch(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Dispatch>,
    body: Body,
) -> Result<Response, Problem> {
    let DispatchWish { repository, workflow, git_ref, inputs, event_type, client_payload } = body.read()?;
    let dispatch = match (workflow, event_type) {
        (Some(workflow), None) => Dispatch::Workflow { repository, workflow, git_ref, inputs },
        (None, Some(event_type)) => Dispatch::Repository { repository, event_type, payload: client_payload },
        (Some(_), Some(_)) | (None, None) => {
            return Err(answer::bad("body", "give either `workflow` or `event_type`".to_owned()));
        }
    };
    let deed = async {
        let runs = dispatch_runs(&shared, &allowed, dispatch).await?;
        Ok((StatusCode::CREATED, json!({ "runs": runs })))
    };
    shared.once.perform(&allowed.holder, &body, deed).await
}

/// The deed itself; the numbers of the runs.
pub(crate) async fn dispatch_runs(
    shared: &Site,
    allowed: &Allowed<access::Dispatch>,
    dispatch: Dispatch,
) -> Result<Vec<RunId>, Problem> {
    let repository = dispatch.repository().to_owned();
    if !allowed.may_see(&repository) {
        return Err(not_found(format!("there is no repository {repository}")));
    }
    let detail = match &dispatch {
        // Inputs may be meant to be secret.
        Dispatch::Workflow { workflow, git_ref, inputs, .. } => {
            json!({ "workflow": workflow, "ref": git_ref, "inputs": inputs.keys().collect::<Vec<_>>() })
        }
        Dispatch::Repository { event_type, .. } => json!({ "event_type": event_type }),
    };
    let runs = shared.api.steering.dispatch(dispatch, allowed.holder.person()).await.map_err(refused)?;
    let deed = Deed { actor: allowed.actor.clone(), what: "run.dispatch", target: repository, detail };
    shared.api.audit.record(deed).await.map_err(|error| store(&error))?;
    Ok(runs)
}

pub(crate) async fn audit<N>(
    shared: &Site,
    allowed: &Allowed<N>,
    what: &'static str,
    run: &RunListed,
    detail: Json,
) -> Result<(), Problem> {
    let target = format!("{} run {}", run.repository, run.id);
    let deed = Deed { actor: allowed.actor.clone(), what, target, detail };
    shared.api.audit.record(deed).await.map_err(|error| store(&error))
}

pub(crate) fn refused(error: SteerError) -> Problem {
    let (status, kind) = match error {
        SteerError::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
        SteerError::Conflict(_) => (StatusCode::CONFLICT, "state"),
        SteerError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "request"),
        SteerError::Forbidden(_) => (StatusCode::FORBIDDEN, "review"),
        SteerError::Store(error) => return store(&error),
    };
    Problem::new(status, kind, error.to_string())
}
