//! What scans found over time: since when something is there, when it was seen last, when it was gone.
//!
//! The scans of one subject (an image by its name, or sources by their path) on one ref follow each other in time; what a
//! finding is, is not known here. A scan that cannot be trusted mends nothing, nor does one of which only the worst findings were
//! kept: what it has not may be there.

mod rows;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, named_params, params};
use serde_json::json;

pub use self::rows::{FindingFilter, FindingRow, ScanRow, Which, image_name};
use self::rows::{finding, later, scan};
use super::database::Database;
use super::verdicts::{FINDINGS_KEPT_MAX, Found};
use super::{RunId, StoreError};

/// Most findings of one list.
pub const FINDINGS_LISTED_MAX: usize = 5_000;
/// Most subjects, refs and scans of one list.
pub const LISTED_MAX: usize = 200;

/// A scan that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewScan {
    /// `owner/name`.
    pub repository: String,
    /// See [`ScanRow::subject`].
    pub subject: String,
    /// Whether that is an image.
    pub is_image: bool,
    /// The run.
    pub run: RunId,
    /// Key of its job run.
    pub job: String,
    /// Which step of the job.
    pub step: u64,
    /// `pass`, `fail` or `untrusted`.
    pub outcome: String,
    /// In words.
    pub sentence: String,
    /// When.
    pub at: Timestamp,
    /// What was found.
    pub found: Found,
}

/// The scans of a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scans(Database);

impl Scans {
    /// Those of this database.
    #[must_use]
    pub const fn on(database: Database) -> Self {
        Self(database)
    }

