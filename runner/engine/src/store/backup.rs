//! A copy of a server's folder that can be proved: the database as of one moment, the logs of its runs, and a list of
//! what it holds with digests.
//!
//! It is made beside a server that runs. The master key is not part of it unless asked for: who has both can read every
//! secret. Runs that were not over when it was made are over after a restore.
//! Follows <https://sqlite.org/lang_vacuum.html#vacuuminto>.

mod check;
mod files;
#[cfg(test)]
mod tests;

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};
use serde::{Deserialize, Serialize};
use workflow::run::{Conclusion, EVENT_VERSION, Recorded, RunEvent};

use super::database::Database;
use super::runs::Change;
use super::{RunId, StoreError};

pub use check::{Checked, check};

/// Name of the list.
const LIST: &str = "backup.json";
/// Name of the database in a backup and in a server's folder.
const DATABASE: &str = "pipe.db";
/// Version of the list.
const VERSION: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Version of this form.
    pub v: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// Whether the master key is in it.
    pub has_key: bool,
    /// Every file but this list, in order.
    pub files: Vec<Kept>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Below the backup's folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

/// Copies a server's folder to a new one. `key` is the key file to take along.
///
/// # Errors
/// The target is there already, or something cannot be read or written; what was written then is left for a look.
pub fn make(data: &Path, target: &Path, key: Option<&Path>, now: Timestamp) -> Result<Backup, StoreError> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| file_error("write the backup", path, error);
    std::fs::DirBuilder::new().mode(0o700).create(target).map_err(|error| failed(target, &error))?;
    // Logs first: a log is at least as long as the facts about it, never shorter.
    let mut kept = files::copy_logs(data, target)?;
    let copy = target.join(DATABASE);
    copy_database(&data.join(DATABASE), &copy)?;
    kept.push(files::describe(target, &copy)?);
    if let Some(key) = key {
        let own = target.join(crate::sealing::KEY_FILE);
        std::fs::copy(key, &own).map_err(|error| failed(&own, &error))?;
        kept.push(files::describe(target, &own)?);
    }
    kept.sort_by(|a, b| a.path.cmp(&b.path));
    let backup = Backup { v: VERSION, made_at: now, has_key: key.is_some(), files: kept };
    let list = target.join(LIST);
    let text = serde_json::to_vec_pretty(&backup).map_err(|error| failed(&list, &error))?;
    // Last, so that a backup with a list is whole.
    let write = || {
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&list)?;
        std::io::Write::write_all(&mut file, &text)?;
        file.sync_all()?;
        std::fs::File::open(target)?.sync_all()
    };
    write().map_err(|error| failed(&list, &error))?;
    Ok(backup)
}

/// Puts a backup that [`check`] found whole into a folder that has no database yet. Nothing of it goes on by itself: see
/// [`void`].
///
/// # Errors
/// The folder has a database, or something cannot be read or written.
pub fn restore(from: &Path, backup: &Backup, data: &Path, now: Timestamp) -> Result<(), StoreError> {
    let target = data.join(DATABASE);
    if target.exists() {
        return Err(file_error("restore to", &target, &"there is a database already; restore to an empty folder"));
    }
    for kept in &backup.files {
        let (source, path) = (from.join(&kept.path), data.join(&kept.path));
        let copied = path
            .parent()
            .map_or(Ok(()), |folder| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder));
        let copied =
            copied.and_then(|()| std::fs::copy(&source, &path)).and_then(|_| std::fs::File::open(&path)?.sync_all());
        copied.map_err(|error| file_error("restore", &path, &error))?;
    }
    void(&target, backup, now).map_err(|error| database_error(&target, &error))
}

/// What may have happened since the backup was made must not happen again: tokens hold no more, since some were taken
/// back; runs that were not over are, whatever they waited for; deliveries that waited wait no more (T07).
fn void(path: &Path, backup: &Backup, now: Timestamp) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    let transaction = connection.transaction()?;
    transaction.execute("UPDATE tokens SET revoked_at = ?1 WHERE revoked_at IS NULL", [now.as_millisecond()])?;
    transaction.execute("UPDATE sessions SET ended_at = ?1 WHERE ended_at IS NULL", [now.as_millisecond()])?;
    let made = backup.made_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let reason = format!("it waited when the backup of {made} was made, and may have been looked at since");
    transaction.execute("UPDATE deliveries SET state = 'ignored', reason = ?1 WHERE state = 'received'", [reason])?;
    let message = format!("it was not over when the backup of {made} was made; what became of it is not known here");
    let select =
        "SELECT id, coalesce((SELECT max(seq) FROM events WHERE run = id), 0) FROM runs WHERE status <> 'completed'";
    let open: Vec<(u64, u64)> = {
        let mut select = transaction.prepare(select)?;
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
    };
    for (run, last) in open {
        let events = [
            RunEvent::RunRefused { message: message.clone() },
            RunEvent::RunFinished { conclusion: Conclusion::Cancelled },
        ];
        for (seq, event) in (last + 1..).zip(events) {
            let fact = Recorded { v: EVENT_VERSION, seq, at: now, event };
            let body =
                serde_json::to_string(&fact).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            transaction.execute("INSERT INTO events (run, seq, body) VALUES (?1, ?2, ?3)", params![run, seq, body])?;
            if let Some(change) = Change::of(&fact) {
                change.apply(&transaction, RunId(run))?;
            }
        }
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

/// All of the database as of one moment; a server that writes to it is not disturbed.
fn copy_database(path: &Path, copy: &Path) -> Result<(), StoreError> {
    let work = || {
        let connection = read_only(path)?;
        connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
        Ok(())
    };
    work().map_err(|error: rusqlite::Error| database_error(path, &error))?;
    std::fs::File::open(copy).and_then(|file| file.sync_all()).map_err(|error| file_error("write", copy, &error))
}

fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn list_of(folder: &Path) -> Result<Backup, StoreError> {
    let path: PathBuf = folder.join(LIST);
    let text = std::fs::read(&path).map_err(|error| file_error("read the list of the backup", &path, &error))?;
    let backup: Backup =
        serde_json::from_slice(&text).map_err(|error| file_error("read the list of the backup", &path, &error))?;
    if backup.v > VERSION {
        return Err(file_error("read the list of the backup", &path, &"it was made by a newer version of pipe"));
    }
    Ok(backup)
}

fn file_error(action: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::File { action, path: path.display().to_string(), reason: reason.to_string() }
}

fn database_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Database { path: path.display().to_string(), reason: error.to_string() }
}

/// Opened only to be looked at: on a copy, so that the backup itself stays as it is.
fn opened_copy(path: &Path, folder: &Path) -> Result<Database, StoreError> {
    let copy = folder.join(DATABASE);
    std::fs::copy(path, &copy).map_err(|error| file_error("copy", path, &error))?;
    Database::open(&copy, super::Options::LOCAL)
}
