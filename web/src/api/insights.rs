//! Figures over what was delivered: DORA's five, by service. What they are is `engine::insights::dora`'s.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{delete, get, put};
use engine::insights::dora::{Figures, Judged, Why, judge};
use engine::insights::{Window, WindowWish};
use engine::store::insights::{DoraFilter, Insights, Place};
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::answer::{self, Query, bad, store};
use super::{costs, deployment};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// Most failures that are told one by one.
const FAILURES_MAX: usize = 100;
/// Environments that are of most interest, where none is asked for.
pub(crate) const PRODUCTION: [&str; 3] = ["production", "prod", "live"];

/// What is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DoraWish {
    pub(crate) environment: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) timezone: Option<String>,
}

/// Figures of one environment.
#[derive(Debug, Serialize)]
pub(crate) struct DoraReport {
    /// Of which; empty where nothing was ever deployed.
    pub(crate) environment: String,
    /// Of which there are some.
    pub(crate) environments: Vec<String>,
    pub(crate) window: Shown,
    /// Of all services together.
    pub(crate) all: Figures,
    pub(crate) services: Vec<OfService>,
    /// What failed, newest first.
    pub(crate) failures: Vec<Failure>,
}

/// A window, as answers show it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) days: f64,
    pub(crate) timezone: String,
}

/// Figures of one service.
#[derive(Debug, Serialize)]
pub(crate) struct OfService {
    pub(crate) repository: String,
    /// Empty: all of the repository.
    pub(crate) service: String,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// A deployment that failed.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) deployment: u64,
    pub(crate) run: u64,
    pub(crate) repository: String,
    pub(crate) service: String,
    pub(crate) sha: String,
    pub(crate) done_at: Timestamp,
    pub(crate) why: Why,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) seconds: Option<f64>,
}

/// The routes of figures, and of the deployments that they are made of.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/deployments/{id}", get(deployment::show))
        .route("/deployments/{id}/marks/{mark}", put(deployment::mark))
        .route("/deployments/{id}/marks/{mark}", delete(deployment::unmark))
        .route("/insights/dora", get(dora))
        .route("/insights/speed", get(costs::speed))
        .route("/costs", get(costs::costs))
}

pub(super) async fn dora(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(wish): Query<DoraWish>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer::json(&headers, &dora_report(&site, &allowed, wish).await?)
}

/// The window of a wish, as problems are told.
pub(crate) fn window(wish: &WindowWish) -> Result<Window, Problem> {
    Window::of(wish, Timestamp::now()).map_err(|error| bad("query", error.to_string()))
}

impl Shown {
    pub(crate) fn of(window: &Window) -> Self {
        let timezone = window.zone.iana_name().unwrap_or("UTC").to_owned();
        Self { from: window.from, to: window.to, days: window.days(), timezone }
    }
}

/// What is told of an environment.
pub(crate) async fn dora_report(
    site: &Site,
    allowed: &Allowed<access::RunsRead>,
    wish: DoraWish,
) -> Result<DoraReport, Problem> {
    let DoraWish { environment, repository, service, since, from, to, timezone } = wish;
    let window = window(&WindowWish { since, from, to, timezone })?;
    let insights = Insights::on(site.api.database.clone());
    let mut places = insights.places().await.map_err(|error| store(&error))?;
    places.retain(|place| allowed.may_see(&place.repository));
    let environments = environments(&places);
    let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let environment = given(environment).or_else(|| of_interest(&places)).unwrap_or_default();
    let begin = |at: Timestamp| {
        let zoned = at.to_zoned(window.zone.clone()).checked_sub(3.months().days(7));
        zoned.map_or(Timestamp::MIN, |zoned| zoned.timestamp())
    };
    // How often is said over three months.
    let filter = DoraFilter {
        environment: environment.clone(),
        repository: given(repository),
        service: given(service),
        visible: allowed.holder.repositories.clone(),
        since: window.from.min(begin(window.to)),
    };
    let judged = judge(insights.deployments(filter).await.map_err(|error| store(&error))?);
    let key = |one: &Judged| (one.deployment.repository.to_lowercase(), one.deployment.service.clone());
    let services = judged.chunk_by(|one, other| key(one) == key(other)).filter_map(|group| {
        let deployment = &group.first()?.deployment;
        let (repository, service) = (deployment.repository.clone(), deployment.service.clone());
        Some(OfService { repository, service, figures: Figures::of(group, &window) })
    });
    let services = services.collect();
    let all = Figures::of(&judged, &window);
    let mut failures: Vec<Failure> = judged.iter().filter(|one| window.holds(one.done())).filter_map(failure).collect();
    failures.sort_by_key(|failure| std::cmp::Reverse((failure.done_at, failure.deployment)));
    failures.truncate(FAILURES_MAX);
    Ok(DoraReport { environment, environments, window: Shown::of(&window), all, services, failures })
}

fn failure(one: &Judged) -> Option<Failure> {
    let deployment = &one.deployment;
    Some(Failure {
        deployment: deployment.id,
        run: deployment.run,
        repository: deployment.repository.clone(),
        service: deployment.service.clone(),
        sha: deployment.sha.clone(),
        done_at: one.done(),
        why: one.failed?,
        from: one.recovery.map(|recovery| recovery.from),
        until: one.recovery.and_then(|recovery| recovery.until),
        seconds: one.recovery.and_then(|recovery| recovery.seconds()),
    })
}

/// Each once, in whatever case it was written first.
fn environments(places: &[Place]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for place in places {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(&place.environment)) {
            names.push(place.environment.clone());
        }
    }
    names
}

/// What is called production; else where something was deployed last.
fn of_interest(places: &[Place]) -> Option<String> {
    let named = |name: &str| places.iter().find(|place| place.environment.eq_ignore_ascii_case(name));
    let found = PRODUCTION.iter().find_map(|name| named(name));
    found.or_else(|| places.iter().max_by_key(|place| place.done_at)).map(|place| place.environment.clone())
}
