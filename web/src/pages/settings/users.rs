//! `/settings/users`: users and teams with their roles.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::store::people::{NewUser, PASSWORD_CHARACTERS_MIN, Role};
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::{Serde, Value};
use workflow::secret::Secret;

use super::{back_to, tabs};
use crate::Problem;
use crate::access::{Admin, Allowed, Fields, Submitted};
use crate::api::answer::people;
use crate::api::answer::store;
use crate::api::people::assignment;
use crate::pages::page;
use crate::site::Site;

/// The page, which has the teams as well.
pub(super) async fn list(State(site): State<Arc<Site>>, allowed: Allowed<Admin>) -> Result<Response, Problem> {
    allowed.of_all()?;
    let users = site.api.entrance.people.list().await.map_err(|error| store(&error))?;
    let teams = site.api.entrance.people.teams().await.map_err(|error| store(&error))?;
    let roles: Vec<Value> =
        Role::ALL.iter().map(|role| context! { word => role.as_str(), meaning => role.meaning() }).collect();
    let context = context! {
        title => "Users", active => "settings", tab => "users", tabs => tabs(&allowed.holder),
        users => Value::from(Serde(&users)), teams => Value::from(Serde(&teams)), roles,
        characters => PASSWORD_CHARACTERS_MIN,
    };
    page(&allowed.holder, "settings-users.html", context)
}

/// The role of a form; none where none was chosen.
pub(super) fn role(fields: &Fields) -> Result<engine::store::people::Assignment, Problem> {
    assignment(fields.get("role"), fields.get("repository").to_owned(), fields.get("environment").to_owned())
}

pub(super) async fn create(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let password = fields.exact("password");
    let roles = if fields.get("role").is_empty() { Vec::new() } else { vec![role(&fields)?] };
    let new = NewUser {
        name: fields.get("name").to_owned(),
        full_name: fields.get("full_name").to_owned(),
        password: (!password.is_empty()).then(|| Secret::new(password)),
        roles,
    };
    let made = site.api.entrance.people.create(new, allowed.actor, Timestamp::now()).await;
    made.map_err(|error| people(&error))?;
    back_to("users")
}

pub(super) async fn remove(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    form.allowed.of_all()?;
    let removed = site.api.entrance.people.remove(form.fields.get("user"), form.allowed.actor).await;
    removed.map_err(|error| people(&error))?;
    back_to("users")
}

pub(super) async fn set_password(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let password = Secret::new(fields.exact("password"));
    if password.is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", "the password is missing"));
    }
    let (entrance, now) = (&site.api.entrance, Timestamp::now());
    let set = entrance.people.set_password(fields.get("user"), &password, allowed.actor, now).await;
    set.map_err(|error| people(&error))?;
    back_to("users")
}

pub(super) async fn assign(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let (entrance, role) = (&site.api.entrance, role(&fields)?);
    let made = entrance.people.assign(fields.get("user"), role, allowed.actor, Timestamp::now()).await;
    made.map_err(|error| people(&error))?;
    back_to("users")
}

pub(super) async fn unassign(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let role = fields.get("id").parse().map_err(|_| crate::api::not_found("there is no such role"))?;
    let removed = site.api.entrance.people.unassign(role, allowed.actor, Timestamp::now()).await;
    removed.map_err(|error| people(&error))?;
    back_to("users")
}

pub(super) async fn link(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let entrance = &site.api.entrance;
    let linked = entrance.people.link(fields.get("user"), fields.get("alias"), allowed.actor, Timestamp::now()).await;
    linked.map_err(|error| people(&error))?;
    back_to("users")
}

pub(super) async fn unlink(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let removed = site.api.entrance.people.unlink(fields.get("user"), fields.get("alias"), allowed.actor).await;
    removed.map_err(|error| people(&error))?;
    back_to("users")
}
