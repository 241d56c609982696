//! Coverage of runs, each compared with that of the newest run of the default branch that was green.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params, params};
use serde::Serialize;

use super::{Origin, Reports, of_run, time};
use crate::reports::{Coverage, FileCoverage, Rate};
use crate::store::{RunId, StoreError};

/// How hard the list of files is packed.
const PACK_LEVEL: i32 = 3;

/// A report of coverage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoverageListed {
    /// Its number.
    pub id: u64,
    /// The run that it is of.
    pub run: RunId,
    /// Key of the job run.
    pub job: String,
    /// What people call it.
    pub name: String,
    /// `owner/name`.
    pub repository: String,
    /// The commit.
    pub sha: String,
    /// `github.ref`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// When.
    pub at: Timestamp,
    /// Lines.
    pub lines: Rate,
    /// Branches; none where no tool says anything of them.
    pub branches: Rate,
    /// What it is compared with: the same report of the newest green run of the default branch before it.
    pub before: Option<Compared>,
}

/// The coverage before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Its run.
    pub run: RunId,
    /// The commit.
    pub sha: String,
    /// Lines.
    pub lines: Rate,
}

impl CoverageListed {
    /// By how many of a hundred lines it differs from the one before.
    #[must_use]
    pub fn delta(&self) -> Option<f64> {
        Some(self.lines.percent()? - self.before.as_ref()?.lines.percent()?)
    }
}

impl Reports {
    /// Keeps the coverage that a step collected, in place of what it had collected before, and compares it.
    /// `default_branch` may be empty.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn keep_coverage(
        &self,
        origin: Origin,
        files: Vec<FileCoverage>,
        default_branch: &str,
    ) -> Result<CoverageListed, StoreError> {
        let (lines, branches) = Coverage::totals(&files);
        let failed = |reason: String| StoreError::Database { path: self.database.path().display().to_string(), reason };
        let packed = serde_json::to_vec(&files).map_err(|error| failed(error.to_string()))?;
        let packed = zstd::bulk::compress(&packed, PACK_LEVEL).map_err(|error| failed(error.to_string()))?;
        let default_ref = format!("refs/heads/{default_branch}");
        let keep = move |transaction: &Transaction<'_>| {
            let id = keep(transaction, &origin, (lines, branches), &packed, &default_ref)?;
            transaction.query_row(&format!("{SELECT} WHERE coverage.id = ?1"), [id], listed)
        };
        self.database.write_surely(keep).await
    }

    /// Coverage of a run.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn coverage_of_run(&self, run: RunId) -> Result<Vec<CoverageListed>, StoreError> {
        let read = move |connection: &Connection| {
            let of_run = of_run("coverage_reports", "");
            let select = format!("{SELECT} WHERE coverage.id IN ({of_run}) ORDER BY coverage.id");
            connection.prepare_cached(&select)?.query_map([run.0], listed)?.collect()
        };
        self.database.read(read).await
    }

    /// The files of a report, by path; `None` where there is no such report.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn covered_files(&self, report: u64) -> Result<Option<Vec<FileCoverage>>, StoreError> {
        let read = move |connection: &Connection| {
            let select = "SELECT files FROM coverage_reports WHERE id = ?1";
            connection.prepare_cached(select)?.query_row([report], |row| row.get::<_, Vec<u8>>(0)).optional()
        };
        let Some(packed) = self.database.read(read).await? else { return Ok(None) };
        let read = zstd::stream::decode_all(&packed[..]).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        let path = || self.database.path().display().to_string();
        read.map(Some).map_err(|error| StoreError::Database { path: path(), reason: error.to_string() })
    }
}

fn keep(
    transaction: &Transaction<'_>,
    origin: &Origin,
    (lines, branches): (Rate, Rate),
    files: &[u8],
    default_ref: &str,
) -> rusqlite::Result<u64> {
    transaction
        .prepare_cached("DELETE FROM coverage_reports WHERE run = ?1 AND job = ?2 AND step = ?3")?
        .execute(params![origin.run.0, origin.job, origin.step])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO coverage_reports (run, job, step, name, repository, sha, git_ref, at, lines, lines_covered, branches,
                                       branches_covered, files, before)
         VALUES (:run, :job, :step, :name, :repository, :sha, :ref, :at, :lines, :covered, :branches, :reached, :files,
                 (SELECT max(coverage.id) FROM coverage_reports AS coverage JOIN runs ON runs.id = coverage.run
                  WHERE coverage.repository = :repository AND coverage.name = :name AND coverage.git_ref = :default
                  AND coverage.job = :job AND coverage.run <> :run AND runs.conclusion = 'success'))",
    )?;
    insert.execute(named_params! {
        ":run": origin.run.0, ":job": origin.job, ":step": origin.step, ":name": origin.name,
        ":repository": origin.repository, ":sha": origin.sha, ":ref": origin.git_ref,
        ":at": origin.at.as_millisecond(), ":lines": lines.total, ":covered": lines.covered,
        ":branches": branches.total, ":reached": branches.covered, ":files": files, ":default": default_ref,
    })?;
    Ok(transaction.last_insert_rowid().cast_unsigned())
}

const SELECT: &str = "
    SELECT coverage.*, before.run AS before_run, before.sha AS before_sha, before.lines AS before_lines,
           before.lines_covered AS before_covered
    FROM coverage_reports AS coverage LEFT JOIN coverage_reports AS before ON before.id = coverage.before";

fn listed(row: &Row<'_>) -> rusqlite::Result<CoverageListed> {
    let rate = |covered: &str, total: &str| {
        Ok::<_, rusqlite::Error>(Rate { covered: row.get(covered)?, total: row.get(total)? })
    };
    let before = match row.get::<_, Option<u64>>("before_run")? {
        None => None,
        Some(run) => Some(Compared {
            run: RunId(run),
            sha: row.get("before_sha")?,
            lines: rate("before_covered", "before_lines")?,
        }),
    };
    Ok(CoverageListed {
        id: row.get("id")?,
        run: RunId(row.get("run")?),
        job: row.get("job")?,
        name: row.get("name")?,
        repository: row.get("repository")?,
        sha: row.get("sha")?,
        git_ref: row.get("git_ref")?,
        at: time(row, "at")?,
        lines: rate("lines_covered", "lines")?,
        branches: rate("branches_covered", "branches")?,
        before,
    })
}
