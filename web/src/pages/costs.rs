//! `/costs`: minutes and money, slowest steps, caches, the budget.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;

use super::days::Days;
use super::render::page;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::Query;
use crate::api::costs::read_costs;
use crate::site::Site;

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let days = Days::of(&query);
    let costs = read_costs(&site, &allowed, days.wish()).await?;
    let groups = [
        ("By workflow", "Workflow", &costs.workflows),
        ("By job", "Job", &costs.jobs),
        ("By service", "Service", &costs.services),
        ("By label of runs-on", "Labels", &costs.labels),
    ];
    let context = context! {
        title => "Costs", active => "costs", costs => Serde(&costs), groups => Serde(&groups),
        ..days.context()
    };
    page(&allowed.holder, "costs.html", context)
}