    /// Keeps a scan of a branch or a tag; of other refs (pull requests) none is kept.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn record(&self, new: NewScan) -> Result<(), StoreError> {
        self.0.write_surely(move |transaction| record(transaction, &new)).await
    }

    /// Refs of a repository with scans, the one that was scanned last first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn refs(&self, repository: &str) -> Result<Vec<String>, StoreError> {
        let repository = repository.to_owned();
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT git_ref FROM scans WHERE repository = ?1 GROUP BY git_ref ORDER BY max(id) DESC LIMIT ?2",
            )?;
            select.query_map(params![repository, LISTED_MAX], |row| row.get(0))?.collect()
        };
        self.0.read(read).await
    }

    /// Repositories with scans.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn repositories(&self) -> Result<Vec<String>, StoreError> {
        let read = |connection: &Connection| {
            let mut select =
                connection.prepare_cached("SELECT DISTINCT repository FROM scans ORDER BY repository LIMIT ?1")?;
            select.query_map([LISTED_MAX], |row| row.get(0))?.collect()
        };
        self.0.read(read).await
    }

    /// The newest scan of each subject on a ref, by subject.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn newest(&self, repository: &str, git_ref: &str) -> Result<Vec<ScanRow>, StoreError> {
        let (repository, git_ref) = (repository.to_owned(), git_ref.to_owned());
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT * FROM scans WHERE id IN (SELECT max(id) FROM scans WHERE repository = ?1 AND git_ref = ?2
                 GROUP BY subject) ORDER BY subject LIMIT ?3",
            )?;
            select.query_map(params![repository, git_ref, LISTED_MAX], scan)?.collect()
        };
        self.0.read(read).await
    }

    /// For each subject the scan of the first of these runs that has one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of_first(&self, repository: &str, runs: &[RunId]) -> Result<Vec<ScanRow>, StoreError> {
        let (repository, runs) = (repository.to_owned(), runs.iter().map(|run| run.0).collect::<Vec<_>>());
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT scans.* FROM json_each(?1) AS wanted JOIN scans ON scans.run = wanted.value AND repository = ?2
                 ORDER BY wanted.key, scans.id DESC LIMIT ?3",
            )?;
            let all = select.query_map(params![json!(runs).to_string(), repository, LISTED_MAX * 10], scan)?;
            let mut first: Vec<ScanRow> = Vec::new();
            for scan in all {
                let scan = scan?;
                if !first.iter().any(|one| one.subject == scan.subject) {
                    first.push(scan);
                }
            }
            Ok(first)
        };
        self.0.read(read).await
    }

    /// What was there when a scan looked, the worst first; nothing of one that is not in the row of time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn at(&self, of: &ScanRow) -> Result<Vec<FindingRow>, StoreError> {
        let of = of.clone();
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(&format!(
                "{SELECT} WHERE it.repository = :repository AND it.git_ref = :git_ref AND it.subject = :subject
                 AND it.first_scan <= :scan AND (it.fixed_scan IS NULL OR it.fixed_scan > :scan) AND :counted
                 {WORST_FIRST} LIMIT :limit"
            ))?;
            let values = named_params! {
                ":repository": of.repository, ":git_ref": of.git_ref, ":subject": of.subject, ":scan": of.id,
                ":counted": of.is_counted, ":limit": FINDINGS_LISTED_MAX,
            };
            let known = select.query_map(values, finding)?.collect::<Result<Vec<_>, _>>()?;
            let mut select = connection.prepare_cached(&format!("{LATER} WHERE scans.id = ?1 AND ?2"))?;
            let later = select.query_map(params![of.id, of.is_counted], later)?.collect::<Result<Vec<_>, _>>()?;
            Ok(together(known, later))
        };
        self.0.read(read).await
    }

    /// Findings on a ref, the worst first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn findings(&self, filter: FindingFilter) -> Result<Vec<FindingRow>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(&format!(
                "{SELECT} WHERE it.repository = :repository AND it.git_ref = :git_ref
                 AND (it.fixed_scan IS NULL) = :open AND (:subject IS NULL OR it.subject = :subject)
                 AND (:severity IS NULL OR it.severity = :severity) {} LIMIT :limit",
                if filter.which == Which::Open { WORST_FIRST } else { "ORDER BY it.fixed_scan DESC, it.id DESC" }
            ))?;
            let values = named_params! {
                ":repository": filter.repository, ":git_ref": filter.git_ref, ":open": filter.which == Which::Open,
                ":subject": filter.subject, ":severity": filter.severity,
                ":limit": filter.limit.min(FINDINGS_LISTED_MAX),
            };
            let known = select.query_map(values, finding)?.collect::<Result<Vec<_>, _>>()?;
            if filter.which == Which::Fixed {
                return Ok(known);
            }
            let mut select = connection.prepare_cached(&format!(
                "{LATER} WHERE scans.repository = :repository AND scans.git_ref = :git_ref
                 AND scans.id = (SELECT max(id) FROM scans AS newest WHERE newest.repository = scans.repository
                     AND newest.git_ref = scans.git_ref AND newest.subject = scans.subject AND newest.is_counted)
                 AND (:subject IS NULL OR scans.subject = :subject) AND (:severity IS NULL OR it.severity = :severity)"
            ))?;
            let values = named_params! {
                ":repository": filter.repository, ":git_ref": filter.git_ref, ":subject": filter.subject,
                ":severity": filter.severity,
            };
            let later = select.query_map(values, later)?.collect::<Result<Vec<_>, _>>()?;
            let mut all = together(known, later);
            all.truncate(filter.limit.min(FINDINGS_LISTED_MAX));
            Ok(all)
        };
        self.0.read(read).await
    }

    /// Removes scans that are older, and what was fixed before; gives how many findings. What is open stays, with the scans that it
    /// names, and so does the newest scan of each subject.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn prune(&self, before: Timestamp) -> Result<usize, StoreError> {
        let before = before.as_millisecond();
        let prune = move |transaction: &Transaction<'_>| {
            let removed = transaction.execute(
                "DELETE FROM scan_findings WHERE fixed_scan IN (SELECT id FROM scans WHERE at < ?1)",
                [before],
            )?;
            transaction.execute(
                "DELETE FROM scans WHERE at < ?1
                 AND NOT EXISTS (SELECT 1 FROM scan_findings AS it WHERE it.repository = scans.repository
                     AND it.git_ref = scans.git_ref AND it.subject = scans.subject
                     AND scans.id IN (it.first_scan, it.last_scan, it.fixed_scan))
                 AND EXISTS (SELECT 1 FROM scans AS later WHERE later.repository = scans.repository
                     AND later.git_ref = scans.git_ref AND later.subject = scans.subject AND later.id > scans.id)",
                [before],
            )?;
            transaction.execute("DELETE FROM scan_matches WHERE scan NOT IN (SELECT id FROM scans)", [])?;
            Ok(removed)
        };
        self.0.write_surely(prune).await
    }
}

