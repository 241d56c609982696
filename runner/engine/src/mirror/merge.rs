//! The commit that a pull request would be merged as: the forge's own, or one made here.
//!
//! A forge makes it some time after it sent the hook, some make none. Ours is the same each time it is made: its text
//! and times are those of the commits it joins.
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request>.

use git2::{MergeOptions, Oid, Repository, Signature};
use workflow::event::GitRef;

use super::{CommitText, MirrorError, library};

/// Files that are looked at to find renamed ones.
const RENAMES_MAX: u32 = 1_000;

/// What became of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// It is this commit.
    Commit(String),
    /// Both sides changed the same lines.
    Conflict,
}

impl Merged {
    /// The merge commit of a pull request, under `refs/pull/N/merge`.
    ///
    /// # Errors
    /// One of the commits is not here, or the mirror cannot be written.
    pub fn of(repository: &Repository, number: u64, base: &str, head: &str) -> Result<Self, MirrorError> {
        let name = GitRef::pull_merge(number);
        if let Ok(theirs) = CommitText::tip(repository, &name)
            && theirs.parents.len() == 2
            && theirs.parents[1] == head
        {
            return Ok(Self::Commit(theirs.id));
        }
        let gone = |id: &str| MirrorError::Gone(id.to_owned());
        let commit = |id: &str| Oid::from_str(id).and_then(|id| repository.find_commit(id)).map_err(|_| gone(id));
        let (base, head) = (commit(base)?, commit(head)?);
        let failed = library(repository);
        let mut options = MergeOptions::new();
        options.find_renames(true).target_limit(RENAMES_MAX);
        let mut index = repository.merge_commits(&base, &head, Some(&options)).map_err(&failed)?;
        if index.has_conflicts() {
            return Ok(Self::Conflict);
        }
        let tree = index.write_tree_to(repository).and_then(|tree| repository.find_tree(tree)).map_err(&failed)?;
        let time = if base.time().seconds() > head.time().seconds() { base.time() } else { head.time() };
        let who = Signature::new("pipe", "pipe@localhost", &time).map_err(&failed)?;
        let message = format!("Merge {} into {}", head.id(), base.id());
        let merged = repository.commit(None, &who, &who, &message, &tree, &[&base, &head]).map_err(&failed)?;
        repository.reference(name.as_str(), merged, true, "merge of a pull request").map_err(&failed)?;
        Ok(Self::Commit(merged.to_string()))
    }
}
