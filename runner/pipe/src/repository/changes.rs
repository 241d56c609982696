//! Which files changed: by the last commit, and since then in the working folder.
//!
//! A local run tests what lies in the folder, so what is not committed yet counts for `paths` filters as well.

use git2::{Commit, Delta, DiffOptions, Repository};

/// Paths from the root, `/` between names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// New in the commit.
    pub added: Vec<String>,
    /// Gone in the commit.
    pub removed: Vec<String>,
    /// Changed by the commit.
    pub modified: Vec<String>,
    /// Changed since the commit.
    pub uncommitted: Vec<String>,
}

impl Changes {
    /// All of them, sorted, each once.
    pub fn all(self) -> Vec<String> {
        let mut all: Vec<String> =
            [self.added, self.removed, self.modified, self.uncommitted].into_iter().flatten().collect();
        all.sort();
        all.dedup();
        all
    }
}

/// The changes of a commit against its first parent, and those of the working folder.
pub fn of(git: &Repository, parent: Option<&Commit<'_>>, head: &Commit<'_>) -> Result<Changes, git2::Error> {
    let mut changes = Changes::default();
    let before = parent.map(Commit::tree).transpose()?;
    let tree = head.tree()?;
    for delta in git.diff_tree_to_tree(before.as_ref(), Some(&tree), None)?.deltas() {
        let file = if delta.status() == Delta::Deleted { delta.old_file() } else { delta.new_file() };
        let Some(path) = file.path_bytes().map(|path| String::from_utf8_lossy(path).into_owned()) else { continue };
        match delta.status() {
            Delta::Added => changes.added.push(path),
            Delta::Deleted => changes.removed.push(path),
            Delta::Unmodified
            | Delta::Modified
            | Delta::Renamed
            | Delta::Copied
            | Delta::Ignored
            | Delta::Untracked
            | Delta::Typechange
            | Delta::Unreadable
            | Delta::Conflicted => changes.modified.push(path),
        }
    }
    if !git.is_bare() {
        let mut options = DiffOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true);
        let diff = git.diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options))?;
        let paths = diff.deltas().filter_map(|delta| {
            let path = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes())?;
            Some(String::from_utf8_lossy(path).into_owned())
        });
        changes.uncommitted = paths.collect();
    }
    Ok(changes)
}
