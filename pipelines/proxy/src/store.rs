//! The table on disk: it is there before anybody is told that it stands, and it is the same after a kill.
//!
//! There are two files, written in turn and in place, so the one that is written is never the one that stands. A file keeps
//! its size, so nothing but its contents has to reach the disk: one flush, where a new file and its new name would take two
//! that also write down what became of the folder. Each has a checksum: one that is torn was never told to stand. If none of
//! them is whole that is an error and never an empty table: a proxy without routes would answer everybody 404.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::table::Table;

const FORMAT: &str = "pipe-proxy-table-1";
/// The two files.
const NAMES: [&str; 2] = ["table.json", "table.2.json"];
/// Their sizes are multiples of it: what a disk writes at once.
const BLOCK_BYTES: usize = 4_096;

/// What is read of one: more than the largest table that is taken needs, with its white space.
const FILE_BYTES_MAX: u64 = 32 * 1_024 * 1_024;

/// Where a proxy keeps its table.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("{0}: {1}")]
    Read(PathBuf, io::Error),
    /// It is no table of a proxy, or not all of one.
    #[error("{0} is not a whole table of a proxy ({1}): put back a copy, or move it away to begin with an empty table")]
    Broken(PathBuf, String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: String,
    /// Of the table as compact JSON.
    crc32: u32,
    table: Table,
}

impl Store {
    pub(crate) fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The table that was kept last; the empty one if none ever was.
    pub(crate) fn load(&self) -> Result<Table, LoadError> {
        Ok(self.last()?.map_or_else(Table::default, |(table, _)| table))
    }

    /// The table that was kept last, and which file has it.
    fn last(&self) -> Result<Option<(Table, usize)>, LoadError> {
        let (mut last, mut broken) = (None::<(Table, usize)>, None);
        for (index, name) in NAMES.iter().enumerate() {
            match read(&self.folder.join(name)) {
                Ok(Some(table)) if last.as_ref().is_none_or(|(other, _)| other.generation < table.generation) => {
                    last = Some((table, index));
                }
                Ok(_) => {}
                Err(error @ LoadError::Broken(..)) => broken = Some(error),
                Err(error) => return Err(error),
            }
        }
        match (last, broken) {
            (None, Some(error)) => Err(error),
            (last, broken) => {
                if let Some(error) = broken {
                    tracing::warn!(%error, "the table of the other file stands");
                }
                Ok(last)
            }
        }
    }

    /// Keeps a table; if this fails, the old one is still kept.
    pub(crate) fn keep(&self, table: &Table) -> io::Result<()> {
        // Read anew: whoever took over for a while may have kept one.
        let standing = match self.last() {
            Ok(standing) => standing,
            Err(LoadError::Broken(..)) => None,
            Err(LoadError::Read(_, error)) => return Err(error),
        };
        let index = standing.map_or(0, |(_, index)| (index + 1) % NAMES.len());
        let kept = Kept { format: FORMAT.to_owned(), crc32: sum(table)?, table: table.clone() };
        let path = self.folder.join(NAMES[index]);
        let written = self.write(&path, serde_json::to_vec_pretty(&kept)?);
        if written.is_err() {
            // It may be whole all the same, and was refused: nobody may find it.
            let _as_good_as_it_gets = fs::remove_file(&path);
        }
        written
    }

    fn write(&self, path: &Path, mut text: Vec<u8>) -> io::Result<()> {
        let is_new = !path.exists();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        // White space after JSON is nothing.
        text.resize(text.len().next_multiple_of(BLOCK_BYTES).max(size), b'\n');
        file.write_all_at(&text, 0)?;
        file.sync_data()?;
        if is_new {
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// What a file has; `None` if there is none.
fn read(file: &Path) -> Result<Option<Table>, LoadError> {
    let mut bytes = Vec::new();
    match File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LoadError::Read(file.to_owned(), error)),
    }
    let broken = |why: String| LoadError::Broken(file.to_owned(), why);
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    if kept.format != FORMAT {
        return Err(broken(format!("its format is `{}`", kept.format)));
    }
    if sum(&kept.table).map_err(|error| broken(error.to_string()))? != kept.crc32 {
        return Err(broken("its checksum differs".to_owned()));
    }
    match kept.table.mistakes().first() {
        Some(mistake) => Err(broken(mistake.clone())),
        None => Ok(Some(kept.table)),
    }
}

fn sum(table: &Table) -> io::Result<u32> {
    Ok(crc32fast::hash(&serde_json::to_vec(table)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Affinity, Colour, Route};

    fn table(generation: u64) -> Table {
        let colour = Colour {
            name: "blue".to_owned(),
            revision: "r1".to_owned(),
            weight: 1_000,
            backends: vec![([127, 0, 0, 1], 80).into()],
        };
        let route = Route {
            service: "orders".to_owned(),
            path: "/".to_owned(),
            strip: true,
            affinity: Affinity::Cookie("id".to_owned()),
            colours: vec![colour],
            test: None,
        };
        Table { generation, routes: vec![route] }
    }

    #[test]
    fn what_is_kept_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of(folder.path());
        assert_eq!(store.load().unwrap(), Table::default());
        for generation in 1..6 {
            let before = NAMES.map(|name| fs::read(folder.path().join(name)).ok());
            store.keep(&table(generation)).unwrap();
            assert_eq!(Store::of(folder.path()).load().unwrap(), table(generation));
            let after = NAMES.map(|name| fs::read(folder.path().join(name)).ok());
            let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            assert_eq!(changed, 1, "the file of the table that stood is as it was");
        }
    }

    #[test]
    fn a_table_of_which_only_a_part_was_written_was_never_told_to_stand() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of(folder.path());
        store.keep(&table(7)).unwrap();
        store.keep(&table(8)).unwrap();
        let old = folder.path().join(NAMES[0]);
        let before = fs::read(&old).unwrap();
        // The ninth is on its way to the file of the seventh.
        let elsewhere = tempfile::tempdir().unwrap();
        Store::of(elsewhere.path()).keep(&table(9)).unwrap();
        let ninth = fs::read(elsewhere.path().join(NAMES[0])).unwrap();
        for written in 0..=ninth.len().min(1_024) {
            let torn = [&ninth[..written], &before[written..]].concat();
            fs::write(&old, &torn).unwrap();
            assert_eq!(store.load().unwrap(), table(if torn == ninth { 9 } else { 8 }), "{written} bytes were written");
        }
        fs::write(&old, &before).unwrap();
        store.keep(&table(9)).unwrap();
        assert_eq!(store.load().unwrap(), table(9));
    }

    #[test]
    fn a_torn_or_foreign_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of(folder.path());
        store.keep(&table(7)).unwrap();
        let file = folder.path().join(NAMES[0]);
        let whole = fs::read_to_string(&file).unwrap();
        let foreign = whole.replace(FORMAT, "somebody-else's");
        let changed = whole.replace("1000", "999");
        for text in ["", "{", "{}", "null", &whole[..whole.len() / 20], &foreign, &changed, "\0\0\0\0"] {
            fs::write(&file, text).unwrap();
            let error = store.load().unwrap_err().to_string();
            assert!(error.contains("is not a whole table of a proxy"), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_full_disk_leaves_the_old_table() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of(folder.path());
        store.keep(&table(7)).unwrap();
        // Writing to this device fails as on a full disk (full(4)).
        std::os::unix::fs::symlink("/dev/full", folder.path().join(NAMES[1])).unwrap();
        let error = store.keep(&table(8)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(store.load().unwrap(), table(7));
        store.keep(&table(8)).unwrap();
        assert_eq!(store.load().unwrap(), table(8));
    }
}
