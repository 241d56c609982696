//! The issuer of jobs' identity tokens, as clouds see it: two public documents below the server's own address.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use engine::issuer::{DISCOVERY, Issuer, JWKS};
use serde_json::Value as Json;

use crate::Problem;
use crate::api::answer::unreadable;

/// `GET /.well-known/openid-configuration` and the keys, without a session: there is nothing secret in them. `name` is the
/// server's address as clouds reach it; without one there is nothing to describe.
pub fn issuer_routes(issuer: Issuer, name: Option<String>) -> Router {
    let Some(name) = name else { return Router::new() };
    let issuer = Arc::new(issuer);
    let described = Arc::clone(&issuer);
    let description = move || {
        let value = described.discovery(&name);
        async move { shown(&value) }
    };
    let keys = move || {
        let issuer = Arc::clone(&issuer);
        async move {
            let keys = tokio::task::spawn_blocking(move || issuer.jwks()).await;
            let keys = keys.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
            Ok::<_, Problem>(shown(&keys))
        }
    };
    Router::new().route(DISCOVERY, get(description)).route(JWKS, get(keys))
}

fn shown(value: &Json) -> impl IntoResponse + use<> {
    ([(CONTENT_TYPE, "application/json")], value.to_string())
}
