//! Who asks, and whether they may: a handler that takes [`Allowed`] cannot be reached without the scope in its type.
//!
//! Somebody is let in by a token in `Authorization`, or by the cookie of a session. What changes something is taken from a
//! cookie only with a proof that it comes from a page of ours: the origin that the browser tells (`origin.rs`) and the
//! token of the session, in the header `X-Pipe-CSRF` or in the field `csrf` of a form, which a layer around all pages looks
//! for (`form.rs`): no handler can forget it. Signing in is `login`'s; who there is, `engine::store::people`'s.
//! Follows <https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html>.

mod cookie;
mod entrance;
mod form;
mod limit;
mod origin;
mod refusal;

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use engine::store::audit::Actor;
use engine::store::people::UserId;
use engine::store::tokens::{Holder, Scope};
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;
use workflow::secret::Secret;

pub use entrance::Entrance;

pub(crate) use cookie::{Transport, one as one_cookie, presented};
pub(crate) use form::{Fields, Submitted, prove, read_fields, read_form};
pub(crate) use limit::Wait;
pub(crate) use origin::{is_of_ours, own_path};
pub(crate) use refusal::{Program, Refusal};

use crate::api::answer::unreadable;
use crate::site::Site;
use crate::{ClientAddress, Problem};

/// Where scripts put the session's token.
const CSRF_HEADER: &str = "x-pipe-csrf";

/// A scope as a type.
pub(crate) trait Needs: Send + Sync {
    /// `None`: whoever is known.
    const SCOPE: Option<Scope>;
}

macro_rules! needs {
    ($($name:ident),*) => { $(
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Needs for $name {
            const SCOPE: Option<Scope> = Some(Scope::$name);
        }
    )* };
}

needs!(RunsRead, RunsWrite, ReviewsWrite, Dispatch, Deploy, Deliveries, SecretsWrite, Repositories, AuditRead, Admin);

/// No scope: it is about whoever asks.
#[derive(Debug)]
pub(crate) struct Anyone;

impl Needs for Anyone {
    const SCOPE: Option<Scope> = None;
}

/// Somebody who may do it.
#[derive(Debug)]
pub(crate) struct Allowed<N> {
    pub(crate) holder: Holder,
    /// For the audit log.
    pub(crate) actor: Actor,
    /// The session, if a cookie let them in.
    pub(crate) session: Option<u64>,
    needs: PhantomData<N>,
}

impl<N> Allowed<N> {
    /// Whether this repository is there for them; what is not looks like what does not exist.
    pub(crate) fn may_see(&self, repository: &str) -> bool {
        self.holder.may_see(repository)
    }

    /// Refuses who is bound to some repositories what is about all.
    pub(crate) fn of_all(&self) -> Result<(), Problem> {
        if self.holder.repositories.is_empty() {
            return Ok(());
        }
        let detail = "this is about all repositories, but you may do it for some of them only";
        Err(Problem::new(StatusCode::FORBIDDEN, "repository", detail))
    }

    /// The user who is signed in; a token is none.
    pub(crate) fn user(&self) -> Result<UserId, Problem> {
        let detail = "this is for people who are signed in; a token is nobody";
        self.holder.user.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "user", detail))
    }
}

/// Somebody, before it is known whether they may.
#[derive(Debug)]
struct Known {
    holder: Holder,
    session: Option<u64>,
}

impl<N: Needs> FromRequestParts<Arc<Site>> for Allowed<N> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Refusal> {
        let known = known(parts, site).await?;
        Self::of(parts, known)
    }
}

/// Somebody who may do it, or nobody who is known: for the little that is not only for people.
#[derive(Debug)]
pub(crate) struct Perhaps<N>(pub(crate) Option<Allowed<N>>);

impl<N: Needs> FromRequestParts<Arc<Site>> for Perhaps<N> {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Self::Rejection> {
        Ok(Self(Allowed::from_request_parts(parts, site).await.ok()))
    }
}

impl<N: Needs> Allowed<N> {
    fn of(parts: &Parts, known: Known) -> Result<Self, Refusal> {
        let Known { holder, session } = known;
        let actor = Actor { who: holder.who.clone(), origin: origin_of(parts) };
        let Some(scope) = N::SCOPE else { return Ok(Self { holder, actor, session, needs: PhantomData }) };
        let (who, is_person) = (holder.who.clone(), holder.user.is_some());
        let holder = holder.bound_to(scope).ok_or_else(|| {
            let scope = scope.as_str();
            let what_to_do = if is_person {
                "an administrator can give you a role that has it".to_owned()
            } else {
                format!("make one with `pipe token create --scope {scope}`")
            };
            let detail = format!("{who} has not the scope `{scope}`; {what_to_do}");
            Problem::new(StatusCode::FORBIDDEN, "scope", detail)
        })?;
        Ok(Self { holder, actor, session, needs: PhantomData })
    }
}

/// The client's address. Without a connection it is asked by a command of this process.
pub(crate) fn origin_of(parts: &Parts) -> String {
    let address = parts.extensions.get::<ClientAddress>();
    address.map_or_else(|| "command line".to_owned(), |address| address.0.to_string())
}

async fn known(parts: &Parts, site: &Site) -> Result<Known, Refusal> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(parts)
            .ok_or_else(|| unauthorized("send a token as `Authorization: Bearer …`; `pipe token create` makes one"))?;
        let found = site.api.tokens.check(token, Timestamp::now()).await.map_err(|error| unreadable(&error))?;
        let holder = found.ok_or_else(|| {
            unauthorized("this token is none, has ended or was taken back; `pipe token create` makes one")
        })?;
        return Ok(Known { holder, session: None });
    }
    let Some(cookie) = presented(&parts.headers) else { return Err(Refusal::unknown(parts)) };
    let found = site.api.entrance.sessions.find(cookie, Timestamp::now()).await.map_err(|error| unreadable(&error))?;
    let Some(found) = found else { return Err(Refusal::unknown(parts)) };
    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    if changes {
        if !is_of_ours(&parts.headers, site.api.entrance.url.as_deref()) {
            return Err(foreign().into());
        }
        if !is_proven(parts, found.holder.csrf.as_ref()) {
            let detail = "the token of the session is missing, or of another session: load the page again and send it again \
                          (programs send it in the header X-Pipe-CSRF)";
            return Err(Problem::new(StatusCode::FORBIDDEN, "csrf", detail).into());
        }
    }
    Ok(Known { holder: found.holder, session: Some(found.session) })
}

/// By its header; or by its form, which the layer around the pages has read.
fn is_proven(parts: &Parts, csrf: Option<&Secret>) -> bool {
    let is_program = parts.extensions.get::<Program>().is_some();
    if !is_program && parts.extensions.get::<form::Proven>().is_some() {
        return true;
    }
    let given = parts.headers.get(CSRF_HEADER);
    given.zip(csrf).is_some_and(|(given, csrf)| is_same(given.as_bytes(), csrf))
}

/// Whether a token of a session is given; an empty one never is.
fn is_same(given: &[u8], csrf: &Secret) -> bool {
    !csrf.is_empty() && bool::from(given.ct_eq(csrf.expose().as_bytes()))
}

/// What is not asked by a page of ours.
pub(crate) fn foreign() -> Problem {
    let detail = "this request does not come from a page of this server (its Origin is missing or another one); where a proxy \
                  stands before the server, `url` of `[server]` must be its address";
    Problem::new(StatusCode::FORBIDDEN, "origin", detail)
}

fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "token", detail)
}
