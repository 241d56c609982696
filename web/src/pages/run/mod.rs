//! `/runs/{id}`: a run with its graph, its jobs in time, and what it left; its buttons and its stream.

mod deeds;
mod graph;
mod left;
mod times;

pub(super) use deeds::{approve, cancel, rerun};
pub(crate) use graph::planned_id;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::service::RunSpec;
use engine::store::listing::RunListed;
use engine::store::tokens::Holder;
use engine::store::{RunId, RunStatus};
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::{Serde, Value, merge_maps};
use tokio::sync::watch;
use workflow::plan::Plan;

use super::live::{self, Parts, Watch};
use super::render::{self, page, part};
use super::rollout::Shown;
use super::shown::{self, Run, ShownJob};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::{Path, store};
use crate::api::gates::{self, Gate};
use crate::api::rollouts::{Seen, of_run};
use crate::api::runs::visible;
use crate::api::view::Jobs;
use crate::site::Site;

/// Least time between two parts of a page.
const PAUSE: Duration = Duration::from_millis(300);
/// How often rollouts are looked at, which change without a fact of the run.
const EVERY_ROLLOUT: Duration = Duration::from_millis(500);

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
) -> Result<Response, Problem> {
    let run = visible(&site, &allowed, RunId(id)).await?;
    let planned = Planned::read(&site, run.id).await;
    let title = format!("{} #{}", Run::of(run.clone(), Timestamp::now()).name, run.number);
    let left = left::left(&site, &run).await?;
    let rollouts = of_run(&site, &allowed.holder, run.id).await?;
    let context = context! {
        title, active => "runs", is_live => false, live => format!("/runs/{id}/live"), problem => planned.problem.clone(),
        ..merge_maps([left, parts(&site, &allowed.holder, run, &planned, rollouts).await?])
    };
    page(&allowed.holder, "run.html", context)
}

/// What a run was asked for, as a graph.
pub(super) struct Planned {
    plan: Option<Plan>,
    /// Diagnostics, where it could not begin.
    problem: Option<String>,
}

impl Planned {
    pub(super) async fn read(site: &Site, run: RunId) -> Self {
        let spec: Option<RunSpec> = site.store.spec(run).await.unwrap_or_else(|error| {
            tracing::warn!(%error, %run, "a run is shown without its graph");
            None
        });
        let Some(spec) = spec else { return Self { plan: None, problem: None } };
        if let Some(problem) = &spec.problem {
            return Self { plan: None, problem: Some(problem.join("\n\n")) };
        }
        match spec.plan() {
            Ok(plan) => Self { plan: Some(plan), problem: None },
            Err(problem) => Self { plan: None, problem: Some(problem) },
        }
    }

    /// Jobs that were not begun have no name of their own in the log; the workflow has one.
    pub(super) fn name(&self, jobs: &mut [ShownJob]) {
        let Some(plan) = &self.plan else { return };
        for job in jobs.iter_mut().filter(|job| job.started_at.is_none() && job.name == job.key) {
            let planned = plan.find(&job.key).and_then(|index| plan.job(index).name.as_ref());
            job.name = planned.cloned().unwrap_or_else(|| job.name.clone());
        }
    }
}

