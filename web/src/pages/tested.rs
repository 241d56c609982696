//! `/tests`: tests of a repository over its newest runs, the failing, flaky or slow ones first; `/tests/{id}`: one of them
//! and how it ended in which run.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use engine::store::reports::{Reports, SEEN_MAX, TestFilter, TestOrder};
use minijinja::context;
use minijinja::value::Serde;

use super::filters::encoded;
use super::render::page;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::{Path, Query, store};
use crate::api::not_found;
use crate::site::Site;

/// Tests, or results of one, of a page.
const LISTED: usize = 50;

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let get = |name: &str| query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let reports = Reports::on(site.api.database.clone());
    let mut names = reports.repositories().await.map_err(|error| store(&error))?;
    names.retain(|name| allowed.may_see(name));
    let repository = get("repository").filter(|name| allowed.may_see(name)).or_else(|| names.first().cloned());
    let repository = repository.unwrap_or_default();
    let chosen = get("order");
    // Without a wish: what is wrong, if anything is.
    let orders = match chosen.as_deref() {
        Some("flaky") => vec![(TestOrder::Flaky, "flaky")],
        Some("slow") => vec![(TestOrder::Slow, "slow")],
        Some("name") => vec![(TestOrder::Name, "name")],
        Some(_) => vec![(TestOrder::Failing, "failing")],
        None => vec![(TestOrder::Failing, "failing"), (TestOrder::Flaky, "flaky"), (TestOrder::Slow, "slow")],
    };
    let text = get("text");
    let skip = get("skip").and_then(|skip| skip.parse().ok()).unwrap_or(0);
    let (mut listed, mut word) = (Vec::new(), "");
    for (order, called) in orders {
        let filter = TestFilter { repository: repository.clone(), text: text.clone(), order, skip, limit: LISTED };
        listed = reports.tests(filter).await.map_err(|error| store(&error))?;
        word = called;
        if !listed.is_empty() {
            break;
        }
    }
    let text = text.unwrap_or_default();
    let kept = format!("/tests?repository={}&order={word}&text={}", encoded(&repository), encoded(&text));
    let next = (listed.len() == LISTED).then(|| format!("{kept}&skip={}", skip + LISTED));
    let first = if skip > 0 { kept } else { String::new() };
    let context = context! {
        title => "Tests", active => "tests", tests => Serde(&listed), names, repository, order => word, text, next, first,
    };
    page(&allowed.holder, "tests.html", context)
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let skip: usize = query.get("skip").and_then(|skip| skip.parse().ok()).unwrap_or(0);
    let found = Reports::on(site.api.database.clone()).history(id, SEEN_MAX).await.map_err(|error| store(&error))?;
    let found = found.filter(|found| allowed.may_see(&found.test.repository));
    let found = found.ok_or_else(|| not_found(format!("there is no test {id}")))?;
    let behind = found.history.get(skip..).unwrap_or_default();
    let next = (behind.len() > LISTED).then(|| format!("/tests/{id}?skip={}", skip + LISTED));
    let first = if skip > 0 { format!("/tests/{id}") } else { String::new() };
    let history = &behind[..behind.len().min(LISTED)];
    let context = context! {
        title => found.test.name.clone(), active => "tests", test => Serde(&found.test), history => Serde(history), next, first,
    };
    page(&allowed.holder, "test.html", context)
}
