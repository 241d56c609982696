//! The table on disk: it is there before anybody is told that it stands, and it is the same after a kill.
//!
//! A new file is written beside the old one, flushed, renamed over it, and the folder is flushed. A file that is not
//! whole, or somebody else's, is an error and never an empty table: a proxy without routes would answer everybody 404.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::table::Table;

const FORMAT: &str = "pipe-proxy-table-1";

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

    fn file(&self) -> PathBuf {
        self.folder.join("table.json")
    }

    /// The table that was kept last; the empty one if none ever was.
    pub(crate) fn load(&self) -> Result<Table, LoadError> {
        let file = self.file();
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Table::default()),
            Err(error) => return Err(LoadError::Read(file, error)),
        };
        let broken = |why: String| LoadError::Broken(file.clone(), why);
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if kept.format != FORMAT {
            return Err(broken(format!("its format is `{}`", kept.format)));
        }
        if sum(&kept.table).map_err(|error| broken(error.to_string()))? != kept.crc32 {
            return Err(broken("its checksum differs".to_owned()));
        }
        let mistakes = kept.table.mistakes();
        if let Some(mistake) = mistakes.first() {
            return Err(broken(mistake.clone()));
        }
        Ok(kept.table)
    }

    /// Keeps a table; if this fails, the old one is still kept.
    pub(crate) fn keep(&self, table: &Table) -> io::Result<()> {
        let kept = Kept { format: FORMAT.to_owned(), crc32: sum(table)?, table: table.clone() };
        let text = serde_json::to_vec_pretty(&kept)?;
        let new = self.folder.join("table.json.new");
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, self.file())?;
        File::open(&self.folder)?.sync_all()
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
        store.keep(&table(7)).unwrap();
        assert_eq!(store.load().unwrap(), table(7));
        store.keep(&table(8)).unwrap();
        assert_eq!(Store::of(folder.path()).load().unwrap(), table(8));
    }

    #[test]
    fn a_torn_or_foreign_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of(folder.path());
        store.keep(&table(7)).unwrap();
        let whole = fs::read_to_string(store.file()).unwrap();
        let foreign = whole.replace(FORMAT, "somebody-else's");
        let changed = whole.replace("1000", "999");
        for text in ["", "{", "{}", "null", &whole[..whole.len() / 2], &foreign, &changed, "\0\0\0\0"] {
            fs::write(store.file(), text).unwrap();
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
        std::os::unix::fs::symlink("/dev/full", folder.path().join("table.json.new")).unwrap();
        let error = store.keep(&table(8)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(store.load().unwrap(), table(7));
    }
}
