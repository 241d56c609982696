//! Who asks, and whether they may: a handler that takes [`Allowed`] cannot be reached without the scope in its type.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use engine::store::audit::Actor;
use engine::store::tokens::{Holder, Scope};
use jiff::Timestamp;

use crate::api::answer::unreadable;
use crate::site::Site;
use crate::{ClientAddress, Problem};

/// A scope as a type.
pub(crate) trait Needs: Send + Sync {
    const SCOPE: Scope;
}

macro_rules! needs {
    ($($name:ident),*) => { $(
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Needs for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )* };
}

needs!(RunsRead, RunsWrite, ReviewsWrite, Dispatch, Deliveries, SecretsWrite, AuditRead, Admin);

/// Somebody whose token allows it.
#[derive(Debug)]
pub(crate) struct Allowed<N> {
    pub(crate) holder: Holder,
    /// For the audit log.
    pub(crate) actor: Actor,
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
        let detail = "this is about all repositories, but the token is for some of them only";
        Err(Problem::new(StatusCode::FORBIDDEN, "repository", detail))
    }
}

impl<N: Needs> FromRequestParts<Arc<Site>> for Allowed<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Site>) -> Result<Self, Problem> {
        let token = bearer(parts)
            .ok_or_else(|| unauthorized("send a token as `Authorization: Bearer …`; `pipe token create` makes one"))?;
        let found = shared.api.tokens.check(token, Timestamp::now()).await.map_err(|error| unreadable(&error))?;
        let holder = found.ok_or_else(|| {
            unauthorized("this token is none, has ended or was taken back; `pipe token create` makes one")
        })?;
        let who = holder.who.clone();
        let holder = holder.bound_to(N::SCOPE).ok_or_else(|| {
            let scope = N::SCOPE.as_str();
            let detail =
                format!("{who} has not the scope `{scope}`; make one with `pipe token create --scope {scope}`");
            Problem::new(StatusCode::FORBIDDEN, "scope", detail)
        })?;
        let address = parts.extensions.get::<ClientAddress>();
        // Without a connection it is asked by a command of this process.
        let origin = address.map_or_else(|| "command line".to_owned(), |address| address.0.to_string());
        let actor = Actor { who: holder.who.clone(), origin };
        Ok(Self { holder, actor, needs: PhantomData })
    }
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
