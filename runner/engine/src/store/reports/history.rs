//! Tests over many runs: which fail, which are slow, which pass and fail at the same commit.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};
use serde::Serialize;

use super::{Reports, outcome, time};
use crate::reports::Outcome;
use crate::store::{RunId, StoreError};

/// Results that lists are made of: the newest ones of a repository. Older ones say little of how a test is now.
const CASES_LOOKED_AT_MAX: u64 = 200_000;
/// The same in reports.
const REPORTS_LOOKED_AT_MAX: u64 = 300;
/// Most tests of one list.
pub const TESTS_LISTED_MAX: usize = 200;
/// Most results of one test.
pub const SEEN_MAX: usize = 200;

/// In which order tests are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TestOrder {
    /// Those that failed most often.
    #[default]
    Failing,
    /// Those of which nobody knows how they will end.
    Flaky,
    /// Those that take longest.
    Slow,
    /// By their names.
    Name,
}

/// Which tests to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestFilter {
    /// `owner/name`.
    pub repository: String,
    /// A part of suite, class or name.
    pub text: Option<String>,
    /// In which order.
    pub order: TestOrder,
    /// Passed over.
    pub skip: usize,
    /// At most this many; never more than [`TESTS_LISTED_MAX`].
    pub limit: usize,
}

/// A test with what its last results say of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestListed {
    /// Its number, for its history.
    pub id: u64,
    /// `owner/name`.
    pub repository: String,
    /// The suite.
    pub suite: String,
    /// The class.
    pub class: String,
    /// The name.
    pub name: String,
    /// Results that were looked at.
    pub results: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Commits that were looked at.
    pub commits: u64,
    /// Those of them at which it both passed and failed, or needed another try.
    pub flaky: u64,
    /// From 0 to 1: `flaky` of `commits`.
    pub flaky_score: f64,
    /// On average.
    pub time_us: u64,
    /// How it ended last.
    pub last: Outcome,
    /// In which run.
    pub last_run: RunId,
}

/// One result of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The run.
    pub run: RunId,
    /// Key of the job run.
    pub job: String,
    /// The commit.
    pub sha: String,
    /// `github.ref`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// When it was reported.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub time_us: Option<u64>,
    /// One sentence.
    pub message: Option<String>,
    /// All that the tool says.
    pub details: Option<String>,
    /// Where it failed.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<u32>,
}

/// A test and its results, newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestHistory {
    /// The test.
    pub test: TestListed,
    /// Its results, newest first.
    pub history: Vec<Seen>,
}

impl Reports {
    /// Tests of a repository, by what the newest reports say of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn tests(&self, filter: TestFilter) -> Result<Vec<TestListed>, StoreError> {
        self.database.read(move |connection| tests(connection, &filter)).await
    }

    /// The results of one test; `None` where there is no such test.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn history(&self, test: u64, limit: usize) -> Result<Option<TestHistory>, StoreError> {
        self.database.read(move |connection| history(connection, test, limit.min(SEEN_MAX))).await
    }

    /// Repositories with tests, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn repositories(&self) -> Result<Vec<String>, StoreError> {
        let select = "SELECT DISTINCT repository FROM test_reports WHERE complete = 1 ORDER BY repository LIMIT 1000";
        self.database
            .read(move |connection| connection.prepare(select)?.query_map([], |row| row.get(0))?.collect())
            .await
    }
}

/// Results by test and commit, then by test. What is in it comes from `looked_at`: report, sha, run.
/// `{only}` says of which tests.
const GROUPED: &str = "
    of_commits AS (
        SELECT test, sha, count(*) AS results, sum(outcome IN ('failed', 'error')) AS failures,
               sum(outcome = 'passed') AS passes, sum(outcome = 'flaky') AS retried,
               sum(time_us) AS time_us, sum(time_us IS NOT NULL) AS timed, max(report) AS last
        FROM test_cases JOIN looked_at ON looked_at.id = report WHERE {only} GROUP BY test, sha),
    of_tests AS (
        SELECT test, sum(results) AS results, sum(failures) AS failures, count(*) AS commits,
               sum(retried > 0 OR (failures > 0 AND passes > 0)) AS flaky,
               coalesce(sum(time_us) / max(sum(timed), 1), 0) AS time_us, max(last) AS last
        FROM of_commits GROUP BY test)
    SELECT tests.*, of_tests.*, test_reports.run AS last_run,
           (SELECT outcome FROM test_cases WHERE test_cases.test = of_tests.test AND report = of_tests.last LIMIT 1) AS outcome
    FROM of_tests JOIN tests ON tests.id = of_tests.test JOIN test_reports ON test_reports.id = of_tests.last";

