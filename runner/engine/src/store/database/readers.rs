//! Connections that only read. They are opened when they are first needed and never wait for the writer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::{BUSY_MS, StoreError, database_error};

/// Queries that go on at once.
const READERS_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    path: Arc<Path>,
    places: Semaphore,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: Arc<Path>) -> Self {
        Self { path, places: Semaphore::new(READERS_MAX), idle: Arc::default() }
    }

    /// Everything that `work` reads is from one moment.
    pub(super) async fn read<T, Work>(&self, work: Work) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Work: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let _place = self.places.acquire().await.map_err(|_| database_error(&self.path, &"it is closed"))?;
        let (path, idle) = (Arc::clone(&self.path), Arc::clone(&self.idle));
        let reading = tokio::task::spawn_blocking(move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = kept.map_or_else(|| connect(&path), Ok)?;
            let transaction = connection.unchecked_transaction()?;
            let result = work(&transaction)?;
            transaction.finish()?;
            // One that failed is not used again.
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok::<T, rusqlite::Error>(result)
        });
        let result = reading.await.map_err(|error| database_error(&self.path, &error))?;
        result.map_err(|error| database_error(&self.path, &error))
    }

    pub(super) fn close(&self) {
        self.places.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    // As the writer's: it may be closed before those that read.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
