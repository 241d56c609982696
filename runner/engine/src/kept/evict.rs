//! Entries of caches that go before their time, since the disk is full.

use super::{CacheEntry, Kept, KeptError};

/// An entry that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evictable {
    group: String,
    id: u64,
    /// Whose it is.
    pub repository: String,
    /// Its key.
    pub key: String,
    /// When it was restored last, or made, in seconds since 1970.
    pub used: u64,
    /// What it takes of the disk, where no other entry has the same content.
    pub stored: u64,
}

impl Kept {
    /// All entries of caches, those first that were not used for longest.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn evictable(&self) -> Result<Vec<Evictable>, KeptError> {
        let mut all = Vec::new();
        for group in self.groups("caches")? {
            all.extend(self.list::<CacheEntry>(&group)?.into_iter().map(|entry| Evictable {
                group: group.clone(),
                id: entry.id,
                repository: entry.repository,
                key: entry.key,
                used: entry.used,
                stored: entry.stored,
            }));
        }
        all.sort_by_key(|entry| entry.used);
        Ok(all)
    }

    /// Removes an entry and, if nothing else has it, its content; false where it was used or replaced meanwhile. Who reads
    /// the content right now reads it to its end.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn evict(&self, entry: &Evictable) -> Result<bool, KeptError> {
        let lock = self.lock()?;
        let now: Vec<CacheEntry> = self.list(&entry.group)?;
        if !now.iter().any(|one| one.id == entry.id && one.used == entry.used) {
            return Ok(false);
        }
        self.remove(&entry.group, entry.id)?;
        self.tidy_under(&lock)?;
        Ok(true)
    }
}
