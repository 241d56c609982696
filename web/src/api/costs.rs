//! Minutes and money by workflow, job, service and label; slowest steps, caches, how long runs take; the budget.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::insights::costs::CostRules;
use engine::insights::{Window, WindowWish};
use engine::store::insights::{BudgetAlert, CacheUsage, Insights, JobUsage, StepUsage, Times, UsageFilter, day_of};
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::answer::{self, Query, store};
use super::insights::{Shown, window};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// Most entries of each list.
const LISTED_MAX: usize = 100;
/// Most jobs in the list of slow ones.
const SLOW_MAX: usize = 20;

/// What is asked for. Whole days, in UTC.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UsageWish {
    pub(crate) repository: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

/// What runs used, and what it cost.
#[derive(Debug, Serialize)]
pub(crate) struct Costs {
    pub(crate) window: Shown,
    /// Empty: prices are not set, and money is 0.
    pub(crate) currency: String,
    pub(crate) total: Sum,
    pub(crate) workflows: Vec<Entry>,
    pub(crate) jobs: Vec<Entry>,
    pub(crate) services: Vec<Entry>,
    pub(crate) labels: Vec<Entry>,
    pub(crate) steps: Vec<StepUsage>,
    pub(crate) caches: Vec<Cache>,
    pub(crate) budget: Option<Budget>,
}

/// Added up.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sum {
    /// Jobs.
    pub(crate) runs: u64,
    pub(crate) failed: u64,
    /// Their time.
    pub(crate) seconds: f64,
    /// Billed: each job by itself, rounded up.
    pub(crate) minutes: u64,
    pub(crate) money: f64,
}

/// Something, and what it cost.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    /// `owner/name`; empty for labels.
    pub(crate) repository: String,
    /// Path of a workflow, name of a job or a service, labels. An empty service is all of the repository.
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) sum: Sum,
}

/// Caches of a workflow.
#[derive(Debug, Serialize)]
pub(crate) struct Cache {
    #[serde(flatten)]
    pub(crate) usage: CacheUsage,
    /// From 0 to 1: those found as asked for.
    pub(crate) hit_rate: f64,
}

/// How far the budget of this month is.
#[derive(Debug, Serialize)]
pub(crate) struct Budget {
    pub(crate) month: String,
    pub(crate) budget: f64,
    pub(crate) spent: f64,
    /// In percent.
    pub(crate) alerts_at: Vec<u32>,
    /// Parts that were reached, in this month and before, newest first.
    pub(crate) alerts: Vec<BudgetAlert>,
}

/// How long things take.
#[derive(Debug, Serialize)]
pub(crate) struct Speed {
    pub(crate) window: Shown,
    /// Of all workflows together.
    pub(crate) all: Option<Times>,
    pub(crate) workflows: Vec<Times>,
    pub(crate) caches: Vec<Cache>,
    /// By their average.
    pub(crate) slowest_jobs: Vec<Slow>,
}

/// A job that takes long.
#[derive(Debug, Serialize)]
pub(crate) struct Slow {
    pub(crate) repository: String,
    pub(crate) workflow: String,
    pub(crate) job: String,
    pub(crate) runs: u64,
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    pub(crate) queue_seconds: f64,
}

impl Sum {
    fn add(&mut self, job: &JobUsage, rules: &CostRules) {
        self.runs += job.runs;
        self.failed += job.failed;
        self.seconds += job.ms as f64 / 1_000.0;
        self.minutes += job.minutes;
        self.money += job.minutes as f64 * rules.price(&job.labels);
    }
}

pub(super) async fn costs(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(wish): Query<UsageWish>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer::json(&headers, &read_costs(&site, &allowed, wish).await?)
}

pub(super) async fn speed(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(wish): Query<UsageWish>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer::json(&headers, &read_speed(&site, &allowed, wish).await?)
}

/// Whole days of what is asked for.
fn days(allowed: &Allowed<access::RunsRead>, wish: UsageWish) -> Result<(Window, UsageFilter), Problem> {
    let UsageWish { repository, since, from, to } = wish;
    let window = window(&WindowWish { since, from, to, timezone: None })?;
    let last = window.to.checked_sub(1.nanosecond()).unwrap_or(window.to);
    let repository = repository.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let visible = allowed.holder.repositories.clone();
    let filter = UsageFilter { from: day_of(window.from), to: day_of(last), repository, visible };
    Ok((window, filter))
}

