//! `…/live`: the log of a job as it grows. Events carry HTML of up to 200 lines, each with the place behind it as its id,
//! so that a browser that comes back misses no line and gets none twice.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State as Given;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::store::RunId;
use engine::store::listing::FACTS_MAX;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use workflow::run::JobRunKey;

use super::steps::{self, ShownStep, Sight, StepLog, parse};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::{Path, Query, bad, store, unreadable};
use crate::api::view::Jobs;
use crate::pages::live;
use crate::pages::log::{Lines, Stamp, stamped, stamps};
use crate::pages::render::part;
use crate::pages::shown::ShownJob;
use crate::site::Site;

/// Lines of one event.
const EVENT_LINES: u64 = 200;
/// Bytes of lines that are read at once.
const EVENT_BYTES: u64 = 256 * 1_024;
/// After so many milliseconds a browser comes back; by itself it waits for several seconds.
const RETRY: &str = "retry: 1000\n\n";
/// Steps of a place.
const STEPS_MAX: usize = 2_000;

/// How many lines of each step a browser has, as text: `s=12.s0=400`.
pub(super) fn place(steps: &[ShownStep]) -> String {
    let known = steps.iter().map(|step| format!("{}={}", step.id, step.lines));
    known.collect::<Vec<_>>().join(".")
}

type Known = BTreeMap<String, u64>;

fn read_place(text: &str) -> Option<Known> {
    let parts = text.split('.').filter(|part| !part.is_empty()).take(STEPS_MAX);
    parts
        .map(|part| {
            let (id, lines) = part.split_once('=')?;
            parse(id)?;
            Some((id.to_owned(), lines.parse().ok()?))
        })
        .collect()
}

struct Client {
    site: Arc<Site>,
    run: RunId,
    key: JobRunKey,
    jobs: Jobs,
    seq: u64,
    news: watch::Receiver<u64>,
    known: Known,
    /// What each step was last said to be.
    told: HashMap<String, &'static str>,
    events: VecDeque<String>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

pub(in crate::pages) async fn follow(
    Given(site): Given<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, name)): Path<(u64, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (run, key, _) = super::find(&site, &allowed, id, &name).await?;
    let permit = live::place(&site, &headers)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    let last = last.or_else(|| query.get("after").map(String::as_str)).unwrap_or_default();
    let known = read_place(last).ok_or_else(|| bad("query", "the place is none of ours".to_owned()))?;
    let mut news = site.follow.news(run.id);
    news.mark_changed();
    let stop = site.follow.stop().clone();
    let client = Client {
        jobs: Jobs::of(run.id),
        run: run.id,
        site,
        key,
        seq: 0,
        news,
        known,
        told: HashMap::new(),
        events: VecDeque::from([RETRY.to_owned()]),
        is_over: false,
        _place: permit,
    };
    let bytes = futures_util::stream::unfold((client, false), move |(mut client, is_ended)| {
        let stop = stop.clone();
        async move {
            if is_ended {
                return None;
            }
            let next = tokio::select! {
                next = client.next() => next,
                () = stop.cancelled() => None,
            };
            let (text, is_end) = next?;
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), (client, is_end)))
        }
    });
    Ok(live::as_stream(Body::from_stream(bytes)))
}

impl Client {
    /// The next bytes, and whether they are the last.
    async fn next(&mut self) -> Option<(String, bool)> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some((event, false));
            }
            if self.is_over {
                return Some(("event: end\ndata: end\n\n".to_owned(), true));
            }
            match tokio::time::timeout(live::HEARTBEAT, self.news.changed()).await {
                Err(_) => return Some((live::ALIVE.to_owned(), false)),
                Ok(Err(_)) => return None,
                Ok(Ok(())) => {}
            }
            if let Err(problem) = self.gather().await {
                tracing::warn!(problem = problem.detail(), run = %self.run, "a log that is followed cannot be read");
                return None;
            }
        }
    }

    async fn gather(&mut self) -> Result<(), Problem> {
        let mut is_new = false;
        loop {
            let facts = self.site.listing.facts(self.run, self.seq).await.map_err(|error| store(&error))?;
            facts.iter().for_each(|fact| self.jobs.add(fact));
            self.seq = facts.last().map_or(self.seq, |fact| fact.seq);
            is_new |= !facts.is_empty();
            if facts.len() < FACTS_MAX {
                break;
            }
        }
        let Some(job) = self.jobs.jobs.get(&self.key) else { return Ok(()) };
        let is_over = job.status == "completed";
        let steps = steps::of(&self.site.api.folders.logs(self.run), job);
        if is_new {
            let head = part("job-head.html", context! { job => Serde(ShownJob::of(job, Timestamp::now())) })?;
            self.events.push_back(event("head", "", &json!({ "h": head }).to_string()));
        }
        let logs = self.site.logs.clone();
        let read = tokio::task::spawn_blocking({
            let steps = steps.clone();
            move || steps::read(&logs, steps, &Sight::default())
        });
        let shown = if is_new {
            read.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?
        } else {
            Vec::new()
        };
        for step in &shown {
            if self.told.insert(step.id.clone(), step.word()) != Some(step.word()) {
                let head = part("step-head.html", context! { step => Serde(step), is_live => true })?;
                let data = json!({ "s": step.id, "w": step.word(), "h": head });
                self.events.push_back(event("step", "", &data.to_string()));
            }
        }
        for step in steps {
            self.lines(step, is_over).await?;
        }
        self.is_over = is_over;
        Ok(())
    }

    /// Lines of one step that the browser does not have.
    async fn lines(&mut self, step: StepLog, is_over: bool) -> Result<(), Problem> {
        let Some(word) = self.told.get(&step.id).copied() else { return Ok(()) };
        let is_ended = is_over || !matches!(word, "in_progress" | "queued");
        let mut from = self.known.get(&step.id).copied().unwrap_or(0) + 1;
        loop {
            let (logs, path) = (self.site.logs.clone(), step.path.clone());
            let read = tokio::task::spawn_blocking(move || {
                if !path.exists() {
                    return Ok(<(Lines, Vec<Stamp>)>::default());
                }
                let length = logs.length(&path)?;
                // A line that has no end yet is not shown until it has, or until nothing more comes.
                let whole = if length.is_open && !is_ended { length.lines - 1 } else { length.lines };
                let count = (whole + 1).saturating_sub(from).min(EVENT_LINES);
                if count == 0 {
                    return Ok(<(Lines, Vec<Stamp>)>::default());
                }
                let lines = logs.lines(&path, from, count, EVENT_BYTES)?;
                let times = stamps(&path, &lines)?;
                Ok((lines, times))
            });
            let (mut part, times) =
                read.await.map_err(|error| unreadable(&error))?.map_err(|error: std::io::Error| unreadable(&error))?;
            if part.lines.is_empty() {
                return Ok(());
            }
            let pieces = stamped(&step.id, part.first, &part.lines, &mut part.state, &[]);
            let pieces: Vec<_> = pieces.iter().map(|one| json!([one.kind.number(), one.html, one.has_error])).collect();
            let behind = part.first + part.lines.len() as u64;
            self.known.insert(step.id.clone(), behind - 1);
            let place: Vec<_> = self.known.iter().map(|(id, lines)| format!("{id}={lines}")).collect();
            let data = json!({ "s": step.id, "n": behind - 1, "p": pieces, "t": times });
            self.events.push_back(event("lines", &place.join("."), &data.to_string()));
            from = behind;
        }
    }
}

fn event(name: &str, id: &str, data: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!("id: {id}\n") };
    format!("{id}event: {name}\ndata: {data}\n\n")
}
