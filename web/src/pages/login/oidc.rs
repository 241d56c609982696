//! Signing in at an OpenID provider: a browser is sent off and must come back, the same one, within some minutes.
//!
//! What it was sent off with stays in memory, under a name that only its cookie holds, and is used once. The cookie is Lax:
//! the provider leads the browser back here, which a strict one does not come along with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Sender;
use crate::Problem;
use crate::access::{Fields, Refusal, Transport, one_cookie, own_path};
use crate::api::answer::people;
use crate::api::answer::{Query, store, unreadable};
use crate::site::Site;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use engine::oidc::{Begun, Provider};
use engine::store::audit::Deed;
use engine::store::people::Way;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How long somebody may take there.
const AWAY_MAX: Duration = Duration::from_secs(600);
/// Browsers that are away at once; the one that is away for longest is forgotten.
const AWAY_AT_ONCE: usize = 1_000;
const SECURE: &str = "__Host-pipe-away";
const LOOPBACK: &str = "pipe-away";

/// A provider, and who is there at the moment.
#[derive(Debug)]
pub struct Oidc {
    provider: Provider,
    away: Mutex<HashMap<[u8; 32], Away>>,
}

#[derive(Debug)]
struct Away {
    begun: Begun,
    next: String,
    since: Instant,
}

impl Oidc {
    /// With this provider.
    #[must_use]
    pub fn new(provider: Provider) -> Self {
        Self { provider, away: Mutex::default() }
    }

    /// What a button calls it.
    pub(super) fn host(&self) -> String {
        let issuer = self.provider.issuer();
        let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest).to_owned()
    }

    fn leave(&self, name: &str, begun: Begun, next: String) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.retain(|_, one| one.since.elapsed() < AWAY_MAX);
        if away.len() >= AWAY_AT_ONCE
            && let Some(oldest) = away.iter().min_by_key(|(_, one)| one.since).map(|(name, _)| *name)
        {
            away.remove(&oldest);
        }
        away.insert(digest(name), Away { begun, next, since: Instant::now() });
    }

    fn come_back(&self, name: &str) -> Option<Away> {
        let found = self.away.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(name));
        found.filter(|away| away.since.elapsed() < AWAY_MAX)
    }
}

fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

fn of(site: &Site) -> Result<Arc<Oidc>, Problem> {
    site.api.entrance.oidc.clone().ok_or_else(|| crate::api::not_found("nobody signs in elsewhere here"))
}

