//! One environment: its rules, what stands there of each service, and the newest rollout of each.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::mirror::Lag;
use engine::store::rollouts::{LISTED_MAX, RolloutFilter};
use engine::store::tokens::Holder;
use jiff::Timestamp;
use rollout::plan::Revision;
use rollout::view::Phase;
use rollout::{Outcome, Weight};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::super::answer::{self, Path, store};
use super::super::environments::{by_name, environments, lag};
use super::super::not_found;
use super::super::values::OfRepository;
use super::{Seen, newest};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// What stands of a service in an environment, and how far its newest rollout is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Standing {
    /// What.
    pub(crate) service: String,
    /// `owner/name`.
    pub(crate) repository: String,
    /// What stands; `None`: nothing, or nobody knows.
    pub(crate) revision: Option<Revision>,
    /// Since when, where that is known.
    pub(crate) since: Option<Timestamp>,
    /// The newest rollout.
    pub(crate) rollout: u64,
    /// Where that one is.
    pub(crate) phase: Phase,
    /// How it ended.
    pub(crate) outcome: Option<Outcome>,
    /// The share of what it brings.
    pub(crate) weight: Weight,
    /// Where it is, in a sentence.
    pub(crate) words: String,
    /// Who asked for it.
    pub(crate) by: String,
    /// Who asked for the rollout that brought what stands, where that is known.
    pub(crate) brought_by: Option<String>,
    /// How far what stands is from the default branch, where that is known.
    pub(crate) lag: Option<Lag>,
}

/// What stands, as the newest rollout of a service tells it, and the one that brought it.
pub(crate) async fn standing(site: &Site, holder: &Holder, seen: &Seen) -> Result<Standing, Problem> {
    let mut standing = told(seen);
    let Some(revision) = &standing.revision else { return Ok(standing) };
    standing.lag = lag(site, &standing.repository, &revision.commit).await;
    if standing.since.is_none() {
        // The newest one goes on or went back: one before brought it.
        let filter = RolloutFilter {
            environment: Some(seen.row.environment.clone()),
            service: Some(seen.row.service.clone()),
            before: Some(seen.row.id),
            limit: LISTED_MAX,
            ..RolloutFilter::default()
        };
        let rows = site.rollouts.list(filter).await.map_err(|error| store(&error))?;
        let brought = Seen::all(rows, holder)
            .into_iter()
            .map(|seen| seen.view)
            .find(|view| view.outcome == Some(Outcome::Succeeded) && view.green.revision == *revision);
        (standing.since, standing.brought_by) = brought.map_or((None, None), |view| (view.ended_at, Some(view.by)));
    }
    Ok(standing)
}

fn told(seen: &Seen) -> Standing {
    let view = &seen.view;
    let blue = || view.blue.as_ref().map(|blue| blue.revision.clone());
    let (revision, since) = match view.outcome {
        Some(Outcome::Succeeded) => (Some(view.green.revision.clone()), view.ended_at),
        Some(Outcome::RolledBack | Outcome::Rejected) | None => (blue(), None),
        Some(Outcome::Stuck) if view.weight == Weight::ALL => (Some(view.green.revision.clone()), None),
        Some(Outcome::Stuck) if view.weight == Weight::NONE => (blue(), None),
        Some(Outcome::Stuck) => (None, None),
    };
    Standing {
        service: seen.row.service.clone(),
        repository: seen.row.repository.clone(),
        revision,
        since,
        rollout: seen.row.id,
        phase: view.phase,
        outcome: view.outcome,
        weight: view.weight,
        words: view.words.clone(),
        by: view.by.clone(),
        brought_by: since.map(|_| view.by.clone()),
        lag: None,
    }
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (mut found, rollouts) = place(&site, &allowed, &name).await?;
    let told: Vec<_> = rollouts.iter().map(|seen| seen.told(&allowed.holder)).collect();
    found["rollouts"] = json!(told);
    answer::json(&headers, &found)
}

/// An environment with all that is known of it, and the newest rollout of each of its services.
pub(crate) async fn place(
    site: &Site,
    allowed: &Allowed<access::RunsRead>,
    name: &str,
) -> Result<(Json, Vec<Seen>), Problem> {
    let listed = by_name(environments(site, allowed, OfRepository::default()).await?);
    let is_it = |one: &Json| one["name"].as_str().is_some_and(|own| own.to_lowercase() == name.to_lowercase());
    let found = listed.into_iter().find(is_it);
    let found = found.ok_or_else(|| not_found(format!("there is no environment `{name}`")))?;
    let rollouts = newest(site, &allowed.holder, Some(name.to_owned())).await?;
    Ok((found, rollouts))
}
