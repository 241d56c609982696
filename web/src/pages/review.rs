//! `/runs/{id}/review/{environment}`: what a deployment would change, and the two buttons. Looking changes nothing (A08).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use engine::store::RunId;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;

use super::forms::Form;
use super::render::page;
use super::shown::Run;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::Review;
use crate::api::answer::Path;
use crate::api::gates;
use crate::api::reviews::{changes, pending_at, review_run};
use crate::api::runs::visible;
use crate::site::Site;

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, environment)): Path<(u64, String)>,
) -> Result<Response, Problem> {
    look(&site, &allowed, RunId(id), &environment, None).await
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    /// `approved` or `rejected`.
    state: String,
    #[serde(default)]
    comment: String,
    subject: String,
}

pub(super) async fn decide(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::ReviewsWrite>,
    Path((id, environment)): Path<(u64, String)>,
    Form(said): Form<Said>,
) -> Result<Response, Problem> {
    let approved = match said.state.as_str() {
        "approved" => true,
        "rejected" => false,
        _ => {
            let detail = "say whether it is approved or rejected";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "state", detail));
        }
    };
    let comment = said.comment.trim().to_owned();
    let review = Review { environment: Some(environment.clone()), approved, comment, subject: Some(said.subject) };
    match review_run(&site, &allowed, RunId(id), review).await {
        Ok(_) => Ok(Redirect::to(&format!("/runs/{id}")).into_response()),
        // What waits is shown as it is now, with the reason above it, as long as something waits.
        Err(problem) => match look(&site, &allowed, RunId(id), &environment, Some(&problem)).await {
            Ok(mut response) => {
                *response.status_mut() = problem.status();
                Ok(response)
            }
            Err(_) => Err(problem),
        },
    }
}

async fn look<N>(
    site: &Site,
    allowed: &Allowed<N>,
    run: RunId,
    environment: &str,
    refused: Option<&Problem>,
) -> Result<Response, Problem> {
    let run = visible(site, allowed, run).await?;
    let pending = pending_at(site, allowed, &run, environment).await?;
    let changes = changes(site, &run, &pending.environment).await?;
    let gates = gates::waiting(site, &allowed.holder, run.id).await?;
    let shown = Run::of(run, Timestamp::now());
    let context = context! {
        title => format!("Review {} of {} #{}", pending.environment, shown.name, shown.run.number), active => "runs",
        run => Serde(&shown), pending => Serde(&pending), changes => Serde(&changes), gates => Serde(&gates),
        refused => refused.map(Problem::detail),
    };
    page(&allowed.holder, "review.html", context)
}
