//! `/deliveries`: what forges sent, what became of it, and a button that lets it be looked at again.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use engine::store::deliveries::DeliveryFilter;
use minijinja::context;
use minijinja::value::Serde;

use super::filters::encoded;
use super::render::page;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::administration::replay_delivery;
use crate::api::answer::{Path, Query, store};
use crate::api::not_found;
use crate::pages::forms::Form;
use crate::site::Site;

/// Deliveries of a page.
const LISTED: usize = 50;
/// Most of a payload that a page shows; all of it is in the API.
const PAYLOAD_BYTES_MAX: usize = 64 * 1_024;

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let get = |name: &str| query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let (repository, state) = (get("repository"), get("state"));
    let before = get("before").and_then(|before| before.parse().ok());
    let filter = DeliveryFilter { repository: repository.clone(), state: state.clone(), before, limit: LISTED };
    let mut listed = site.deliveries.list(filter).await.map_err(|error| store(&error))?;
    let (repository, state) = (repository.unwrap_or_default(), state.unwrap_or_default());
    let kept = format!("repository={}&state={}", encoded(&repository), encoded(&state));
    let next = listed.last().filter(|_| listed.len() == LISTED).map(|last| last.number);
    let next = next.map(|number| format!("/deliveries?{kept}&before={number}"));
    listed.retain(|delivery| allowed.may_see(&delivery.repository));
    let first = if before.is_some() { format!("/deliveries?{kept}") } else { String::new() };
    let context = context! {
        title => "Deliveries", active => "deliveries", deliveries => Serde(&listed), next, first, repository, state,
    };
    page(&allowed.holder, "deliveries.html", context)
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Path(number): Path<u64>,
) -> Result<Response, Problem> {
    let whole = site.deliveries.show(number).await.map_err(|error| store(&error))?;
    let whole = whole.filter(|whole| allowed.may_see(&whole.delivery.repository));
    let whole = whole.ok_or_else(|| not_found(format!("there is no delivery {number}")))?;
    let json: Option<serde_json::Value> = serde_json::from_slice(&whole.body).ok();
    let mut payload =
        json.map_or_else(|| String::from_utf8_lossy(&whole.body).into_owned(), |json| format!("{json:#}"));
    let is_cut = payload.len() > PAYLOAD_BYTES_MAX;
    payload.truncate(payload.floor_char_boundary(PAYLOAD_BYTES_MAX));
    let title = format!("Delivery {number}");
    let context = context! {
        title, active => "deliveries", delivery => Serde(&whole.delivery), headers => Serde(&whole.headers), payload, is_cut,
    };
    page(&allowed.holder, "delivery.html", context)
}

pub(super) async fn replay(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Path(number): Path<u64>,
    Form(_): Form<HashMap<String, String>>,
) -> Result<Response, Problem> {
    replay_delivery(&site, &allowed, number).await?;
    Ok(Redirect::to(&format!("/deliveries/{number}")).into_response())
}
