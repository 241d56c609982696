//! `/environments/{name}` and `/rollouts/{id}`: what goes on somewhere as it happens, with the buttons that steer it, and
//! what went on before.

mod deeds;
mod shown;
mod words;

pub(super) use deeds::{order, rollback};
pub(super) use shown::Shown;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use engine::store::rollouts::RolloutFilter;
use engine::store::tokens::Holder;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use tokio::sync::watch;

use super::live::{self, Parts, Watch};
use super::render::{me, page, part};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::{Path, Query, store};
use crate::api::gates::{self, Gate};
use crate::api::rollouts::{Seen, changes, newest, place, visible};
use crate::site::Site;

/// Rollouts that are listed below an environment.
const HISTORY: usize = 20;
/// What is sent again by itself, by how often it changes: what somebody types or opens in one is not lost by another.
const PARTS: [(&str, &str); 5] = [
    ("rollout", "rollout-live.html"),
    ("say", "rollout-said.html"),
    ("orders", "rollout-orders.html"),
    ("more", "rollout-more.html"),
    ("story", "rollout-story.html"),
];
/// How often a page looks; others than this process may drive a rollout.
const EVERY: Duration = Duration::from_millis(500);
/// Least time between two looks.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn environment(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let (found, rollouts) = place(&site, &allowed, &name).await?;
    let name = found["name"].as_str().unwrap_or(&name).to_owned();
    let shown = shown(rollouts, &allowed.holder);
    let history = history(&site, &allowed.holder, &name).await?;
    let have = have(&allowed.holder, &shown, "environment")?;
    let gates = asking(&site, &allowed.holder, &name).await?;
    let context = context! {
        have,
        title => format!("Environment {name}"), active => "environments", name, one => Serde(&found),
        rollouts => Serde(&shown), gates => Serde(&gates), history => Serde(&history), back => "environment",
    };
    page(&allowed.holder, "environment.html", context)
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
) -> Result<Response, Problem> {
    let seen = visible(&site, &allowed.holder, id).await?;
    if let Some(run) = seen.row.run.filter(|_| gates::is_gate(&seen.row)) {
        return Ok(Redirect::to(&format!("/runs/{run}/gates/{id}")).into_response());
    }
    let changes = changes(&site, &seen).await?;
    let is_newest = is_newest(&site, &allowed.holder, &seen).await?;
    let deployment = match seen.row.run {
        Some(run) => site.deployments.of_job(run, &seen.row.job).await.map_err(|error| store(&error))?,
        None => None,
    };
    let shown = [Shown::of(seen, &allowed.holder, Timestamp::now(), is_newest)];
    let have = have(&allowed.holder, &shown, "rollout")?;
    let [shown] = shown;
    let context = context! {
        have,
        title => format!("Rollout {id}: {} to {}", shown.service, shown.environment), active => "environments",
        one => Serde(&shown), changes => Serde(&changes), deployment => deployment.map(|one| one.id), back => "rollout",
    };
    page(&allowed.holder, "rollout.html", context)
}

/// What a page has of each rollout: its number, and a mark of its buttons.
fn have(holder: &Holder, rollouts: &[Shown], back: &str) -> Result<String, Problem> {
    let one = |one: &Shown| Ok(format!("{}-{}", one.id, live::mark(&orders(holder, one, back)?)));
    Ok(rollouts.iter().map(one).collect::<Result<Vec<_>, Problem>>()?.join("."))
}

fn orders(holder: &Holder, one: &Shown, back: &str) -> Result<String, Problem> {
    part("rollout-orders.html", context! { me => me(holder), one => Serde(one), back })
}

/// Whether what stands there was told by this rollout, and not by a later one.
async fn is_newest(site: &Site, holder: &Holder, seen: &Seen) -> Result<bool, Problem> {
    let found = newest(site, holder, Some(seen.row.environment.clone())).await?;
    Ok(found.iter().any(|one| one.row.id == seen.row.id))
}

fn shown(rollouts: Vec<Seen>, holder: &Holder) -> Vec<Shown> {
    let now = Timestamp::now();
    // What jobs ask people has a place of its own.
    let rollouts = rollouts.into_iter().filter(|seen| !gates::is_gate(&seen.row));
    let mut shown: Vec<_> = rollouts.map(|seen| Shown::of(seen, holder, now, true)).collect();
    // What somebody has to look at comes first.
    shown.sort_by_key(|one| (!one.is_stuck, !one.is_active));
    shown
}

/// What jobs ask people for an environment.
async fn asking(site: &Site, holder: &Holder, name: &str) -> Result<Vec<Gate>, Problem> {
    let mut gates = gates::waiting_anywhere(site, holder).await?;
    gates.retain(|gate| gate.environment.eq_ignore_ascii_case(name));
    Ok(gates)
}

