//! What was applied from here, for databases whose tool does not say it: a file for each of them among the repository's state.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::files::Migration;

/// A database's ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    digest: String,
    at: Timestamp,
    run: u64,
}

impl Ledger {
    /// That of a database of an environment.
    pub(super) fn open(state: &Path, environment: &str, database: &str) -> Result<Self, String> {
        // Names become one file name each, whatever they are made of.
        let name = super::digest(format!("{environment}\n{database}").as_bytes());
        let path = state.join("migrations").join(format!("{}.json", &name[..32]));
        let entries = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(&path, &error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(&path, &error)),
        };
        Ok(Self { path, entries })
    }

    pub(super) fn has(&self, migration: &Migration) -> bool {
        self.entries.contains_key(&migration.name)
    }

    /// Whether it says something else than when it was applied.
    pub(super) fn differs(&self, migration: &Migration) -> bool {
        self.entries.get(&migration.name).is_some_and(|entry| entry.digest != migration.digest)
    }

    /// Keeps that these were applied; on the disk when it returns.
    pub(super) fn add(&mut self, applied: &[&Migration], at: Timestamp, run: u64) -> Result<(), String> {
        for migration in applied {
            self.entries.insert(migration.name.clone(), Entry { digest: migration.digest.clone(), at, run });
        }
        self.write().map_err(|error| failed(&self.path, &error))
    }

    fn write(&self) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, &self.entries)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

fn failed(path: &Path, error: &dyn std::error::Error) -> String {
    format!("what was applied before is kept in {}, which cannot be used: {error}", path.display())
}
