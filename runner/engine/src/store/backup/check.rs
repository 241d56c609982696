//! Whether a backup is whole: every file as listed, the database without faults, the audit log in its chain, and every
//! run's facts readable and without a hole.

use std::path::{Component, Path};

use rusqlite::Connection;
use workflow::run::{Recorded, RunEvent};

use super::{Backup, DATABASE, StoreError, file_error, files, list_of, opened_copy, read_only};
use crate::sealing::{KeySource, Vault};
use crate::store::audit::{Audit, AuditError};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// What it holds.
    pub backup: Backup,
    /// Runs whose facts were read.
    pub runs: u64,
    /// Facts that were read.
    pub facts: u64,
    /// Rows of the audit log; `None` where the key is not there to check them.
    pub audited: Option<u64>,
    /// What is wrong. Empty: nothing.
    pub problems: Vec<String>,
}

/// Looks at a whole backup. `keys` may be elsewhere than in it.
///
/// # Errors
/// It has no list, or cannot be read at all.
pub async fn check(folder: &Path, keys: &KeySource) -> Result<Checked, StoreError> {
    let backup = list_of(folder)?;
    let mut checked = Checked { runs: 0, facts: 0, audited: None, problems: Vec::new(), backup };
    for kept in &checked.backup.files {
        let is_below = Path::new(&kept.path).components().all(|part| matches!(part, Component::Normal(_)));
        let found = if is_below { files::describe(folder, &folder.join(&kept.path)).ok() } else { None };
        match found {
            None => checked.problems.push(format!("{} is missing", kept.path)),
            Some(found) if found != *kept => checked.problems.push(format!("{} was changed", kept.path)),
            Some(_) => {}
        }
    }
    let path = folder.join(DATABASE);
    let read = read_only(&path).and_then(|connection| database(&connection, &mut checked));
    if let Err(error) = read {
        checked.problems.push(format!("the database cannot be read: {error}"));
        return Ok(checked);
    }
    let scratch = tempfile::tempdir().map_err(|error| file_error("make a folder in", &std::env::temp_dir(), &error))?;
    if let Ok(keys) = keys.read(false) {
        let opened = opened_copy(&path, scratch.path())?;
        match audited(&opened, &Vault::new(keys)).await {
            Ok(count) => checked.audited = Some(count),
            Err(error) => checked.problems.push(error.to_string()),
        }
        opened.close().await;
    }
    Ok(checked)
}

async fn audited(database: &crate::store::Database, vault: &Vault) -> Result<u64, AuditError> {
    if !Audit::exists(database).await? {
        return Ok(0);
    }
    Ok(Audit::open(database.clone(), vault).await?.verify(None).await?.count)
}

fn database(connection: &Connection, checked: &mut Checked) -> rusqlite::Result<()> {
    let mut integrity = connection.prepare("PRAGMA integrity_check(20)")?;
    let found = integrity.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    checked.problems.extend(found.into_iter().filter(|text| text != "ok").map(|text| format!("the database: {text}")));
    let mut keys = connection.prepare("PRAGMA foreign_key_check")?;
    if keys.exists([])? {
        checked.problems.push("the database: a row names another one that is not there".to_owned());
    }
    let mut runs = connection.prepare("SELECT id, status FROM runs ORDER BY id")?;
    let mut facts = connection.prepare("SELECT seq, body FROM events WHERE run = ?1 ORDER BY seq")?;
    let mut rows = runs.query([])?;
    while let Some(row) = rows.next()? {
        let (run, status): (u64, String) = (row.get(0)?, row.get(1)?);
        checked.runs += 1;
        let (mut last, mut is_over) = (0, false);
        let mut bodies = facts.query([run])?;
        while let Some(fact) = bodies.next()? {
            let (seq, body): (u64, String) = (fact.get(0)?, fact.get(1)?);
            checked.facts += 1;
            match serde_json::from_str::<Recorded>(&body) {
                Ok(fact) if seq == last + 1 && fact.seq == seq => {
                    is_over |= matches!(fact.event, RunEvent::RunFinished { .. });
                }
                Ok(_) => checked.problems.push(format!("run {run}: fact {} is missing", last + 1)),
                Err(error) => checked.problems.push(format!("run {run}: fact {seq} cannot be read: {error}")),
            }
            last = seq;
        }
        if is_over != (status == "completed") {
            checked.problems.push(format!("run {run}: it is listed as {status}, which its facts do not say"));
        }
    }
    Ok(())
}
