//! `/environments`: what stands where, since when and by which run, and the rules in its way; `/deployments`: what was
//! deployed, newest first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use engine::store::deployments::DeploymentFilter;
use minijinja::context;
use minijinja::value::Serde;

use super::filters::encoded;
use super::render::page;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::{Query, store};
use crate::api::environments::{by_name, environments};
use crate::api::values::OfRepository;
use crate::site::Site;

/// Deployments of a page.
const LISTED: usize = 50;

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
) -> Result<Response, Problem> {
    let listed = by_name(environments(&site, &allowed, OfRepository::default()).await?);
    let context = context! { title => "Environments", active => "environments", environments => Serde(&listed) };
    page(&allowed.holder, "environments.html", context)
}

pub(super) async fn deployments(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let get = |name: &str| query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let (repository, environment, state) = (get("repository"), get("environment"), get("state"));
    let before = get("before").and_then(|before| before.parse().ok());
    let filter = DeploymentFilter {
        repository: repository.clone(),
        environment: environment.clone(),
        state: state.clone(),
        before,
        limit: LISTED,
    };
    let mut listed = site.deployments.list(filter).await.map_err(|error| store(&error))?;
    let [repository, environment, state] = [repository, environment, state].map(Option::unwrap_or_default);
    let kept =
        format!("repository={}&environment={}&state={}", encoded(&repository), encoded(&environment), encoded(&state));
    let next = listed.last().filter(|_| listed.len() == LISTED).map(|last| last.id);
    let next = next.map(|id| format!("/deployments?{kept}&before={id}"));
    listed.retain(|deployed| allowed.may_see(&deployed.repository));
    let first = if before.is_some() { format!("/deployments?{kept}") } else { String::new() };
    let context = context! {
        title => "Deployments", active => "deployments", deployments => Serde(&listed), next, first, repository,
        environment, state,
    };
    page(&allowed.holder, "deployments.html", context)
}
