//! `/costs`: minutes and money, slowest steps, caches, the budget.

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
use crate::api::costs::{UsageWish, read_costs};
use crate::site::Site;

/// Lengths of time that the form offers.
const SINCE: [(&str, &str); 4] = [("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"), ("365d", "a year")];

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let get = |name: &str| query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let (repository, from, to) = (get("repository"), get("from"), get("to"));
    let since = get("since").filter(|_| from.is_none());
    let wish = UsageWish { repository: repository.clone(), since: since.clone(), from: from.clone(), to: to.clone() };
    let costs = read_costs(&site, &allowed, wish).await?;
    let groups = [
        ("By workflow", "Workflow", &costs.workflows),
        ("By job", "Job", &costs.jobs),
        ("By service", "Service", &costs.services),
        ("By label of runs-on", "Labels", &costs.labels),
    ];
    let context = context! {
        title => "Costs", active => "costs", costs => Serde(&costs), groups => Serde(&groups), lengths => SINCE,
        repository => repository.unwrap_or_default(),
        since => since.unwrap_or_else(|| if from.is_some() { String::new() } else { "30d".to_owned() }),
        from => from.unwrap_or_default(), to => to.unwrap_or_default(),
    };
    page(&allowed.holder, "costs.html", context)
}
