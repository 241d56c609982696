//! Which files an event changed, by GitHub's rules for `paths` filters.
//!
//! | event | compared |
//! |---|---|
//! | push to a branch that was there | before and after, directly (two dots), also after a forced push |
//! | push of a new branch | the parent of the oldest commit pushed, and after |
//! | pull request | the merge base of base and head, and head (three dots) |
//!
//! Where that cannot be had, nobody knows, and `paths` filters let the workflow run.
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#git-diff-comparisons>.

use git2::{DiffOptions, Oid, Repository, Sort};
use workflow::event::ChangedFiles;

use super::read::commit_tree;
use super::{MirrorError, library};

/// Most files that a filter looks at.
pub use workflow::trigger::CHANGED_FILES_MAX;

/// GitHub makes no diff of a push of more commits.
const COMMITS_MAX: usize = 1_000;

/// What to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// Two commits.
    Push {
        /// The commit before.
        before: String,
        /// The commit after.
        after: String,
    },
    /// A branch that was not there before.
    NewBranch {
        /// Its last commit.
        after: String,
        /// The oldest commit that came with it, where the payload tells.
        oldest: Option<String>,
        /// Its ref, which does not count as one that had the commits before.
        git_ref: String,
    },
    /// A pull request.
    PullRequest {
        /// The last commit of its base branch.
        base: String,
        /// Its last commit.
        head: String,
    },
}

impl Compared {
    /// The files, in git's order, at most 300; unknown where a commit is missing here.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub fn files(&self, repository: &Repository) -> Result<ChangedFiles, MirrorError> {
        let (old, new) = match self {
            Self::Push { before, after } => {
                if count(repository, before, after) > COMMITS_MAX {
                    return Ok(ChangedFiles::Unknown);
                }
                (Some(before.clone()), after)
            }
            Self::NewBranch { after, oldest, git_ref } => {
                let oldest = oldest.clone().or_else(|| oldest_new(repository, after, git_ref));
                let Some(oldest) = oldest else { return Ok(ChangedFiles::Unknown) };
                let Ok(commit) = Oid::from_str(&oldest).and_then(|id| repository.find_commit(id)) else {
                    return Ok(ChangedFiles::Unknown);
                };
                (commit.parent_id(0).ok().map(|id| id.to_string()), after)
            }
            Self::PullRequest { base, head } => {
                let ids = Oid::from_str(base).and_then(|base| Ok((base, Oid::from_str(head)?)));
                let merge_base = ids.and_then(|(base, head)| repository.merge_base(base, head));
                let Ok(merge_base) = merge_base else { return Ok(ChangedFiles::Unknown) };
                (Some(merge_base.to_string()), head)
            }
        };
        match between(repository, old.as_deref(), new) {
            Err(MirrorError::Gone(_)) => Ok(ChangedFiles::Unknown),
            other => other.map(ChangedFiles::Known),
        }
    }
}

fn between(repository: &Repository, old: Option<&str>, new: &str) -> Result<Vec<String>, MirrorError> {
    let old = old.map(|id| commit_tree(repository, id)).transpose()?;
    let new = commit_tree(repository, new)?;
    let mut options = DiffOptions::new();
    options.skip_binary_check(true).ignore_submodules(false);
    let diff =
        repository.diff_tree_to_tree(old.as_ref(), Some(&new), Some(&mut options)).map_err(library(repository))?;
    let path = |delta: git2::DiffDelta<'_>| {
        let bytes = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes())?.to_vec();
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(diff.deltas().filter_map(path).take(CHANGED_FILES_MAX).collect())
}

/// How many commits came, up to one more than the limit.
fn count(repository: &Repository, before: &str, after: &str) -> usize {
    let walk = || {
        let mut walk = repository.revwalk()?;
        walk.push(Oid::from_str(after)?)?;
        walk.hide(Oid::from_str(before)?)?;
        Ok::<_, git2::Error>(walk.take(COMMITS_MAX + 1).count())
    };
    walk().unwrap_or_default()
}

/// The oldest commit of a branch that no other branch has.
fn oldest_new(repository: &Repository, after: &str, git_ref: &str) -> Option<String> {
    let mut walk = repository.revwalk().ok()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE).ok()?;
    walk.push(Oid::from_str(after).ok()?).ok()?;
    let others = repository.references_glob("refs/heads/*").ok()?;
    for other in others.flatten() {
        if other.name().is_ok_and(|name| name != git_ref)
            && let Ok(commit) = other.peel_to_commit()
        {
            walk.hide(commit.id()).ok()?;
        }
    }
    let mut found = walk.take(COMMITS_MAX + 1).flatten();
    let first = found.next()?;
    (found.count() < COMMITS_MAX).then(|| first.to_string())
}