const SELECT: &str =
    "SELECT it.*, first.run AS first_run, first.at AS first_at, last.run AS last_run, last.at AS last_at,
    fixed.run AS fixed_run, fixed.at AS fixed_at FROM scan_findings AS it
    JOIN scans AS first ON first.id = it.first_scan JOIN scans AS last ON last.id = it.last_scan
    LEFT JOIN scans AS fixed ON fixed.id = it.fixed_scan";
const LATER: &str = "SELECT it.fingerprint, it.name, it.place, it.severity, it.fails, it.at, scans.subject, scans.run
    FROM scan_matches AS it JOIN scans ON scans.id = it.scan";
const WORST_FIRST: &str = "ORDER BY CASE it.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2
    WHEN 'low' THEN 3 ELSE 4 END, NOT it.fails, it.first_scan DESC, it.id";

/// What a scan knew and what came later, the worst first.
fn together(mut known: Vec<FindingRow>, later: Vec<FindingRow>) -> Vec<FindingRow> {
    let rank = |row: &FindingRow| {
        let place = ["critical", "high", "medium", "low"].iter().position(|one| *one == row.severity).unwrap_or(4);
        (place, !row.fails)
    };
    known.extend(later);
    known.sort_by_key(rank);
    known
}

fn record(transaction: &Transaction<'_>, new: &NewScan) -> rusqlite::Result<()> {
    let git_ref: Option<String> =
        transaction.query_row("SELECT git_ref FROM runs WHERE id = ?1", [new.run.0], |row| row.get(0)).optional()?;
    let is_kept = |name: &String| name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
    let Some(git_ref) = git_ref.filter(is_kept) else { return Ok(()) };
    // What a newer run said is not undone by an older one that took longer.
    let is_late: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM scans WHERE repository = ?1 AND git_ref = ?2 AND subject = ?3 AND run > ?4)",
        params![new.repository, git_ref, new.subject, new.run.0],
        |row| row.get(0),
    )?;
    let known: Option<u64> = transaction
        .query_row(
            "SELECT id FROM scans WHERE run = ?1 AND job = ?2 AND step = ?3",
            params![new.run.0, new.job, new.step],
            |row| row.get(0),
        )
        .optional()?;
    if known.is_some() {
        return Ok(());
    }
    transaction.execute(
        "INSERT INTO scans (repository, git_ref, subject, is_image, run, job, step, outcome, sentence, found, is_counted, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            new.repository,
            git_ref,
            new.subject,
            new.is_image,
            new.run.0,
            new.job,
            new.step,
            new.outcome,
            new.sentence,
            new.found.count,
            !is_late,
            new.at.as_millisecond()
        ],
    )?;
    if is_late { Ok(()) } else { keep(transaction, new, &git_ref, transaction.last_insert_rowid()) }
}

fn keep(transaction: &Transaction<'_>, new: &NewScan, git_ref: &str, id: i64) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO scan_findings (repository, git_ref, subject, fingerprint, name, place, severity, fails, first_scan, last_scan)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
         ON CONFLICT (repository, git_ref, subject, fingerprint) WHERE fixed_scan IS NULL DO UPDATE SET
             name = excluded.name, place = excluded.place, severity = excluded.severity, fails = excluded.fails,
             last_scan = excluded.last_scan",
    )?;
    for one in new.found.worst.iter().take(FINDINGS_KEPT_MAX) {
        let values = params![
            new.repository,
            git_ref,
            new.subject,
            one.fingerprint,
            one.id,
            one.subject,
            one.severity,
            one.fails,
            id
        ];
        put.execute(values)?;
    }
    let is_whole = new.found.count <= new.found.worst.len() && new.found.count <= FINDINGS_KEPT_MAX;
    if is_whole && new.outcome != "untrusted" {
        transaction.execute(
            "UPDATE scan_findings SET fixed_scan = ?4 WHERE repository = ?1 AND git_ref = ?2 AND subject = ?3
             AND fixed_scan IS NULL AND last_scan <> ?4",
            params![new.repository, git_ref, new.subject, id],
        )?;
    }
    Ok(())
}
