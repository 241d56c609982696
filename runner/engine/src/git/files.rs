//! The files of a repository: as a commit has them, or as they lie in its folder.
//!
//! Reads no content where the index's stat cache says that a file is as it was.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use git2::{Delta, DiffOptions, IndexEntry, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};

use super::GitError;

/// What a file is, in git's modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// 100644.
    Plain,
    /// 100755.
    Executable,
    /// 120000.
    Link,
    /// 160000: another repository.
    Submodule,
}

impl FileKind {
    /// Of a mode in a tree or index; `None` for what is no file.
    #[must_use]
    pub const fn of_mode(mode: u32) -> Option<Self> {
        match mode & 0o170_000 {
            0o100_000 if mode & 0o100 != 0 => Some(Self::Executable),
            0o100_000 => Some(Self::Plain),
            0o120_000 => Some(Self::Link),
            0o160_000 => Some(Self::Submodule),
            _ => None,
        }
    }

    /// The mode that git writes.
    #[must_use]
    pub const fn mode(self) -> u32 {
        match self {
            Self::Plain => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Link => 0o120_000,
            Self::Submodule => 0o160_000,
        }
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// From the root of the repository.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// Its blob (the commit, of a submodule), where git knows it already; `None` when the file differs from the index or
    /// is not in it.
    pub id: Option<Oid>,
}

impl SnapshotFile {
    /// The id that git gives its content, computed where the index does not know it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn content_id(&self, root: &Path) -> Result<Oid, GitError> {
        if let Some(id) = self.id {
            return Ok(id);
        }
        let path = root.join(&self.path);
        match self.kind {
            FileKind::Link => {
                let target = std::fs::read_link(&path).map_err(GitError::file("read", &path))?;
                Oid::hash_object(ObjectType::Blob, target.as_os_str().as_bytes())
                    .map_err(GitError::library("hash a link"))
            }
            FileKind::Plain | FileKind::Executable => {
                Oid::hash_file(ObjectType::Blob, &path).map_err(GitError::library("hash a file"))
            }
            FileKind::Submodule => Ok(Oid::ZERO_SHA1),
        }
    }
}

/// A folder's listing.
#[derive(Debug, Default)]
pub struct WorkingFiles {
    /// Files in order of their paths.
    pub files: Vec<SnapshotFile>,
    /// Repositories inside the folder that are not submodules; git does not look into them.
    pub nested: Vec<PathBuf>,
    /// How many of the files differ from the last commit, or are new.
    pub changed: usize,
}

/// Files that git tracks as they lie in the folder, and those that are new and not ignored. What was deleted is absent.
///
/// # Errors
/// The index or the folder cannot be read.
pub fn working_files(repository: &Repository) -> Result<WorkingFiles, GitError> {
    let index = repository.index().map_err(GitError::library("read the index"))?;
    let root = repository.workdir().ok_or_else(|| GitError::NotARepository(repository.path().to_path_buf()))?;
    let mut found: BTreeMap<PathBuf, SnapshotFile> = BTreeMap::new();
    for entry in index.iter() {
        let Some(kind) = FileKind::of_mode(entry.mode) else { continue };
        let path = path_of(&entry.path);
        let id = (stage(&entry) == 0).then_some(entry.id);
        found.insert(path.clone(), SnapshotFile { path, kind, id });
    }
    let mut options = DiffOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).include_typechange(true).ignore_submodules(true);
    let diff = repository
        .diff_index_to_workdir(Some(&index), Some(&mut options))
        .map_err(GitError::library("compare the folder with the index"))?;
    let mut listing = WorkingFiles::default();
    for delta in diff.deltas() {
        let Some(path) = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes()) else { continue };
        if path.ends_with(b"/") {
            listing.nested.push(path_of(path));
            continue;
        }
        listing.changed += 1;
        let path = path_of(path);
        match on_disk(&root.join(&path)) {
            Some(kind) if delta.status() != Delta::Deleted => {
                found.insert(path.clone(), SnapshotFile { path, kind, id: None });
            }
            Some(_) | None => {
                if found.get(&path).is_some_and(|file| file.kind != FileKind::Submodule) {
                    found.remove(&path);
                }
            }
        }
    }
    listing.files = found.into_values().collect();
    Ok(listing)
}

/// Files of a commit's tree.
///
/// # Errors
/// The commit cannot be read.
pub fn commit_files(repository: &Repository, commit: Oid) -> Result<Vec<SnapshotFile>, GitError> {
    let tree = repository
        .find_commit(commit)
        .and_then(|commit| commit.tree())
        .map_err(GitError::library("read the commit's tree"))?;
    let mut files = Vec::new();
    tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        let mode = u32::try_from(entry.filemode()).unwrap_or_default();
        if let Some(kind) = FileKind::of_mode(mode) {
            let path = Path::new(folder).join(OsStr::from_bytes(entry.name_bytes()));
            files.push(SnapshotFile { path, kind, id: Some(entry.id()) });
        }
        TreeWalkResult::Ok
    })
    .map_err(GitError::library("read the commit's tree"))?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Which side of a conflict an entry is; 0 where there is none.
const fn stage(entry: &IndexEntry) -> u16 {
    (entry.flags >> 12) & 0x3
}

/// What lies at a path, links not followed; `None` for nothing, folders, sockets and the like.
pub(super) fn on_disk(path: &Path) -> Option<FileKind> {
    let facts = std::fs::symlink_metadata(path).ok()?;
    let kind = facts.file_type();
    if kind.is_symlink() {
        Some(FileKind::Link)
    } else if kind.is_file() {
        Some(if facts.mode() & 0o100 != 0 { FileKind::Executable } else { FileKind::Plain })
    } else {
        None
    }
}
