//! What lies between two commits: what a deployment would bring, and what it would take away again.

use git2::{Delta, DiffOptions, Oid, Patch, Repository, Sort};

use super::read::{CommitText, commit_tree};
use super::{MirrorError, library};

/// Most commits that are told one by one.
pub const COMMITS_SHOWN_MAX: usize = 100;
/// Most commits that are told of those that a commit lags behind.
const BEHIND_SHOWN_MAX: usize = 10;
/// Most commits that are counted.
const COMMITS_COUNTED_MAX: usize = 10_000;
/// Most commits whose authors are told.
const AUTHORS_OF_MAX: usize = 1_000;
/// Most files that are told one by one.
pub const FILES_SHOWN_MAX: usize = 300;
/// Largest file whose lines are counted.
const COUNTED_BYTES_MAX: i64 = 1024 * 1024;

/// From one commit to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Apart {
    /// Commits that come, newest first, at most [`COMMITS_SHOWN_MAX`].
    pub commits: Vec<CommitLine>,
    /// How many come, up to [`COMMITS_COUNTED_MAX`].
    pub ahead: usize,
    /// Who wrote them, of the newest [`AUTHORS_OF_MAX`]: whoever wrote most comes first.
    pub authors: Vec<Author>,
    /// How many go away again, because what stands there has them and this has not.
    pub behind: usize,
    /// Files that differ, in git's order, at most [`FILES_SHOWN_MAX`].
    pub files: Vec<FileChange>,
    /// How many differ.
    pub files_changed: usize,
}

/// Somebody who wrote commits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Author {
    /// As the commits name them.
    pub name: String,
    /// How many.
    pub commits: usize,
}

/// A commit in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CommitLine {
    /// Its id.
    pub sha: String,
    /// First line of its message.
    pub subject: String,
    /// The author's name.
    pub author: String,
    /// When it was committed, in seconds since 1970.
    pub committed_at: i64,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileChange {
    /// Its path, the new one.
    pub path: String,
    /// `added`, `changed`, `removed` or `renamed`.
    pub change: &'static str,
    /// Lines that come and go; `None` for what is no text or large.
    pub lines: Option<(usize, usize)>,
    /// What kind of change it is beyond code: `migration` or `infrastructure`.
    pub kind: Option<&'static str>,
}

impl Apart {
    /// From `old` (what stands there; `None`: nothing) to `new`.
    ///
    /// # Errors
    /// A commit is not here, or the mirror cannot be read.
    pub fn between(repository: &Repository, old: Option<&str>, new: &str) -> Result<Self, MirrorError> {
        let id = |text: &str| Oid::from_str(text).map_err(|_| MirrorError::Gone(text.to_owned()));
        let new_tree = commit_tree(repository, new)?;
        let old_tree = old.map(|old| commit_tree(repository, old)).transpose()?;
        let (old_id, new_id) = (old.map(id).transpose()?, id(new)?);
        let ids = ids(repository, new_id, old_id)?;
        let commits = lines(repository, &ids)?;
        let behind = old_id.map(|old| self::ids(repository, old, Some(new_id))).transpose()?;
        let behind = behind.map_or(0, |ids| ids.len());
        let authors = authors(repository, &ids).map_err(library(repository))?;
        let mut apart = Self { commits, ahead: ids.len(), authors, behind, ..Self::default() };
        // Without anything before all files come: they are no news.
        if let Some(old_tree) = old_tree {
            let mut options = DiffOptions::new();
            options.context_lines(0).ignore_submodules(false).max_size(COUNTED_BYTES_MAX);
            let diff = repository.diff_tree_to_tree(Some(&old_tree), Some(&new_tree), Some(&mut options));
            let mut diff = diff.map_err(library(repository))?;
            diff.find_similar(None).map_err(library(repository))?;
            apart.files_changed = diff.deltas().len();
            apart.files = (0..apart.files_changed.min(FILES_SHOWN_MAX)).filter_map(|at| change(&diff, at)).collect();
        }
        Ok(apart)
    }

    /// Files of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a FileChange> {
        self.files.iter().filter(move |file| file.kind == Some(kind))
    }
}

/// What files of a commit say, of those that are there and no larger than is counted.
///
/// # Errors
/// The commit is not here.
pub fn texts(repository: &Repository, commit: &str, paths: &[String]) -> Result<Vec<(String, String)>, MirrorError> {
    let tree = commit_tree(repository, commit)?;
    let text = |path: &String| {
        let entry = tree.get_path(std::path::Path::new(path)).ok()?;
        let blob = entry.to_object(repository).ok()?.into_blob().ok()?;
        let is_fit = i64::try_from(blob.size()).is_ok_and(|size| size <= COUNTED_BYTES_MAX);
        is_fit.then(|| (path.clone(), String::from_utf8_lossy(blob.content()).into_owned()))
    };
    Ok(paths.iter().filter_map(text).collect())
}

