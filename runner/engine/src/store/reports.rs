//! What tools reported of runs: results of tests with their history, and coverage.
//!
//! A report has the place of its step, so that one that is collected again, since its process was killed, takes the place
//! of the first. Cases are written in batches, so that nobody waits long for the one writer; a report counts once it is
//! whole.

mod coverage;
mod history;
#[cfg(test)]
mod tests;
mod written;

pub use coverage::{Compared, CoverageListed};
pub use history::{SEEN_MAX, Seen, TESTS_LISTED_MAX, TestFilter, TestHistory, TestListed, TestOrder};

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::cases::Cases;
use super::database::Database;
use super::scans::Scans;
use super::verdicts::Verdicts;
use super::{RunId, StoreError};
use crate::reports::{Outcome, Totals};

/// Most cases of one list.
pub const CASES_LISTED_MAX: usize = 500;
/// Names of tests that failed, where only a few are wanted.
pub const FAILED_NAMED_MAX: usize = 20;

/// Where a report comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The run.
    pub run: RunId,
    /// Key of the job run.
    pub job: String,
    /// Which step of the job, the steps of actions included: unique in the job.
    pub step: u64,
    /// What people call it.
    pub name: String,
    /// `owner/name`.
    pub repository: String,
    /// The commit.
    pub sha: String,
    /// `github.ref`.
    pub git_ref: String,
    /// When.
    pub at: Timestamp,
}

/// A report of tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportListed {
    /// Its number.
    pub id: u64,
    /// The run that it is of; an attempt shows those of earlier ones whose jobs were not run again.
    pub run: RunId,
    /// Key of the job run.
    pub job: String,
    /// What people call it.
    pub name: String,
    /// How the tests ended.
    #[serde(flatten)]
    pub totals: Totals,
    /// From how many files it is.
    pub files: u64,
    /// Cases beyond those that are kept.
    pub more: u64,
}

/// The tests of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTests {
    /// Over all reports.
    pub totals: Totals,
    /// Names of tests that failed, the first ones.
    pub failed: Vec<String>,
    /// By their order.
    pub reports: Vec<ReportListed>,
}

impl RunTests {
    /// In words: `812 passed, 2 failed (a › b, a › c)`; `None` where nothing was reported.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        const NAMES_MAX: usize = 5;
        if self.reports.is_empty() {
            return None;
        }
        let names: Vec<_> = self.failed.iter().take(NAMES_MAX).map(String::as_str).collect();
        let more = if self.totals.bad() > names.len() as u64 { ", …" } else { "" };
        let names = if names.is_empty() { String::new() } else { format!(" ({}{more})", names.join(", ")) };
        Some(format!("{}{names}", self.totals.words()))
    }
}

/// A test's result in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseListed {
    /// The test's number, for its history.
    pub test: u64,
    /// The report.
    pub report: u64,
    /// Its place in the report, from 0.
    pub position: u64,
    /// Key of the job run.
    pub job: String,
    /// The suite.
    pub suite: String,
    /// The class.
    pub class: String,
    /// The name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub time_us: Option<u64>,
    /// Relative to the workspace where that is known.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<u32>,
    /// One sentence.
    pub message: Option<String>,
    /// All that the tool says.
    pub details: Option<String>,
    /// Tries beyond the first.
    pub retries: u32,
}

/// Which cases to list: the worst first, then in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// Only these.
    pub outcome: Option<Outcome>,
    /// Passed over.
    pub skip: usize,
    /// At most this many; never more than [`CASES_LISTED_MAX`].
    pub limit: usize,
}

/// The reports in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reports {
    database: Database,
}

/// Reports that an attempt shows: of each step that of the newest attempt so far.
const OF_RUN: &str = "
    SELECT id FROM (
        SELECT reports.id, row_number() OVER (PARTITION BY job, step ORDER BY runs.attempt DESC) AS place
        FROM {reports} AS reports JOIN runs ON runs.id = reports.run
        WHERE {complete} reports.run IN (
            SELECT id FROM runs WHERE (id = (SELECT coalesce(first, id) FROM runs WHERE id = ?1)
                                       OR first = (SELECT coalesce(first, id) FROM runs WHERE id = ?1))
            AND attempt <= (SELECT attempt FROM runs WHERE id = ?1))
    ) WHERE place = 1";

fn of_run(table: &str, complete: &str) -> String {
    OF_RUN.replace("{reports}", table).replace("{complete}", complete)
}

impl Reports {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// What scans found over time, in the same folder.
    #[must_use]
    pub fn scans(&self) -> Scans {
        Scans::on(self.database.clone())
    }

    /// What verdicts about images were made of, which lies in the same database.
    #[must_use]
    pub fn scan_cases(&self) -> Cases {
        Cases::on(self.database.clone())
    }

