//! Signing in and out: with a password, at an OpenID provider, and as the first administrator.
//!
//! A form is taken only from a page of this server, and never over plain http but on the machine itself. Answers for a
//! name that nobody has are those for a wrong password, in words and in time. Tries are counted (`access/limit.rs`), and
//! each login and each refusal is in the audit log. A session that was there before ends.

mod first;
mod oidc;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use engine::store::audit::{Actor, Deed};
use engine::store::people::{UserId, Way};
use jiff::Timestamp;
use minijinja::context;
use serde::Deserialize;
use serde_json::json;
use workflow::secret::Secret;

pub use oidc::Oidc;

use crate::access::{
    Anyone, Fields, Refusal, Submitted, Transport, Wait, foreign, is_of_ours, origin_of, own_path, presented,
    read_fields,
};
use crate::api::answer::{Query, people, store, unreadable};
use crate::pages::bare;
use crate::site::Site;
use crate::{ClientAddress, Problem};

/// What is said whatever was wrong.
const WRONG: &str = "the name or the password is wrong";

/// The pages.
pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/login", get(show).post(submit))
        .route("/login/first", post(first::submit))
        .route("/login/oidc", get(oidc::begin))
        .route("/login/oidc/callback", get(oidc::finish))
        .route("/logout", post(leave))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    next: String,
    code: String,
}

async fn show(
    State(site): State<Arc<Site>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let next = own_path(&asked.next);
    if let Some(cookie) = presented(&headers) {
        let found = site.api.entrance.sessions.find(cookie, Timestamp::now()).await;
        if found.map_err(|error| unreadable(&error))?.is_some() {
            return Ok(Redirect::to(&next).into_response());
        }
    }
    if !asked.code.is_empty() && site.api.entrance.first.is(&asked.code) {
        return first::form(&asked.code, "", "", None, StatusCode::OK);
    }
    let notice = (!asked.code.is_empty()).then_some("this code was used, or is of an earlier start of the server");
    form(&site, &headers, &next, "", notice, StatusCode::OK).await
}

async fn form(
    site: &Site,
    headers: &HeaderMap,
    next: &str,
    name: &str,
    notice: Option<&str>,
    status: StatusCode,
) -> Result<Response, Problem> {
    let entrance = &site.api.entrance;
    let is_empty = !entrance.people.any().await.map_err(|error| store(&error))?;
    let context = context! {
        title => "Sign in", next, name, notice, is_empty,
        // A browser tells more of itself when it sends the form.
        is_plain => Transport::of(headers, entrance.url.as_deref()) == Transport::Plain
            && !headers.contains_key("sec-fetch-site"),
        provider => entrance.oidc.as_ref().map(|oidc| oidc.host()),
    };
    let mut response = bare("login.html", context)?;
    *response.status_mut() = status;
    Ok(response)
}

/// Who sends a form without a session.
struct Sender {
    parts: Parts,
    fields: Fields,
    transport: Transport,
}

impl Sender {
    async fn of(site: &Site, request: Request) -> Result<Self, Problem> {
        let (parts, body): (_, Body) = request.into_parts();
        let url = site.api.entrance.url.as_deref();
        if !is_of_ours(&parts.headers, url) {
            return Err(foreign());
        }
        let transport = Transport::of(&parts.headers, url);
        if transport == Transport::Plain {
            let detail = "passwords are taken over https, or on the machine of the server itself (http://127.0.0.1): over plain \
                          http everybody on the way reads them; put a proxy with TLS before the server";
            return Err(Problem::new(StatusCode::FORBIDDEN, "transport", detail));
        }
        let fields = read_fields(&parts.headers, body).await?;
        Ok(Self { parts, fields, transport })
    }

    fn address(&self) -> IpAddr {
        let address = self.parts.extensions.get::<ClientAddress>();
        address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0)
    }

    fn actor(&self, who: &str) -> Actor {
        Actor { who: who.to_owned(), origin: origin_of(&self.parts) }
    }

    /// Signs somebody in and sends them on.
    async fn let_in(
        &self,
        site: &Site,
        (user, name): (UserId, &str),
        way: Way,
        next: &str,
    ) -> Result<Response, Problem> {
        let agent =
            self.parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let before = presented(&self.parts.headers);
        let (by, now) = (self.actor(name), Timestamp::now());
        let session = site.api.entrance.sessions.begin((user, way), by, agent, before, now).await;
        let session = session.map_err(|error| store(&error))?;
        Ok(with_cookie(Redirect::to(&own_path(next)).into_response(), self.transport, &session))
    }
}

fn with_cookie(mut response: Response, transport: Transport, session: &Secret) -> Response {
    if let Some(cookie) = transport.cookie(session) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

async fn submit(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Refusal> {
    let sender = Sender::of(&site, request).await?;
    let entrance = &site.api.entrance;
    let (name, next) = (sender.fields.get("name").to_owned(), own_path(sender.fields.get("next")));
    if let Err(wait) = entrance.limit.take(sender.address(), &name, Instant::now()) {
        return Ok(limited(&site, &sender, &name, &next, wait).await?);
    }
    let password = Secret::new(sender.fields.exact("password"));
    let checked = entrance.people.check_password(&name, &password).await.map_err(|error| people(&error))?;
    let known = entrance.people.exact_name(&name).await.map_err(|error| store(&error))?;
    let Some((user, exact)) = checked else {
        // What nobody is called may be a password in the wrong field.
        let (who, target) = known.map_or_else(
            || ("unknown".to_owned(), "user unknown".to_owned()),
            |name| (name.clone(), format!("user {name}")),
        );
        let deed = Deed { actor: sender.actor(&who), what: "login.fail", target, detail: json!({ "way": "password" }) };
        site.api.audit.record(deed).await.map_err(|error| store(&error))?;
        let headers = &sender.parts.headers;
        return Ok(form(&site, headers, &next, &name, Some(WRONG), StatusCode::UNAUTHORIZED).await?);
    };
    entrance.limit.succeeded(sender.address(), &name);
    Ok(sender.let_in(&site, (user, &exact), Way::Password, &next).await?)
}

async fn limited(site: &Site, sender: &Sender, name: &str, next: &str, wait: Wait) -> Result<Response, Problem> {
    let seconds = wait.time.as_secs() + 1;
    if wait.is_new {
        let detail = json!({ "seconds": seconds });
        let (what, target) = ("login.limit", format!("address {}", sender.actor("").origin));
        let deed = Deed { actor: sender.actor("unknown"), what, target, detail };
        site.api.audit.record(deed).await.map_err(|error| store(&error))?;
    }
    let notice = format!("there were too many tries; wait {} and try again", spoken(seconds));
    let headers = &sender.parts.headers;
    let mut response = form(site, headers, next, name, Some(&notice), StatusCode::TOO_MANY_REQUESTS).await?;
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    Ok(response)
}

fn spoken(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("{seconds} seconds"),
        91.. => format!("{} minutes", seconds.div_ceil(60)),
    }
}

async fn leave(State(site): State<Arc<Site>>, submitted: Submitted<Anyone>) -> Result<Response, Problem> {
    let allowed = submitted.allowed;
    if let Some(session) = allowed.session {
        let ended = site.api.entrance.sessions.end(session, None, allowed.actor, Timestamp::now()).await;
        ended.map_err(|error| store(&error))?;
    }
    let mut response = Redirect::to("/login").into_response();
    for transport in [Transport::Secure, Transport::Loopback] {
        if let Some(cookie) = transport.no_cookie() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}
