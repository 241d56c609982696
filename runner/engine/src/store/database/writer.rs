//! The writing thread: gathers work, commits it, then answers.
//!
//! An answer never goes out before the commit, and with [`super::Durability::Full`] not before the flush. When a flush
//! or a write to the disk fails, nobody knows any more what the disk holds; from then on everything is refused until
//! the file is opened again (<https://wiki.postgresql.org/wiki/Fsync_Errors>). A full disk is refused batch by batch.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::chain::Chain;
use super::lock::Lock;
use super::{Refusal, StoreError, database_error};

/// Most pieces of work in one transaction.
const BATCH_MAX: usize = 512;
/// From this many pages in the WAL on (16 MiB) they are moved to the database.
const WAL_PAGES_MAX: i32 = 4_096;
/// A WAL of up to so many bytes is left as it is when a file that is shared is closed: it is read again in a millisecond.
const WAL_LEFT_BYTES_MAX: u64 = 1024 * 1024;

/// Text of what is wrong; the first part says whether it can become well again.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default, Clone)]
enum State {
    #[default]
    Well,
    Full(String),
    Broken(String),
}

impl Health {
    pub(super) fn problem(&self) -> Option<String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Well => None,
            State::Full(reason) | State::Broken(reason) => Some(reason.clone()),
        }
    }

    fn broken(&self) -> Option<String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Well | State::Full(_) => None,
            State::Broken(reason) => Some(reason.clone()),
        }
    }

    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// What the thread is asked.
pub(super) enum Request {
    Work(Box<dyn Work>),
    Close(oneshot::Sender<()>),
}

/// A piece of work with somebody who waits for its result.
pub(super) trait Work: Send {
    /// Its error, if it is one that the whole transaction cannot live with is the caller's to judge.
    fn perform(&mut self, transaction: &Transaction<'_>) -> Result<(), Option<rusqlite::ffi::Error>>;
    /// After the commit, or with the reason why there was none.
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
}

pub(super) struct Task<T, F> {
    work: Option<F>,
    result: Option<rusqlite::Result<T>>,
    answer: oneshot::Sender<Result<T, Refusal>>,
}

impl<T, F> Task<T, F> {
    pub(super) fn new(work: F, answer: oneshot::Sender<Result<T, Refusal>>) -> Self {
        Self { work: Some(work), result: None, answer }
    }
}

impl<T, F> Work for Task<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
{
    fn perform(&mut self, transaction: &Transaction<'_>) -> Result<(), Option<rusqlite::ffi::Error>> {
        let Some(work) = self.work.take() else { return Ok(()) };
        // A bug in one request must not end the thread that all others wait for; the panic has been reported.
        let result = catch_unwind(AssertUnwindSafe(|| work(transaction))).map_err(|_| None)?;
        let failed = result.as_ref().err().map(|error| error.sqlite_error().copied());
        self.result = Some(result);
        failed.map_or(Ok(()), Err)
    }

    fn answer(self: Box<Self>, failed: Option<&StoreError>) {
        let result = match (failed, self.result) {
            (Some(error), _) => Err(Refusal::Database(error.clone())),
            (None, Some(result)) => result.map_err(Refusal::Statement),
            // It panicked: dropping the sender tells.
            (None, None) => return,
        };
        drop(self.answer.send(result));
    }
}

pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    health: Arc<Health>,
    chain: Option<Chain>,
    #[cfg(test)]
    pub(super) kill: std::sync::Arc<super::KillPoint>,
    _lock: Lock,
}

