//! The secrets and variables of jobs. Values of secrets go in, never out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::store::secrets::{Kind, Scope, SettingError};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use workflow::secret::Secret;

use super::answer::{self, Body, Path, Query, done, hidden, store};
use super::not_found;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OfRepository {
    pub(crate) repository: Option<String>,
}

pub(super) async fn secrets(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::SecretsWrite>,
    Query(filter): Query<OfRepository>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    settings(&shared, &allowed, Kind::Secret, filter, &headers).await
}

pub(super) async fn variables(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::SecretsWrite>,
    Query(filter): Query<OfRepository>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    settings(&shared, &allowed, Kind::Variable, filter, &headers).await
}

async fn settings(
    shared: &Site,
    allowed: &Allowed<access::SecretsWrite>,
    kind: Kind,
    filter: OfRepository,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let mut listed = shared.api.settings.list(kind, filter.repository).await.map_err(|error| store(&error))?;
    listed.retain(|setting| setting.scope.repository.is_empty() || allowed.may_see(&setting.scope.repository));
    let name = match kind {
        Kind::Secret => "secrets",
        Kind::Variable => "variables",
    };
    answer::json(headers, &json!({ name: listed }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    #[serde(deserialize_with = "hidden")]
    value: Secret,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    environment: String,
    #[serde(default)]
    branch: String,
}

pub(super) async fn put_secret(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::SecretsWrite>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    put(&shared, &allowed, Kind::Secret, &name, &body).await
}

pub(super) async fn put_variable(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::SecretsWrite>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    put(&shared, &allowed, Kind::Variable, &name, &body).await
}

async fn put(
    shared: &Site,
    allowed: &Allowed<access::SecretsWrite>,
    kind: Kind,
    name: &str,
    body: &Body,
) -> Result<Response, Problem> {
    let Value { value, repository, environment, branch } = body.read()?;
    let scope = Scope { repository, environment, branch };
    reachable(allowed, &scope)?;
    let is_new = shared.api.settings.put(kind, name, scope.clone(), value, allowed.actor.clone()).await;
    let is_new = is_new.map_err(|error| wrong_value(&error))?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(done(status, &json!({ "name": name.to_ascii_uppercase(), "scope": scope })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Where {
    repository: String,
    environment: String,
    branch: String,
}

pub(super) async fn remove_secret(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::SecretsWrite>,
    Path(name): Path<String>,
    Query(place): Query<Where>,
) -> Result<Response, Problem> {
    remove(&shared, &allowed, Kind::Secret, &name, place).await
}

pub(super) async fn remove_variable(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::SecretsWrite>,
    Path(name): Path<String>,
    Query(place): Query<Where>,
) -> Result<Response, Problem> {
    remove(&shared, &allowed, Kind::Variable, &name, place).await
}

async fn remove(
    shared: &Site,
    allowed: &Allowed<access::SecretsWrite>,
    kind: Kind,
    name: &str,
    Where { repository, environment, branch }: Where,
) -> Result<Response, Problem> {
    let scope = Scope { repository, environment, branch };
    reachable(allowed, &scope)?;
    let removed = shared.api.settings.remove(kind, name, scope.clone(), allowed.actor.clone()).await;
    if !removed.map_err(|error| store(&error))? {
        return Err(not_found(format!("there is no {} {name} for {scope}", kind.as_str())));
    }
    let value: Json = json!({ "name": name.to_ascii_uppercase(), "scope": scope });
    Ok(done(StatusCode::OK, &value))
}

/// Why a value is not taken.
pub(crate) fn wrong_value(error: &SettingError) -> Problem {
    match error {
        SettingError::Store(error) => store(error),
        SettingError::Name(_) | SettingError::Value(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", error.to_string())
        }
        SettingError::Sealed { .. } => answer::unreadable(error),
    }
}

/// A token of some repositories changes nothing that others get.
pub(crate) fn reachable(allowed: &Allowed<access::SecretsWrite>, scope: &Scope) -> Result<(), Problem> {
    if scope.repository.is_empty() {
        return allowed.of_all();
    }
    if allowed.may_see(&scope.repository) {
        return Ok(());
    }
    Err(not_found(format!("there is no repository {}", scope.repository)))
}
