//! `/settings/tokens`: tokens of programs. A new one is shown once, in the answer to its form.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::store::tokens::{DAYS, DAYS_MAX, NewToken, Scope};
use jiff::{SignedDuration, Timestamp};
use minijinja::context;
use minijinja::value::{Serde, Value};

use super::{back_to, listed, tabs};
use crate::Problem;
use crate::access::{Admin, Allowed, Submitted};
use crate::api::administration::wrong_token;
use crate::api::answer::store;
use crate::pages::page;
use crate::site::Site;

pub(super) async fn list(State(site): State<Arc<Site>>, allowed: Allowed<Admin>) -> Result<Response, Problem> {
    show(&site, &allowed, None).await
}

async fn show(site: &Site, allowed: &Allowed<Admin>, made: Option<&str>) -> Result<Response, Problem> {
    allowed.of_all()?;
    let tokens = site.api.tokens.list().await.map_err(|error| store(&error))?;
    let now = Timestamp::now();
    let tokens = tokens.iter().filter(|token| token.revoked_at.is_none() && token.expires_at > now);
    let context = context! {
        title => "Tokens", active => "settings", tab => "tokens", tabs => tabs(&allowed.holder),
        tokens => tokens.map(|one| Value::from(Serde(one))).collect::<Vec<_>>(), made, days => DAYS, days_max => DAYS_MAX,
        scopes => Scope::ALL.map(Scope::as_str).to_vec(),
    };
    page(&allowed.holder, "settings-tokens.html", context)
}

pub(super) async fn create(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let wrong = |detail: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", detail);
    let now = Timestamp::now();
    let days: i64 = fields.get("days").parse().map_err(|_| wrong("give the days in digits"))?;
    let new = NewToken {
        name: fields.get("name").to_owned(),
        scopes: fields.all("scope").filter_map(Scope::parse).collect(),
        repositories: listed(&fields, "repositories"),
        expires_at: now + SignedDuration::from_hours(24 * days.clamp(0, 100_000)),
    };
    let (_, token) = site.api.tokens.create(new, allowed.actor.clone(), now).await.map_err(wrong_token)?;
    show(&site, &allowed, Some(token.expose())).await
}

pub(super) async fn revoke(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let revoked = site.api.tokens.revoke(fields.get("token"), allowed.actor, Timestamp::now()).await;
    if !revoked.map_err(wrong_token)? {
        return Err(crate::api::not_found("there is no such token"));
    }
    back_to("tokens")
}
