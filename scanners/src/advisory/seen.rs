//! Since when there are fixes, as far as this machine saw them come.
//!
//! Databases of distributions have no dates, and an advisory that was published before its fix has the wrong one: with the day of its
//! publication a grace is over before it can begin. So each making of an index notes which advisories have a fix, and for one that
//! had none, or was not there, when that came. What was there with its fix when this machine first looked has no date here, since a
//! folder that is made anew for each scan would give each finding its grace again. The file lies beside the index and is no part of its
//! digest: equal advisories have equal digests, whoever saw them come when.
//!
//! ```text
//! magic, number of records (both 8 bytes), then records sorted by name:
//! name (8 bytes of a digest), when (4 bytes: seconds since 1970, 0 no fix, 1 always), checksum of both (4 bytes)
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::model::{Advisory, Affected};

const MAGIC: &[u8; 8] = b"pipe-fix";
const HEAD_BYTES: u64 = 16;
const RECORD_BYTES: usize = 16;
/// It is there and has no fix.
const NO_FIX: u32 = 0;
/// It had its fix when this machine first looked.
const ALWAYS: u32 = 1;

/// Where dates lie that belong to an index.
fn beside(index: &Path) -> PathBuf {
    index.with_extension("fixes")
}

/// The name of an advisory's word on a package. `row` is the release and the package, as [`super::index::key`] writes them.
fn name(row: &[u8], advisory: &str) -> u64 {
    let mut digest = Sha256::new();
    digest.update(row);
    digest.update([0]);
    digest.update(advisory);
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(digest.finalize());
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Notes what has a fix while an index is made.
#[derive(Debug)]
pub(crate) struct Watcher {
    known: HashMap<u64, u32>,
    now: u32,
    found: HashMap<u64, u32>,
    key: Vec<u8>,
}

impl Watcher {
    /// Goes on from what lies beside the index at `index`. What cannot be read there counts as never seen.
    pub(crate) fn new(index: &Path, now: Timestamp) -> Self {
        let known = read(&beside(index)).unwrap_or_default();
        Self { known, now: seconds(Some(now.as_second())).unwrap_or(ALWAYS), found: HashMap::new(), key: Vec::new() }
    }

    pub(crate) fn see(&mut self, advisory: &Advisory) {
        for affected in &advisory.affected {
            self.key.clear();
            self.key.extend_from_slice(affected.release.as_bytes());
            let release = name(&self.key, "");
            self.found.insert(release, ALWAYS);
            self.key.push(0);
            self.key.extend_from_slice(affected.name.as_bytes());
            let name = name(&self.key, &advisory.id);
            let since = self.since(release, name, advisory, has_fix(affected));
            // An advisory may speak of one package several times.
            let before = self.found.entry(name).or_insert(since);
            *before = since.max(*before);
        }
    }

    fn since(&self, release: u64, name: u64, advisory: &Advisory, has_fix: bool) -> u32 {
        // Who changed the advisory changed it before we saw that.
        let came = || seconds(advisory.modified).filter(|at| *at < self.now).unwrap_or(self.now);
        match self.known.get(&name) {
            _ if !has_fix => NO_FIX,
            Some(&NO_FIX) => came(),
            Some(since) => *since,
            None if self.known.contains_key(&release) && advisory.published.is_none() => came(),
            None => ALWAYS,
        }
    }

    /// Puts what was noted beside the index, in the place of what was there.
    pub(crate) fn save(&self, index: &Path) -> io::Result<()> {
        let target = beside(index);
        let unfinished = target.with_extension(format!("fixes.{}.unfinished", std::process::id()));
        let mut records: Vec<_> = self.found.iter().collect();
        records.sort_unstable();
        let mut file = BufWriter::new(File::create(&unfinished)?);
        file.write_all(MAGIC)?;
        file.write_all(&(records.len() as u64).to_le_bytes())?;
        for (name, since) in records {
            file.write_all(&record(*name, *since))?;
        }
        file.into_inner()?.sync_all()?;
        std::fs::rename(&unfinished, &target)
    }
}

/// Dates to be looked up.
#[derive(Debug)]
pub(crate) struct Fixes {
    file: File,
    records: u64,
}

impl Fixes {
    /// Those of an index; none where there are none, or they are damaged: then the dates of the advisories count alone.
    pub(crate) fn of(index: &Path) -> Option<Self> {
        let file = File::open(beside(index)).ok()?;
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact_at(&mut head, 0).ok()?;
        let records = count(&head)?;
        let length = file.metadata().ok()?.len();
        (Some(length) == records.checked_mul(RECORD_BYTES as u64)?.checked_add(HEAD_BYTES))
            .then_some(Self { file, records })
    }

    /// Since when an advisory has had a fix for a package, in seconds since 1970, where that was seen to come.
    pub(crate) fn since(&self, row: &[u8], advisory: &str) -> Option<i64> {
        let wanted = name(row, advisory);
        let (mut low, mut high) = (0, self.records);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut bytes = [0; RECORD_BYTES];
            self.file.read_exact_at(&mut bytes, HEAD_BYTES + middle * RECORD_BYTES as u64).ok()?;
            let (name, since) = parts(&bytes)?;
            match name.cmp(&wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return (since > ALWAYS).then_some(i64::from(since)),
            }
        }
        None
    }
}

