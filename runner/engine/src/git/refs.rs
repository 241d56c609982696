//! Which commit a checkout means.
//!
//! A name is never read as an option or an expression (`main~3`, `@{-1}`): only full refs, short names of branches and
//! tags, and whole commit ids, as actions/checkout has it.

use git2::{Oid, Repository};

use super::GitError;

/// What to check out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The commit; `None` in a repository without any.
    pub commit: Option<Oid>,
    /// What HEAD shall be.
    pub head: Head,
}

/// What HEAD of a clone is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// A branch of that short name.
    Branch(String),
    /// The commit, and that ref beside it (a tag, `refs/remotes/pull/1/merge`).
    Detached(Option<String>),
}

impl Target {
    /// The ref by its usual short name, or the commit: the output `ref` of the action.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.head {
            Head::Branch(branch) => format!("refs/heads/{branch}"),
            Head::Detached(Some(name)) => name.clone(),
            Head::Detached(None) => self.commit.map(|commit| commit.to_string()).unwrap_or_default(),
        }
    }
}

/// Finds what `ref:` names.
///
/// # Errors
/// Nothing of that name is here; the words are those of actions/checkout.
pub fn resolve(repository: &Repository, text: &str) -> Result<Target, GitError> {
    let text = text.trim_matches(|letter: char| letter.is_ascii_whitespace());
    let missing = || GitError::NoSuchRef(format!("A branch or tag with the name '{text}' could not be found"));
    if let Some(id) = whole_id(text) {
        let commit = repository.find_commit(id).map_err(|_| {
            GitError::NoSuchRef(format!(
                "the commit {id} is not in the local repository; fetch it first (git fetch origin {id})"
            ))
        })?;
        return Ok(Target { commit: Some(commit.id()), head: Head::Detached(None) });
    }
    let commit = |name: &str| {
        let reference = repository.find_reference(name).ok()?;
        reference.peel_to_commit().ok().map(|commit| commit.id())
    };
    let branch = |short: &str| {
        let commit =
            commit(&format!("refs/heads/{short}")).or_else(|| commit(&format!("refs/remotes/origin/{short}")))?;
        Some(Target { commit: Some(commit), head: Head::Branch(short.to_owned()) })
    };
    let tag = |short: &str| {
        let name = format!("refs/tags/{short}");
        Some(Target { commit: Some(commit(&name)?), head: Head::Detached(Some(name)) })
    };
    if let Some(short) = text.strip_prefix("refs/heads/") {
        return branch(short).ok_or_else(missing);
    }
    if let Some(short) = text.strip_prefix("refs/tags/") {
        return tag(short).ok_or_else(missing);
    }
    if let Some(pull) = text.strip_prefix("refs/pull/") {
        let name = format!("refs/remotes/pull/{pull}");
        let commit = commit(text).or_else(|| commit(&name)).ok_or_else(missing)?;
        return Ok(Target { commit: Some(commit), head: Head::Detached(Some(name)) });
    }
    if text.starts_with("refs/") {
        let commit = commit(text).ok_or_else(missing)?;
        return Ok(Target { commit: Some(commit), head: Head::Detached(None) });
    }
    if text.is_empty() || text.starts_with('-') {
        return Err(missing());
    }
    branch(text).or_else(|| tag(text)).ok_or_else(missing)
}

/// What the repository has checked out now.
#[must_use]
pub fn unborn_or_head(repository: &Repository) -> Target {
    let branch = repository.find_reference("HEAD").ok().and_then(|head| {
        let target = head.symbolic_target().ok().flatten()?;
        target.strip_prefix("refs/heads/").map(str::to_owned)
    });
    let commit = repository.head().and_then(|head| head.peel_to_commit()).ok().map(|commit| commit.id());
    Target { commit, head: branch.map_or(Head::Detached(None), Head::Branch) }
}

fn whole_id(text: &str) -> Option<Oid> {
    let whole = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| Oid::from_str(text).ok()).flatten()
}
