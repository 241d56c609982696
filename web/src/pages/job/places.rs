//! Places in a log: `…/times` says when its lines came, `…/at` leads to the line of an annotation.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::steps::{self, StepLog};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::{self, Path, Query, bad, unreadable};
use crate::pages::filters::encoded;
use crate::pages::log::{line_of, of_log};
use crate::site::Site;

/// Lines around one that is looked at in a long log.
const AROUND: u64 = 200;

fn step_of(query: &HashMap<String, String>) -> Result<Option<workflow::run::StepIndex>, Problem> {
    let step = steps::parse(query.get("step").map_or("", String::as_str));
    step.ok_or_else(|| bad("query", "`step` is `s` or `s` and a number".to_owned()))
}

/// `…/times`: pairs of a line and the milliseconds since 1970 that hold from it on.
pub(in crate::pages) async fn times(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, name)): Path<(u64, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (run, key, _) = super::find(&site, &allowed, id, &name).await?;
    let step = StepLog::of(&site.api.folders.logs(run.id), &key, step_of(&query)?);
    let read = tokio::task::spawn_blocking(move || of_log(&step.path));
    let times = read.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    answer::json(&headers, &times)
}

/// `…/at`: to the line that says what an annotation says, or to its step.
pub(in crate::pages) async fn at(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, name)): Path<(u64, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let (run, key, _) = super::find(&site, &allowed, id, &name).await?;
    let step = StepLog::of(&site.api.folders.logs(run.id), &key, step_of(&query)?);
    let text = query.get("text").cloned().unwrap_or_default();
    let level = query.get("level").cloned().unwrap_or_default();
    let (place, path) = (step.id.clone(), step.path);
    let read = tokio::task::spawn_blocking(move || line_of(&path, &level, &text));
    // A log that is gone has no lines; its step can still be shown.
    let line = read.await.map_err(|error| unreadable(&error))?.unwrap_or_default();
    let job = format!("/runs/{id}/jobs/{}", encoded(&key.to_string()));
    let target = match line {
        None => format!("{job}?step={place}#{place}"),
        Some(line) if line <= steps::WHOLE_LINES_MAX => format!("{job}?step={place}#{place}-L{line}"),
        Some(line) => format!("{job}?step={place}&from={}#{place}-L{line}", line - AROUND),
    };
    Ok(Redirect::to(&target).into_response())
}