fn has_fix(affected: &Affected) -> bool {
    !affected.fixed.is_empty() || affected.intervals.iter().any(|interval| interval.ends_with_fix)
}

/// None is before 1970 and after 2106.
fn seconds(time: Option<i64>) -> Option<u32> {
    u32::try_from(time?).ok().filter(|seconds| *seconds > ALWAYS)
}

fn record(name: u64, since: u32) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    bytes[..8].copy_from_slice(&name.to_le_bytes());
    bytes[8..12].copy_from_slice(&since.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn parts(bytes: &[u8; RECORD_BYTES]) -> Option<(u64, u32)> {
    let (name, rest) = bytes.split_first_chunk::<8>()?;
    let (since, checksum) = rest.split_first_chunk::<4>()?;
    let is_whole = crc32fast::hash(&bytes[..12]).to_le_bytes() == *checksum;
    is_whole.then(|| (u64::from_le_bytes(*name), u32::from_le_bytes(*since)))
}

fn count(head: &[u8; HEAD_BYTES as usize]) -> Option<u64> {
    let (magic, count) = head.split_first_chunk::<8>()?;
    (magic == MAGIC).then(|| count.first_chunk::<8>().map(|count| u64::from_le_bytes(*count)))?
}

fn read(path: &Path) -> Option<HashMap<u64, u32>> {
    let mut file = BufReader::new(File::open(path).ok()?);
    let mut head = [0; HEAD_BYTES as usize];
    file.read_exact(&mut head).ok()?;
    let mut known = HashMap::new();
    for _ in 0..count(&head)? {
        let mut bytes = [0; RECORD_BYTES];
        file.read_exact(&mut bytes).ok()?;
        let (name, since) = parts(&bytes)?;
        known.insert(name, since);
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::model::Interval;

    const ROW: &[u8] = b"debian:12\0zlib";

    fn advisory(id: &str, fix: bool, published: Option<i64>, modified: Option<i64>) -> Advisory {
        let intervals = vec![if fix { Interval::before_fix("1") } else { Interval::default() }];
        let affected = Affected { release: "debian:12".into(), name: "zlib".into(), intervals, ..Affected::default() };
        Advisory { id: id.into(), published, modified, affected: vec![affected], ..Advisory::default() }
    }

    /// Makes an index of these at a time, and gives the dates of A, B and C.
    fn made(index: &Path, at: i64, advisories: &[Advisory]) -> [Option<i64>; 3] {
        let mut watcher = Watcher::new(index, Timestamp::from_second(at).unwrap());
        advisories.iter().for_each(|one| watcher.see(one));
        watcher.save(index).unwrap();
        let fixes = Fixes::of(index).unwrap();
        ["A", "B", "C"].map(|id| fixes.since(ROW, id))
    }

    #[test]
    fn a_fix_has_the_day_on_which_it_came() {
        let folder = tempfile::tempdir().unwrap();
        let index = &folder.path().join("advisories.index");
        assert!(Fixes::of(index).is_none());
        let b = |fix, modified| advisory("B", fix, Some(10), modified);
        // What is there from the beginning has no date of ours.
        assert_eq!(made(index, 1_000, &[advisory("A", true, None, None), b(false, Some(20))]), [None; 3]);
        // B's fix came; C came with one, and nobody dates it.
        let second = [advisory("A", true, None, None), b(true, Some(1_500)), advisory("C", true, None, None)];
        assert_eq!(made(index, 2_000, &second), [None, Some(1_500), Some(2_000)]);
        // Later changes of an advisory move nothing; one that is dated in the future was seen now.
        let third = [advisory("A", true, None, None), b(true, Some(2_500)), advisory("C", false, None, None)];
        assert_eq!(made(index, 3_000, &third), [None, Some(1_500), None], "C's fix was taken back");
        let fourth = [advisory("C", true, None, Some(9_000)), b(true, None)];
        assert_eq!(made(index, 4_000, &fourth), [None, Some(1_500), Some(4_000)]);
        // An advisory that came with its date, and another release of which nothing was known.
        let mut other = advisory("A", true, None, None);
        other.affected[0].release = "debian:13".into();
        assert_eq!(made(index, 5_000, &[advisory("C", true, Some(7), None), other]), [None, None, Some(4_000)]);
        assert_eq!(Fixes::of(index).unwrap().since(b"debian:13\0zlib", "A"), None);
    }

    #[test]
    fn what_is_damaged_dates_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let index = &folder.path().join("advisories.index");
        made(index, 1_000, &[advisory("A", false, None, None)]);
        assert_eq!(made(index, 2_000, &[advisory("A", true, None, None)])[0], Some(2_000));
        let whole = std::fs::read(beside(index)).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            std::fs::write(beside(index), bytes).unwrap();
            let since = Fixes::of(index).and_then(|fixes| fixes.since(ROW, "A"));
            assert!(since.is_none() || since == Some(2_000), "byte {place}: {since:?}");
        }
        std::fs::write(beside(index), &whole[..whole.len() - 1]).unwrap();
        assert!(Fixes::of(index).is_none());
        assert_eq!(made(index, 3_000, &[advisory("A", true, None, None)]), [None; 3], "as never seen");
    }
}
