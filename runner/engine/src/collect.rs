//! Makes room where a disk becomes full: entries of caches, images and volumes of ours go, least recently used first.
//!
//! What is somebody else's is never touched, nor what a run that goes on may use: whatever a container has, and whatever
//! was made or used since the oldest such run began. Artifacts stay as long as they were promised to.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::kept::{Evictable, Kept};
use crate::placement::{Disposable, Placement};

/// From here on room is made, where nobody says otherwise.
pub const DISK_PERCENT: u8 = 80;

/// What to do.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Room is made on disks that are fuller, until they are not.
    pub disk_percent: u8,
    /// Only say what would go.
    pub dry_run: bool,
    /// When the oldest run began that goes on.
    pub spared_since: Option<Timestamp>,
    /// Images that stay whatever else: what deployments may go back to. By tag, digest or id.
    pub needed: BTreeSet<String>,
}

/// A disk that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// A folder on it.
    pub path: PathBuf,
    /// How full it was, in percent of what may be used.
    pub percent: u8,
    /// How much had to go.
    pub wanted_bytes: u64,
}

/// Something that went, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// `cache`, `image` or `volume`.
    pub kind: &'static str,
    /// What people call it.
    pub name: String,
    /// About how much it took; 0 where nobody knows.
    pub bytes: u64,
    /// When it was used or made last, in seconds since 1970; 0 where nobody knows.
    pub used: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// All disks with something of ours.
    pub disks: Vec<Disk>,
    /// What went.
    pub gone: Vec<Gone>,
    /// Bytes of it.
    pub bytes: u64,
    /// What should have gone and did not.
    pub problems: Vec<String>,
}

/// Something that may go.
enum Candidate {
    Cache(Evictable),
    Engine(Disposable),
}

impl Candidate {
    const fn used(&self) -> u64 {
        match self {
            Self::Cache(entry) => entry.used,
            Self::Engine(disposable) => disposable.used,
        }
    }

    fn gone(&self) -> Gone {
        match self {
            Self::Cache(entry) => {
                let name = format!("{} of {}", entry.key, entry.repository);
                Gone { kind: "cache", name, bytes: entry.stored, used: entry.used }
            }
            Self::Engine(one) => {
                Gone { kind: one.kind.word(), name: one.name.clone(), bytes: one.bytes, used: one.used }
            }
        }
    }
}

/// Makes room on the disks of a folder and of a container engine, where there is one on this machine.
pub async fn collect(folder: &Path, kept: &Kept, docker: Option<&Arc<dyn Placement>>, wish: Wish) -> Collected {
    let mut collected = Collected::default();
    let spared = wish.spared_since.map_or(u64::MAX, |since| u64::try_from(since.as_second()).unwrap_or(0));
    let mut groups: Vec<(u64, Disk, Vec<Candidate>)> = Vec::new();
    let mut add = |path: &Path, candidates: Vec<Candidate>| {
        let Some((device, disk)) = look(path, wish.disk_percent) else { return };
        match groups.iter_mut().find(|(other, ..)| *other == device) {
            Some((.., known)) => known.extend(candidates),
            None => groups.push((device, disk, candidates)),
        }
    };
    let own = kept.clone();
    match tokio::task::spawn_blocking(move || own.evictable()).await {
        Ok(Ok(entries)) => add(folder, entries.into_iter().map(Candidate::Cache).collect()),
        Ok(Err(error)) => collected.problems.push(error.to_string()),
        Err(error) => collected.problems.push(format!("a bug in pipe: {error}")),
    }
    if let Some(docker) = docker
        && let Some(root) = docker.root().await
    {
        match docker.disposable().await {
            Ok(found) => {
                let may_go = |one: &Disposable| !one.names.iter().any(|name| wish.needed.contains(name));
                add(&root, found.into_iter().filter(may_go).map(Candidate::Engine).collect());
            }
            Err(error) => collected.problems.push(error.to_string()),
        }
    }
    for (_, disk, mut candidates) in groups {
        candidates.retain(|candidate| candidate.used() < spared);
        candidates.sort_by_key(Candidate::used);
        let mut left = disk.wanted_bytes;
        for candidate in candidates {
            if left == 0 {
                break;
            }
            let gone = candidate.gone();
            if !wish.dry_run
                && let Err(problem) = remove(candidate, kept, docker).await
            {
                collected.problems.push(format!("{} {}: {problem}", gone.kind, gone.name));
                continue;
            }
            left = left.saturating_sub(gone.bytes);
            collected.bytes += gone.bytes;
            collected.gone.push(gone);
        }
        collected.disks.push(disk);
    }
    collected
}

