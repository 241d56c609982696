//! Entries of caches. One belongs to the ref whose run made it, and is found by runs of refs that may use that.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Kept, KeptError, now};
use crate::blobs::BlobDigest;

/// What an entry's blob is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheForm {
    /// An archive that an action of ours packed.
    #[default]
    Ours,
    /// What a client sent: an archive with paths relative to its workspace, packed with zstd or gzip.
    Client,
}

/// An entry of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheEntry {
    /// Unique in this folder, growing.
    pub id: u64,
    /// Whose it is, see [`super::Keeper`].
    pub repository: String,
    /// The ref whose runs may use it, and those of refs that come from it.
    pub scope: String,
    /// Its key.
    pub key: String,
    /// What it was made of and how: others do not fit.
    pub version: String,
    /// The archive of its files.
    pub digest: BlobDigest,
    /// Bytes of the archive.
    pub bytes: u64,
    /// What it takes of the disk.
    pub stored: u64,
    /// Seconds since 1970.
    pub created: u64,
    /// The same: when it was last restored.
    pub used: u64,
    /// The run that made it.
    pub run: u64,
    /// The commit of that run.
    pub sha: String,
    /// What the blob is.
    #[serde(default)]
    pub form: CacheForm,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose.
    pub repository: &'a str,
    /// Refs, in their order.
    pub scopes: &'a [String],
    /// Made of what and how.
    pub version: &'a str,
    /// The key.
    pub key: &'a str,
    /// Beginnings of keys that will do, in their order.
    pub prefixes: &'a [String],
}

impl Kept {
    /// Finds an entry: of the scopes in their order, the one with this key, else the newest whose key begins with one of
    /// the prefixes, in their order. It counts as used.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn find_cache(&self, wanted: Wanted<'_>) -> Result<Option<CacheEntry>, KeptError> {
        let _lock = self.lock()?;
        let group = group(wanted.repository);
        let all: Vec<CacheEntry> = self.list(&group)?;
        let found = wanted.scopes.iter().find_map(|scope| {
            let mine = |entry: &&CacheEntry| {
                entry.repository == wanted.repository && entry.scope == *scope && entry.version == wanted.version
            };
            let exact = all.iter().filter(mine).find(|entry| entry.key == wanted.key);
            exact.or_else(|| {
                wanted.prefixes.iter().find_map(|prefix| {
                    let fits = all.iter().filter(mine).filter(|entry| entry.key.starts_with(prefix.as_str()));
                    fits.max_by_key(|entry| (entry.created, entry.id))
                })
            })
        });
        let Some(mut found) = found.cloned() else { return Ok(None) };
        found.used = now();
        self.write(&group, found.id, &found)?;
        Ok(Some(found))
    }

    /// The entry that [`Self::add_cache`] would not replace.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn cache(
        &self,
        repository: &str,
        scope: &str,
        version: &str,
        key: &str,
    ) -> Result<Option<CacheEntry>, KeptError> {
        let all: Vec<CacheEntry> = self.list(&group(repository))?;
        Ok(all.into_iter().find(|entry| {
            (&*entry.repository, &*entry.scope, &*entry.version, &*entry.key) == (repository, scope, version, key)
        }))
    }

    /// Keeps an entry, whose `id` is chosen here; one that is there is never changed.
    ///
    /// # Errors
    /// There is one with that key, or the folder cannot be written.
    pub fn add_cache(&self, mut entry: CacheEntry) -> Result<CacheEntry, KeptError> {
        let lock = self.lock()?;
        if self.cache(&entry.repository, &entry.scope, &entry.version, &entry.key)?.is_some() {
            return Err(KeptError::Exists);
        }
        entry.id = self.next_id()?;
        self.write(&group(&entry.repository), entry.id, &entry)?;
        self.tidy_repository(&group(&entry.repository))?;
        self.tidy_if_due(&lock)?;
        Ok(entry)
    }

    /// Removes an entry whose content is damaged or gone, so that the next one may be saved.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn drop_cache(&self, entry: &CacheEntry) -> Result<(), KeptError> {
        let _lock = self.lock()?;
        let group = group(&entry.repository);
        if self.list::<CacheEntry>(&group)?.iter().any(|other| other.id == entry.id) {
            self.remove(&group, entry.id)?;
            self.blobs.discard(&entry.digest);
        }
        Ok(())
    }
}

fn group(repository: &str) -> String {
    let name: String = Sha256::digest(repository).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("caches/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::KeptRules;

    fn entry(scope: &str, key: &str, created: u64) -> CacheEntry {
        CacheEntry {
            id: 0,
            repository: "o/r".into(),
            scope: scope.into(),
            key: key.into(),
            version: "v".into(),
            digest: BlobDigest::try_from("0".repeat(64)).unwrap(),
            bytes: 1,
            stored: 1,
            created,
            used: now(),
            run: 1,
            sha: String::new(),
            form: CacheForm::Ours,
        }
    }

    #[test]
    fn caches_are_found_as_github_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let rules = KeptRules::default();
        let kept = Kept::new(folder.path(), rules);
        for (scope, key, created) in
            [("main", "a-1", 1), ("main", "a-2", 5), ("main", "a-3", 3), ("topic", "a-0", 1), ("other", "a-9", 9)]
        {
            kept.add_cache(entry(scope, key, created)).unwrap();
        }
        let check = |scopes: &str, version: &str, key: &str, prefixes: &str, expect: Option<&str>| {
            let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let (scopes, prefixes) = (list(scopes), list(prefixes));
            let wanted = Wanted { repository: "o/r", scopes: &scopes, version, key, prefixes: &prefixes };
            let found = kept.find_cache(wanted).unwrap();
            assert_eq!(found.as_ref().map(|entry| entry.key.as_str()), expect, "{scopes:?} {key} {prefixes:?}");
        };
        check("main", "v", "a-1", "", Some("a-1"));
        check("main", "v", "a-", "", None);
        check("main", "v", "x", "a-", Some("a-2"));
        check("main", "v", "x", "b a-3 a-", Some("a-3"));
        check("main", "w", "a-1", "a-", None);
        // The own ref first, even with a prefix; never another's.
        check("topic main", "v", "a-2", "a-", Some("a-0"));
        check("topic main", "v", "a-2", "", Some("a-2"));
        check("topic main", "v", "a-9", "", None);
        assert!(matches!(kept.add_cache(entry("main", "a-1", 9)), Err(KeptError::Exists)));
        // Too old, too much.
        let old = CacheEntry { used: now() - rules.cache_unused.as_secs() - 1, ..entry("main", "old", 1) };
        kept.add_cache(old).unwrap();
        check("main", "v", "old", "", None);
        let large = CacheEntry { stored: rules.cache_bytes, ..entry("main", "large", 1) };
        kept.add_cache(CacheEntry { used: now() + 5, ..large }).unwrap();
        check("main", "v", "large", "", Some("large"));
        check("main", "v", "a-1", "", None);
    }
}