/// How far a commit is from the default branch.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Lag {
    /// The branch's short name.
    pub branch: String,
    /// Commits of the branch that the commit has not, up to [`COMMITS_COUNTED_MAX`].
    pub behind: usize,
    /// Commits that it has and the branch has not, up to the same.
    pub ahead: usize,
    /// The newest commits of the branch that the commit has not, at most [`BEHIND_SHOWN_MAX`].
    pub commits: Vec<CommitLine>,
}

impl Lag {
    /// Of this commit, as of the last fetch.
    ///
    /// # Errors
    /// The commit or the branch is not here, or the mirror cannot be read.
    pub fn of(repository: &Repository, sha: &str) -> Result<Self, MirrorError> {
        let own = Oid::from_str(sha).map_err(|_| MirrorError::Gone(sha.to_owned()))?;
        let branch = super::read::default_branch(repository);
        let find = |folder: &str| repository.refname_to_id(&format!("{folder}/{branch}"));
        let tip = find("refs/heads").or_else(|_| find("refs/remotes/origin"));
        let tip = tip.map_err(|_| MirrorError::NoSuchRef(branch.clone()))?;
        let count = |from, hidden| {
            let mut walk = repository.revwalk()?;
            walk.push(from)?;
            walk.hide(hidden)?;
            Ok(walk.take(COMMITS_COUNTED_MAX).filter(Result::is_ok).count())
        };
        let gone = |_: git2::Error| MirrorError::Gone(sha.to_owned());
        let behind = count(tip, own).map_err(gone)?;
        let ahead = count(own, tip).map_err(gone)?;
        let mut commits = if behind == 0 { Vec::new() } else { lines(repository, &ids(repository, tip, Some(own))?)? };
        commits.truncate(BEHIND_SHOWN_MAX);
        Ok(Self { branch, behind, ahead, commits })
    }
}

impl CommitLine {
    /// A commit in short.
    #[must_use]
    pub fn of(commit: &CommitText) -> Self {
        let subject = commit.message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
        let (sha, author) = (commit.id.clone(), commit.author.clone());
        Self { sha, subject, author, committed_at: commit.committed_at }
    }
}

/// Commits that `from` has and `hidden` has not, newest first.
fn ids(repository: &Repository, from: Oid, hidden: Option<Oid>) -> Result<Vec<Oid>, MirrorError> {
    let ids = || {
        let mut walk = repository.revwalk()?;
        walk.set_sorting(Sort::TIME | Sort::TOPOLOGICAL)?;
        walk.push(from)?;
        hidden.map(|hidden| walk.hide(hidden)).transpose()?;
        walk.take(COMMITS_COUNTED_MAX).collect::<Result<Vec<_>, _>>()
    };
    ids().map_err(library(repository))
}

/// The first of them, to be shown.
fn lines(repository: &Repository, ids: &[Oid]) -> Result<Vec<CommitLine>, MirrorError> {
    let line = |id: &Oid| Ok(CommitLine::of(&CommitText::read(repository, &id.to_string())?));
    ids.iter().take(COMMITS_SHOWN_MAX).map(line).collect()
}

fn authors(repository: &Repository, ids: &[Oid]) -> Result<Vec<Author>, git2::Error> {
    let mut authors: Vec<Author> = Vec::new();
    for id in ids.iter().take(AUTHORS_OF_MAX) {
        let commit = repository.find_commit(*id)?;
        let name = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
        match authors.iter_mut().find(|author| author.name == name) {
            Some(author) => author.commits += 1,
            None => authors.push(Author { name, commits: 1 }),
        }
    }
    authors.sort_by(|one, other| other.commits.cmp(&one.commits).then_with(|| one.name.cmp(&other.name)));
    Ok(authors)
}

fn change(diff: &git2::Diff<'_>, at: usize) -> Option<FileChange> {
    let delta = diff.get_delta(at)?;
    let path = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes())?;
    let path = String::from_utf8_lossy(path).into_owned();
    let change = match delta.status() {
        Delta::Added | Delta::Copied => "added",
        Delta::Deleted => "removed",
        Delta::Renamed => "renamed",
        Delta::Modified
        | Delta::Typechange
        | Delta::Conflicted
        | Delta::Unmodified
        | Delta::Unreadable
        | Delta::Ignored
        | Delta::Untracked => "changed",
    };
    let counted = Patch::from_diff(diff, at).ok().flatten().and_then(|patch| patch.line_stats().ok());
    let lines = counted.map(|(_, added, removed)| (added, removed)).filter(|_| !delta.flags().is_binary());
    let kind = kind(&path);
    Some(FileChange { path, change, lines, kind })
}

