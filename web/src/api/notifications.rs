//! Who is told about runs: channels with how they stand, what they were told, trials, and once more.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use engine::notify::{Channel, Form, Herald, Occasion, TellError};
use engine::store::audit::Deed;
use engine::store::outbox::{LISTED_MAX, Listed, Standing};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{self, Body, Path, Query, done, store};
use super::not_found;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// What the names of targets for people begin with in the outbox.
const TARGET: &str = "notify ";
/// Deliveries of a list where nothing is said.
const LISTED: usize = 50;

/// The routes, below `/api/v1`.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/notifications", get(channels))
        .route("/notifications/test", post(test))
        .route("/notifications/deliveries", get(deliveries))
        .route("/notifications/deliveries/{number}/redeliver", post(redeliver))
}

/// A channel as it stands in the configuration, and how it goes.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) form: Form,
    /// Where it is: a host, the id of a channel, addresses.
    pub(crate) place: String,
    pub(crate) on: Vec<Occasion>,
    pub(crate) repositories: Vec<String>,
    pub(crate) branches: Vec<String>,
    pub(crate) workflows: Vec<String>,
    pub(crate) environments: Vec<String>,
    pub(crate) per_minute: u32,
    pub(crate) standing: Standing,
}

/// Something that people were told, or are to be.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    /// The channel; it may not be there any more.
    pub(crate) channel: String,
    #[serde(flatten)]
    pub(crate) message: Listed,
}

/// The channels of the server.
pub(crate) fn herald(site: &Site) -> Result<&Herald, Problem> {
    site.api.herald.as_ref().ok_or_else(|| {
        let detail = "channels are those of a server that runs: start it with `pipe serve`";
        Problem::new(StatusCode::CONFLICT, "server", detail)
    })
}

/// All channels with how they stand.
pub(crate) async fn all(site: &Site) -> Result<Vec<Shown>, Problem> {
    let mut shown = Vec::new();
    for Channel { name, form, place, audience } in herald(site)?.channels() {
        let standing = site.outbox.standing_of(&audience.target).await.map_err(|error| store(&error))?;
        shown.push(Shown {
            name: name.clone(),
            form: *form,
            place: place.clone(),
            on: audience.on.iter().copied().collect(),
            repositories: audience.repositories.clone(),
            branches: audience.branches.clone(),
            workflows: audience.workflows.clone(),
            environments: audience.environments.clone(),
            per_minute: audience.per_minute,
            standing,
        });
    }
    Ok(shown)
}

/// What was told last, newest first.
pub(crate) async fn told(
    site: &Site,
    channel: Option<&str>,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Told>, Problem> {
    let target = channel.map(|channel| format!("{TARGET}{channel}"));
    let listed = site.outbox.told(target, before, limit).await.map_err(|error| store(&error))?;
    let told = |message: Listed| Told {
        channel: message.target.strip_prefix(TARGET).unwrap_or(&message.target).to_owned(),
        message,
    };
    Ok(listed.into_iter().map(told).collect())
}

/// Sends a trial; names of channels and numbers of messages.
pub(crate) async fn send_test<N>(
    site: &Site,
    allowed: &Allowed<N>,
    channel: Option<&str>,
) -> Result<Vec<(String, u64)>, Problem> {
    let sent = herald(site)?.test(channel, allowed.holder.person(), Timestamp::now()).await;
    let sent = sent.map_err(|error| match &error {
        TellError::NoChannel(_) | TellError::None => not_found(error.to_string()),
        TellError::Store(error) => store(error),
    })?;
    deed(site, allowed, "notification.test", channel.unwrap_or("all")).await?;
    Ok(sent)
}

/// Sends something once more.
pub(crate) async fn send_again<N>(site: &Site, allowed: &Allowed<N>, number: u64) -> Result<(), Problem> {
    let is_there = herald(site)?.send_again(number, Timestamp::now()).await.map_err(|error| store(&error))?;
    if !is_there {
        return Err(not_found(format!("there is no notification {number} that could be sent again")));
    }
    deed(site, allowed, "notification.redeliver", &number.to_string()).await
}

async fn deed<N>(site: &Site, allowed: &Allowed<N>, what: &'static str, target: &str) -> Result<(), Problem> {
    let deed = Deed { actor: allowed.actor.clone(), what, target: target.to_owned(), detail: json!({}) };
    site.api.audit.record(deed).await.map(drop).map_err(|error| store(&error))
}

async fn channels(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    answer::json(&headers, &json!({ "channels": all(&site).await? }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeliveryQuery {
    channel: Option<String>,
    cursor: Option<u64>,
    limit: Option<usize>,
}

async fn deliveries(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Query(query): Query<DeliveryQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let limit = query.limit.unwrap_or(LISTED).clamp(1, LISTED_MAX);
    let listed = told(&site, query.channel.as_deref(), query.cursor, limit).await?;
    let next = listed.last().filter(|_| listed.len() == limit).map(|last| last.message.id);
    answer::json(&headers, &json!({ "deliveries": listed, "next": next }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestWish {
    channel: Option<String>,
}

async fn test(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    body: Body,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let TestWish { channel } = body.read()?;
    let sent = send_test(&site, &allowed, channel.as_deref()).await?;
    let sent: Vec<_> =
        sent.into_iter().map(|(channel, number)| json!({ "channel": channel, "number": number })).collect();
    Ok(done(StatusCode::ACCEPTED, &json!({ "sent": sent })))
}

async fn redeliver(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deliveries>,
    Path(number): Path<u64>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    send_again(&site, &allowed, number).await?;
    Ok(done(StatusCode::ACCEPTED, &json!({ "number": number, "state": "waiting" })))
}