    /// What gates said, which lies in the same database.
    #[must_use]
    pub fn verdicts(&self) -> Verdicts {
        Verdicts::on(self.database.clone())
    }

    /// What is known of the tests of a run.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn tests_of_run(&self, run: RunId) -> Result<RunTests, StoreError> {
        self.database.read(move |connection| tests_of_run(connection, run)).await
    }

    /// Results of tests of a run.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn cases(&self, run: RunId, filter: CaseFilter) -> Result<Vec<CaseListed>, StoreError> {
        self.database.read(move |connection| cases(connection, run, &filter)).await
    }

    /// Removes reports that are older; gives how many.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn prune(&self, before: Timestamp) -> Result<usize, StoreError> {
        let before = before.as_millisecond();
        let prune = move |transaction: &rusqlite::Transaction<'_>| {
            let tests = transaction.execute(
                "DELETE FROM test_reports WHERE id IN (SELECT id FROM test_reports WHERE at < ?1 LIMIT 20)",
                [before],
            )?;
            let coverage = transaction.execute(
                "DELETE FROM coverage_reports WHERE id IN (SELECT id FROM coverage_reports WHERE at < ?1 LIMIT 200)",
                [before],
            )?;
            Ok(tests + coverage)
        };
        // In pieces, so that nobody waits long.
        let mut all = 0;
        loop {
            match self.database.write_surely(prune).await? {
                0 => return Ok(all),
                removed => all += removed,
            }
        }
    }
}

fn tests_of_run(connection: &Connection, run: RunId) -> rusqlite::Result<RunTests> {
    let select =
        format!("SELECT * FROM test_reports WHERE id IN ({}) ORDER BY id", of_run("test_reports", "complete = 1 AND"));
    let reports = connection.prepare_cached(&select)?.query_map([run.0], report)?.collect::<Result<Vec<_>, _>>()?;
    let totals = reports.iter().fold(Totals::default(), |totals, report| totals.and(report.totals));
    let mut failed = Vec::new();
    if totals.bad() > 0 {
        let filter = CaseFilter { limit: FAILED_NAMED_MAX, ..CaseFilter::default() };
        let bad = cases(connection, run, &filter)?.into_iter().filter(|case| case.outcome.is_bad());
        failed = bad.map(|case| crate::reports::title(&case.class, &case.name)).collect();
    }
    Ok(RunTests { totals, failed, reports })
}

fn report(row: &Row<'_>) -> rusqlite::Result<ReportListed> {
    Ok(ReportListed {
        id: row.get("id")?,
        run: RunId(row.get("run")?),
        job: row.get("job")?,
        name: row.get("name")?,
        totals: Totals {
            passed: row.get("passed")?,
            failed: row.get("failed")?,
            errors: row.get("errors")?,
            skipped: row.get("skipped")?,
            flaky: row.get("flaky")?,
            time_ms: row.get("time_ms")?,
        },
        files: row.get("files")?,
        more: row.get("more")?,
    })
}

/// The worst first.
const BY_OUTCOME: &str =
    "CASE outcome WHEN 'error' THEN 0 WHEN 'failed' THEN 1 WHEN 'flaky' THEN 2 WHEN 'skipped' THEN 3 ELSE 4 END";

fn cases(connection: &Connection, run: RunId, filter: &CaseFilter) -> rusqlite::Result<Vec<CaseListed>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT test_cases.*, tests.suite, tests.class, tests.name, test_reports.job
         FROM test_cases JOIN tests ON tests.id = test JOIN test_reports ON test_reports.id = report
         WHERE report IN ({}) AND (?2 IS NULL OR outcome = ?2)
         ORDER BY {BY_OUTCOME}, report, position LIMIT ?3 OFFSET ?4",
        of_run("test_reports", "complete = 1 AND")
    ))?;
    let values = params![run.0, filter.outcome.map(Outcome::word), filter.limit.min(CASES_LISTED_MAX), filter.skip];
    select.query_map(values, case)?.collect()
}

fn case(row: &Row<'_>) -> rusqlite::Result<CaseListed> {
    Ok(CaseListed {
        test: row.get("test")?,
        report: row.get("report")?,
        position: row.get("position")?,
        job: row.get("job")?,
        suite: row.get("suite")?,
        class: row.get("class")?,
        name: row.get("name")?,
        outcome: outcome(row, "outcome")?,
        time_us: row.get("time_us")?,
        file: row.get("file")?,
        line: row.get("line")?,
        message: row.get("message")?,
        details: row.get("details")?,
        retries: row.get("retries")?,
    })
}

fn outcome(row: &Row<'_>, column: &str) -> rusqlite::Result<Outcome> {
    let word: String = row.get(column)?;
    let unknown =
        || rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, "unknown outcome".into());
    Outcome::parse(&word).ok_or_else(unknown)
}

fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    let at: i64 = row.get(column)?;
    Timestamp::from_millisecond(at)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Integer, Box::new(error)))
}
