//! One SQLite file in WAL mode: one thread writes, others read, and nothing is answered before it is on disk.
//!
//! Callers hand the writing thread a piece of work and wait. What has gathered while the thread was busy goes into one
//! transaction (group commit), each piece in a savepoint of its own, so that one that fails does not spoil the others.
//! Readers have connections of their own and never wait for the writer. Only this folder and its siblings name SQL.
//! It knows no tables beyond its own (`chain`). Follows <https://sqlite.org/wal.html>.

mod chain;
#[cfg(test)]
mod kill_point;
mod lock;
mod migrations;
mod readers;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
#[cfg(test)]
pub(crate) use kill_point::{KillPoint, Moment};
use readers::Readers;
use writer::{Health, Request, Task, Writer};

/// Requests that wait for the writing thread; more wait in their callers.
const WAITING_MAX: usize = 4_096;
/// How long a second process waits for the first one's transaction.
const BUSY_MS: u64 = 10_000;

/// What a power cut may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was answered: every transaction is flushed to disk before its answers.
    Full,
    /// The last moments. A killed process costs nothing.
    Normal,
}

/// Who else may use the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody. Losses behind our back (a WAL that was cut, an old copy put back) are noticed when it is opened.
    Alone,
    /// Other processes that share it too.
    Shared,
}

/// How to open a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What a power cut may cost.
    pub durability: Durability,
    /// Who else may use the file.
    pub sharing: Sharing,
    /// Open even if acknowledged facts are gone, and go on from what is left.
    pub accept_loss: bool,
}

impl Options {
    /// As a server wants it: flushed, alone.
    pub const SERVER: Self = Self { durability: Durability::Full, sharing: Sharing::Alone, accept_loss: false };
    /// As `pipe run` wants it: fast to begin, several at once.
    pub const LOCAL: Self = Self { durability: Durability::Normal, sharing: Sharing::Shared, accept_loss: false };
}

/// Why a piece of work was not done.
#[derive(Debug)]
pub(in crate::store) enum Refusal {
    /// Its own statement failed; the others of its transaction are not touched.
    Statement(rusqlite::Error),
    /// The database cannot be written or read now.
    Database(StoreError),
}

/// A database. Cheap to clone; its thread ends with the last clone, or at [`Database::close`].
#[derive(Debug, Clone)]
pub struct Database {
    requests: mpsc::Sender<Request>,
    readers: Arc<Readers>,
    health: Arc<Health>,
    path: Arc<Path>,
    #[cfg(test)]
    kill: Arc<KillPoint>,
}

impl Database {
    /// Opens or makes the file, with all its tables in their newest form. Before tables are changed, a copy of the file
    /// is put beside it (`NAME.before-form-N`).
    ///
    /// # Errors
    /// The file cannot be used: no rights, no room, no database, made by a newer program, in use by another process, or
    /// facts are gone that it had acknowledged.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| database_error(path, &error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock = lock::take(path, options.sharing)?;
        let mut connection = connect(path, options).map_err(|error| match options.sharing {
            Sharing::Alone => chain::unreadable(path, &error),
            Sharing::Shared => database_error(path, &error),
        })?;
        let chain = match options.sharing {
            Sharing::Alone => Some(chain::Chain::verify(path, &connection, options.accept_loss)?),
            Sharing::Shared => None,
        };
        migrations::apply(path, &mut connection)?;
        let health = Arc::new(Health::default());
        let (requests, inbox) = mpsc::channel(WAITING_MAX);
        let writer = Writer::new(connection, path, Arc::clone(&health), chain, lock);
        #[cfg(test)]
        let kill = Arc::clone(&writer.kill);
        std::thread::Builder::new().name("store".into()).spawn(move || writer.serve(inbox)).map_err(failed)?;
        let path: Arc<Path> = Arc::from(path);
        let readers = Arc::new(Readers::new(Arc::clone(&path)));
        Ok(Self {
            requests,
            readers,
            health,
            path,
            #[cfg(test)]
            kill,
        })
    }

    /// Opens a database to read it beside whoever uses it, a server that runs among them. Nothing can be written.
    ///
    /// # Errors
    /// There is none, it cannot be read, or its form is not this program's.
    pub fn look(path: &Path) -> Result<Self, StoreError> {
        migrations::check(path, &readers::connect(path).map_err(|error| database_error(path, &error))?)?;
        // Who wants to write is told that nobody does.
        let (requests, _nobody) = mpsc::channel(1);
        let path: Arc<Path> = Arc::from(path);
        let readers = Arc::new(Readers::new(Arc::clone(&path)));
        Ok(Self {
            requests,
            readers,
            health: Arc::default(),
            path,
            #[cfg(test)]
            kill: Arc::default(),
        })
    }

    /// It dies at a transaction, counted from 1.
    #[cfg(test)]
    pub(crate) fn kill_at(&self, transaction: usize, moment: Moment) {
        self.kill.set(transaction, moment);
    }

    /// Whether it has died.
    #[cfg(test)]
    pub(crate) fn is_dead(&self) -> bool {
        self.kill.is_dead.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// How many transactions there were.
    #[cfg(test)]
    pub(crate) fn transactions(&self) -> usize {
        self.kill.count.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last transaction was taken. After a failed flush it stays false until the file is opened again,
    /// since nobody knows what the disk holds; after a full disk it becomes true with the next one that is taken.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.health.problem().is_none()
    }

    /// What is wrong, for people.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.health.problem()
    }

    /// Tries whether a transaction is taken, so that a disk that has room again is noticed.
    ///
    /// # Errors
    /// It is not.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let write = self.write(|transaction| transaction.execute("UPDATE probe SET count = count + 1", []).map(drop));
        write.await.map_err(|refusal| self.error(refusal))
    }

    /// Writes what is waiting, then closes the file. Requests after that are refused.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(Request::Close(answer)).await.is_ok() {
            drop(answered.await);
        }
        self.readers.close();
    }

    /// Does `work` in the next transaction. It is answered after the commit.
    pub(in crate::store) async fn write<T, Work>(&self, work: Work) -> Result<T, Refusal>
    where
        T: Send + 'static,
        Work: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let gone = || Refusal::Database(database_error(&self.path, &"it is closed"));
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Work(Box::new(Task::new(work, answer)))).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Reads on a connection of its own; sees everything that was answered before.
    pub(in crate::store) async fn read<T, Work>(&self, work: Work) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Work: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.readers.read(work).await
    }

    /// As [`Database::write`], where no statement of the caller is expected to fail.
    pub(in crate::store) async fn write_surely<T, Work>(&self, work: Work) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Work: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.write(work).await.map_err(|refusal| self.error(refusal))
    }

    pub(in crate::store) fn error(&self, refusal: Refusal) -> StoreError {
        match refusal {
            Refusal::Statement(error) => database_error(&self.path, &error),
            Refusal::Database(error) => error,
        }
    }
}

fn database_error(path: &Path, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Database { path: path.display().to_string(), reason: reason.to_string() }
}

/// `<path>.<ending>`, beside the file.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn connect(path: &Path, options: Options) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // The writer says when pages are moved. What a damaged WAL still holds is not overwritten when opening is refused.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if options.sharing == Sharing::Alone {
        // The writer moves pages itself, since SQLite would not tell when that fails.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
