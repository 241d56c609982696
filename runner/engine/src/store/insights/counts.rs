//! What runs used, added up by day; the rules of what it costs, and the parts of the budget that were reached.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use serde_json::json;

use super::{Insights, time};
use crate::insights::costs::{CostRules, Used, bucket};
use crate::store::audit::{Actor, Audit, Deed};
use crate::store::{RunId, StoreError};

/// How many runs are counted at a time.
const UNCOUNTED_MAX: usize = 200;
/// Most alerts of one list.
const ALERTS_MAX: usize = 500;
const DAY_SECONDS: i64 = 86_400;

/// A run that is over and not counted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncounted {
    /// Its number.
    pub run: RunId,
    /// `owner/name`.
    pub repository: String,
    /// Path of its workflow.
    pub workflow: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// A part of the budget that was reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetAlert {
    /// Its number; later ones have higher ones.
    pub id: u64,
    /// Such as `2026-03`.
    pub month: String,
    /// Which part, in percent.
    pub percent: u32,
    /// When it was noticed.
    pub at: Timestamp,
    /// What had been spent by then.
    pub spent: f64,
    /// Of this.
    pub budget: f64,
    /// Such as `EUR`.
    pub currency: String,
}

/// The day of a moment, in days since 1970 (UTC).
#[must_use]
pub fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY_SECONDS)
}

impl Insights {
    /// Runs that are over and not counted, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn uncounted(&self) -> Result<Vec<Uncounted>, StoreError> {
        let read = |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, repository, workflow, started_at, finished_at FROM runs
                 WHERE counted = 0 AND status = 'completed' ORDER BY id LIMIT ?1",
            )?;
            let uncounted = |row: &Row<'_>| {
                let moment = |text: Option<String>| text.and_then(|text| text.parse().ok());
                let made_at = moment(row.get("started_at")?).unwrap_or_default();
                Ok(Uncounted {
                    run: RunId(row.get("id")?),
                    repository: row.get("repository")?,
                    workflow: row.get("workflow")?,
                    made_at,
                    finished_at: moment(row.get("finished_at")?).unwrap_or(made_at),
                })
            };
            select.query_map([UNCOUNTED_MAX], uncounted)?.collect()
        };
        self.database.read(read).await
    }

    /// Adds what runs used to their days, each once.
    ///
    /// # Errors
    /// The database said no.
    pub async fn count(&self, all: Vec<(Uncounted, Used)>) -> Result<(), StoreError> {
        let write =
            move |transaction: &Transaction<'_>| all.iter().try_for_each(|(of, used)| add(transaction, of, used));
        self.database.write_surely(write).await
    }

    /// Keeps what time costs.
    ///
    /// # Errors
    /// The database said no.
    pub async fn set_rules(&self, rules: CostRules) -> Result<(), StoreError> {
        let write = move |transaction: &Transaction<'_>| {
            let body = json!(rules).to_string();
            transaction.execute("INSERT OR REPLACE INTO cost_rules (id, body) VALUES (1, ?1)", [body]).map(drop)
        };
        self.database.write_surely(write).await
    }

    /// What time costs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn rules(&self) -> Result<CostRules, StoreError> {
        let read = |connection: &Connection| {
            let select = "SELECT body FROM cost_rules WHERE id = 1";
            let body: Option<String> = connection.prepare_cached(select)?.query_row([], |row| row.get(0)).optional()?;
            Ok(body.and_then(|body| serde_json::from_str(&body).ok()).unwrap_or_default())
        };
        self.database.read(read).await
    }

    /// What was spent in the month of a moment (UTC).
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn spent(&self, rules: CostRules, at: Timestamp) -> Result<f64, StoreError> {
        let (first, last) = month_of(at);
        let read = move |connection: &Connection| {
            let select = "SELECT labels, sum(minutes) FROM job_days WHERE day >= ?1 AND day <= ?2 GROUP BY labels";
            let mut select = connection.prepare_cached(select)?;
            let mut rows = select.query([first, last])?;
            let mut spent = 0.0;
            while let Some(row) = rows.next()? {
                let minutes: u64 = row.get(1)?;
                spent += minutes as f64 * rules.price(row.get_ref(0)?.as_str()?);
            }
            Ok(spent)
        };
        self.database.read(read).await
    }

    /// Notes that parts of this month's budget are reached, each once a month, with a row in the audit log.
    ///
    /// # Errors
    /// The database said no.
    pub async fn check_budget(&self, rules: &CostRules, audit: &Audit, now: Timestamp) -> Result<(), StoreError> {
        let Some(budget) = rules.budget else { return Ok(()) };
        let spent = self.spent(rules.clone(), now).await?;
        let reached: Vec<u32> = rules.reached(spent).collect();
        let (currency, month, audit) = (rules.currency.clone(), now.strftime("%Y-%m").to_string(), audit.clone());
        let known = self.alerts(0).await?;
        let reached: Vec<u32> = reached
            .into_iter()
            .filter(|percent| !known.iter().any(|alert| alert.month == month && alert.percent == *percent))
            .collect();
        if reached.is_empty() {
            return Ok(());
        }
        let write = move |transaction: &Transaction<'_>| {
            for percent in &reached {
                let insert = "INSERT OR IGNORE INTO budget_alerts (month, percent, at, spent, budget, currency)
                              VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                transaction.execute(insert, params![month, percent, now.as_millisecond(), spent, budget, currency])?;
                let actor = Actor { who: "pipe".to_owned(), origin: "server".to_owned() };
                let detail = json!({ "percent": percent, "spent": spent, "budget": budget, "currency": currency });
                let target = format!("budget {month}");
                audit.append(transaction, &Deed { actor, what: "costs.budget", target, detail })?;
            }
            Ok(())
        };
        self.database.write_surely(write).await
    }

    /// The newest parts of budgets that were reached, of those with a number above `after`, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn alerts(&self, after: u64) -> Result<Vec<BudgetAlert>, StoreError> {
        let read = move |connection: &Connection| {
            let select = "SELECT * FROM budget_alerts WHERE id > ?1 ORDER BY id DESC LIMIT ?2";
            let mut alerts = connection
                .prepare_cached(select)?
                .query_map(params![after, ALERTS_MAX], alert)?
                .collect::<Result<Vec<_>, _>>()?;
            alerts.reverse();
            Ok(alerts)
        };
        self.database.read(read).await
    }
}

