//! rpm's databases: SQLite (since rpm 4.16) and ndb (SUSE), which hold the headers of packages.
//!
//! <https://rpm-software-management.github.io/rpm/man/rpm-config.5>, `%_db_backend`; ndb is described in rpm's sources only
//! (lib/backend/ndb/rpmpkg.c). The oldest form, Berkeley DB, has a file of its own.

use std::io;

use rusqlite::{Connection, OpenFlags};

use super::facts::Said;
use super::rpm_header::{HEADER_BYTES_MAX, package};
use crate::source::Random;

const PACKAGES_MAX: usize = 1_000_000;

/// Reads a database, with what SQLite had not yet put into it.
pub(crate) fn sqlite(database: &Random, log: Option<&Random>) -> Said {
    match read(database, log) {
        Ok(said) => said,
        Err(reason) => Said::unread(format!("rpm's database cannot be read: {reason}")),
    }
}

/// SQLite wants files with names, so both are copied into a folder that goes away.
fn read(database: &Random, log: Option<&Random>) -> Result<Said, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let folder = tempfile::tempdir().map_err(|error| text(&error))?;
    let path = folder.path().join("rpmdb.sqlite");
    copy(database, &path).map_err(|error| text(&error))?;
    if let Some(log) = log {
        copy(log, &folder.path().join("rpmdb.sqlite-wal")).map_err(|error| text(&error))?;
    }
    // Writable, since a log is only read by whoever may make its index; it is a copy.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(|error| text(&error))?;
    let mut query = connection.prepare("SELECT hnum, blob FROM Packages").map_err(|error| text(&error))?;
    let mut rows = query.query([]).map_err(|error| text(&error))?;
    let mut said = Said::default();
    while let Some(row) = rows.next().map_err(|error| text(&error))? {
        let number: i64 = row.get(0).map_err(|error| text(&error))?;
        let header = row.get_ref(1).map_err(|error| text(&error))?;
        let header = header.as_blob().map_err(|error| text(&error))?;
        if let Err(reason) = package(header, &mut said) {
            said.unread.push(format!("package {number}: {reason}"));
        }
        if said.packages.len() > PACKAGES_MAX || said.unread.len() > 20 {
            said.unread.push("and so on".to_owned());
            break;
        }
    }
    Ok(said)
}

fn copy(random: &Random, path: &std::path::Path) -> io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    io::copy(&mut random.reader(), &mut file).map(|_| ())
}

const NDB_MAGIC: &[u8] = b"RpmP";
const NDB_PAGE_BYTES: u64 = 4096;
const NDB_PAGES_MAX: u64 = 10_000;
const NDB_BLOCK_BYTES: u64 = 16;

/// Pages of slots, each of which says where a header lies; all numbers are little-endian.
pub(crate) fn ndb(database: &Random) -> Said {
    match read_ndb(database) {
        Ok(said) => said,
        Err(error) => Said::unread(format!("rpm's database cannot be read: {}", crate::source::explain(&error))),
    }
}

fn read_ndb(database: &Random) -> io::Result<Said> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let head = database.bytes(0, 32)?;
    if !head.starts_with(NDB_MAGIC) || word(&head, 4) != 0 {
        return Err(io::Error::other("it is not in the form that is known"));
    }
    let pages = u64::from(word(&head, 12)).min(NDB_PAGES_MAX);
    let slots = database.bytes(0, pages * NDB_PAGE_BYTES)?;
    let mut said = Said::default();
    // The head takes the place of the first two.
    for slot in slots.chunks_exact(16).skip(2) {
        let number = word(slot, 4);
        if !slot.starts_with(b"Slot") || number == 0 {
            continue;
        }
        let at = u64::from(word(slot, 8)) * NDB_BLOCK_BYTES;
        let blob = database.bytes(at, NDB_BLOCK_BYTES)?;
        let length = u64::from(word(&blob, 12));
        let header = if blob.starts_with(b"BlbS") && word(&blob, 4) == number && length <= HEADER_BYTES_MAX as u64 {
            database.bytes(at + NDB_BLOCK_BYTES, length)?
        } else {
            Vec::new()
        };
        if let Err(reason) = package(&header, &mut said) {
            said.unread.push(format!("package {number}: {reason}"));
        }
    }
    said.unread.truncate(20);
    Ok(said)
}