async fn remove(candidate: Candidate, kept: &Kept, docker: Option<&Arc<dyn Placement>>) -> Result<(), String> {
    match (candidate, docker) {
        (Candidate::Cache(entry), _) => {
            let kept = kept.clone();
            let evicted = tokio::task::spawn_blocking(move || kept.evict(&entry)).await;
            let evicted = evicted.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            if evicted { Ok(()) } else { Err("it was used meanwhile".to_owned()) }
        }
        (Candidate::Engine(one), Some(docker)) => docker.dispose(&one).await.map_err(|error| error.to_string()),
        (Candidate::Engine(_), None) => Ok(()),
    }
}

/// Bytes that may still be written to the disk of a folder; `None` where nobody knows.
#[must_use]
pub fn room(folder: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(folder).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// The disk of a folder, or of the folder above that will hold it.
fn look(path: &Path, percent_max: u8) -> Option<(u64, Disk)> {
    let there = path.ancestors().find(|path| path.exists())?;
    let device = there.metadata().ok()?.dev();
    let facts = rustix::fs::statvfs(there).ok()?;
    let used = facts.f_blocks.saturating_sub(facts.f_bfree).saturating_mul(facts.f_frsize);
    let (percent, wanted_bytes) = wanted(used, facts.f_bavail.saturating_mul(facts.f_frsize), percent_max);
    Some((device, Disk { path: path.to_owned(), percent, wanted_bytes }))
}

/// How full a disk is, as `df` counts, and how much has to go.
fn wanted(used: u64, available: u64, percent_max: u8) -> (u8, u64) {
    let all = u128::from(used) + u128::from(available);
    if all == 0 {
        return (0, 0);
    }
    let percent = (u128::from(used) * 100).div_ceil(all);
    let may = all * u128::from(percent_max) / 100;
    let too_much = u128::from(used).saturating_sub(may);
    (u8::try_from(percent).unwrap_or(100), u64::try_from(too_much).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::BlobDigest;
    use crate::kept::{CacheEntry, CacheForm, KeptRules};

    #[test]
    fn so_much_has_to_go() {
        assert_eq!(wanted(0, 0, 80), (0, 0));
        assert_eq!(wanted(50, 50, 80), (50, 0));
        assert_eq!(wanted(80, 20, 80), (80, 0));
        assert_eq!(wanted(90, 10, 80), (90, 10));
        assert_eq!(wanted(801, 199, 80), (81, 1));
        assert_eq!(wanted(u64::MAX, u64::MAX, 100), (50, 0));
    }

    #[tokio::test]
    async fn what_was_not_used_for_longest_goes_first_and_what_runs_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let rules = KeptRules { cache_bytes: u64::MAX, ..KeptRules::default() };
        let kept = Kept::new(folder.path(), rules);
        let now = crate::kept::now();
        for (key, used) in [("old", now - 500), ("older", now - 900), ("fresh", now - 10)] {
            let entry = CacheEntry {
                id: 0,
                repository: "o/r".into(),
                scope: "refs/heads/main".into(),
                key: key.into(),
                version: "v".into(),
                digest: BlobDigest::try_from("0".repeat(64)).unwrap(),
                bytes: 1,
                stored: u64::MAX / 4,
                created: used,
                used,
                run: 1,
                sha: String::new(),
                form: CacheForm::Ours,
            };
            kept.add_cache(entry).unwrap();
        }
        let wish = |dry_run| Wish {
            disk_percent: 0,
            dry_run,
            spared_since: Timestamp::from_second(i64::try_from(now - 100).unwrap()).ok(),
            needed: BTreeSet::new(),
        };
        let names = |collected: &Collected| collected.gone.iter().map(|gone| gone.name.clone()).collect::<Vec<_>>();
        // A disk that is never empty enough: the first would do, since it says that it takes so much.
        let dry = collect(folder.path(), &kept, None, wish(true)).await;
        assert_eq!(
            (names(&dry), dry.problems.len(), kept.evictable().unwrap().len()),
            (vec!["older of o/r".to_owned()], 0, 3)
        );
        for expect in ["older of o/r", "old of o/r"] {
            assert_eq!(names(&collect(folder.path(), &kept, None, wish(false)).await), [expect]);
        }
        assert_eq!(names(&collect(folder.path(), &kept, None, wish(false)).await), [""; 0]);
        let left = kept.evictable().unwrap();
        assert_eq!(left.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["fresh"]);
    }
}
