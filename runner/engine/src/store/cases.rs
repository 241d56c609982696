//! What verdicts about images were made of, so that newer advisories are held against it without the image.
//!
//! What a case is, is not known here: it is bytes. A verdict that is made of one again becomes the last word about its image in the
//! same transaction that shows what is new to those who look at findings.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde_json::json;

use super::database::Database;
use super::verdicts::{self, ImageVerdict};
use super::{RunId, StoreError};

/// Largest case that is kept, packed.
pub const CASE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most cases of one list.
pub const CASES_LISTED_MAX: usize = 1_000;
/// Newest scans of one image with which it is shown what they did not know.
const SCANS_SHOWN_MAX: usize = 50;

/// A case of a scan that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCase {
    /// `owner/name`.
    pub repository: String,
    /// `sha256:…` of the image's configuration.
    pub image: String,
    /// `name@sha256:…` by which registries know it.
    pub digests: Vec<String>,
    /// As it was named.
    pub target: String,
    /// The run that scanned.
    pub run: RunId,
    /// Key of its job run.
    pub job: String,
    /// Which step of the job.
    pub step: u64,
    /// The case, packed; at most [`CASE_BYTES_MAX`].
    pub body: Vec<u8>,
    /// When.
    pub at: Timestamp,
    /// Which advisories it was held against.
    pub advisories: Option<String>,
}

/// A case that is kept, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRow {
    /// `owner/name`.
    pub repository: String,
    /// `sha256:…` of the image's configuration.
    pub image: String,
    /// The same, and `name@sha256:…` of registries.
    pub names: Vec<String>,
    /// As it was named.
    pub target: String,
    /// The run that scanned.
    pub run: RunId,
    /// Key of its job run.
    pub job: String,
    /// Which step of the job.
    pub step: u64,
    /// When it was scanned.
    pub at: Timestamp,
    /// Which advisories it was held against last.
    pub advisories: Option<String>,
    /// When.
    pub matched_at: Timestamp,
    /// Why that said nothing.
    pub problem: Option<String>,
    /// Fingerprints that came since the scan.
    pub known: BTreeSet<String>,
}

/// What came of holding a case against advisories again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The last word about the image from now on; its place (run, job, step) is that of the case.
    pub verdict: ImageVerdict,
    /// Fingerprints of what the scan did not know.
    pub since: BTreeSet<String>,
}

/// The cases of a folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cases(Database);

impl Cases {
    /// Those of this database.
    #[must_use]
    pub const fn on(database: Database) -> Self {
        Self(database)
    }

    /// Keeps a case in place of the one before it of the same image. One that is too large is not kept; false tells.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn keep(&self, new: NewCase) -> Result<bool, StoreError> {
        if new.body.len() > CASE_BYTES_MAX {
            return Ok(false);
        }
        let names: Vec<_> = std::iter::once(new.image.clone()).chain(new.digests.iter().cloned()).collect();
        let keep = move |transaction: &Transaction<'_>| {
            let at = new.at.as_millisecond();
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO cases (repository, image, names, target, run, job, step, body, at, advisories,
                     matched_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9)",
                )?
                .execute(params![
                    new.repository,
                    new.image,
                    json!(names).to_string(),
                    new.target,
                    new.run.0,
                    new.job,
                    new.step,
                    new.body,
                    at,
                    new.advisories
                ])
                .map(drop)
        };
        self.0.write_surely(keep).await.map(|()| true)
    }

    /// Those that are to be held against these advisories: they were held against others, or before `since`. The one that waits
    /// longest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn due(&self, advisories: &str, since: Timestamp) -> Result<Vec<CaseRow>, StoreError> {
        let advisories = advisories.to_owned();
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(&format!(
                "{SELECT} WHERE advisories IS NOT ?1 OR matched_at < ?2 ORDER BY matched_at, image LIMIT ?3"
            ))?;
            select.query_map(params![advisories, since.as_millisecond(), CASES_LISTED_MAX], case)?.collect()
        };
        self.0.read(read).await
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let read = |connection: &Connection| {
            connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM cases)", [], |row| row.get(0))
        };
        self.0.read(read).await
    }

    /// All that are kept of a repository, the last scanned first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of(&self, repository: &str) -> Result<Vec<CaseRow>, StoreError> {
        let repository = repository.to_owned();
        let read = move |connection: &Connection| {
            let mut select = connection
                .prepare_cached(&format!("{SELECT} WHERE repository = ?1 ORDER BY at DESC, image LIMIT ?2"))?;
            select.query_map(params![repository, CASES_LISTED_MAX], case)?.collect()
        };
        self.0.read(read).await
    }

    /// The body of a case; none if another scan has taken its place.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn body(&self, of: &CaseRow) -> Result<Option<Vec<u8>>, StoreError> {
        let of = of.clone();
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(&format!("SELECT body FROM cases {SAME}"))?;
            select.query_row(params![of.repository, of.image, of.run.0, of.job, of.step], |row| row.get(0)).optional()
        };
        self.0.read(read).await
    }

    /// Keeps what came of it: the verdict is the image's last word (a pass only where no other scan came since), and what is new is
    /// shown with the scans that looked at the image. Nothing is kept, and false told, if another scan has taken the place of
    /// the case. `advisories` names those that were used, for [`Cases::due`].
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn matched(&self, of: &CaseRow, advisories: String, matched: Matched) -> Result<bool, StoreError> {
        let of = of.clone();
        let write = move |transaction: &Transaction<'_>| {
            let known: BTreeSet<_> = of.known.union(&matched.since).collect();
            let at = matched.verdict.at;
            let set = transaction.execute(
                &format!("UPDATE cases SET advisories = ?6, matched_at = ?7, problem = NULL, known = ?8 {SAME}"),
                params![
                    of.repository,
                    of.image,
                    of.run.0,
                    of.job,
                    of.step,
                    advisories,
                    at.as_millisecond(),
                    json!(known).to_string()
                ],
            )?;
            if set == 0 {
                return Ok(false);
            }
            verdicts::put_again(transaction, &matched.verdict)?;
            show(transaction, &of, &matched.verdict)?;
            Ok(true)
        };
        self.0.write_surely(write).await
    }

    /// Notes that advisories could not say anything: the last word stays as it was.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn failed(
        &self,
        of: &CaseRow,
        advisories: String,
        problem: String,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let of = of.clone();
        let write = move |transaction: &Transaction<'_>| {
            let set = format!("UPDATE cases SET advisories = ?6, matched_at = ?7, problem = ?8 {SAME}");
            let place = (of.repository, of.image, of.run.0, of.job, of.step);
            let values = params![place.0, place.1, place.2, place.3, place.4, advisories, at.as_millisecond(), problem];
            transaction.execute(&set, values).map(drop)
        };
        self.0.write_surely(write).await
    }

    /// Removes what nobody asks for any more; gives how many. These stay: the `newest` of each repository, those with one of these
    /// `images` among their names, and those of these `runs`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn prune(
        &self,
        newest: usize,
        images: BTreeSet<String>,
        runs: BTreeSet<RunId>,
    ) -> Result<usize, StoreError> {
        let runs: Vec<u64> = runs.into_iter().map(|run| run.0).collect();
        let (images, runs) = (json!(images).to_string(), json!(runs).to_string());
        let prune = move |transaction: &Transaction<'_>| {
            transaction.execute(
                "DELETE FROM cases WHERE rowid IN (
                     SELECT rowid FROM (SELECT rowid, names, run,
                         row_number() OVER (PARTITION BY repository ORDER BY at DESC, image) AS place FROM cases) AS it
                     WHERE place > ?1 AND run NOT IN (SELECT value FROM json_each(?3))
                     AND NOT EXISTS (SELECT 1 FROM json_each(it.names) AS name JOIN json_each(?2) AS wanted
                         ON wanted.value = name.value))",
                params![newest, images, runs],
            )
        };
        self.0.write_surely(prune).await
    }
}

