//! `/runs/{id}/gates/{gate}`: what a job asks in its middle (`pipe/approve`), and the two buttons. Looking changes nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use engine::store::RunId;
use engine::store::tokens::Holder;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use rollout::Order;
use serde::Deserialize;

use super::forms::Form;
use super::render::page;
use super::shown::Run;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::Path;
use crate::api::gates;
use crate::api::rollouts::{Wish, order_rollout};
use crate::api::runs::visible;
use crate::site::Site;

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, gate)): Path<(u64, u64)>,
) -> Result<Response, Problem> {
    look(&site, &allowed, (RunId(id), gate), None).await
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    /// `approved` or `rejected`.
    state: String,
    #[serde(default)]
    comment: String,
    /// Hash of what was seen.
    plan: String,
}

pub(super) async fn decide(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deploy>,
    Path((id, gate)): Path<(u64, u64)>,
    Form(said): Form<Said>,
) -> Result<Response, Problem> {
    let order = match said.state.as_str() {
        "approved" => Order::Promote,
        "rejected" => Order::Abort,
        _ => {
            let detail = "say whether it is approved or rejected";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "state", detail));
        }
    };
    // Of this run, and a gate: the number of a rollout would be obeyed as well.
    gates::one(&site, &allowed.holder, RunId(id), gate).await?;
    let wish = Wish { order, comment: said.comment.trim().to_owned(), step: None, plan: Some(said.plan) };
    match order_rollout(&site, &allowed, gate, wish).await {
        Ok(_) => Ok(Redirect::to(&format!("/runs/{id}/gates/{gate}")).into_response()),
        // It is shown as it is now, with the reason above it.
        Err(problem) => {
            let mut response = look(&site, &allowed, (RunId(id), gate), Some(&problem)).await?;
            *response.status_mut() = problem.status();
            Ok(response)
        }
    }
}

async fn look<N>(
    site: &Site,
    allowed: &Allowed<N>,
    (run, gate): (RunId, u64),
    refused: Option<&Problem>,
) -> Result<Response, Problem> {
    let holder: &Holder = &allowed.holder;
    let run = visible(site, allowed, run).await?;
    let gate = gates::one(site, holder, run.id, gate).await?;
    let shown = Run::of(run, Timestamp::now());
    let context = context! {
        title => format!("{}: {} of {} #{}", gate.name, gate.environment, shown.name, shown.run.number), active => "runs",
        run => Serde(&shown), gate => Serde(&gate), refused => refused.map(Problem::detail),
    };
    page(holder, "gate.html", context)
}