fn tests(connection: &Connection, filter: &TestFilter) -> rusqlite::Result<Vec<TestListed>> {
    let order = match filter.order {
        TestOrder::Failing => "failures DESC, of_tests.flaky DESC",
        TestOrder::Flaky => "of_tests.flaky * 1.0 / commits DESC, of_tests.flaky DESC",
        TestOrder::Slow => "of_tests.time_us DESC",
        TestOrder::Name => "tests.suite, tests.class, tests.name",
    };
    let only = match filter.order {
        TestOrder::Failing => "AND failures > 0",
        TestOrder::Flaky => "AND of_tests.flaky > 0",
        TestOrder::Slow | TestOrder::Name => "",
    };
    let grouped = GROUPED.replace("{only}", "outcome <> 'skipped'");
    let mut select = connection.prepare_cached(&format!(
        "WITH newest AS (
             SELECT id, sha, sum(cases) OVER (ORDER BY id DESC) AS cases_so_far, cases FROM test_reports
             WHERE repository = :repository AND complete = 1 ORDER BY id DESC LIMIT {REPORTS_LOOKED_AT_MAX}),
         looked_at AS (SELECT id, sha FROM newest WHERE cases_so_far - cases < {CASES_LOOKED_AT_MAX}), {grouped}
         WHERE (:text IS NULL OR instr(lower(tests.suite || ' ' || tests.class || ' ' || tests.name), lower(:text)) > 0)
         {only} ORDER BY {order}, tests.id LIMIT :limit OFFSET :skip"
    ))?;
    let text = filter.text.as_ref().filter(|text| !text.is_empty());
    let values = named_params! {
        ":repository": filter.repository, ":text": text, ":limit": filter.limit.min(TESTS_LISTED_MAX),
        ":skip": filter.skip,
    };
    select.query_map(values, listed)?.collect()
}

fn history(connection: &Connection, test: u64, limit: usize) -> rusqlite::Result<Option<TestHistory>> {
    let grouped = GROUPED.replace("{only}", "test = :test");
    let mut select = connection.prepare_cached(&format!(
        "WITH looked_at AS (
             SELECT test_reports.id, sha FROM test_cases JOIN test_reports ON test_reports.id = report
             WHERE test = :test AND complete = 1 GROUP BY test_reports.id ORDER BY test_reports.id DESC
             LIMIT {REPORTS_LOOKED_AT_MAX}), {grouped}"
    ))?;
    let found = select.query_row(named_params! { ":test": test }, listed).optional()?;
    let Some(found) = found else { return Ok(None) };
    let mut select = connection.prepare_cached(
        "SELECT test_cases.*, run, job, sha, git_ref, at FROM test_cases JOIN test_reports ON test_reports.id = report
         WHERE test = ?1 AND complete = 1 ORDER BY report DESC, position LIMIT ?2",
    )?;
    let history = select.query_map(params![test, limit], seen)?.collect::<Result<_, _>>()?;
    Ok(Some(TestHistory { test: found, history }))
}

fn listed(row: &Row<'_>) -> rusqlite::Result<TestListed> {
    let (commits, flaky): (u64, u64) = (row.get("commits")?, row.get("flaky")?);
    Ok(TestListed {
        id: row.get("id")?,
        repository: row.get("repository")?,
        suite: row.get("suite")?,
        class: row.get("class")?,
        name: row.get("name")?,
        results: row.get("results")?,
        failures: row.get("failures")?,
        commits,
        flaky,
        flaky_score: if commits == 0 { 0.0 } else { flaky as f64 / commits as f64 },
        time_us: row.get("time_us")?,
        last: outcome(row, "outcome")?,
        last_run: RunId(row.get("last_run")?),
    })
}

fn seen(row: &Row<'_>) -> rusqlite::Result<Seen> {
    Ok(Seen {
        run: RunId(row.get("run")?),
        job: row.get("job")?,
        sha: row.get("sha")?,
        git_ref: row.get("git_ref")?,
        at: time(row, "at")?,
        outcome: outcome(row, "outcome")?,
        time_us: row.get("time_us")?,
        message: row.get("message")?,
        details: row.get("details")?,
        file: row.get("file")?,
        line: row.get("line")?,
    })
}