const SELECT: &str =
    "SELECT repository, image, names, target, run, job, step, at, advisories, matched_at, problem, known FROM cases";
/// The case of this scan, and no later one.
const SAME: &str = "WHERE repository = ?1 AND image = ?2 AND run = ?3 AND job = ?4 AND step = ?5";

/// What is there and a scan of the image did not know stands with that scan; what is withdrawn again goes.
fn show(transaction: &Transaction<'_>, of: &CaseRow, verdict: &ImageVerdict) -> rusqlite::Result<()> {
    let Some(found) = &verdict.findings else { return Ok(()) };
    let mut scans = transaction.prepare_cached(
        "SELECT DISTINCT scans.id FROM scans JOIN verdicts AS said USING (run, job, step)
         WHERE said.image = ?1 AND said.repository = ?2 AND scans.repository = ?2 ORDER BY scans.id DESC LIMIT ?3",
    )?;
    let scans = scans.query_map(params![of.image, of.repository, SCANS_SHOWN_MAX], |row| row.get(0))?;
    let names: Vec<_> = found.worst.iter().map(|one| one.fingerprint.as_str()).collect();
    for scan in scans.collect::<Result<Vec<u64>, _>>()? {
        if found.count <= found.worst.len() {
            transaction.execute(
                "DELETE FROM scan_matches WHERE scan = ?1 AND fingerprint NOT IN (SELECT value FROM json_each(?2))",
                params![scan, json!(names).to_string()],
            )?;
        }
        let mut had = transaction.prepare_cached(
            "SELECT it.fingerprint FROM scan_findings AS it JOIN scans ON scans.id = ?1 AND it.repository = scans.repository
             AND it.git_ref = scans.git_ref AND it.subject = scans.subject
             WHERE it.first_scan <= ?1 AND (it.fixed_scan IS NULL OR it.fixed_scan > ?1)",
        )?;
        let had = had.query_map([scan], |row| row.get(0))?.collect::<Result<BTreeSet<String>, _>>()?;
        let mut put = transaction.prepare_cached(
            "INSERT INTO scan_matches (scan, fingerprint, name, place, severity, fails, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (scan, fingerprint) DO UPDATE SET severity = excluded.severity, fails = excluded.fails",
        )?;
        for one in found.worst.iter().filter(|one| !had.contains(&one.fingerprint)).take(verdicts::FINDINGS_KEPT_MAX) {
            let at = verdict.at.as_millisecond();
            put.execute(params![scan, one.fingerprint, one.id, one.subject, one.severity, one.fails, at])?;
        }
    }
    Ok(())
}

fn case(row: &Row<'_>) -> rusqlite::Result<CaseRow> {
    let time = |milliseconds: i64| Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    let list = |text: String| serde_json::from_str::<Vec<String>>(&text).unwrap_or_default();
    Ok(CaseRow {
        repository: row.get("repository")?,
        image: row.get("image")?,
        names: list(row.get("names")?),
        target: row.get("target")?,
        run: RunId(row.get("run")?),
        job: row.get("job")?,
        step: row.get("step")?,
        at: time(row.get("at")?),
        advisories: row.get("advisories")?,
        matched_at: time(row.get("matched_at")?),
        problem: row.get("problem")?,
        known: list(row.get("known")?).into_iter().collect(),
    })
}
