//! The buttons of a run: stop it, run it again. What they do is what the API does.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use engine::store::RunId;
use serde::Deserialize;

use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::Rerun;
use crate::api::answer::Path;
use crate::api::runs::{cancel_run, release_run, rerun_run};
use crate::pages::forms::Form;
use crate::site::Site;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::pages) struct Which {
    /// `failed`, or nothing for all.
    which: String,
    /// Key of one job.
    job: String,
    force: String,
}

pub(in crate::pages) async fn cancel(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path(id): Path<u64>,
    Form(wish): Form<Which>,
) -> Result<Response, Problem> {
    cancel_run(&site, &allowed, RunId(id), !wish.force.is_empty()).await?;
    Ok(Redirect::to(&format!("/runs/{id}")).into_response())
}

pub(in crate::pages) async fn approve(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path(id): Path<u64>,
    Form(_nothing): Form<Which>,
) -> Result<Response, Problem> {
    release_run(&site, &allowed, RunId(id)).await?;
    Ok(Redirect::to(&format!("/runs/{id}")).into_response())
}

pub(in crate::pages) async fn rerun(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path(id): Path<u64>,
    Form(wish): Form<Which>,
) -> Result<Response, Problem> {
    let which = match (wish.which.as_str(), wish.job) {
        (_, job) if !job.is_empty() => Rerun::Job(job),
        ("failed", _) => Rerun::Failed,
        (_, _) => Rerun::All,
    };
    let made = rerun_run(&site, &allowed, RunId(id), which).await?;
    Ok(Redirect::to(&format!("/runs/{made}")).into_response())
}
