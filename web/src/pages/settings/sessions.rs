//! `/settings/sessions`: where somebody is signed in, and their password.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use engine::store::people::{PASSWORD_CHARACTERS_MIN, Way};
use engine::store::tokens::Scope;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::{Serde, Value};
use workflow::secret::Secret;

use super::{back_to, tabs};
use crate::Problem;
use crate::access::{Allowed, Anyone, Submitted, Transport};
use crate::api::answer::people;
use crate::api::answer::store;
use crate::pages::page;
use crate::site::Site;

pub(super) async fn list(State(site): State<Arc<Site>>, allowed: Allowed<Anyone>) -> Result<Response, Problem> {
    let user = allowed.user()?;
    let is_admin = allowed.holder.scopes.allow(Scope::Admin);
    let of = if is_admin { None } else { Some(user) };
    let sessions = site.api.entrance.sessions.list(of, Timestamp::now()).await.map_err(|error| store(&error))?;
    let context = context! {
        title => "Sessions", active => "settings", tab => "sessions", tabs => tabs(&allowed.holder),
        sessions => Value::from(Serde(&sessions)), current => allowed.session, is_admin,
        characters => PASSWORD_CHARACTERS_MIN,
    };
    page(&allowed.holder, "settings-sessions.html", context)
}

pub(super) async fn end(State(site): State<Arc<Site>>, form: Submitted<Anyone>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    let user = allowed.user()?;
    let of = if allowed.holder.scopes.allow(Scope::Admin) { None } else { Some(user) };
    let none = || crate::api::not_found("there is no such session");
    let session = fields.get("session").parse().map_err(|_| none())?;
    let ended = site.api.entrance.sessions.end(session, of, allowed.actor, Timestamp::now()).await;
    if !ended.map_err(|error| store(&error))? {
        return Err(none());
    }
    back_to("sessions")
}

/// All sessions end, and this browser gets a new one.
pub(super) async fn change_password(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    form: Submitted<Anyone>,
) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    let user = allowed.user()?;
    let (entrance, name, now) = (&site.api.entrance, allowed.holder.who.as_str(), Timestamp::now());
    let wrong = |detail: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", detail);
    if fields.exact("new") != fields.exact("again") {
        return Err(wrong("the two new passwords differ"));
    }
    let address = allowed.actor.origin.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let taken = entrance.limit.take(address, name, Instant::now());
    taken.map_err(|wait| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "limit", "there were too many tries").retry_after(wait.time)
    })?;
    let old = Secret::new(fields.exact("old"));
    if entrance.people.check_password(name, &old).await.map_err(|error| people(&error))?.is_none() {
        return Err(wrong("the old password is wrong"));
    }
    let set = entrance.people.set_password(name, &Secret::new(fields.exact("new")), allowed.actor.clone(), now).await;
    set.map_err(|error| people(&error))?;
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let session = entrance.sessions.begin((user, Way::Password), allowed.actor, agent, None, now).await;
    let session = session.map_err(|error| store(&error))?;
    let mut response = back_to("sessions")?;
    if let Some(cookie) = Transport::of(&headers, entrance.url.as_deref()).cookie(&session) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
