//! What runs used over some days, read back: by job and label, by step, caches, how long runs take and jobs wait.

use rusqlite::{Connection, Row, named_params};
use serde::Serialize;
use serde_json::json;

use super::Insights;
use crate::insights::costs::percentile_of;
use crate::store::StoreError;

/// Most rows that are added up.
const ROWS_MAX: usize = 20_000;
/// Most steps, and most workflows, of one list.
const LISTED_MAX: usize = 20;
const WORKFLOWS_MAX: usize = 200;

/// Which days, and of what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// The first day, in days since 1970 (UTC).
    pub from: i64,
    /// The last one.
    pub to: i64,
    /// `owner/name`.
    pub repository: Option<String>,
    /// Only of these repositories; empty: of all.
    pub visible: Vec<String>,
}

/// What jobs of one name, service and label used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobUsage {
    /// `owner/name`.
    pub repository: String,
    /// Path of the workflow.
    pub workflow: String,
    /// The job.
    pub job: String,
    /// The service; empty: all of the repository.
    pub service: String,
    /// Labels of `runs-on`, `a, b`.
    pub labels: String,
    /// How many ran.
    pub runs: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Their time together.
    pub ms: u64,
    /// The same in billed minutes.
    pub minutes: u64,
    /// How long they waited together.
    pub queue_ms: u64,
}

/// What steps of one name used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepUsage {
    /// `owner/name`.
    pub repository: String,
    /// Path of the workflow.
    pub workflow: String,
    /// The job.
    pub job: String,
    /// Name of the step.
    pub step: String,
    /// How many ran.
    pub runs: u64,
    /// Their time together.
    pub ms: u64,
    /// The longest one.
    pub longest_ms: u64,
}

/// Caches of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheUsage {
    /// `owner/name`.
    pub repository: String,
    /// Path of the workflow.
    pub workflow: String,
    /// Found as asked for.
    pub hits: u64,
    /// Found by the beginning of the key.
    pub partial: u64,
    /// Not found.
    pub misses: u64,
}

/// How long runs of a workflow take, and its jobs wait. In seconds, a twentieth more or less.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Times {
    /// `owner/name`; empty: all.
    pub repository: String,
    /// Path of the workflow; empty: all.
    pub workflow: String,
    /// How many runs.
    pub runs: u64,
    /// The median of runs.
    pub run_p50_seconds: Option<f64>,
    /// Nineteen of twenty runs take no longer.
    pub run_p95_seconds: Option<f64>,
    /// The median of how long jobs wait for a place.
    pub queue_p50_seconds: Option<f64>,
    /// Nineteen of twenty jobs wait no longer.
    pub queue_p95_seconds: Option<f64>,
}

const WHERE: &str = "day >= :from AND day <= :to AND (:repository IS NULL OR repository = :repository)
                     AND (:all OR repository IN (SELECT value FROM json_each(:visible)))";

impl Insights {
    /// What jobs used; the most minutes first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn jobs(&self, filter: UsageFilter) -> Result<Vec<JobUsage>, StoreError> {
        let select = format!(
            "SELECT repository, workflow, job, service, labels, sum(runs) AS runs, sum(failed) AS failed, sum(ms) AS ms,
                    sum(minutes) AS minutes, sum(queue_ms) AS queue_ms
             FROM job_days WHERE {WHERE} GROUP BY repository, workflow, job, service, labels
             ORDER BY sum(minutes) DESC LIMIT {ROWS_MAX}"
        );
        self.database.read(move |connection| rows(connection, &select, &filter, job)).await
    }

    /// The slowest steps: those that take longest on average.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn steps(&self, filter: UsageFilter) -> Result<Vec<StepUsage>, StoreError> {
        let select = format!(
            "SELECT repository, workflow, job, step, sum(runs) AS runs, sum(ms) AS ms, max(longest_ms) AS longest_ms
             FROM step_days WHERE {WHERE} GROUP BY repository, workflow, job, step
             ORDER BY sum(ms) / sum(runs) DESC LIMIT {LISTED_MAX}"
        );
        self.database.read(move |connection| rows(connection, &select, &filter, step)).await
    }

    /// Caches, by workflow; the most asked for first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn caches(&self, filter: UsageFilter) -> Result<Vec<CacheUsage>, StoreError> {
        let select = format!(
            "SELECT repository, workflow, sum(hits) AS hits, sum(partial) AS partial, sum(misses) AS misses
             FROM cache_days WHERE {WHERE} GROUP BY repository, workflow
             ORDER BY sum(hits + partial + misses) DESC LIMIT {WORKFLOWS_MAX}"
        );
        self.database.read(move |connection| rows(connection, &select, &filter, cache)).await
    }

    /// How long runs take and jobs wait: of all first, then by workflow, those with most runs first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn times(&self, filter: UsageFilter) -> Result<Vec<Times>, StoreError> {
        let select = format!(
            "SELECT repository, workflow, kind, bucket, sum(count) AS count FROM time_days WHERE {WHERE}
             GROUP BY repository, workflow, kind, bucket ORDER BY repository, workflow, bucket"
        );
        self.database.read(move |connection| rows(connection, &select, &filter, time).map(times)).await
    }
}