thread_local! {
    /// Pages in the WAL after this thread's last commit.
    static WAL_PAGES: Cell<i32> = const { Cell::new(0) };
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        path: &Path,
        health: Arc<Health>,
        chain: Option<Chain>,
        lock: Lock,
    ) -> Self {
        Self {
            connection,
            path: path.to_path_buf(),
            health,
            chain,
            #[cfg(test)]
            kill: std::sync::Arc::default(),
            _lock: lock,
        }
    }

    /// Works until everybody who could ask is gone, or it is told to close.
    pub(super) fn serve(mut self, mut inbox: mpsc::Receiver<Request>) {
        if self.chain.is_some() {
            self.connection.wal_hook(Some(|_, pages| {
                WAL_PAGES.set(pages);
                Ok(())
            }));
        }
        let mut closing = None;
        while closing.is_none()
            && let Some(first) = inbox.blocking_recv()
        {
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Work(work) => batch.push(work),
                    Request::Close(answer) => closing = Some(answer),
                }
                next = if batch.len() < BATCH_MAX && closing.is_none() { inbox.try_recv().ok() } else { None };
            }
            self.perform(batch);
            #[cfg(test)]
            if self.kill.is_dead.load(std::sync::atomic::Ordering::SeqCst) {
                return;
            }
        }
        inbox.close();
        if self.health.broken().is_none() && !self.leaves_wal() {
            self.checkpoint("TRUNCATE");
        }
        drop(self);
        if let Some(closing) = closing {
            closing.send(()).unwrap_or_default();
        }
    }

    /// Moving pages flushes the disk, and waits for all else that is being written to it: gigabytes of output, say. A
    /// file that is shared is opened and closed for each run, so there a short WAL is left to one of the next.
    fn leaves_wal(&self) -> bool {
        let mut name = self.path.as_os_str().to_owned();
        name.push("-wal");
        self.chain.is_none() && std::fs::metadata(name).is_ok_and(|wal| wal.len() <= WAL_LEFT_BYTES_MAX)
    }

    /// One transaction for all that has gathered. If it cannot be begun or committed, everybody in it is told.
    fn perform(&mut self, mut batch: Vec<Box<dyn Work>>) {
        if batch.is_empty() {
            return;
        }
        let result = match self.health.broken() {
            Some(reason) => Err(StoreError::Broken { path: self.path.display().to_string(), reason }),
            None => self.attempt(&mut batch),
        };
        #[cfg(test)]
        if self.kill.is_dead.load(std::sync::atomic::Ordering::SeqCst) {
            return;
        }
        if result.is_ok() && self.health.problem().is_some() {
            self.health.set(State::Well);
        }
        for work in batch {
            work.answer(result.as_ref().err());
        }
        if WAL_PAGES.get() >= WAL_PAGES_MAX && result.is_ok() {
            self.checkpoint("PASSIVE");
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.kill.strikes(super::Moment::Before) {
            return Ok(());
        }
        let began = std::time::Instant::now();
        let committed = transact(&mut self.connection, batch, self.chain.as_ref());
        crate::metrics::metrics().commit(began.elapsed());
        #[cfg(test)]
        if self.kill.strikes(super::Moment::Committed) {
            return Ok(());
        }
        let link = committed.map_err(|error| self.failed(&error))?;
        let (Some(chain), Some(link)) = (&mut self.chain, link) else { return Ok(()) };
        chain.keep(link).map_err(|error| {
            let reason = format!("{error} (the file that proves what was acknowledged)");
            self.health.set(State::Broken(reason.clone()));
            StoreError::Broken { path: self.path.display().to_string(), reason }
        })?;
        #[cfg(test)]
        let _struck = self.kill.strikes(super::Moment::Kept);
        Ok(())
    }

    /// Sorts what went wrong, and remembers it.
    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        let path = self.path.display().to_string();
        let reason = error.to_string();
        match error.sqlite_error().map(Trouble::of) {
            Some(Trouble::Full) => {
                self.health.set(State::Full(reason.clone()));
                StoreError::Full { path, reason }
            }
            Some(Trouble::Broken) => {
                self.health.set(State::Broken(reason.clone()));
                StoreError::Broken { path, reason }
            }
            Some(Trouble::None) | None => database_error(&self.path, &reason),
        }
    }

    /// Moves pages from the WAL into the database. What fails here was already safe in the WAL; but a disk that fails
    /// is not written any more.
    fn checkpoint(&self, mode: &str) {
        let moved = self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
        if let Err(error) = moved {
            tracing::error!(%error, path = %self.path.display(), "pages cannot be moved into the database");
            drop(self.failed(&error));
        }
    }
}

/// What an error means for those that come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Full,
    Broken,
}

impl Trouble {
    fn of(error: &rusqlite::ffi::Error) -> Self {
        // Growing the shared index of the WAL fails with a code of its own when there is no room.
        if error.code == ErrorCode::DiskFull || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE {
            Self::Full
        } else if matches!(error.code, ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt) {
            Self::Broken
        } else {
            Self::None
        }
    }
}

/// The next link of the chain, if there is one, once everything is committed.
fn transact(
    connection: &mut Connection,
    batch: &mut [Box<dyn Work>],
    chain: Option<&Chain>,
) -> rusqlite::Result<Option<super::chain::Link>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for work in batch {
        transaction.prepare_cached("SAVEPOINT request")?.execute([])?;
        let end = match work.perform(&transaction) {
            Ok(()) => "RELEASE request",
            Err(Some(error)) if Trouble::of(&error) != Trouble::None || transaction.is_autocommit() => {
                return Err(rusqlite::Error::SqliteFailure(error, None));
            }
            Err(_) => {
                transaction.prepare_cached("ROLLBACK TO request")?.execute([])?;
                "RELEASE request"
            }
        };
        transaction.prepare_cached(end)?.execute([])?;
    }
    let link = chain.map(|chain| chain.append(&transaction)).transpose()?;
    transaction.commit()?;
    Ok(link)
}
