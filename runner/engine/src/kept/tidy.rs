//! Removes what is too old or too much, and the content that nothing names any more.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, SystemTime};

use nix::fcntl::Flock;

use super::{Artifact, CacheEntry, Kept, KeptError, now};
use crate::blobs::BlobDigest;

/// How often those who add something look at everything.
const TIDY_EVERY: Duration = Duration::from_secs(60 * 60);

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Artifacts whose time is over.
    pub artifacts: u64,
    /// Entries of caches.
    pub caches: u64,
    /// Bytes of the disk.
    pub bytes: u64,
}

impl Kept {
    /// Removes what is too old or too much, and blobs that nothing names.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn tidy(&self) -> Result<Tidied, KeptError> {
        if !self.folder.exists() {
            return Ok(Tidied::default());
        }
        let lock = self.lock()?;
        self.tidy_all(&lock)
    }

    /// The same for who holds the lock.
    pub(super) fn tidy_under(&self, lock: &Flock<File>) -> Result<(), KeptError> {
        self.tidy_all(lock).map(drop)
    }

    /// The same, if nobody did lately.
    pub(super) fn tidy_if_due(&self, lock: &Flock<File>) -> Result<(), KeptError> {
        let last = self.folder.join("tidied").metadata().and_then(|facts| facts.modified());
        let age = last.ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_none_or(|age| age > TIDY_EVERY) {
            self.tidy_all(lock)?;
        }
        Ok(())
    }

    fn tidy_all(&self, _lock: &Flock<File>) -> Result<Tidied, KeptError> {
        let mut tidied = Tidied::default();
        let mut named = BTreeSet::new();
        for group in self.groups("artifacts")? {
            for artifact in self.list::<Artifact>(&group)? {
                if artifact.expires <= now() {
                    self.remove(&group, artifact.id)?;
                    tidied.artifacts += 1;
                } else {
                    named.insert(artifact.digest);
                    named.extend(artifact.zipped.map(|zipped| zipped.digest));
                }
            }
        }
        for group in self.groups("caches")? {
            tidied.caches += self.tidy_repository(&group)?;
            named.extend(self.list::<CacheEntry>(&group)?.into_iter().map(|entry| entry.digest));
        }
        tidied.bytes = self.sweep(&named)?;
        self.put(&self.folder.join("tidied"), b"")?;
        Ok(tidied)
    }

    fn sweep(&self, named: &BTreeSet<BlobDigest>) -> Result<u64, KeptError> {
        self.blobs.sweep(named).map_err(|error| self.io(error))
    }

    /// Entries of one repository that are not used or too much; how many went.
    pub(super) fn tidy_repository(&self, group: &str) -> Result<u64, KeptError> {
        let mut caches: Vec<CacheEntry> = self.list(group)?;
        caches.sort_by_key(|entry| std::cmp::Reverse((entry.used, entry.id)));
        let (mut bytes, mut removed) = (0_u64, 0);
        for entry in caches {
            bytes += entry.stored;
            let unused = now().saturating_sub(entry.used);
            if bytes > self.rules.cache_bytes || unused > self.rules.cache_unused.as_secs() {
                self.remove(group, entry.id)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
