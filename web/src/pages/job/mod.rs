//! `/runs/{id}/jobs/{job}`: the log of a job, step by step.
//!
//! Steps that went well are closed, those that failed or go on are open. What is short stands in the page; of what is
//! long the first and the last lines do, and the rest comes when it is asked for, with a script or by a link.

mod follow;
mod places;
mod search;
mod steps;

pub(super) use follow::follow;
pub(super) use places::{at, times};

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use engine::store::RunId;
use engine::store::listing::RunListed;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use workflow::run::JobRunKey;

use super::render::page;
use super::shown::{Run, ShownJob};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::{Path, Query, bad, store, unreadable};
use crate::api::logs::{job as job_of, key_of};
use crate::api::not_found;
use crate::api::runs::visible;
use crate::api::view::{Job, Jobs};
use crate::site::Site;

use steps::{Sight, StepLog};

/// Lines of one asking.
const LINES_MAX: u64 = 20_000;

/// A job of a run that somebody may see. Its name is its key, or its id in the API.
async fn find<N>(
    site: &Site,
    allowed: &Allowed<N>,
    id: u64,
    name: &str,
) -> Result<(RunListed, JobRunKey, Jobs), Problem> {
    let none = || not_found(format!("run {id} has no such job; its page lists them"));
    let run = visible(site, allowed, RunId(id)).await?;
    let key = match job_of(name) {
        Some((of, key)) if of == run.id => key,
        Some(_) => return Err(none()),
        None => key_of(name).ok_or_else(none)?,
    };
    let jobs = Jobs::read(&site.listing, run.id).await.map_err(|error| store(&error))?;
    if jobs.jobs.contains_key(&key) { Ok((run, key, jobs)) } else { Err(none()) }
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, name)): Path<(u64, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let (run, key, jobs) = find(&site, &allowed, id, &name).await?;
    let now = Timestamp::now();
    let get = |name: &str| query.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let wanted = get("q").map(str::to_owned);
    let (folder, logs) = (site.api.folders.logs(run.id), site.logs.clone());
    let job = jobs.jobs.get(&key).ok_or_else(|| not_found("there is no such job"))?;
    let mut begun = steps::of(&folder, job);
    let is_timed = get("times").is_some();
    begun.iter_mut().for_each(|step| step.is_timed = is_timed);
    let mut sight = Sight {
        step: get("step").map(str::to_owned),
        from: get("from").and_then(|from| from.parse().ok()),
        hits: HashMap::new(),
    };
    let found = match &wanted {
        None => None,
        Some(wanted) => {
            let hits = search::all(&begun, wanted).await?;
            let found = search::choose(hits, get("n").and_then(|number| number.parse().ok()), wanted, &mut sight);
            Some(found)
        }
    };
    let read = tokio::task::spawn_blocking(move || steps::read(&logs, begun, &sight));
    let shown = read.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    let mut siblings: Vec<_> = jobs.jobs.values().filter(|job| !job.calls).map(|job| ShownJob::of(job, now)).collect();
    if siblings.iter().any(|job| job.started_at.is_none()) {
        super::run::Planned::read(&site, run.id).await.name(&mut siblings);
    }
    let mut shown_job = ShownJob::of(job, now);
    if let Some(sibling) = siblings.iter().find(|sibling| sibling.key == shown_job.key) {
        shown_job.name.clone_from(&sibling.name);
    }
    let place = follow::place(&shown);
    let title = format!("{} · {}", shown_job.name, run.title);
    let context = context! {
        title, active => "runs", is_live => false, siblings => Serde(siblings), key => key.to_string(),
        live => format!("/runs/{id}/jobs/{}/live?after={place}", shown_job.link),
        run => Serde(Run::of(run, now)), job => Serde(&shown_job), steps => Serde(&shown), q => wanted.unwrap_or_default(),
        found => Serde(found), is_timed,
    };
    page(&allowed.holder, "job.html", context)
}

/// `…/lines`: a part of a step's log as HTML, for scripts.
pub(super) async fn lines(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, name)): Path<(u64, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let (run, key, _) = find(&site, &allowed, id, &name).await?;
    let step = steps::parse(query.get("step").map_or("", String::as_str))
        .ok_or_else(|| bad("query", "`step` is `s` or `s` and a number".to_owned()))?;
    let number = |name: &str| query.get(name).map(|text| text.parse::<u64>()).transpose();
    let wrong = |_| bad("query", "`from` and `to` are numbers of lines".to_owned());
    let (from, to) = (number("from").map_err(wrong)?, number("to").map_err(wrong)?);
    let step = StepLog::of(&site.api.folders.logs(run.id), &key, step);
    let logs = site.logs.clone();
    let read = tokio::task::spawn_blocking(move || match from {
        None => steps::whole(&logs, &step),
        Some(from) => {
            let from = from.max(1);
            let count = to.unwrap_or(u64::MAX).saturating_sub(from).saturating_add(1).min(LINES_MAX);
            steps::part(&logs, &step, from, count)
        }
    });
    let html = read.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    let mut response = html.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Ok(response)
}

/// `…/search`: where a text is, for scripts.
pub(super) async fn find_text(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, name)): Path<(u64, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (run, key, jobs) = find(&site, &allowed, id, &name).await?;
    let wanted = query.get("q").filter(|wanted| !wanted.is_empty());
    let wanted = wanted.ok_or_else(|| bad("query", "`q` is what to look for".to_owned()))?;
    let job: &Job = jobs.jobs.get(&key).ok_or_else(|| not_found("there is no such job"))?;
    let hits = search::all(&steps::of(&site.api.folders.logs(run.id), job), wanted).await?;
    crate::api::answer::json(&headers, &hits)
}

/// `…/raw`: the log as it was written, whole or of one step, in a browser's window or as a file.
pub(super) async fn raw(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, name)): Path<(u64, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (run, key, _) = find(&site, &allowed, id, &name).await?;
    let step = query.get("step").map(String::as_str).filter(|step| !step.is_empty());
    let is_file = query.contains_key("download");
    let id = format!("{}:{key}", run.id);
    let mut response = crate::api::logs::whole(&site, &allowed, &id, step, &headers).await?;
    if !is_file {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    }
    Ok(response)
}
