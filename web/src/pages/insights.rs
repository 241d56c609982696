//! `/insights`: DORA's figures of an environment, by service, with what failed; how long runs take and jobs wait.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;

use super::days::{Days, filled};
use super::render::page;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::Query;
use crate::api::costs::read_speed;
use crate::api::insights::{DoraWish, dora_report};
use crate::site::Site;

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let days = Days::of(&query);
    let (service, timezone) = (filled(&query, "service"), filled(&query, "timezone"));
    let wish = DoraWish {
        environment: filled(&query, "environment"),
        repository: days.repository.clone(),
        service: service.clone(),
        since: days.since.clone(),
        from: days.from.clone(),
        to: days.to.clone(),
        timezone: timezone.clone(),
    };
    let report = dora_report(&site, &allowed, wish).await?;
    let speed = read_speed(&site, &allowed, days.wish()).await?;
    let context = context! {
        title => "Insights", active => "insights", report => Serde(&report), speed => Serde(&speed),
        service => service.unwrap_or_default(), timezone => timezone.unwrap_or_default(),
        ..days.context()
    };
    page(&allowed.holder, "insights.html", context)
}
