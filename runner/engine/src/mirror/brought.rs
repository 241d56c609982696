//! What a deployment brought: each commit since what stood there before, with all that it says.

use git2::{Oid, Repository, Sort};

use super::read::CommitText;
use super::{MirrorError, library};

/// Most commits that are read.
pub const COMMITS_READ_MAX: usize = 10_000;

/// From what stood there to what was deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brought {
    /// Commits that came, newest first, at most [`COMMITS_READ_MAX`]. Of a first deployment only its own: what was before
    /// has no time at which it came.
    pub commits: Vec<CommitText>,
    /// How many went away, as when an older commit is deployed.
    pub gone: usize,
}

impl Brought {
    /// From `old` (`None`: nothing) to `new`: `git rev-list old..new`.
    ///
    /// # Errors
    /// A commit is not here, or the mirror cannot be read.
    pub fn between(repository: &Repository, old: Option<&str>, new: &str) -> Result<Self, MirrorError> {
        let new = CommitText::read(repository, new)?;
        let Some(old) = old else { return Ok(Self { commits: vec![new], gone: 0 }) };
        let old = CommitText::read(repository, old)?;
        let commits = ids(repository, &new.id, &old.id)?;
        let commits =
            commits.iter().map(|id| CommitText::read(repository, &id.to_string())).collect::<Result<_, _>>()?;
        Ok(Self { commits, gone: ids(repository, &old.id, &new.id)?.len() })
    }
}

/// Commits that `from` has and `hidden` has not.
fn ids(repository: &Repository, from: &str, hidden: &str) -> Result<Vec<Oid>, MirrorError> {
    let walk = || {
        let mut walk = repository.revwalk()?;
        walk.set_sorting(Sort::TIME | Sort::TOPOLOGICAL)?;
        walk.push(Oid::from_str(from)?)?;
        walk.hide(Oid::from_str(hidden)?)?;
        walk.take(COMMITS_READ_MAX).collect::<Result<Vec<_>, _>>()
    };
    walk().map_err(library(repository))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::tests::World;

    #[test]
    fn what_came_and_what_went() {
        let world = World::new();
        let [first, second, third] = ["1", "2", "3"].map(|text| world.commit("a.txt", text));
        let repository = Repository::open(world.there.root()).unwrap();
        let check = |old: Option<&str>, new: &str, commits: &[&str], gone: usize| {
            let brought = Brought::between(&repository, old, new).unwrap();
            let ids: Vec<_> = brought.commits.iter().map(|commit| commit.id.as_str()).collect();
            assert_eq!((ids.as_slice(), brought.gone), (commits, gone));
        };
        check(None, &third, &[&third], 0);
        check(Some(&first), &third, &[&third, &second], 0);
        check(Some(&third), &third, &[], 0);
        check(Some(&third), &first, &[], 2);
        let lost = Brought::between(&repository, Some(&"1".repeat(40)), &third);
        assert!(matches!(lost, Err(MirrorError::Gone(_))), "{lost:?}");
    }
}
