//! Seals everything again with the first master key. It may be cut off at any place and begun again.
//!
//! What is sealed elsewhere in the database must be named here: after a rekey the old key is gone.

#[cfg(test)]
mod tests;

use rusqlite::{Connection, Row, Transaction, params};
use serde_json::json;
use workflow::event::Forge;

use super::StoreError;
use super::audit::{Actor, Audit, Deed, sealed_context};
use super::database::Database;
use super::repositories::{SealError, Sealer as _, fetch_context, hook_context};
use super::secrets;
use crate::sealing::{KeyId, Vault};
use std::sync::Arc;

/// Rows of one transaction.
const BATCH_ROWS: usize = 200;

/// Why a rekey stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RekeyError {
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something does not open. Nothing is lost: the old key is kept.
    #[error("{what} does not open: {reason}; the old key is kept")]
    Sealed {
        /// What.
        what: String,
        /// Why.
        reason: SealError,
    },
}

/// A table with sealed values: how its rows are found, what they are sealed for, how they are changed.
struct Place {
    select: &'static str,
    update: &'static str,
    context: fn(&Row<'_>) -> rusqlite::Result<String>,
}

const PLACES: [Place; 4] = [
    Place {
        select: "SELECT rowid AS place, kind, name, repository, environment, branch, version, value FROM settings
                 WHERE kind = 'secret' AND substr(value, 2, 4) <> ?1 LIMIT ?2",
        update: "UPDATE settings SET value = ?2 WHERE rowid = ?1",
        context: |row| Ok(secrets::context(&row.get::<_, String>("name")?, &secrets::scope(row)?, row.get("version")?)),
    },
    Place {
        select: "SELECT id AS place, forge, full_name, secret AS value FROM repositories
                 WHERE substr(secret, 2, 4) <> ?1 LIMIT ?2",
        update: "UPDATE repositories SET secret = ?2 WHERE id = ?1",
        context: |row| Ok(hook_context(forge(row)?, &row.get::<_, String>("full_name")?)),
    },
    Place {
        select: "SELECT id AS place, forge, full_name, fetch_token AS value FROM repositories
                 WHERE fetch_token IS NOT NULL AND substr(fetch_token, 2, 4) <> ?1 LIMIT ?2",
        update: "UPDATE repositories SET fetch_token = ?2 WHERE id = ?1",
        context: |row| Ok(fetch_context(forge(row)?, &row.get::<_, String>("full_name")?)),
    },
    Place {
        select: "SELECT name AS place, value FROM sealed WHERE substr(value, 2, 4) <> ?1 LIMIT ?2",
        update: "UPDATE sealed SET value = ?2 WHERE name = ?1",
        context: |row| Ok(sealed_context(&row.get::<_, String>("place")?)),
    },
];

fn forge(row: &Row<'_>) -> rusqlite::Result<Forge> {
    let name: String = row.get("forge")?;
    Forge::parse(&name).ok_or_else(|| rusqlite::Error::InvalidParameterName(format!("unknown forge {name}")))
}

/// Seals what is not sealed with the vault's first key; how many values were. Readers are not disturbed as long as the
/// vault knows the old key too.
///
/// # Errors
/// One does not open, or the database said no. What is done stays done.
pub async fn rekey(database: &Database, vault: &Arc<Vault>, audit: &Audit, by: Actor) -> Result<usize, RekeyError> {
    let mut count = 0;
    for place in &PLACES {
        loop {
            let vault = Arc::clone(vault);
            let write = move |transaction: &Transaction<'_>| batch(transaction, place, &vault);
            let done = database.write_surely(write).await??;
            count += done;
            if done == 0 {
                break;
            }
        }
    }
    let detail = json!({ "key": vault.current().to_string(), "values": count });
    audit.record(Deed { actor: by, what: "secret.rekey", target: "all".to_owned(), detail }).await?;
    Ok(count)
}

/// How many values each other key still seals.
///
/// # Errors
/// The store cannot be read.
pub async fn sealed_with_others(database: &Database, current: KeyId) -> Result<usize, StoreError> {
    let read = move |connection: &Connection| {
        let mut count = 0;
        for place in &PLACES {
            let rows = format!("SELECT count(*) FROM ({})", place.select);
            count += connection.query_row(&rows, params![current.0, -1], |row| row.get::<_, usize>(0))?;
        }
        Ok(count)
    };
    database.read(read).await
}

fn batch(transaction: &Transaction<'_>, place: &Place, vault: &Vault) -> rusqlite::Result<Result<usize, RekeyError>> {
    let mut select = transaction.prepare_cached(place.select)?;
    let rows = select.query_map(params![vault.current().0, BATCH_ROWS], |row| {
        let at: rusqlite::types::Value = row.get("place")?;
        Ok((at, (place.context)(row)?, row.get::<_, Vec<u8>>("value")?))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut update = transaction.prepare_cached(place.update)?;
    for (at, context, sealed) in &rows {
        let again = vault.open(context, sealed).and_then(|secret| vault.seal(context, &secret));
        match again {
            Ok(again) => update.execute(params![at, again])?,
            Err(reason) => return Ok(Err(RekeyError::Sealed { what: context.clone(), reason })),
        };
    }
    Ok(Ok(rows.len()))
}
