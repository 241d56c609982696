//! The forms of teams on `/settings/users`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;

use super::back_to;
use super::users::role;
use crate::Problem;
use crate::access::{Admin, Submitted};
use crate::api::answer::people;
use crate::site::Site;

pub(super) async fn create(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let made = site.api.entrance.people.create_team(fields.get("name"), allowed.actor, Timestamp::now()).await;
    made.map_err(|error| people(&error))?;
    back_to("users")
}

pub(super) async fn remove(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let removed = site.api.entrance.people.remove_team(fields.get("team"), allowed.actor, Timestamp::now()).await;
    removed.map_err(|error| people(&error))?;
    back_to("users")
}

pub(super) async fn join(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    member(&site, form, true).await
}

pub(super) async fn leave(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    member(&site, form, false).await
}

async fn member(site: &Site, form: Submitted<Admin>, is_in: bool) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let (team, user, now) = (fields.get("team"), fields.get("user"), Timestamp::now());
    let set = site.api.entrance.people.set_member(team, user, is_in, allowed.actor, now).await;
    set.map_err(|error| people(&error))?;
    back_to("users")
}

pub(super) async fn assign(State(site): State<Arc<Site>>, form: Submitted<Admin>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    allowed.of_all()?;
    let (entrance, role) = (&site.api.entrance, role(&fields)?);
    let made = entrance.people.assign_team(fields.get("team"), role, allowed.actor, Timestamp::now()).await;
    made.map_err(|error| people(&error))?;
    back_to("users")
}
