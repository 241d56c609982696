//! `/insights`: DORA's figures of an environment, by service, with what failed; how long runs take and jobs wait.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;

use super::render::page;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::Query;
use crate::api::costs::{UsageWish, read_speed};
use crate::api::insights::{DoraWish, dora_report};
use crate::site::Site;

/// Lengths of time that the form offers.
const SINCE: [(&str, &str); 4] = [("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"), ("365d", "a year")];

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let get = |name: &str| query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let (repository, service, timezone) = (get("repository"), get("service"), get("timezone"));
    let (from, to) = (get("from"), get("to"));
    // A form sends all of its fields: days that are given count more than a length.
    let since = get("since").filter(|_| from.is_none());
    let wish = DoraWish {
        environment: get("environment"),
        repository: repository.clone(),
        service: service.clone(),
        since: since.clone(),
        from: from.clone(),
        to: to.clone(),
        timezone: timezone.clone(),
    };
    let days = UsageWish { repository: repository.clone(), since: since.clone(), from: from.clone(), to: to.clone() };
    let report = dora_report(&site, &allowed, wish).await?;
    let speed = read_speed(&site, &allowed, days).await?;
    let context = context! {
        title => "Insights", active => "insights", report => Serde(&report), speed => Serde(&speed), lengths => SINCE,
        repository => repository.unwrap_or_default(), service => service.unwrap_or_default(),
        since => since.unwrap_or_else(|| if from.is_some() { String::new() } else { "30d".to_owned() }),
        from => from.unwrap_or_default(), to => to.unwrap_or_default(), timezone => timezone.unwrap_or_default(),
    };
    page(&allowed.holder, "insights.html", context)
}