fn rows<T>(
    connection: &Connection,
    select: &str,
    filter: &UsageFilter,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let visible = json!(filter.visible).to_string();
    let values = named_params! {
        ":from": filter.from, ":to": filter.to, ":repository": filter.repository, ":all": filter.visible.is_empty(),
        ":visible": visible,
    };
    connection.prepare_cached(select)?.query_map(values, read)?.collect()
}

fn job(row: &Row<'_>) -> rusqlite::Result<JobUsage> {
    Ok(JobUsage {
        repository: row.get("repository")?,
        workflow: row.get("workflow")?,
        job: row.get("job")?,
        service: row.get("service")?,
        labels: row.get("labels")?,
        runs: row.get("runs")?,
        failed: row.get("failed")?,
        ms: row.get("ms")?,
        minutes: row.get("minutes")?,
        queue_ms: row.get("queue_ms")?,
    })
}

fn step(row: &Row<'_>) -> rusqlite::Result<StepUsage> {
    Ok(StepUsage {
        repository: row.get("repository")?,
        workflow: row.get("workflow")?,
        job: row.get("job")?,
        step: row.get("step")?,
        runs: row.get("runs")?,
        ms: row.get("ms")?,
        longest_ms: row.get("longest_ms")?,
    })
}

fn cache(row: &Row<'_>) -> rusqlite::Result<CacheUsage> {
    Ok(CacheUsage {
        repository: row.get("repository")?,
        workflow: row.get("workflow")?,
        hits: row.get("hits")?,
        partial: row.get("partial")?,
        misses: row.get("misses")?,
    })
}

/// How many times of a kind were about so long.
struct Counted {
    repository: String,
    workflow: String,
    is_queue: bool,
    bucket: u32,
    count: u64,
}

fn time(row: &Row<'_>) -> rusqlite::Result<Counted> {
    Ok(Counted {
        repository: row.get("repository")?,
        workflow: row.get("workflow")?,
        is_queue: row.get_ref("kind")?.as_str()? == "queue",
        bucket: row.get("bucket")?,
        count: row.get("count")?,
    })
}

fn times(counted: Vec<Counted>) -> Vec<Times> {
    let mut listed: Vec<Times> = counted
        .chunk_by(|one, other| (&one.repository, &one.workflow) == (&other.repository, &other.workflow))
        .filter_map(|group| {
            let first = group.first()?;
            Some(of(first.repository.clone(), first.workflow.clone(), group.iter()))
        })
        .collect();
    listed.sort_by_key(|one| std::cmp::Reverse(one.runs));
    listed.truncate(WORKFLOWS_MAX);
    let all = of(String::new(), String::new(), counted.iter());
    std::iter::once(all).chain(listed).collect()
}

fn of<'a>(repository: String, workflow: String, counted: impl Iterator<Item = &'a Counted> + Clone) -> Times {
    let buckets = |is_queue: bool| {
        let mut found = std::collections::BTreeMap::new();
        for one in counted.clone().filter(|one| one.is_queue == is_queue) {
            *found.entry(one.bucket).or_insert(0) += one.count;
        }
        found.into_iter().collect::<Vec<(u32, u64)>>()
    };
    let (runs, queue) = (buckets(false), buckets(true));
    Times {
        repository,
        workflow,
        runs: runs.iter().map(|(_, count)| count).sum(),
        run_p50_seconds: percentile_of(&runs, 0.5),
        run_p95_seconds: percentile_of(&runs, 0.95),
        queue_p50_seconds: percentile_of(&queue, 0.5),
        queue_p95_seconds: percentile_of(&queue, 0.95),
    }
}
