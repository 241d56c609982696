//! `/settings/notifications`: channels with how they stand, what they were told last, a trial, and once more. What a
//! channel is stands in the server's configuration.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::{Serde, Value};

use super::{back_to, tabs};
use crate::Problem;
use crate::access::{Allowed, Deliveries, Submitted};
use crate::api::not_found;
use crate::api::notifications::{all, send_again, send_test, told};
use crate::pages::page;
use crate::site::Site;

/// Deliveries of the page.
const LISTED: usize = 50;

pub(super) async fn list(State(site): State<Arc<Site>>, allowed: Allowed<Deliveries>) -> Result<Response, Problem> {
    allowed.of_all()?;
    let channels = if site.api.herald.is_some() { all(&site).await? } else { Vec::new() };
    let told = told(&site, None, None, LISTED).await?;
    let context = context! {
        title => "Notifications", active => "settings", tab => "notifications", tabs => tabs(&allowed.holder),
        channels => Value::from(Serde(&channels)), told => Value::from(Serde(&told)),
    };
    page(&allowed.holder, "settings-notifications.html", context)
}

pub(super) async fn test(State(site): State<Arc<Site>>, form: Submitted<Deliveries>) -> Result<Response, Problem> {
    form.allowed.of_all()?;
    let channel = form.fields.get("channel");
    send_test(&site, &form.allowed, Some(channel).filter(|channel| !channel.is_empty())).await?;
    back_to("notifications")
}

pub(super) async fn redeliver(State(site): State<Arc<Site>>, form: Submitted<Deliveries>) -> Result<Response, Problem> {
    form.allowed.of_all()?;
    let number = form.fields.get("number").parse().map_err(|_| not_found("there is no such notification"))?;
    send_again(&site, &form.allowed, number).await?;
    back_to("notifications")
}