/// The cookie of a browser that is away; without a name, what takes it away.
fn cookie(transport: Transport, name: Option<&str>) -> Option<HeaderValue> {
    let (seconds, content) = name.map_or((0, ""), |name| (AWAY_MAX.as_secs(), name));
    let rest = format!("Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax");
    let text = match transport {
        Transport::Secure => format!("{SECURE}={content}; Secure; {rest}"),
        Transport::Loopback => format!("{LOOPBACK}={content}; {rest}"),
        Transport::Plain => return None,
    };
    HeaderValue::from_str(&text).ok()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Begin {
    next: String,
}

pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    Query(asked): Query<Begin>,
    request: Request,
) -> Result<Response, Problem> {
    let oidc = of(&site)?;
    let transport = Transport::of(request.headers(), site.api.entrance.url.as_deref());
    let begun = oidc.provider.begin(Timestamp::now()).await.map_err(|error| {
        tracing::warn!(%error, "nobody can sign in at the OpenID provider");
        Problem::new(
            StatusCode::BAD_GATEWAY,
            "oidc",
            "the OpenID provider does not answer as it should; try again later",
        )
    })?;
    // The state goes to the provider, so that the cookie is another name.
    let name = engine::oidc::random_name().map_err(|error| unreadable(&error))?;
    let Some(cookie) = cookie(transport, Some(name.expose())) else {
        let detail = "signing in needs https, or the machine of the server itself";
        return Err(Problem::new(StatusCode::FORBIDDEN, "transport", detail));
    };
    let mut response = Redirect::to(&begun.address).into_response();
    oidc.leave(name.expose(), begun, own_path(&asked.next));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Back {
    code: String,
    state: String,
    error: String,
    iss: Option<String>,
}

pub(super) async fn finish(
    State(site): State<Arc<Site>>,
    Query(back): Query<Back>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let oidc = of(&site)?;
    let (parts, _) = request.into_parts();
    let transport = Transport::of(&parts.headers, site.api.entrance.url.as_deref());
    let name = one_cookie(&parts.headers, SECURE).or_else(|| one_cookie(&parts.headers, LOOPBACK)).map(str::to_owned);
    let sender = Sender { parts, fields: Fields::default(), transport };
    let refused = |detail: &str| Problem::new(StatusCode::FORBIDDEN, "oidc", detail);
    let again = || refused("this browser was not sent to the provider from here, or too long ago; sign in again");
    let away = name.and_then(|name| oidc.come_back(&name)).ok_or_else(again)?;
    if !bool::from(back.state.as_bytes().ct_eq(away.begun.state.expose().as_bytes())) {
        return Err(again().into());
    }
    if back.iss.as_deref().is_some_and(|issuer| issuer != oidc.provider.issuer()) {
        return Err(fail(&site, &sender, "the answer is of another provider").await.into());
    }
    if !back.error.is_empty() || back.code.is_empty() {
        return Err(fail(&site, &sender, "the provider did not let them in").await.into());
    }
    let Away { begun, next, .. } = away;
    let now = Timestamp::now();
    let person = match oidc.provider.finish(&back.code, &begun.verifier, &begun.nonce, now).await {
        Ok(person) => person,
        Err(error) => {
            tracing::warn!(%error, "somebody cannot sign in at the OpenID provider");
            return Err(fail(&site, &sender, &error.to_string()).await.into());
        }
    };
    let known = site.api.entrance.people.vouched(person, &sender.actor("").origin, now).await;
    let (user, name) = known.map_err(|error| people(&error))?;
    let mut response = sender.let_in(&site, (user, &name), Way::Oidc, &next).await?;
    if let Some(cookie) = cookie(transport, None) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn fail(site: &Site, sender: &Sender, reason: &str) -> Problem {
    let detail = json!({ "way": "oidc", "reason": reason });
    let deed = Deed { actor: sender.actor("unknown"), what: "login.fail", target: "user unknown".to_owned(), detail };
    match site.api.audit.record(deed).await {
        Ok(()) => Problem::new(StatusCode::FORBIDDEN, "oidc", format!("signing in failed: {reason}")),
        Err(error) => store(&error),
    }
}

/// For the tests of the crate's own users: nobody is away.
#[cfg(test)]
mod tests {
    use workflow::secret::Secret;

    use super::*;

    #[test]
    fn who_is_away_comes_back_once_and_some_are_forgotten() {
        let provider = Provider::new(engine::oidc::OidcSettings {
            issuer: "https://id.example/realms/x".into(),
            client_id: "pipe".into(),
            client_secret: None,
            redirect: String::new(),
            scopes: Vec::new(),
            groups_claim: String::new(),
            roles: indexmap::IndexMap::new(),
            teams: indexmap::IndexMap::new(),
        });
        let oidc = Oidc::new(provider.unwrap());
        assert_eq!(oidc.host(), "id.example");
        let begun = || {
            let secret = || Secret::new("x");
            Begun { address: String::new(), state: secret(), nonce: secret(), verifier: secret() }
        };
        oidc.leave("a", begun(), "/".into());
        assert!(oidc.come_back("b").is_none() && oidc.come_back("a").is_some() && oidc.come_back("a").is_none());
        for one in 0..AWAY_AT_ONCE + 5 {
            oidc.leave(&one.to_string(), begun(), "/".into());
        }
        assert_eq!(oidc.away.lock().unwrap().len(), AWAY_AT_ONCE);
    }
}
