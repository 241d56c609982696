//! The pages of settings: people, sessions, tokens, secrets, repositories, and the audit log beside them.
//!
//! What a form does goes the way of the API: the same rules, the same transaction with the audit log. Values of secrets go
//! in and never out. Every form works without a script and leads back to its page.

mod audit;
mod notifications;
mod repositories;
mod secrets;
mod sessions;
mod teams;
mod tokens;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use engine::store::tokens::{Holder, Scope};
use minijinja::value::Value;

use crate::Problem;
use crate::access::Fields;
use crate::site::Site;

/// The pages.
pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/audit", get(audit::list))
        .route("/audit/export", get(audit::export))
        .route("/settings/users", get(users::list).post(users::create))
        .route("/settings/users/remove", post(users::remove))
        .route("/settings/users/password", post(users::set_password))
        .route("/settings/users/role", post(users::assign))
        .route("/settings/users/alias", post(users::link))
        .route("/settings/users/unalias", post(users::unlink))
        .route("/settings/roles/remove", post(users::unassign))
        .route("/settings/teams", post(teams::create))
        .route("/settings/teams/remove", post(teams::remove))
        .route("/settings/teams/join", post(teams::join))
        .route("/settings/teams/leave", post(teams::leave))
        .route("/settings/teams/role", post(teams::assign))
        .route("/settings/sessions", get(sessions::list))
        .route("/settings/sessions/end", post(sessions::end))
        .route("/settings/sessions/password", post(sessions::change_password))
        .route("/settings/tokens", get(tokens::list).post(tokens::create))
        .route("/settings/tokens/revoke", post(tokens::revoke))
        .route("/settings/secrets", get(secrets::list).post(secrets::set))
        .route("/settings/secrets/remove", post(secrets::remove))
        .route("/settings/notifications", get(notifications::list))
        .route("/settings/notifications/test", post(notifications::test))
        .route("/settings/notifications/redeliver", post(notifications::redeliver))
        .route("/settings/repositories", get(repositories::list).post(repositories::add))
        .route("/settings/repositories/remove", post(repositories::remove))
        .route("/settings/repositories/badges", post(repositories::badges))
}

/// The pages of settings that somebody may see: address and word.
fn tabs(holder: &Holder) -> Value {
    let may = |scope| holder.scopes.allow(scope);
    let all = [
        (may(Scope::SecretsWrite), "secrets", "Secrets"),
        (may(Scope::Repositories), "repositories", "Repositories"),
        (may(Scope::Deliveries), "notifications", "Notifications"),
        (may(Scope::Admin), "users", "Users"),
        (may(Scope::Admin), "tokens", "Tokens"),
        (holder.user.is_some(), "sessions", "Sessions"),
    ];
    all.into_iter().filter(|(may, ..)| *may).map(|(_, path, word)| Value::from(vec![path, word])).collect()
}

fn back_to(page: &str) -> Result<Response, Problem> {
    Ok(Redirect::to(&format!("/settings/{page}")).into_response())
}

/// `a/b c/d, e/f` as a list.
fn listed(fields: &Fields, name: &str) -> Vec<String> {
    let words = fields.get(name).split(|c: char| c.is_whitespace() || c == ',');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