/// What runs used and what it cost.
pub(crate) async fn read_costs(
    site: &Site,
    allowed: &Allowed<access::RunsRead>,
    wish: UsageWish,
) -> Result<Costs, Problem> {
    let (window, filter) = days(allowed, wish)?;
    let insights = Insights::on(site.api.database.clone());
    let failed = |error| store(&error);
    let rules = insights.rules().await.map_err(failed)?;
    let jobs = insights.jobs(filter.clone()).await.map_err(failed)?;
    let steps = insights.steps(filter.clone()).await.map_err(failed)?;
    let caches = caches(&insights, filter).await?;
    let mut total = Sum::default();
    jobs.iter().for_each(|job| total.add(job, &rules));
    let of = |key: &dyn Fn(&JobUsage) -> (String, String)| entries(&jobs, &rules, key);
    Ok(Costs {
        window: Shown::of(&window),
        workflows: of(&|job| (job.repository.clone(), job.workflow.clone())),
        jobs: of(&|job| (job.repository.clone(), job.job.clone())),
        services: of(&|job| (job.repository.clone(), job.service.clone())),
        labels: of(&|job| (String::new(), job.labels.clone())),
        currency: rules.currency.clone(),
        // A budget is of all repositories together.
        budget: if allowed.of_all().is_ok() { budget(&insights, rules).await? } else { None },
        total,
        steps,
        caches,
    })
}

/// How long runs take and jobs wait.
pub(crate) async fn read_speed(
    site: &Site,
    allowed: &Allowed<access::RunsRead>,
    wish: UsageWish,
) -> Result<Speed, Problem> {
    let (window, filter) = days(allowed, wish)?;
    let insights = Insights::on(site.api.database.clone());
    let mut times = insights.times(filter.clone()).await.map_err(|error| store(&error))?;
    let all = if times.is_empty() { None } else { Some(times.remove(0)) };
    let jobs = insights.jobs(filter.clone()).await.map_err(|error| store(&error))?;
    let mut by_job: BTreeMap<[String; 3], [u64; 4]> = BTreeMap::new();
    for job in jobs {
        let sums = by_job.entry([job.repository, job.workflow, job.job]).or_default();
        let more = [job.runs, job.failed, job.ms, job.queue_ms];
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    let mut slowest_jobs: Vec<Slow> = by_job
        .into_iter()
        .map(|([repository, workflow, job], [runs, failed, ms, queue_ms])| {
            let average = |ms: u64| ms as f64 / 1_000.0 / runs.max(1) as f64;
            Slow { repository, workflow, job, runs, failed, seconds: average(ms), queue_seconds: average(queue_ms) }
        })
        .collect();
    slowest_jobs.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    slowest_jobs.truncate(SLOW_MAX);
    let caches = caches(&insights, filter).await?;
    Ok(Speed { window: Shown::of(&window), all, workflows: times, caches, slowest_jobs })
}

async fn caches(insights: &Insights, filter: UsageFilter) -> Result<Vec<Cache>, Problem> {
    let listed = insights.caches(filter).await.map_err(|error| store(&error))?;
    let shown = |usage: CacheUsage| {
        let all = (usage.hits + usage.partial + usage.misses).max(1);
        Cache { hit_rate: usage.hits as f64 / all as f64, usage }
    };
    Ok(listed.into_iter().map(shown).collect())
}

async fn budget(insights: &Insights, rules: CostRules) -> Result<Option<Budget>, Problem> {
    let Some(budget) = rules.budget else { return Ok(None) };
    let (now, alerts_at) = (Timestamp::now(), rules.alerts.clone());
    let spent = insights.spent(rules, now).await.map_err(|error| store(&error))?;
    let mut alerts = insights.alerts(0).await.map_err(|error| store(&error))?;
    alerts.reverse();
    alerts.truncate(LISTED_MAX);
    Ok(Some(Budget { month: now.strftime("%Y-%m").to_string(), budget, spent, alerts_at, alerts }))
}

/// Added up by some name, what costs most first.
fn entries(jobs: &[JobUsage], rules: &CostRules, key: &dyn Fn(&JobUsage) -> (String, String)) -> Vec<Entry> {
    let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
    for job in jobs {
        sums.entry(key(job)).or_default().add(job, rules);
    }
    let entry = |((repository, name), sum)| Entry { repository, name, sum };
    let mut entries: Vec<Entry> = sums.into_iter().map(entry).collect();
    entries
        .sort_by(|one, other| other.sum.money.total_cmp(&one.sum.money).then(other.sum.minutes.cmp(&one.sum.minutes)));
    entries.truncate(LISTED_MAX);
    entries
}
