//! What tools reported: results of tests, of a run and over runs, and coverage.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use engine::reports::Outcome;
use engine::store::RunId;
use engine::store::reports::{
    CASES_LISTED_MAX, CaseFilter, Reports, SEEN_MAX, TESTS_LISTED_MAX, TestFilter, TestOrder,
};
use serde::Deserialize;
use serde_json::json;

use super::answer::{self, Path, Query, bad, store};
use super::not_found;
use super::runs::visible;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// Cases and tests of a list where no number is given.
const LISTED: usize = 50;

/// The routes.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/runs/{id}/tests", get(of_run))
        .route("/runs/{id}/coverage", get(coverage))
        .route("/runs/{id}/coverage/{report}", get(covered))
        .route("/tests", get(tests))
        .route("/tests/{id}/history", get(history))
}

fn reports(site: &Site) -> Reports {
    Reports::on(site.api.database.clone())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Cases {
    outcome: Option<String>,
    cursor: Option<usize>,
    limit: Option<usize>,
}

async fn of_run(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    Query(wanted): Query<Cases>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&site, &allowed, RunId(id)).await?;
    let unknown =
        |word: String| bad("query", format!("`outcome` is error, failed, flaky, skipped or passed, not {word}"));
    let outcome = wanted.outcome.map(|word| Outcome::parse(&word).ok_or_else(|| unknown(word))).transpose()?;
    let (skip, limit) = (wanted.cursor.unwrap_or(0), wanted.limit.unwrap_or(LISTED).clamp(1, CASES_LISTED_MAX));
    let reports = reports(&site);
    let tests = reports.tests_of_run(run.id).await.map_err(|error| store(&error))?;
    let cases = reports.cases(run.id, CaseFilter { outcome, skip, limit }).await.map_err(|error| store(&error))?;
    let next = (cases.len() == limit).then_some(skip + limit);
    let mut value = json!(tests);
    (value["cases"], value["next"]) = (json!(cases), json!(next));
    answer::json(&headers, &value)
}

async fn coverage(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&site, &allowed, RunId(id)).await?;
    let found = reports(&site).coverage_of_run(run.id).await.map_err(|error| store(&error))?;
    let shown = found.iter().map(|one| {
        let mut value = json!(one);
        value["percent"] = json!(one.lines.percent());
        value["change"] = json!(one.delta());
        value
    });
    answer::json(&headers, &json!({ "coverage": shown.collect::<Vec<_>>() }))
}

async fn covered(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, report)): Path<(u64, u64)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&site, &allowed, RunId(id)).await?;
    let reports = reports(&site);
    let found = reports.coverage_of_run(run.id).await.map_err(|error| store(&error))?;
    if !found.iter().any(|one| one.id == report) {
        return Err(not_found(format!("run {id} has no report {report} of coverage")));
    }
    let files = reports.covered_files(report).await.map_err(|error| store(&error))?;
    answer::json(&headers, &json!({ "files": files.unwrap_or_default() }))
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    #[default]
    Failing,
    Flaky,
    Slow,
    Name,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tests {
    repository: String,
    text: Option<String>,
    #[serde(default)]
    order: Order,
    cursor: Option<usize>,
    limit: Option<usize>,
}

async fn tests(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(wanted): Query<Tests>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let repository = wanted.repository;
    if !allowed.may_see(&repository) {
        return Err(not_found(format!("there is no repository {repository}")));
    }
    let order = match wanted.order {
        Order::Failing => TestOrder::Failing,
        Order::Flaky => TestOrder::Flaky,
        Order::Slow => TestOrder::Slow,
        Order::Name => TestOrder::Name,
    };
    let (skip, limit) = (wanted.cursor.unwrap_or(0), wanted.limit.unwrap_or(LISTED).clamp(1, TESTS_LISTED_MAX));
    let filter = TestFilter { repository, text: wanted.text, order, skip, limit };
    let tests = reports(&site).tests(filter).await.map_err(|error| store(&error))?;
    let next = (tests.len() == limit).then_some(skip + limit);
    answer::json(&headers, &json!({ "tests": tests, "next": next }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Past {
    limit: Option<usize>,
}

async fn history(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    Query(past): Query<Past>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = past.limit.unwrap_or(LISTED).clamp(1, SEEN_MAX);
    let found = reports(&site).history(id, limit).await.map_err(|error| store(&error))?;
    let found = found.filter(|found| allowed.may_see(&found.test.repository));
    let found = found.ok_or_else(|| not_found(format!("there is no test {id}")))?;
    answer::json(&headers, &json!(found))
}
