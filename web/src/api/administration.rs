//! What the server knows beside runs: deliveries, tokens, the audit log.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::store::audit::{AuditFilter, Deed};
use engine::store::deliveries::DeliveryFilter;
use engine::store::tokens::{DAYS, NewToken, Scope, Scopes, TokenError};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::answer::{self, Body, Path, Query, done, store};
use super::not_found;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

const LISTED: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DeliveryQuery {
    repository: Option<String>,
    state: Option<String>,
    cursor: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn deliveries(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Query(query): Query<DeliveryQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(LISTED).clamp(1, engine::store::deliveries::LISTED_MAX);
    let filter = DeliveryFilter { repository: query.repository, state: query.state, before: query.cursor, limit };
    let mut listed = shared.deliveries.list(filter).await.map_err(|error| store(&error))?;
    let next = listed.last().filter(|_| listed.len() == limit).map(|last| last.number);
    listed.retain(|delivery| allowed.may_see(&delivery.repository));
    answer::json(&headers, &json!({ "deliveries": listed, "next": next }))
}

pub(super) async fn delivery(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Path(number): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let whole = shared.deliveries.show(number).await.map_err(|error| store(&error))?;
    let whole = whole.filter(|whole| allowed.may_see(&whole.delivery.repository)).ok_or_else(|| no_delivery(number))?;
    let mut value = serde_json::to_value(&whole.delivery).map_err(|error| answer::unreadable(&error))?;
    value["headers"] = whole.headers.iter().map(|(name, value)| json!([name, value])).collect();
    value["payload"] = serde_json::from_slice(&whole.body).unwrap_or(Json::Null);
    answer::json(&headers, &value)
}

pub(super) async fn replay(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Path(number): Path<u64>,
    body: Body,
) -> Result<Response, Problem> {
    let deed = async {
        replay_delivery(&shared, &allowed, number).await?;
        Ok((StatusCode::ACCEPTED, json!({ "delivery": number, "state": "received" })))
    };
    shared.once.perform(&allowed.holder, &body, deed).await
}

/// The deed itself.
pub(crate) async fn replay_delivery(
    shared: &Site,
    allowed: &Allowed<access::Deliveries>,
    number: u64,
) -> Result<(), Problem> {
    let whole = shared.deliveries.show(number).await.map_err(|error| store(&error))?;
    let whole = whole.filter(|whole| allowed.may_see(&whole.delivery.repository)).ok_or_else(|| no_delivery(number))?;
    if !shared.deliveries.replay(number).await.map_err(|error| store(&error))? {
        return Err(no_delivery(number));
    }
    shared.api.arrivals.notify_one();
    let target = format!("{} delivery {number}", whole.delivery.repository);
    let deed = Deed { actor: allowed.actor.clone(), what: "delivery.replay", target, detail: json!({}) };
    shared.api.audit.record(deed).await.map_err(|error| store(&error))
}

fn no_delivery(number: u64) -> Problem {
    not_found(format!("there is no delivery {number}"))
}

pub(super) async fn tokens(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let tokens = shared.api.tokens.list().await.map_err(|error| store(&error))?;
    answer::json(&headers, &json!({ "tokens": tokens }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenWish {
    name: String,
    scopes: Vec<String>,
    #[serde(default)]
    repositories: Vec<String>,
    expires_in_days: Option<i64>,
}

pub(super) async fn create_token(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    body: Body,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let wish: TokenWish = body.read()?;
    let scopes: Option<Scopes> = wish
        .scopes
        .iter()
        .map(|word| Scope::parse(word))
        .collect::<Option<Vec<_>>>()
        .map(|all| all.into_iter().collect());
    let unknown = || {
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", format!("scopes are {known}"))
    };
    let now = Timestamp::now();
    let days = wish.expires_in_days.unwrap_or(DAYS).clamp(0, 100_000);
    let expires_at = now + SignedDuration::from_hours(24 * days);
    let new =
        NewToken { name: wish.name, scopes: scopes.ok_or_else(unknown)?, repositories: wish.repositories, expires_at };
    let made = shared.api.tokens.create(new, allowed.actor.clone(), now).await.map_err(wrong_token)?;
    // The one answer that holds a token; it is kept nowhere, so it is not given again for the same key.
    let value = json!({ "id": made.0, "token": made.1.expose(), "expires_at": expires_at });
    Ok(done(StatusCode::CREATED, &value))
}

pub(super) async fn revoke_token(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path(which): Path<String>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let revoked = shared.api.tokens.revoke(&which, allowed.actor.clone(), Timestamp::now()).await;
    if !revoked.map_err(wrong_token)? {
        return Err(not_found(format!("there is no token {which}")));
    }
    Ok(done(StatusCode::OK, &json!({ "token": which, "revoked": true })))
}

pub(crate) fn wrong_token(error: TokenError) -> Problem {
    match error {
        TokenError::Store(error) => store(&error),
        TokenError::Wish(reason) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", reason),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MessageQuery {
    cursor: Option<u64>,
    limit: Option<usize>,
}

/// What others have not been told yet.
pub(super) async fn messages(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Query(query): Query<MessageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let limit = query.limit.unwrap_or(LISTED).clamp(1, engine::store::outbox::LISTED_MAX);
    let listed = shared.outbox.list(query.cursor, limit).await.map_err(|error| store(&error))?;
    let next = listed.last().filter(|_| listed.len() == limit).map(|last| last.id);
    answer::json(&headers, &json!({ "messages": listed, "next": next }))
}

pub(super) async fn retry_message(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Path(number): Path<u64>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    if !shared.outbox.retry(number, Timestamp::now()).await.map_err(|error| store(&error))? {
        return Err(not_found(format!("no message {number} was given up")));
    }
    let (target, detail) = (number.to_string(), json!({}));
    let deed = Deed { actor: allowed.actor.clone(), what: "message.retry", target, detail };
    shared.api.audit.record(deed).await.map_err(|error| store(&error))?;
    Ok(done(StatusCode::ACCEPTED, &json!({ "message": number, "state": "waiting" })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuditQuery {
    what: Option<String>,
    who: Option<String>,
    cursor: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn audit(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::AuditRead>,
    Query(query): Query<AuditQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let limit = query.limit.unwrap_or(LISTED).clamp(1, engine::store::audit::LISTED_MAX);
    let filter = AuditFilter { what: query.what, who: query.who, before: query.cursor, limit };
    let listed = shared.api.audit.list(filter).await.map_err(|error| store(&error))?;
    let next = listed.last().filter(|_| listed.len() == limit).map(|last| last.seq);
    answer::json(&headers, &json!({ "entries": listed, "next": next }))
}
