//! `/`: runs, newest first, with those on top that wait for people; what to do next where there are none.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::store::RunId;
use engine::store::listing::{RunFilter, RunListed};
use engine::store::tokens::Holder;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::filters::encoded;
use super::live::{self, Parts, Watch};
use super::render::{page, part};
use super::shown::{self, Run};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::{Query, store};
use crate::api::gates::{self, Gate};
use crate::api::view::Jobs;
use crate::site::Site;

/// Runs of a page.
const LISTED: usize = 50;
/// Runs on top that wait for people.
const WAITING_MAX: usize = 10;
/// How often a list that somebody looks at is read again; less often the more do.
const EVERY: Duration = Duration::from_secs(1);

/// What the address asks for. A form sends empty texts for what nobody filled in.
#[derive(Debug, Clone, Default, Serialize)]
struct Filters {
    repository: String,
    workflow: String,
    branch: String,
    status: String,
    actor: String,
    event: String,
    before: String,
}

impl Filters {
    fn of(mut query: HashMap<String, String>) -> Self {
        let mut take = |name: &str| query.remove(name).map(|value| value.trim().to_owned()).unwrap_or_default();
        Self {
            repository: take("repository"),
            workflow: take("workflow"),
            branch: take("branch"),
            status: take("status"),
            actor: take("actor"),
            event: take("event"),
            before: take("before"),
        }
    }

    fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("repository", &self.repository),
            ("workflow", &self.workflow),
            ("branch", &self.branch),
            ("status", &self.status),
            ("actor", &self.actor),
            ("event", &self.event),
        ]
    }

    fn is_empty(&self) -> bool {
        self.pairs().iter().all(|(_, value)| value.is_empty())
    }

    /// As a query, with a place to go on from.
    fn query(&self, before: Option<RunId>) -> String {
        let pairs = self.pairs().into_iter().filter(|(_, value)| !value.is_empty());
        let mut pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        pairs.extend(before.map(|run| format!("before={run}")));
        pairs.join("&")
    }

    fn filter(&self, holder: &Holder) -> RunFilter {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        RunFilter {
            repository: some(&self.repository),
            workflow: some(&self.workflow),
            branch: some(&self.branch),
            status: some(&self.status),
            actor: some(&self.actor),
            event: some(&self.event),
            before: self.before.parse().ok().map(RunId),
            visible: holder.repositories.clone(),
            limit: LISTED,
            ..RunFilter::default()
        }
    }
}

/// A run that waits, and for whom.
#[derive(Debug, Serialize)]
struct Waiting {
    run: Run,
    environments: Vec<String>,
    /// What its jobs ask whoever looks.
    gates: Vec<Gate>,
    /// Somebody has to let it begin.
    held: bool,
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let filters = Filters::of(query);
    let runs = site.listing.list(filters.filter(&allowed.holder)).await.map_err(|error| store(&error))?;
    let registered = site.repositories.all().await.map_err(|error| store(&error))?;
    let mut names: Vec<_> = registered.into_iter().map(|one| one.full_name).collect();
    names.retain(|name| allowed.may_see(name));
    if runs.is_empty() && filters.is_empty() && filters.before.is_empty() {
        let title = "Welcome";
        return page(&allowed.holder, "start.html", context! { title, active => "runs", repositories => names });
    }
    let next = runs.last().filter(|_| runs.len() == LISTED).map(|run| format!("/?{}", filters.query(Some(run.id))));
    let (first, is_first) = (format!("/?{}", filters.query(None)), filters.before.is_empty());
    let context = context! {
        title => "Runs", active => "runs", names, next, first => if is_first { "" } else { &first }, is_first,
        is_live => false, filters => Serde(&filters), is_filtered => !filters.is_empty(), mine => allowed.holder.person(),
        live => format!("/live?{}", filters.query(None)),
        ..parts(&site, &allowed.holder, runs).await?
    };
    page(&allowed.holder, "runs.html", context)
}

/// What changes while somebody looks.
async fn parts(site: &Site, holder: &Holder, runs: Vec<RunListed>) -> Result<Value, Problem> {
    let now = Timestamp::now();
    let filter = |status: &str| RunFilter {
        status: Some(status.to_owned()),
        visible: holder.repositories.clone(),
        limit: WAITING_MAX,
        ..RunFilter::default()
    };
    // One job may wait while another goes on.
    let mut candidates = site.listing.list(filter("waiting")).await.map_err(|error| store(&error))?;
    candidates.extend(site.listing.list(filter("in_progress")).await.map_err(|error| store(&error))?);
    let mut gates = gates::waiting_anywhere(site, holder).await?;
    gates.retain(|gate| gate.why_not.is_none());
    for gate in gates.iter().take(WAITING_MAX) {
        // It may be older than those that were looked at.
        if !candidates.iter().any(|run| run.id.0 == gate.run) {
            candidates.extend(site.listing.one(RunId(gate.run)).await.map_err(|error| store(&error))?);
        }
    }
    let mut waiting = Vec::new();
    for run in candidates {
        let gates: Vec<Gate> = gates.iter().filter(|gate| gate.run == run.id.0).cloned().collect();
        let jobs = Jobs::read(&site.listing, run.id).await.map_err(|error| store(&error))?;
        let environments = shown::waiting(&jobs);
        let held = jobs.held.is_some();
        if held || !environments.is_empty() || !gates.is_empty() {
            waiting.push(Waiting { run: Run::of(run, now), environments, gates, held });
        }
    }
    let runs: Vec<Run> = runs.into_iter().map(|run| Run::of(run, now)).collect();
    Ok(context! { runs => Serde(runs), waiting => Serde(waiting) })
}

/// `/live`: the list again whenever it changes.
pub(super) async fn follow(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filters = Filters { before: String::new(), ..Filters::of(query) };
    let place = live::place(&site, &headers)?;
    let stop = site.follow.stop().clone();
    let look = Look { site, holder: allowed.holder, filters, sent: Parts::default(), is_first: true };
    Ok(live::stream(place, look, stop))
}

struct Look {
    site: Arc<Site>,
    holder: Holder,
    filters: Filters,
    sent: Parts,
    is_first: bool,
}

impl Watch for Look {
    async fn wait(&mut self) -> bool {
        if !self.is_first {
            tokio::time::sleep(EVERY + Duration::from_millis(10) * self.site.follow.followers()).await;
        }
        true
    }

    async fn look(&mut self) -> Result<(String, bool), Problem> {
        self.is_first = false;
        let runs = self.site.listing.list(self.filters.filter(&self.holder)).await.map_err(|error| store(&error))?;
        let context = context! { is_live => true, ..parts(&self.site, &self.holder, runs).await? };
        Ok((self.sent.changed([("#runs", part("runs-live.html", context)?)]), false))
    }
}
