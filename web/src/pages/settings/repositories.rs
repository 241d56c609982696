//! `/settings/repositories`: which are registered, and what is entered at their forge. A hook's secret is shown once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::store::badges::BadgesFor;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Deserialize as _;
use serde_json::{Value as Json, json};
use workflow::secret::Secret;

use super::{back_to, tabs};
use crate::Problem;
use crate::access::{Allowed, Repositories, Submitted};
use crate::api::answer::store;
use crate::api::repositories::{BadgesWish, Wish, forget, object, register, set_badges};
use crate::pages::page;
use crate::site::Site;

pub(super) async fn list(State(site): State<Arc<Site>>, allowed: Allowed<Repositories>) -> Result<Response, Problem> {
    show(&site, &allowed, None, None).await
}

async fn show(
    site: &Site,
    allowed: &Allowed<Repositories>,
    made: Option<&Json>,
    badges: Option<&Json>,
) -> Result<Response, Problem> {
    let registered = site.repositories.all().await.map_err(|error| store(&error))?;
    let mut all = Vec::with_capacity(registered.len());
    for one in registered.iter().filter(|one| allowed.may_see(&one.full_name)) {
        let mut shown = object(one);
        shown["badges"] = json!(site.badges.of(&one.full_name).await.map_err(|error| store(&error))?);
        all.push(shown);
    }
    let context = context! {
        title => "Repositories", active => "settings", tab => "repositories", tabs => tabs(&allowed.holder),
        repositories => Value::from(Serde(&all)), made => made.map(|one| Value::from(Serde(one))),
        badges => badges.map(|one| Value::from(Serde(one))), is_of_all => allowed.holder.repositories.is_empty(),
    };
    page(&allowed.holder, "settings-repositories.html", context)
}

pub(super) async fn add(State(site): State<Arc<Site>>, form: Submitted<Repositories>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    let some = |name: &str| Some(fields.get(name)).filter(|text| !text.is_empty()).map(str::to_owned);
    let wish = Wish {
        url: fields.get("url").to_owned(),
        name: some("name"),
        forge: some("forge"),
        secret: some("secret").map(Secret::new),
        token: some("token").map(Secret::new),
        token_user: some("token_user"),
        offline: false,
    };
    let (_, made) = register(&site, &allowed, wish).await?;
    show(&site, &allowed, Some(&made), None).await
}

pub(super) async fn badges(State(site): State<Arc<Site>>, form: Submitted<Repositories>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    let who = BadgesFor::deserialize(json!(fields.get("for"))).map_err(|_| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "for", "badges are for people, token or everybody")
    })?;
    let set = set_badges(&site, &allowed, BadgesWish { name: fields.get("name").to_owned(), who }).await?;
    show(&site, &allowed, None, Some(&set)).await
}

pub(super) async fn remove(State(site): State<Arc<Site>>, form: Submitted<Repositories>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    forget(&site, &allowed, fields.get("name"), Some(fields.get("forge")).filter(|forge| !forge.is_empty())).await?;
    back_to("repositories")
}
