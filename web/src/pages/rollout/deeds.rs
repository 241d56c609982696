//! The buttons of a rollout. What they do is what the API does.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::Path;
use crate::api::rollouts::{Back, Wish, known, order_or_roll_back, roll_back};
use crate::pages::filters::encoded;
use crate::pages::forms::Form;
use crate::site::Site;

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(in crate::pages) struct Ordered {
    order: String,
    #[serde(default)]
    comment: String,
    /// The step that was shown; empty: none.
    #[serde(default)]
    step: String,
    /// Where the form stood: the environment's page, or the rollout's.
    #[serde(default)]
    back: String,
    #[serde(default)]
    environment: String,
}

pub(in crate::pages) async fn order(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deploy>,
    Path(id): Path<u64>,
    Form(ordered): Form<Ordered>,
) -> Result<Response, Problem> {
    let Ordered { order, comment, step, back, environment } = ordered;
    let wish = Wish { order: known(&order)?, comment, step: step.parse().ok(), plan: None };
    let (id, _number) = order_or_roll_back(&site, &allowed, id, wish).await?;
    let to = if back == "environment" && !environment.is_empty() {
        format!("/environments/{}#service-{id}", encoded(&environment))
    } else {
        format!("/rollouts/{id}")
    };
    Ok(Redirect::to(&to).into_response())
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(in crate::pages) struct TakenBack {
    service: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    comment: String,
}

pub(in crate::pages) async fn rollback(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deploy>,
    Path(environment): Path<String>,
    Form(taken): Form<TakenBack>,
) -> Result<Response, Problem> {
    let TakenBack { service, to, comment } = taken;
    let back = Back { service, to: to.parse().ok(), comment };
    let (id, _order) = roll_back(&site, &allowed, &environment, back).await?;
    Ok(Redirect::to(&format!("/environments/{}#service-{id}", encoded(&environment))).into_response())
}
