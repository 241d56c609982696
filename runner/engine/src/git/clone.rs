//! A job's own `.git`: complete in itself, so that git works where this machine's repository cannot be seen.
//!
//! Written from nothing: no hook, alternate, credential or setting of this machine's repository comes along, but for those
//! that say how the files lie in the folder (line ends). Shaped like the clone that actions/checkout makes, see
//! <https://github.com/actions/checkout/blob/main/src/git-source-provider.ts>.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use git2::{Index, IndexEntry, IndexTime, Oid, Repository};

use super::GitError;
use super::files::{FileKind, SnapshotFile, commit_files};
use super::objects::{copy_all, copy_of_commits, object_folders};
use super::refs::{Head, Target};

/// The bit of an index entry whose file a sparse checkout leaves out.
const SKIP_WORKTREE: u16 = 1 << 14;

/// How much history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All branches and tags, whole.
    Full,
    /// That many commits of what is checked out.
    Commits(u32),
}

/// A clone to make.
#[expect(missing_debug_implementations, reason = "a handle of libgit2 has none")]
pub struct CloneOrder<'a> {
    /// From here.
    pub repository: &'a Repository,
    /// What HEAD shall be.
    pub target: &'a Target,
    /// How much history.
    pub depth: Depth,
    /// Whether all tags come along.
    pub tags: bool,
    /// URL of `origin`.
    pub url: &'a str,
    /// Whether line ends are as this machine's settings make them, since its files were copied; else as in the commit.
    pub own_line_ends: bool,
    /// Folders of a sparse checkout.
    pub sparse: Option<&'a [PathBuf]>,
    /// Whether a file is part of the checkout.
    pub keeps: &'a dyn Fn(&Path) -> bool,
    /// Set by somebody else when it should stop.
    pub stop: &'a AtomicBool,
}

/// Makes `.git` in the folder `root`, and an index that knows `files` (those of the folder, when they are there already).
///
/// # Errors
/// An object cannot be read, or a file not written.
pub fn make_git_folder(order: &CloneOrder<'_>, root: &Path, files: &[SnapshotFile]) -> Result<(), GitError> {
    let folder = root.join(".git");
    for name in ["objects/info", "refs/heads", "refs/tags", "info"] {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(GitError::file("create", &path))?;
    }
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(GitError::file("write", &path))
    };
    write("config", &config(order))?;
    let exclude = fs::read_to_string(order.repository.commondir().join("info/exclude")).unwrap_or_default();
    write("info/exclude", &exclude)?;
    let refs = Refs::of(order)?;
    if let Some(folders) = order.sparse {
        write("info/sparse-checkout", &cone(folders))?;
    }
    write("packed-refs", &refs.packed())?;
    write("HEAD", &head(order.target))?;
    let shallow = match order.depth {
        Depth::Full => {
            copy_all(&object_folders(order.repository), &folder.join("objects"), order.stop)?;
            fs::read_to_string(order.repository.commondir().join("shallow")).unwrap_or_default()
        }
        Depth::Commits(depth) => shallow_copy(order, &refs, depth, &folder)?,
    };
    if !shallow.is_empty() {
        write("shallow", &shallow)?;
    }
    write_index(order, root, files)
}

fn config(order: &CloneOrder<'_>) -> String {
    let mut text = String::from(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n",
    );
    let config = order.repository.config().ok();
    for name in ["autocrlf", "eol"] {
        let value = config.as_ref().and_then(|config| config.get_string(&format!("core.{name}")).ok());
        let plain = value.filter(|value| value.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if let Some(value) = plain.filter(|_| order.own_line_ends) {
            let _cannot_fail = writeln!(text, "\t{name} = {value}");
        }
    }
    if order.sparse.is_some() {
        text.push_str("\tsparseCheckout = true\n\tsparseCheckoutCone = true\n");
    }
    if !order.own_line_ends {
        text.push_str("\tautocrlf = false\n");
    }
    let _cannot_fail = write!(
        text,
        "[remote \"origin\"]\n\turl = {}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n[gc]\n\tauto = 0\n",
        quoted(order.url)
    );
    if let Head::Branch(branch) = &order.target.head {
        let _cannot_fail = write!(
            text,
            "[branch {}]\n\tremote = origin\n\tmerge = {}\n",
            quoted(branch),
            quoted(&format!("refs/heads/{branch}"))
        );
    }
    text
}

/// `.git/info/sparse-checkout` in cone mode: the files of each folder on the way, and all of the named ones.
fn cone(folders: &[PathBuf]) -> String {
    let mut text = String::from("/*\n!/*/\n");
    let mut parents = std::collections::BTreeSet::new();
    for folder in folders {
        parents.extend(folder.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()));
    }
    for parent in parents {
        let _cannot_fail = write!(text, "/{0}/\n!/{0}/*/\n", parent.display());
    }
    for folder in folders {
        let _cannot_fail = writeln!(text, "/{}/", folder.display());
    }
    text
}

/// A value in git's configuration syntax. Line breaks cannot be in names or URLs that git takes; they are dropped here.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn head(target: &Target) -> String {
    match (&target.head, target.commit) {
        (Head::Branch(branch), _) => format!("ref: refs/heads/{branch}\n"),
        (Head::Detached(_), Some(commit)) => format!("{commit}\n"),
        (Head::Detached(_), None) => "ref: refs/heads/main\n".to_owned(),
    }
}

/// The refs of a clone.
#[derive(Debug, Default)]
struct Refs {
    /// What each points to.
    targets: BTreeMap<String, Oid>,
    /// Commits that the tags lead to, and tag objects on the way.
    tagged: Vec<Oid>,
    tag_objects: Vec<Oid>,
}

