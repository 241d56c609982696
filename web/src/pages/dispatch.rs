//! `/dispatch`: a workflow run by hand, with a field for each of its inputs. Which workflows there are and what they want
//! to know is read at the ref that is chosen.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde_json::{Map, Value as Json};

use super::render::page;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::{Query, bad, store};
use crate::api::runs::{dispatch_runs, refused};
use crate::api::{Dispatch, SteerError};
use crate::pages::forms::Form;
use crate::site::Site;

/// What comes before the name of an input, so that none can be taken for a field of ours.
const INPUT: &str = "input.";

pub(super) async fn form(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Dispatch>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let get = |name: &str| query.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let registered = site.repositories.all().await.map_err(|error| store(&error))?;
    let mut names: Vec<_> = registered.into_iter().map(|one| one.full_name).collect();
    names.retain(|name| allowed.may_see(name));
    // Where there is one there is nothing to choose.
    let repository =
        get("repository").map(str::to_owned).or_else(|| names.first().filter(|_| names.len() == 1).cloned());
    let repository = repository.filter(|name| allowed.may_see(name));
    let (mut offers, mut problem) = (None, None);
    if let Some(repository) = &repository {
        match site.api.steering.offers(repository, get("ref")).await {
            Ok(found) => offers = Some(found),
            Err(error @ SteerError::Store(_)) => return Err(refused(error)),
            Err(error) => problem = Some(error.to_string()),
        }
    }
    let workflows = offers.as_ref().map(|offers| offers.workflows.as_slice()).unwrap_or_default();
    let chosen = get("workflow").and_then(|path| workflows.iter().find(|one| one.path == path));
    let chosen = chosen.or_else(|| workflows.first().filter(|_| workflows.len() == 1));
    let environments: Vec<String> = site.api.environments.rules.keys().cloned().collect();
    let context = context! {
        title => "Run a workflow", active => "runs", names, repository => repository.clone().unwrap_or_default(),
        git_ref => get("ref").unwrap_or_default(), problem, offers => Serde(&offers), chosen => Serde(chosen),
        environments,
    };
    page(&allowed.holder, "dispatch.html", context)
}

pub(super) async fn start(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Dispatch>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let get = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned());
    let some = |name: &str| get(name).filter(|value| !value.is_empty());
    let missing = |name: &str| bad("form", format!("`{name}` is missing"));
    let repository = some("repository").ok_or_else(|| missing("repository"))?;
    let workflow = some("workflow").ok_or_else(|| missing("workflow"))?;
    // A box that is not ticked sends nothing, so a hidden field before it says `false`: the last one counts.
    let inputs: Map<String, Json> = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(INPUT)?.to_owned(), Json::String(value.clone()))))
        .collect();
    let dispatch = Dispatch::Workflow { repository, workflow, git_ref: some("ref"), inputs };
    let runs = dispatch_runs(&site, &allowed, dispatch).await?;
    let to = runs.first().map_or_else(|| "/".to_owned(), |run| format!("/runs/{run}"));
    Ok(Redirect::to(&to).into_response())
}
