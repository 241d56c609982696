//! Bringing objects from one repository into the clone of a job.
//!
//! Where little is wanted (depth 1), loose objects are copied as they are and the rest is taken out of its packs, so that
//! the size of the history does not matter. Where all is wanted, packs and loose objects are copied as files.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::{ObjectType, Oid, Repository};

use super::GitError;
use super::copy::{copy_one, in_parallel};

/// Folders that alternates may lead through, one after the other.
const ALTERNATES_DEPTH_MAX: usize = 5;
/// Packs up to this size in sum are copied whole even where little of them is wanted: that is one call, not thousands.
const WHOLE_PACKS_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The folders in which a repository's objects lie: its own and its alternates.
pub(super) fn object_folders(repository: &Repository) -> Vec<PathBuf> {
    let mut folders = vec![repository.commondir().join("objects")];
    for depth in 0..ALTERNATES_DEPTH_MAX {
        let Some(folder) = folders.get(depth).cloned() else { break };
        let text = fs::read_to_string(folder.join("info/alternates")).unwrap_or_default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let path = folder.join(line);
            if path.is_dir() && !folders.contains(&path) {
                folders.push(path);
            }
        }
    }
    folders
}

/// Copies every object.
pub(super) fn copy_all(folders: &[PathBuf], to: &Path, stop: &AtomicBool) -> Result<(), GitError> {
    let mut pairs = packs(folders, to)?;
    for folder in folders {
        for first in 0..=255u8 {
            let name = format!("{first:02x}");
            let Ok(entries) = fs::read_dir(folder.join(&name)) else { continue };
            make(&to.join(&name))?;
            pairs.extend(
                entries
                    .flatten()
                    .filter(|entry| entry.file_name().len() > 30)
                    .map(|entry| Pair::new(entry.path(), to.join(&name).join(entry.file_name()))),
            );
        }
    }
    in_parallel(&pairs, stop, Pair::copy)
}

/// Copies the objects of these commits: themselves, their trees and files; and those objects of tags.
pub(super) fn copy_of_commits(
    repository: &Repository,
    commits: &[Oid],
    tags: &[Oid],
    to: &Path,
    stop: &AtomicBool,
) -> Result<(), GitError> {
    let folders = object_folders(repository);
    let mut wanted = Wanted { repository, seen: HashSet::new(), order: Vec::new() };
    for commit in commits {
        wanted.commit(*commit)?;
    }
    for tag in tags {
        wanted.take(*tag);
    }
    let packs = packs(&folders, to)?;
    let size: u64 = packs.iter().filter_map(|pair| pair.from.metadata().ok()).map(|facts| facts.len()).sum();
    let whole = size <= WHOLE_PACKS_BYTES_MAX;
    let mut pairs = if whole { packs } else { Vec::new() };
    let mut packed = Vec::new();
    let mut made = BTreeSet::new();
    for id in wanted.order {
        let text = id.to_string();
        let (first, rest) = text.split_at(2);
        let below = Path::new(first).join(rest);
        if made.insert(first.to_owned()) {
            make(&to.join(first))?;
        }
        match folders.iter().map(|folder| folder.join(&below)).find(|path| path.exists()) {
            Some(loose) => pairs.push(Pair::new(loose, to.join(below))),
            None if whole => {}
            None => packed.push((id, to.join(below))),
        }
    }
    in_parallel(&pairs, stop, Pair::copy)?;
    unpack(repository, &packed, stop)
}

struct Wanted<'a> {
    repository: &'a Repository,
    seen: HashSet<Oid>,
    order: Vec<Oid>,
}

impl Wanted<'_> {
    fn commit(&mut self, id: Oid) -> Result<(), GitError> {
        let commit = self.repository.find_commit(id).map_err(GitError::library("read a commit"))?;
        if self.take(id) {
            self.tree(commit.tree_id())?;
        }
        Ok(())
    }

    fn take(&mut self, id: Oid) -> bool {
        let new = self.seen.insert(id);
        if new {
            self.order.push(id);
        }
        new
    }

    /// Takes a tree and all below it. A stack of our own, since trees may be nested as deeply as somebody likes.
    fn tree(&mut self, root: Oid) -> Result<(), GitError> {
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            if !self.take(id) {
                continue;
            }
            let tree = self.repository.find_tree(id).map_err(GitError::library("read a tree"))?;
            for entry in &tree {
                match entry.kind() {
                    Some(ObjectType::Tree) => open.push(entry.id()),
                    Some(ObjectType::Blob) => {
                        self.take(entry.id());
                    }
                    // Commits are those of submodules, which are not here.
                    Some(ObjectType::Any | ObjectType::Commit | ObjectType::Tag) | None => {}
                }
            }
        }
        Ok(())
    }
}

/// Takes objects out of their packs, as loose objects.
fn unpack(repository: &Repository, objects: &[(Oid, PathBuf)], stop: &AtomicBool) -> Result<(), GitError> {
    let source = repository.path().to_path_buf();
    // On one thread: a handle of libgit2 is not to be shared, and another one would read the packs' indexes again.
    let odb = repository.odb().map_err(GitError::library("open the objects"))?;
    for (id, path) in objects {
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(());
        }
        let object = odb.read(*id).map_err(GitError::library("read an object"))?;
        write_loose(path, object.kind().str(), object.data()).map_err(GitError::file("write an object of", &source))?;
    }
    Ok(())
}

fn write_loose(path: &Path, kind: &str, data: &[u8]) -> io::Result<()> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(data.len() / 2 + 64), Compression::fast());
    encoder.write_all(format!("{kind} {}\0", data.len()).as_bytes())?;
    encoder.write_all(data)?;
    fs::write(path, encoder.finish()?)
}

/// One file to copy.
#[derive(Debug)]
struct Pair {
    from: PathBuf,
    to: PathBuf,
}

impl Pair {
    const fn new(from: PathBuf, to: PathBuf) -> Self {
        Self { from, to }
    }

    fn copy(&self) -> Result<(), GitError> {
        match copy_one(&self.from, &self.to) {
            // The same object may lie in two folders.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.map_err(GitError::file("copy", &self.from)),
        }
    }
}

fn packs(folders: &[PathBuf], to: &Path) -> Result<Vec<Pair>, GitError> {
    let to = to.join("pack");
    make(&to)?;
    let mut pairs = Vec::new();
    for folder in folders {
        let Ok(entries) = fs::read_dir(folder.join("pack")) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let wanted = Path::new(&name).extension().is_some_and(|end| end == "pack" || end == "idx");
            if wanted {
                pairs.push(Pair::new(entry.path(), to.join(name)));
            }
        }
    }
    // The largest first, so that it is not the last that a thread begins with.
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.from.metadata().map_or(0, |facts| facts.len())));
    Ok(pairs)
}

fn make(path: &Path) -> Result<(), GitError> {
    fs::create_dir_all(path).map_err(GitError::file("create", path))
}
