//! The rows, and what is asked for.

use jiff::Timestamp;
use rusqlite::Row;
use serde::Serialize;

use crate::store::RunId;

/// A scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanRow {
    /// Its number; later ones of a subject have higher ones.
    pub id: u64,
    /// `owner/name`.
    pub repository: String,
    /// The run's ref.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The name of an image without its tag, or a path of sources.
    pub subject: String,
    /// Whether that is an image.
    pub is_image: bool,
    /// The run.
    pub run: RunId,
    /// Key of its job run.
    pub job: String,
    /// `pass`, `fail` or `untrusted`.
    pub outcome: String,
    /// In words.
    pub sentence: String,
    /// How many findings.
    pub found: u64,
    /// Whether first and last times are by it: not where a newer run was scanned before.
    pub is_counted: bool,
    /// When.
    pub at: Timestamp,
}

/// A finding, from when it came until it was gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingRow {
    /// A name that stays when versions and lines change.
    pub fingerprint: String,
    /// In what it was found; see [`ScanRow::subject`].
    pub subject: String,
    /// `CVE-…`, or a rule.
    pub name: String,
    /// The package or the file.
    pub place: String,
    /// `critical`, `high`, `medium`, `low` or `unknown`.
    pub severity: String,
    /// Whether it fails by the policy.
    pub fails: bool,
    /// The run that had it first.
    pub first_run: RunId,
    /// When.
    pub first_at: Timestamp,
    /// The run that had it last.
    pub last_run: RunId,
    /// When.
    pub last_at: Timestamp,
    /// The first run without it.
    pub fixed_run: Option<RunId>,
    /// When.
    pub fixed_at: Option<Timestamp>,
    /// Whether the scan did not know it: advisories that came later are about what it looked at. Then `first_at` and `last_at` are when
    /// that was found out.
    pub is_later: bool,
}

/// Which findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// Those that the newest scan had.
    #[default]
    Open,
    /// Those that are gone, the newest first.
    Fixed,
}

/// What is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// `owner/name`.
    pub repository: String,
    /// Such as `refs/heads/main`.
    pub git_ref: String,
    /// Of these only.
    pub which: Which,
    /// Of this subject only.
    pub subject: Option<String>,
    /// Of this severity only.
    pub severity: Option<String>,
    /// At most so many; never more than [`super::FINDINGS_LISTED_MAX`].
    pub limit: usize,
}

/// The name of an image without tag and digest.
#[must_use]
pub fn image_name(target: &str) -> &str {
    let target = target.split_once('@').map_or(target, |(name, _)| name);
    match target.rsplit_once(':') {
        // A port of a registry is no tag.
        Some((name, tag)) if !tag.contains('/') => name,
        Some(_) | None => target,
    }
}

pub(super) fn scan(row: &Row<'_>) -> rusqlite::Result<ScanRow> {
    Ok(ScanRow {
        id: row.get("id")?,
        repository: row.get("repository")?,
        git_ref: row.get("git_ref")?,
        subject: row.get("subject")?,
        is_image: row.get("is_image")?,
        run: RunId(row.get("run")?),
        job: row.get("job")?,
        outcome: row.get("outcome")?,
        sentence: row.get("sentence")?,
        found: row.get("found")?,
        is_counted: row.get("is_counted")?,
        at: time(row.get("at")?),
    })
}

pub(super) fn finding(row: &Row<'_>) -> rusqlite::Result<FindingRow> {
    let first = (RunId(row.get("first_run")?), time(row.get("first_at")?));
    let last = (RunId(row.get("last_run")?), time(row.get("last_at")?));
    Ok(FindingRow {
        fixed_run: row.get::<_, Option<u64>>("fixed_run")?.map(RunId),
        fixed_at: row.get::<_, Option<i64>>("fixed_at")?.map(time),
        ..seen(row, first, last)?
    })
}

/// What a scan did not know.
pub(super) fn later(row: &Row<'_>) -> rusqlite::Result<FindingRow> {
    let known = (RunId(row.get("run")?), time(row.get("at")?));
    Ok(FindingRow { is_later: true, ..seen(row, known, known)? })
}

/// What stands, since and until when.
fn seen(row: &Row<'_>, first: (RunId, Timestamp), last: (RunId, Timestamp)) -> rusqlite::Result<FindingRow> {
    Ok(FindingRow {
        fingerprint: row.get("fingerprint")?,
        subject: row.get("subject")?,
        name: row.get("name")?,
        place: row.get("place")?,
        severity: row.get("severity")?,
        fails: row.get("fails")?,
        first_run: first.0,
        first_at: first.1,
        last_run: last.0,
        last_at: last.1,
        fixed_run: None,
        fixed_at: None,
        is_later: false,
    })
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}
