//! Proof of what was acknowledged: after each commit, number and running hash of the transaction go into a small file
//! beside the database (`NAME.head`), flushed before anybody is answered.
//!
//! SQLite opens a database whose WAL was cut, or which was replaced by an old copy, without a word, and its integrity
//! check finds nothing wrong. If the database lacks the transaction that the file names, facts are lost, and that is
//! said. The database may be ahead of the file: killed between the two, nobody was answered. The hash is over the
//! order of transactions, not their contents; it does not notice a damaged page.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sha2::{Digest as _, Sha256};

use super::{StoreError, beside, database_error};

/// Transactions that the database remembers.
const LINKS_MAX: u64 = 64;
/// One record of the file; there are two, written in turn, so that one is always whole.
const RECORD_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"pipehead";

/// Number of a transaction and the hash over all up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Link {
    seq: u64,
    head: [u8; 32],
}

#[derive(Debug)]
pub(super) struct Chain {
    last: Link,
    file: File,
}

impl Chain {
    /// Compares file and database, and brings the file up to the database.
    ///
    /// # Errors
    /// What was acknowledged is not in the database (`accept_loss` goes on without it), or the file cannot be used.
    pub(super) fn verify(path: &Path, connection: &Connection, accept_loss: bool) -> Result<Self, StoreError> {
        let name = beside(path, "head");
        let failed = |error: std::io::Error| database_error(path, &format!("use {}: {error}", name.display()));
        let found = last(connection).map_err(|error| unreadable(path, &error))?;
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&name).map_err(failed)?;
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(&file, 2 * RECORD_BYTES as u64), &mut text)
            .map_err(failed)?;
        let kept = newest(&text);
        if kept.is_none() && found.seq > 0 {
            tracing::warn!(file = %name.display(), "nothing proves that the database is whole: the file is new or was emptied");
        }
        if let Some(kept) = kept {
            let known = head_of(connection, kept.seq).map_err(|error| unreadable(path, &error))?;
            let is_whole = kept == Link::default() || known == Some(kept.head);
            if !is_whole && !accept_loss {
                return Err(StoreError::Lost {
                    path: path.display().to_string(),
                    acknowledged: kept.seq,
                    found: found.seq,
                });
            }
        }
        let mut chain = Self { last: found, file };
        // Both records, so that an old one that is larger cannot come back.
        for seq in [found.seq, found.seq + 1] {
            chain.file.write_all_at(&found.bytes(), record_at(seq)).map_err(failed)?;
        }
        chain.file.sync_all().map_err(failed)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        chain.last = found;
        Ok(chain)
    }

    /// The next link, written in the transaction that it stands for.
    pub(super) fn append(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Link> {
        let seq = self.last.seq + 1;
        // Two histories that part at one link must not meet again: the moment and the process differ.
        let now = jiff::Timestamp::now().as_nanosecond();
        let mut hash = Sha256::new();
        hash.update(self.last.head);
        hash.update(seq.to_le_bytes());
        hash.update(now.to_le_bytes());
        hash.update(std::process::id().to_le_bytes());
        let link = Link { seq, head: hash.finalize().into() };
        transaction
            .prepare_cached("INSERT OR REPLACE INTO chain (slot, seq, head) VALUES (?1, ?2, ?3)")?
            .execute(params![seq % LINKS_MAX, seq, link.head])?;
        Ok(link)
    }

    /// Flushes the link of a transaction that is committed.
    pub(super) fn keep(&mut self, link: Link) -> std::io::Result<()> {
        self.file.write_all_at(&link.bytes(), record_at(link.seq))?;
        self.file.sync_data()?;
        self.last = link;
        Ok(())
    }
}

impl Link {
    fn bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.head);
        let sum = Sha256::digest(&bytes[..48]);
        bytes[48..].copy_from_slice(&sum[..16]);
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let seq = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
        let link = Self { seq, head: bytes.get(16..48)?.try_into().ok()? };
        (link.bytes() == bytes).then_some(link)
    }
}

/// Why a database cannot be read: with a WAL that was cut, pages that were moved already may not fit together.
pub(super) fn unreadable(path: &Path, error: &rusqlite::Error) -> StoreError {
    let is_damaged = matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    );
    let kept = std::fs::read(beside(path, "head")).ok().and_then(|text| newest(&text));
    match kept.filter(|kept| is_damaged && kept.seq > 0) {
        Some(kept) => StoreError::Lost { path: path.display().to_string(), acknowledged: kept.seq, found: 0 },
        None => database_error(path, error),
    }
}

fn newest(text: &[u8]) -> Option<Link> {
    text.chunks_exact(RECORD_BYTES).filter_map(Link::parse).max_by_key(|link| link.seq)
}

const fn record_at(seq: u64) -> u64 {
    (seq % 2) * RECORD_BYTES as u64
}

fn last(connection: &Connection) -> rusqlite::Result<Link> {
    if !has_table(connection)? {
        return Ok(Link::default());
    }
    let row = connection.query_row("SELECT seq, head FROM chain ORDER BY seq DESC LIMIT 1", [], |row| {
        Ok(Link { seq: row.get(0)?, head: row.get(1)? })
    });
    Ok(row.optional()?.unwrap_or_default())
}

fn head_of(connection: &Connection, seq: u64) -> rusqlite::Result<Option<[u8; 32]>> {
    if !has_table(connection)? {
        return Ok(None);
    }
    connection.query_row("SELECT head FROM chain WHERE seq = ?1", [seq], |row| row.get(0)).optional()
}

/// Not before the second form of the tables.
fn has_table(connection: &Connection) -> rusqlite::Result<bool> {
    connection.table_exists(None, "chain")
}