/// What a reviewer of a deployment looks at first: what changes data, and what changes the machines.
fn kind(path: &str) -> Option<&'static str> {
    let path = path.to_lowercase();
    let mut parts: Vec<_> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    let within = |folders: &[&str]| parts.iter().any(|part| folders.contains(part));
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if within(&["migrations", "migration", "migrate", "alembic", "flyway", "liquibase"]) {
        return Some("migration");
    }
    let infrastructure = ends(&[".tf", ".tfvars", ".tf.json", ".bicep", ".pkr.hcl"])
        || within(&["terraform", "infra", "infrastructure", "k8s", "kubernetes", "helm", "charts", "cloudformation"])
        || name.starts_with("dockerfile")
        || name.starts_with("docker-compose")
        || ["compose.yml", "compose.yaml", "taskdef.json", "appspec.yml", "appspec.yaml"].contains(&name);
    infrastructure.then_some("infrastructure")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::tests::World;

    #[test]
    fn what_comes_and_what_goes() {
        let world = World::new();
        let first = world.commit("services/orders/app.js", "one\ntwo\n");
        let second = world.commit("db/migrations/002.sql", "ALTER TABLE x;\n");
        let third = world.commit("terraform/main.tf", "a\nb\n");
        let repository = Repository::open(world.there.root()).unwrap();
        let apart = Apart::between(&repository, Some(&first), &third).unwrap();
        let shas: Vec<_> = apart.commits.iter().map(|commit| commit.sha.as_str()).collect();
        assert_eq!((shas.as_slice(), apart.ahead, apart.behind), (&[third.as_str(), second.as_str()][..], 2, 0));
        let files: Vec<_> = apart.files.iter().map(|file| (file.path.as_str(), file.change, file.lines)).collect();
        assert_eq!(
            files,
            [("db/migrations/002.sql", "added", Some((1, 0))), ("terraform/main.tf", "added", Some((2, 0)))]
        );
        assert_eq!(apart.authors.iter().map(|author| author.commits).collect::<Vec<_>>(), [2]);
        assert_eq!(apart.authors[0].name, apart.commits[0].author);
        assert_eq!(apart.of_kind("migration").count(), 1);
        let asked = ["db/migrations/002.sql".to_owned(), "db/none.sql".to_owned(), "db".to_owned()];
        let read = texts(&repository, &second, &asked).unwrap();
        assert_eq!(read, [("db/migrations/002.sql".to_owned(), "ALTER TABLE x;\n".to_owned())]);
        assert_eq!(apart.of_kind("infrastructure").count(), 1);
        let back = Apart::between(&repository, Some(&third), &first).unwrap();
        assert_eq!((back.ahead, back.behind, back.files_changed), (0, 2, 2));
        assert!(back.files.iter().all(|file| file.change == "removed"));
        let fresh = Apart::between(&repository, None, &third).unwrap();
        assert_eq!((fresh.files_changed, fresh.behind), (0, 0));
        assert!(fresh.ahead >= 3);
        let gone = Apart::between(&repository, Some(&"1".repeat(40)), &third);
        assert!(matches!(gone, Err(MirrorError::Gone(_))), "{gone:?}");
        let lag = |sha: &str| Lag::of(&repository, sha).map(|lag| (lag.branch, lag.behind, lag.ahead));
        assert_eq!(lag(&first).unwrap(), ("main".to_owned(), 2, 0));
        assert_eq!(lag(&third).unwrap(), ("main".to_owned(), 0, 0));
        assert!(matches!(lag(&"1".repeat(40)), Err(MirrorError::Gone(_))));
    }

    #[test]
    fn what_a_reviewer_looks_at_first() {
        for (path, expected) in [
            ("services/products/migrations/001_init.sql", Some("migration")),
            ("Dockerfile", Some("infrastructure")),
            ("services/orders/Dockerfile.prod", Some("infrastructure")),
            ("deploy/taskdef.json", Some("infrastructure")),
            ("infra/vpc.ts", Some("infrastructure")),
            ("src/migrations.rs", None),
            ("docs/terraform.md", None),
        ] {
            assert_eq!(kind(path), expected, "{path}");
        }
    }
}
