//! The JSON API below `/api/v1`: runs, their events and logs, and what people do with them.
//!
//! Every handler names the scope that it needs in its type ([`Allowed`]); what a token may not see is not found. What is
//! done goes to [`Steering`] and to the audit log. `openapi.rs` is the reference, and the tests hold it against the
//! routes. It makes no decisions about runs.

pub(crate) mod administration;
pub(crate) mod answer;
pub(crate) mod artifacts;
pub(crate) mod audit;
pub(crate) mod costs;
pub(crate) mod deployment;
pub(crate) mod environments;
mod events;
mod findings;
pub(crate) mod follow;
pub(crate) mod found;
pub(crate) mod gates;
pub(crate) mod insights;
mod irreversible;
mod local;
pub(crate) mod logs;
pub(crate) mod notifications;
pub(crate) mod once;
mod openapi;
pub(crate) mod people;
mod reported;
pub(crate) mod repositories;
pub(crate) mod reviews;
pub(crate) mod rollouts;
pub(crate) mod runs;
mod scans;
mod steering;
mod timed;
pub(crate) mod values;
pub(crate) mod view;

pub use local::LocalAccess;
pub use repositories::Registry;
pub use steering::{Dispatch, Rerun, Review, Rollback, SteerError, Steering};

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};
use engine::folders::Folders;
use engine::notify::Herald;
use engine::store::Database;
use engine::store::audit::Audit;
use engine::store::rollouts::Rollouts;
use engine::store::secrets::Settings;
use engine::store::tokens::Tokens;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use workflow::run::Environments;

use crate::access::{Entrance, Program};
use crate::headers::protect;
use crate::site::Site;
use crate::{Problem, pages};

/// What the API works with.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where runs, deliveries and all else are.
    pub database: Database,
    /// Where logs are.
    pub folders: Folders,
    /// Who may ask.
    pub tokens: Tokens,
    /// Where deeds are kept.
    pub audit: Audit,
    /// Secrets and variables.
    pub settings: Settings,
    /// The way in for people.
    pub entrance: Entrance,
    /// Registers repositories, where there is a server to register them at.
    pub registry: Option<Registry>,
    /// Environments with rules.
    pub environments: Arc<Environments>,
    /// Rollouts; the same value that whoever drives them has, so that orders wake it.
    pub rollouts: Rollouts,
    /// Carries out what is asked.
    pub steering: Arc<dyn Steering>,
    /// Tells people, where a server runs.
    pub herald: Option<Herald>,
    /// Told after a delivery is to be looked at again: [`crate::FrontDoor::arrivals`].
    pub arrivals: Arc<Notify>,
    /// Ends streams, so that the server can stop.
    pub stop: CancellationToken,
}

impl Api {
    /// The routes: the API, and the pages beside it.
    pub fn routes(self) -> Router {
        let site = Arc::new(Site::new(self));
        let v1 = Router::new()
            .route("/openapi.json", get(openapi::document))
            .route("/runs", get(runs::list))
            .route("/runs/{id}", get(runs::show))
            .route("/runs/{id}/events", get(events::stream))
            .route("/runs/{id}/annotations", get(findings::annotations))
            .route("/runs/{id}/summaries", get(findings::summaries))
            .route("/runs/{id}/artifacts", get(artifacts::list))
            .route("/runs/{id}/artifacts/{name}", get(artifacts::download))
            .route("/runs/{id}/cancel", post(runs::cancel))
            .route("/runs/{id}/approve", post(runs::approve))
            .route("/runs/{id}/rerun", post(runs::rerun))
            .route("/runs/{id}/reviews", get(reviews::list))
            .route("/runs/{id}/reviews", post(reviews::review))
            .route("/jobs/{id}/log", get(logs::part))
            .route("/jobs/{id}/log/raw", get(logs::raw))
            .route("/jobs/{id}/log/times", get(logs::times))
            .route("/dispatch", post(runs::dispatch))
            .route("/repositories", get(repositories::list))
            .route("/repositories", post(repositories::add))
            .route("/repositories", delete(repositories::remove))
            .route("/repositories/badges", put(repositories::put_badges))
            .route("/environments", get(environments::list))
            .route("/deployments", get(environments::deployments))
            .route("/deliveries", get(administration::deliveries))
            .route("/deliveries/{number}", get(administration::delivery))
            .route("/deliveries/{number}/replay", post(administration::replay))
            .route("/messages", get(administration::messages))
            .route("/messages/{number}/retry", post(administration::retry_message))
            .route("/secrets", get(values::secrets))
            .route("/secrets/{name}", put(values::put_secret))
            .route("/secrets/{name}", delete(values::remove_secret))
            .route("/variables", get(values::variables))
            .route("/variables/{name}", put(values::put_variable))
            .route("/variables/{name}", delete(values::remove_variable))
            .route("/tokens", get(administration::tokens))
            .route("/tokens", post(administration::create_token))
            .route("/tokens/{id}", delete(administration::revoke_token))
            .route("/audit", get(administration::audit))
            .route("/audit/export", get(audit::export))
            .route("/audit/key", get(audit::key))
            .merge(of_people())
            .merge(insights::routes())
            .merge(reported::routes())
            .merge(found::routes())
            .merge(notifications::routes())
            .merge(rollouts::routes())
            .fallback(async || not_found("there is no such page; /api/v1/openapi.json lists them"))
            .method_not_allowed_fallback(async || {
                let detail = "this page takes another method; /api/v1/openapi.json lists them";
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
            })
            .layer(axum::Extension(Program));
        let routes = Router::new().nest("/api/v1", v1).merge(pages::routes());
        routes.with_state(site).layer(axum::middleware::map_response(protect))
    }
}

/// Who there is, and what they may.
fn of_people() -> Router<Arc<Site>> {
    Router::new()
        .route("/me", get(people::me))
        .route("/sessions", get(people::sessions))
        .route("/sessions/{id}", delete(people::end_session))
        .route("/users", get(people::users))
        .route("/users", post(people::create_user))
        .route("/users/{name}", delete(people::remove_user))
        .route("/users/{name}/password", put(people::set_password))
        .route("/users/{name}/roles", post(people::assign))
        .route("/users/{name}/aliases/{alias}", put(people::link))
        .route("/users/{name}/aliases/{alias}", delete(people::unlink))
        .route("/teams", get(people::teams))
        .route("/teams", post(people::create_team))
        .route("/teams/{name}", delete(people::remove_team))
        .route("/teams/{name}/members/{user}", put(people::join))
        .route("/teams/{name}/members/{user}", delete(people::leave))
        .route("/teams/{name}/roles", post(people::assign_team))
        .route("/roles/{id}", delete(people::unassign))
}

pub(crate) fn not_found(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}
