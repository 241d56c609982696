//! Results of tests on their way into the store: the row of the report first, cases in batches, then it is whole.

use rusqlite::{Transaction, named_params, params};

use super::{Origin, Reports};
use crate::reports::{Case, Totals};
use crate::store::StoreError;

/// Cases of one transaction.
const BATCH: usize = 1_000;

impl Reports {
    /// Keeps the results that a step collected, in place of those that it had collected before. `more` cases are not
    /// among them.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn keep_tests(&self, origin: Origin, cases: Vec<Case>, files: u64, more: u64) -> Result<u64, StoreError> {
        let totals = Totals::of(&cases);
        let (count, repository) = (cases.len() as u64, origin.repository.clone());
        let begin = move |transaction: &Transaction<'_>| begin(transaction, &origin, &totals, (count, files, more));
        let report = self.database.write_surely(begin).await?;
        let mut cases = cases.into_iter();
        let mut at = 0;
        loop {
            let batch: Vec<_> = cases.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let (from, repository) = (at, repository.clone());
            at += batch.len();
            self.database.write_surely(move |transaction| add(transaction, &repository, report, from, &batch)).await?;
        }
        let whole = move |transaction: &Transaction<'_>| {
            transaction.execute("UPDATE test_reports SET complete = 1 WHERE id = ?1", [report]).map(drop)
        };
        self.database.write_surely(whole).await?;
        Ok(report)
    }
}

fn begin(
    transaction: &Transaction<'_>,
    origin: &Origin,
    totals: &Totals,
    (cases, files, more): (u64, u64, u64),
) -> rusqlite::Result<u64> {
    let same = params![origin.run.0, origin.job, origin.step];
    transaction.prepare_cached("DELETE FROM test_reports WHERE run = ?1 AND job = ?2 AND step = ?3")?.execute(same)?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO test_reports (run, job, step, name, repository, sha, git_ref, at, files, more, cases, passed, failed,
                                   errors, skipped, flaky, time_ms)
         VALUES (:run, :job, :step, :name, :repository, :sha, :ref, :at, :files, :more, :cases, :passed, :failed,
                 :errors, :skipped, :flaky, :time)",
    )?;
    insert.execute(named_params! {
        ":run": origin.run.0, ":job": origin.job, ":step": origin.step, ":name": origin.name,
        ":repository": origin.repository, ":sha": origin.sha, ":ref": origin.git_ref,
        ":at": origin.at.as_millisecond(), ":files": files, ":more": more, ":cases": cases, ":passed": totals.passed,
        ":failed": totals.failed, ":errors": totals.errors, ":skipped": totals.skipped, ":flaky": totals.flaky,
        ":time": totals.time_ms,
    })?;
    Ok(transaction.last_insert_rowid().cast_unsigned())
}

fn add(
    transaction: &Transaction<'_>,
    repository: &str,
    report: u64,
    from: usize,
    cases: &[Case],
) -> rusqlite::Result<()> {
    let mut find = transaction
        .prepare_cached("SELECT id FROM tests WHERE repository = ?1 AND suite = ?2 AND class = ?3 AND name = ?4")?;
    let mut name =
        transaction.prepare_cached("INSERT INTO tests (repository, suite, class, name) VALUES (?1, ?2, ?3, ?4)")?;
    let mut put = transaction.prepare_cached(
        "INSERT INTO test_cases (report, position, test, outcome, time_us, file, line, message, details, retries)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for (position, case) in (from..).zip(cases) {
        let identity = params![repository, case.suite, case.class, case.name];
        let mut rows = find.query(identity)?;
        let known: Option<i64> = rows.next()?.map(|row| row.get(0)).transpose()?;
        drop(rows);
        let test = match known {
            Some(test) => test,
            None => name.insert(identity)?,
        };
        put.execute(params![
            report,
            position,
            test,
            case.outcome.word(),
            case.time_us,
            case.file,
            case.line,
            case.message,
            case.details,
            case.retries
        ])?;
    }
    Ok(())
}