/// What was rolled out to an environment, newest first.
async fn history(site: &Site, holder: &Holder, name: &str) -> Result<Vec<Shown>, Problem> {
    let filter = RolloutFilter { environment: Some(name.to_owned()), limit: HISTORY, ..RolloutFilter::default() };
    let rows = site.rollouts.list(filter).await.map_err(|error| store(&error))?;
    let now = Timestamp::now();
    Ok(Seen::all(rows, holder).into_iter().map(|seen| Shown::of(seen, holder, now, false)).collect())
}

/// What a page has already: another rollout may have begun before it asked for its stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    /// `NUMBER-MARK` of rollouts, with points between them.
    have: String,
}

impl Known {
    fn all(&self) -> Vec<(u64, String)> {
        let pairs = self.have.split('.').filter_map(|one| one.split_once('-'));
        pairs.filter_map(|(id, mark)| Some((id.parse().ok()?, mark.to_owned()))).collect()
    }
}

/// `/environments/{name}/live`: what goes on there, again whenever it changes.
pub(super) async fn follow_environment(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(name): Path<String>,
    Query(known): Query<Known>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    place(&site, &allowed, &name).await?;
    follow_it(site, allowed.holder, Of::Environment(name), &known, &headers)
}

/// `/rollouts/{id}/live`: the same of one rollout.
pub(super) async fn follow(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    Query(known): Query<Known>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    visible(&site, &allowed.holder, id).await?;
    follow_it(site, allowed.holder, Of::Rollout(id), &known, &headers)
}

fn follow_it(site: Arc<Site>, holder: Holder, of: Of, known: &Known, headers: &HeaderMap) -> Result<Response, Problem> {
    let place = live::place(&site, headers)?;
    let stop = site.follow.stop().clone();
    let changed = site.rollouts.changed();
    let mut marks = known.all();
    let ids = marks.iter().map(|(id, _)| *id).collect();
    if live::is_again(headers) {
        // Its buttons may have been others since.
        marks.clear();
    }
    let look = Look { site, holder, of, ids, marks, is_first: true, changed, sent: Parts::default() };
    Ok(live::stream(place, look, stop))
}

/// What somebody looks at.
enum Of {
    Environment(String),
    Rollout(u64),
}

struct Look {
    site: Arc<Site>,
    holder: Holder,
    of: Of,
    /// The rollouts whose parts the page has.
    ids: Vec<u64>,
    /// Marks of the buttons that it has; looked at once.
    marks: Vec<(u64, String)>,
    is_first: bool,
    changed: watch::Receiver<u64>,
    sent: Parts,
}

impl Watch for Look {
    async fn wait(&mut self) -> bool {
        if !self.is_first {
            tokio::time::sleep(PAUSE + Duration::from_millis(1) * self.site.follow.followers()).await;
            tokio::select! {
                _changed = self.changed.changed() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        true
    }

    async fn look(&mut self) -> Result<(String, bool), Problem> {
        self.is_first = false;
        let (rollouts, history, back) = match &self.of {
            Of::Environment(name) => {
                let seen = newest(&self.site, &self.holder, Some(name.clone())).await?;
                (shown(seen, &self.holder), Some(history(&self.site, &self.holder, name).await?), "environment")
            }
            Of::Rollout(id) => {
                let seen = visible(&self.site, &self.holder, *id).await?;
                let is_newest = is_newest(&self.site, &self.holder, &seen).await?;
                (vec![Shown::of(seen, &self.holder, Timestamp::now(), is_newest)], None, "rollout")
            }
        };
        let mut parts = Vec::new();
        for one in &rollouts {
            let context = context! { me => me(&self.holder), one => Serde(one), back };
            for (place, template) in PARTS {
                let (target, html) = (format!("#{place}-{}", one.id), part(template, context.clone())?);
                // What somebody has opened or typed there already is not put in its place again.
                if place == "orders"
                    && self.marks.iter().any(|(id, known)| *id == one.id && *known == live::mark(&html))
                {
                    self.sent.has(&target, &html);
                }
                parts.push((target, html));
            }
        }
        let ids: Vec<u64> = rollouts.iter().map(|one| one.id).collect();
        let mut html = self.sent.changed(parts);
        if self.ids != ids {
            // Another rollout has begun: its place is not in the page yet.
            let context = context! { me => me(&self.holder), rollouts => Serde(&rollouts), back };
            html = self.sent.changed([("#services", part("rollouts.html", context)?)]);
        }
        self.ids = ids;
        self.marks.clear();
        if let Some(history) = history {
            let context = context! { me => me(&self.holder), history => Serde(&history) };
            html.push_str(&self.sent.changed([("#history", part("rollout-history.html", context)?)]));
        }
        if let Of::Environment(name) = &self.of {
            let gates = asking(&self.site, &self.holder, name).await?;
            let html_of = part("environment-gates.html", context! { gates => Serde(&gates) })?;
            html.push_str(&self.sent.changed([("#gates", html_of)]));
        }
        Ok((html, false))
    }
}