impl Refs {
    fn of(order: &CloneOrder<'_>) -> Result<Self, GitError> {
        let mut this = Self::default();
        if order.depth == Depth::Full || order.tags {
            this.of_repository(order)?;
        }
        if let Some(commit) = order.target.commit {
            match &order.target.head {
                Head::Branch(branch) => {
                    this.targets.insert(format!("refs/heads/{branch}"), commit);
                    this.targets.insert(format!("refs/remotes/origin/{branch}"), commit);
                }
                Head::Detached(Some(name)) => {
                    this.targets.entry(name.clone()).or_insert(commit);
                }
                Head::Detached(None) => {}
            }
        }
        Ok(this)
    }

    fn of_repository(&mut self, order: &CloneOrder<'_>) -> Result<(), GitError> {
        let failed = "list the refs";
        let all = order.repository.references().map_err(GitError::library(failed))?;
        let mut local = HashMap::new();
        for reference in all.flatten() {
            let (Ok(name), Some(id)) = (reference.name(), reference.target()) else { continue };
            if name.starts_with("refs/tags/") {
                let Ok(commit) = reference.peel_to_commit() else { continue };
                self.targets.insert(name.to_owned(), id);
                self.tagged.push(commit.id());
                if commit.id() != id {
                    self.tag_objects.push(id);
                }
            } else if order.depth == Depth::Full {
                if let Some(branch) = name.strip_prefix("refs/heads/") {
                    local.insert(format!("refs/remotes/origin/{branch}"), id);
                } else if name.starts_with("refs/remotes/origin/") {
                    self.targets.insert(name.to_owned(), id);
                }
            }
        }
        self.targets.extend(local);
        Ok(())
    }

    fn packed(&self) -> String {
        self.targets.iter().fold(String::new(), |mut text, (name, id)| {
            let _cannot_fail = writeln!(text, "{id} {name}");
            text
        })
    }
}

/// Copies the newest commits, and gives the text of `.git/shallow`: those whose parents are not there.
fn shallow_copy(order: &CloneOrder<'_>, refs: &Refs, depth: u32, folder: &Path) -> Result<String, GitError> {
    let repository = order.repository;
    let mut taken: Vec<Oid> = Vec::new();
    let mut seen = HashSet::new();
    let mut level: Vec<Oid> = order.target.commit.into_iter().collect();
    for _ in 0..depth.max(1) {
        let mut next = Vec::new();
        for id in level {
            if seen.insert(id) {
                taken.push(id);
                let commit = repository.find_commit(id).map_err(GitError::library("read a commit"))?;
                next.extend(commit.parent_ids().filter(|parent| repository.find_commit(*parent).is_ok()));
            }
        }
        level = next;
    }
    if order.tags {
        taken.extend(refs.tagged.iter().copied().filter(|id| seen.insert(*id)));
    }
    copy_of_commits(repository, &taken, &refs.tag_objects, &folder.join("objects"), order.stop)?;
    let mut shallow = String::new();
    for id in taken {
        let commit = repository.find_commit(id).map_err(GitError::library("read a commit"))?;
        if commit.parent_ids().any(|parent| !seen.contains(&parent)) {
            let _cannot_fail = writeln!(shallow, "{id}");
        }
    }
    Ok(shallow)
}

/// The index as `git checkout` would leave it, so that `git status` need not read files that are as the commit has them.
fn write_index(order: &CloneOrder<'_>, root: &Path, files: &[SnapshotFile]) -> Result<(), GitError> {
    let Some(commit) = order.target.commit else { return Ok(()) };
    let known: HashMap<&Path, &SnapshotFile> = files.iter().map(|file| (file.path.as_path(), file)).collect();
    let path = root.join(".git/index");
    let mut index = Index::open(&path).map_err(GitError::library("make the index"))?;
    for file in commit_files(order.repository, commit)? {
        let same = known.get(file.path.as_path()).filter(|other| other.id == file.id && other.kind == file.kind);
        let mut entry =
            index_entry(&file, same.and_then(|_| fs::symlink_metadata(root.join(&file.path)).ok()).as_ref());
        if !(order.keeps)(&file.path) {
            entry.flags_extended |= SKIP_WORKTREE;
        }
        index.add(&entry).map_err(GitError::library("make the index"))?;
    }
    index.write().map_err(GitError::library("write the index"))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the index keeps 32 bits of each")]
fn index_entry(file: &SnapshotFile, facts: Option<&fs::Metadata>) -> IndexEntry {
    use std::os::unix::ffi::OsStrExt as _;
    let facts = facts.filter(|_| file.kind != FileKind::Submodule);
    let number = |of: fn(&fs::Metadata) -> u64| facts.map_or(0, |facts| of(facts) as u32);
    let time = |seconds: fn(&fs::Metadata) -> i64, nanoseconds: fn(&fs::Metadata) -> i64| {
        facts.map_or(IndexTime::new(0, 0), |facts| IndexTime::new(seconds(facts) as i32, nanoseconds(facts) as u32))
    };
    IndexEntry {
        ctime: time(fs::Metadata::ctime, fs::Metadata::ctime_nsec),
        mtime: time(fs::Metadata::mtime, fs::Metadata::mtime_nsec),
        dev: number(fs::Metadata::dev),
        ino: number(fs::Metadata::ino),
        mode: file.kind.mode(),
        uid: number(|facts| facts.uid().into()),
        gid: number(|facts| facts.gid().into()),
        file_size: number(fs::Metadata::len),
        id: file.id.unwrap_or(Oid::ZERO_SHA1),
        flags: 0,
        flags_extended: 0,
        path: file.path.as_os_str().as_bytes().to_vec(),
    }
}
