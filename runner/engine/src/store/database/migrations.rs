//! The form of the tables: numbered SQL files, each applied once, all that are missing in one transaction.
//!
//! A released file is never edited; a change is a new file. Before the first change a copy of the database is put
//! beside it.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{StoreError, beside, database_error};

/// In order; the number of a file is its place here, from 1. The number of those applied is kept as `user_version`.
const MIGRATIONS: [&str; 25] = [
    include_str!("../migrations/001-runs.sql"),
    include_str!("../migrations/002-deliveries.sql"),
    include_str!("../migrations/003-outbox.sql"),
    include_str!("../migrations/004-service.sql"),
    include_str!("../migrations/005-access.sql"),
    include_str!("../migrations/006-listing.sql"),
    include_str!("../migrations/007-triggering.sql"),
    include_str!("../migrations/008-deployments.sql"),
    include_str!("../migrations/009-people.sql"),
    include_str!("../migrations/010-reports.sql"),
    include_str!("../migrations/011-notifications.sql"),
    include_str!("../migrations/012-approvals.sql"),
    include_str!("../migrations/013-insights.sql"),
    include_str!("../migrations/014-costs.sql"),
    include_str!("../migrations/015-rollouts.sql"),
    include_str!("../migrations/016-verdicts.sql"),
    include_str!("../migrations/017-gates.sql"),
    include_str!("../migrations/018-verdict-findings.sql"),
    include_str!("../migrations/019-followers.sql"),
    include_str!("../migrations/020-badges.sql"),
    include_str!("../migrations/021-rollouts-ended.sql"),
    include_str!("../migrations/022-findings.sql"),
    include_str!("../migrations/023-reasons.sql"),
    include_str!("../migrations/024-job-tokens.sql"),
    include_str!("../migrations/025-cases.sql"),
];

pub(super) fn apply(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| database_error(path, &error);
    let known = MIGRATIONS.len();
    let found = version(path, connection)?;
    if found == known {
        return Ok(());
    }
    if found > 0 {
        copy_before(path, connection, found)?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Another process may have been faster.
    let found = version(path, &transaction)?;
    for migration in MIGRATIONS.iter().skip(found) {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Refuses a database whose form is another one than this program's: somebody else may be about to change it.
pub(super) fn check(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let (found, known) = (version(path, connection)?, MIGRATIONS.len());
    if found == known {
        return Ok(());
    }
    Err(database_error(path, &format!("its form is {found}, and this program's {known}: use the server's own program")))
}

fn version(path: &Path, connection: &Connection) -> Result<usize, StoreError> {
    let query = connection.pragma_query_value(None, "user_version", |row| row.get::<_, usize>(0));
    let found = query.map_err(|error| database_error(path, &error))?;
    let known = MIGRATIONS.len();
    if found > known {
        return Err(StoreError::Newer { path: path.display().to_string(), found, known });
    }
    Ok(found)
}

fn copy_before(path: &Path, connection: &Connection, found: usize) -> Result<(), StoreError> {
    let copy = beside(path, &format!("before-form-{}", found + 1));
    let unfinished = beside(path, &format!("before-form-{}.{}", found + 1, std::process::id()));
    let failed = |reason: String| database_error(path, &format!("copy it to {}: {reason}", copy.display()));
    // Left by a process of the same number that was killed.
    if let Err(error) = std::fs::remove_file(&unfinished)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(failed(error.to_string()));
    }
    let name = unfinished.to_str().ok_or_else(|| failed("its name is not UTF-8".to_owned()))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| failed(error.to_string()))?;
    let finish = || {
        std::fs::File::open(&unfinished)?.sync_all()?;
        std::fs::rename(&unfinished, &copy)
    };
    finish().map_err(|error| failed(error.to_string()))
}