/// The first and the last day of the month of a moment.
fn month_of(at: Timestamp) -> (i64, i64) {
    let day = at.to_zoned(jiff::tz::TimeZone::UTC).date();
    let of = |date: jiff::civil::Date| {
        date.to_zoned(jiff::tz::TimeZone::UTC).map_or_else(|_| day_of(at), |zoned| day_of(zoned.timestamp()))
    };
    (of(day.first_of_month()), of(day.last_of_month()))
}

fn alert(row: &Row<'_>) -> rusqlite::Result<BudgetAlert> {
    Ok(BudgetAlert {
        id: row.get("id")?,
        month: row.get("month")?,
        percent: row.get("percent")?,
        at: time(row.get("at")?),
        spent: row.get("spent")?,
        budget: row.get("budget")?,
        currency: row.get("currency")?,
    })
}

fn add(transaction: &Transaction<'_>, of: &Uncounted, used: &Used) -> rusqlite::Result<()> {
    let counted = "UPDATE runs SET counted = 1 WHERE id = ?1 AND counted = 0";
    if transaction.prepare_cached(counted)?.execute([of.run.0])? == 0 {
        return Ok(());
    }
    let (repository, workflow) = (&of.repository, &of.workflow);
    let mut add_job = transaction.prepare_cached(
        "INSERT INTO job_days (day, repository, workflow, job, service, labels, runs, failed, ms, minutes, queue_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9, ?10)
         ON CONFLICT DO UPDATE SET runs = runs + 1, failed = failed + excluded.failed, ms = ms + excluded.ms,
             minutes = minutes + excluded.minutes, queue_ms = queue_ms + excluded.queue_ms",
    )?;
    let mut add_time = transaction.prepare_cached(
        "INSERT INTO time_days (day, repository, workflow, kind, bucket, count) VALUES (?1, ?2, ?3, ?4, ?5, 1)
         ON CONFLICT DO UPDATE SET count = count + 1",
    )?;
    for job in &used.jobs {
        let day = day_of(job.ended);
        let times = params![
            day,
            repository,
            workflow,
            job.job,
            job.service,
            job.labels,
            job.failed,
            job.ms,
            job.minutes,
            job.queue_ms
        ];
        add_job.execute(times)?;
        add_time.execute(params![day, repository, workflow, "queue", bucket(job.queue_ms)])?;
    }
    let day = day_of(of.finished_at);
    if let Some(ms) = used.duration_ms {
        add_time.execute(params![day, repository, workflow, "run", bucket(ms)])?;
    }
    let mut add_step = transaction.prepare_cached(
        "INSERT INTO step_days (day, repository, workflow, job, step, runs, ms, longest_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE SET runs = runs + excluded.runs, ms = ms + excluded.ms,
             longest_ms = max(longest_ms, excluded.longest_ms)",
    )?;
    for ((job, step), used) in &used.steps {
        add_step.execute(params![day, repository, workflow, job, step, used.count, used.ms, used.longest_ms])?;
    }
    let [hits, partial, misses] = used.caches;
    if hits + partial + misses > 0 {
        transaction
            .prepare_cached(
                "INSERT INTO cache_days (day, repository, workflow, hits, partial, misses) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET hits = hits + excluded.hits, partial = partial + excluded.partial,
                     misses = misses + excluded.misses",
            )?
            .execute(params![day, repository, workflow, hits, partial, misses])?;
    }
    Ok(())
}
