//! Users, teams and their roles; who asks; and who is signed in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::store::people::{Assignment, NewUser, Role};
use engine::store::tokens::Scope;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use workflow::secret::Secret;

use super::not_found;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::people;
use crate::api::answer::{self, Body, Path, Query, done, hidden_or_none, store};
use crate::site::Site;

/// A role of a body: its word, or with where it holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleWish {
    role: String,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    environment: String,
}

impl RoleWish {
    fn read(self) -> Result<Assignment, Problem> {
        assignment(&self.role, self.repository, self.environment)
    }
}

/// A role by its word.
pub(crate) fn assignment(word: &str, repository: String, environment: String) -> Result<Assignment, Problem> {
    let known = || Role::ALL.map(Role::as_str).join(", ");
    let wrong = || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", format!("roles are {}", known()));
    Ok(Assignment { role: Role::parse(word).ok_or_else(wrong)?, repository, environment })
}

pub(crate) async fn me(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Anyone>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let holder = &allowed.holder;
    let users = if holder.user.is_some() { site.api.entrance.people.list().await } else { Ok(Vec::new()) };
    let users = users.map_err(|error| store(&error))?;
    let own = users.into_iter().find(|user| Some(user.id) == holder.user);
    let grants = holder.grants.iter().map(|grant| {
        json!({ "scopes": grant.scopes, "repositories": grant.repositories, "environments": grant.environments })
    });
    let value = json!({
        "who": holder.who, "user": own, "teams": holder.teams, "scopes": holder.scopes,
        "grants": grants.collect::<Vec<_>>(), "session": allowed.session,
    });
    answer::json(&headers, &value)
}

pub(crate) async fn users(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let users = site.api.entrance.people.list().await.map_err(|error| store(&error))?;
    answer::json(&headers, &json!({ "users": users }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserWish {
    name: String,
    #[serde(default)]
    full_name: String,
    #[serde(default, deserialize_with = "hidden_or_none")]
    password: Option<Secret>,
    #[serde(default)]
    roles: Vec<RoleWish>,
}

pub(crate) async fn create_user(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    body: Body,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let UserWish { name, full_name, password, roles } = body.read()?;
    let roles = roles.into_iter().map(RoleWish::read).collect::<Result<_, _>>()?;
    let new = NewUser { name: name.clone(), full_name, password, roles };
    let made = site.api.entrance.people.create(new, allowed.actor, Timestamp::now()).await;
    let id = made.map_err(|error| people(&error))?;
    site.api.entrance.first.close();
    Ok(done(StatusCode::CREATED, &json!({ "id": id, "name": name })))
}

pub(crate) async fn remove_user(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    site.api.entrance.people.remove(&name, allowed.actor).await.map_err(|error| people(&error))?;
    Ok(done(StatusCode::OK, &json!({ "removed": name })))
}

pub(crate) async fn link(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path((name, alias)): Path<(String, String)>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let linked = site.api.entrance.people.link(&name, &alias, allowed.actor, Timestamp::now()).await;
    let alias = linked.map_err(|error| people(&error))?;
    Ok(done(StatusCode::CREATED, &json!({ "user": name, "alias": alias })))
}

pub(crate) async fn unlink(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path((name, alias)): Path<(String, String)>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let removed = site.api.entrance.people.unlink(&name, &alias, allowed.actor).await;
    removed.map_err(|error| people(&error))?;
    Ok(done(StatusCode::OK, &json!({ "user": name, "removed": alias })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordWish {
    #[serde(deserialize_with = "super::answer::hidden")]
    password: Secret,
}

pub(crate) async fn set_password(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let PasswordWish { password } = body.read()?;
    let set = site.api.entrance.people.set_password(&name, &password, allowed.actor, Timestamp::now()).await;
    set.map_err(|error| people(&error))?;
    Ok(done(StatusCode::OK, &json!({ "user": name })))
}

pub(crate) async fn assign(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let role = body.read::<RoleWish>()?.read()?;
    let made = site.api.entrance.people.assign(&name, role, allowed.actor, Timestamp::now()).await;
    let id = made.map_err(|error| people(&error))?;
    Ok(done(StatusCode::CREATED, &json!({ "id": id, "user": name })))
}

pub(crate) async fn unassign(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path(role): Path<u64>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let removed = site.api.entrance.people.unassign(role, allowed.actor, Timestamp::now()).await;
    removed.map_err(|error| people(&error))?;
    Ok(done(StatusCode::OK, &json!({ "removed": role })))
}

pub(crate) async fn teams(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let teams = site.api.entrance.people.teams().await.map_err(|error| store(&error))?;
    answer::json(&headers, &json!({ "teams": teams }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TeamWish {
    name: String,
}

pub(crate) async fn create_team(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    body: Body,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let TeamWish { name } = body.read()?;
    let made = site.api.entrance.people.create_team(&name, allowed.actor, Timestamp::now()).await;
    let id = made.map_err(|error| people(&error))?;
    Ok(done(StatusCode::CREATED, &json!({ "id": id, "name": name })))
}

pub(crate) async fn remove_team(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let removed = site.api.entrance.people.remove_team(&name, allowed.actor, Timestamp::now()).await;
    removed.map_err(|error| people(&error))?;
    Ok(done(StatusCode::OK, &json!({ "removed": name })))
}

pub(crate) async fn join(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path((team, user)): Path<(String, String)>,
) -> Result<Response, Problem> {
    set_member(&site, allowed, team, user, true).await
}

pub(crate) async fn leave(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path((team, user)): Path<(String, String)>,
) -> Result<Response, Problem> {
    set_member(&site, allowed, team, user, false).await
}

async fn set_member(
    site: &Site,
    allowed: Allowed<access::Admin>,
    team: String,
    user: String,
    is_in: bool,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let set = site.api.entrance.people.set_member(&team, &user, is_in, allowed.actor, Timestamp::now()).await;
    set.map_err(|error| people(&error))?;
    Ok(done(StatusCode::OK, &json!({ "team": team, "user": user, "member": is_in })))
}

pub(crate) async fn assign_team(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Admin>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let role = body.read::<RoleWish>()?.read()?;
    let made = site.api.entrance.people.assign_team(&name, role, allowed.actor, Timestamp::now()).await;
    let id = made.map_err(|error| people(&error))?;
    Ok(done(StatusCode::CREATED, &json!({ "id": id, "team": name })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SessionQuery {
    all: bool,
}

/// The own sessions; those of all for who may do everything.
pub(crate) async fn sessions(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Anyone>,
    Query(query): Query<SessionQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let of = if query.all && allowed.holder.scopes.allow(Scope::Admin) { None } else { Some(allowed.user()?) };
    let listed = site.api.entrance.sessions.list(of, Timestamp::now()).await.map_err(|error| store(&error))?;
    answer::json(&headers, &json!({ "sessions": listed, "current": allowed.session }))
}

pub(crate) async fn end_session(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Anyone>,
    Path(session): Path<u64>,
) -> Result<Response, Problem> {
    let of = if allowed.holder.scopes.allow(Scope::Admin) { None } else { Some(allowed.user()?) };
    let ended = site.api.entrance.sessions.end(session, of, allowed.actor, Timestamp::now()).await;
    if !ended.map_err(|error| store(&error))? {
        return Err(not_found(format!("there is no session {session}")));
    }
    Ok(done(StatusCode::OK, &json!({ "ended": session })))
}