/// What changes while somebody looks.
async fn parts(
    site: &Site,
    holder: &Holder,
    run: RunListed,
    planned: &Planned,
    rollouts: Vec<Seen>,
) -> Result<Value, Problem> {
    let now = Timestamp::now();
    let jobs = Jobs::read(&site.listing, run.id).await.map_err(|error| store(&error))?;
    let attempts = site.listing.attempts(run.id).await.map_err(|error| store(&error))?;
    let waiting = shown::waiting(&jobs);
    let mut listed: Vec<ShownJob> = jobs.jobs.values().map(|job| ShownJob::of(job, now)).collect();
    planned.name(&mut listed);
    let run = Run::of(run, now);
    let (gates, rollouts): (Vec<Seen>, Vec<Seen>) = rollouts.into_iter().partition(|seen| gates::is_gate(&seen.row));
    let gates = gates::all(site, holder, gates).await?;
    let (mut asking, answered): (Vec<Gate>, Vec<Gate>) = gates.into_iter().partition(|gate| gate.outcome.is_none());
    asking.retain(|_| !run.is_over);
    for job in listed.iter_mut().filter(|job| !job.is_over && asking.iter().any(|gate| gate.job == job.key)) {
        job.word = "waiting".to_owned();
    }
    times::lay_out(&mut listed, &run, planned.plan.as_ref(), now);
    let rollouts: Vec<Shown> = rollouts.into_iter().map(|seen| Shown::of(seen, holder, now, false)).collect();
    let graph = planned.plan.as_ref().map(|plan| graph::draw(plan, &listed, &rollouts, run.run.id));
    let failed = listed.iter().filter(|job| job.word == "failure" || job.word == "cancelled").count();
    Ok(context! {
        me => render::me(holder),
        run => Serde(&run), jobs => Serde(&listed), graph => Serde(graph), failed, waiting,
        attempts => Serde(attempts.iter().map(|one| (one.id, one.attempt)).collect::<Vec<_>>()),
        rollouts => Serde(&rollouts), gates => Serde(&asking), answered => Serde(&answered), refused => jobs.refused, cancelled_by => jobs.cancelled_by, held => jobs.held,
        released_by => jobs.released_by,
    })
}

/// `/runs/{id}/live`: its parts again whenever they change, until it is over.
pub(super) async fn follow(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&site, &allowed, RunId(id)).await?;
    let place = live::place(&site, &headers)?;
    let planned = Planned::read(&site, run.id).await;
    let mut news = site.follow.news(run.id);
    news.mark_changed();
    let stop = site.follow.stop().clone();
    let look = Look {
        holder: allowed.holder,
        run: run.id,
        planned,
        news,
        left: (0, String::new()),
        changed: site.rollouts.changed(),
        has_rollouts: true,
        sent: Parts::default(),
        site,
    };
    Ok(live::stream(place, look, stop))
}

struct Look {
    site: Arc<Site>,
    holder: Holder,
    run: RunId,
    planned: Planned,
    news: watch::Receiver<u64>,
    /// How many jobs had ended when what was left was looked for, and what it was.
    left: (usize, String),
    /// Rollouts of this process, of whatever run.
    changed: watch::Receiver<u64>,
    /// Whether there is one that another process may drive.
    has_rollouts: bool,
    sent: Parts,
}

impl Watch for Look {
    async fn wait(&mut self) -> bool {
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            changed = self.news.changed() => changed.is_ok(),
            changed = self.changed.changed() => changed.is_ok(),
            () = tokio::time::sleep(EVERY_ROLLOUT), if self.has_rollouts => true,
        }
    }

    async fn look(&mut self) -> Result<(String, bool), Problem> {
        let run = self.site.listing.one(self.run).await.map_err(|error| store(&error))?;
        let Some(run) = run else { return Ok((String::new(), true)) };
        let is_over = run.status == RunStatus::Completed;
        let jobs = Jobs::read(&self.site.listing, run.id).await.map_err(|error| store(&error))?;
        let ended = 1 + jobs.jobs.values().filter(|job| job.finished_at.is_some()).count();
        if ended != self.left.0 {
            let listed = context! { run => Serde(Run::of(run.clone(), Timestamp::now())) };
            let left = merge_maps([listed, left::left(&self.site, &run).await?]);
            self.left = (ended, part("run-left.html", left)?);
        }
        let rollouts = of_run(&self.site, &self.holder, run.id).await?;
        self.has_rollouts = rollouts.iter().any(|seen| seen.view.outcome.is_none());
        let live = context! { is_live => true };
        let context = merge_maps([live, parts(&self.site, &self.holder, run, &self.planned, rollouts).await?]);
        let (head, body) = (part("run-head.html", context.clone())?, part("run-body.html", context)?);
        let parts = [("#run-head", head), ("#run-body", body), ("#run-left", self.left.1.clone())];
        Ok((self.sent.changed(parts), is_over))
    }
}
