//! What the local repository knows about itself: the facts that a local event is made from.
//!
//! Without a repository, or without a commit, there are stand-ins, and [`Repository::remarks`] says so. Nothing is
//! written.

mod changes;
mod remote;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use git2::{Commit, ErrorCode, Repository as Git};
use workflow::event::local::{CommitFacts, LocalFacts};
use workflow::event::{ChangedFiles, GitRef};

use crate::exit::Failure;

/// The id of no commit.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// What the user says about the repository.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Who did it.
    pub actor: Option<String>,
    /// The default branch.
    pub default_branch: Option<String>,
    /// The git remote that names the repository.
    pub remote: String,
    /// The forge's host.
    pub host: String,
    /// What a pull request is for.
    pub base: Base,
}

/// The base of a pull request, as far as an event names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// `pull_request.base.ref`; absent: the default branch.
    pub branch: Option<String>,
    /// `pull_request.base.sha`; absent: the branch's last commit.
    pub sha: Option<String>,
}

/// A local repository, or a folder that is none.
#[derive(Debug)]
pub struct Repository {
    /// Its working folder.
    pub root: PathBuf,
    /// Whether it is a git repository.
    pub is_git: bool,
    /// The facts.
    pub facts: LocalFacts,
    /// What a person should know, one sentence each.
    pub remarks: Vec<String>,
}

impl Repository {
    /// Looks at the repository that a folder is in.
    ///
    /// # Errors
    /// A repository is there but cannot be read.
    pub fn open(folder: &Path, wanted: &Wanted) -> Result<Self, Failure> {
        match Git::discover(folder) {
            Ok(git) => Self::of(&git, wanted).map_err(|error| unreadable(folder, &error)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(Self::plain(folder, wanted)),
            Err(error) => Err(unreadable(folder, &error)),
        }
    }

    fn plain(folder: &Path, wanted: &Wanted) -> Self {
        let root = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        let branch = wanted.default_branch.clone().unwrap_or_else(|| "main".to_owned());
        let facts = LocalFacts {
            repository: remote::local_name(&root),
            git_ref: branch_ref(&branch),
            base: wanted.base.branch.clone().unwrap_or_else(|| branch.clone()),
            base_sha: None,
            default_branch: branch,
            sha: NO_COMMIT.to_owned(),
            before: None,
            actor: actor(wanted, None),
            email: String::new(),
            server_url: format!("https://{}", wanted.host),
            head_commit: None,
            changed_files: ChangedFiles::Unknown,
            proposed_files: None,
        };
        let remarks = vec![format!("`{}` is not a git repository: github.sha is all zeros", root.display())];
        Self { root, is_git: false, facts, remarks }
    }

    fn of(git: &Git, wanted: &Wanted) -> Result<Self, git2::Error> {
        let mut remarks = Vec::new();
        let root = git.workdir().unwrap_or_else(|| git.path()).to_path_buf();
        let config = git.config().ok();
        let setting = |name: &str| config.as_ref().and_then(|config| config.get_string(name).ok());
        let default_branch = wanted.default_branch.clone().unwrap_or_else(|| default_branch(git, &wanted.remote));
        let head = match git.head() {
            Ok(head) => Some(head.peel_to_commit()?),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => None,
            Err(error) => return Err(error),
        };
        if head.is_none() {
            remarks.push("the repository has no commit yet: github.sha is all zeros".to_owned());
        }
        let detached = git.head_detached().unwrap_or(false);
        let git_ref = match &head {
            Some(head) if detached => detached_ref(git, head, &default_branch, &mut remarks),
            Some(_) | None => current_ref(git).unwrap_or_else(|| branch_ref(&default_branch)),
        };
        let parent = head.as_ref().and_then(|head| head.parent(0).ok());
        let changes = head.as_ref().and_then(|head| changes::of(git, parent.as_ref(), head).ok());
        let base = wanted.base.branch.clone().unwrap_or_else(|| default_branch.clone());
        let tip = tip(git, &wanted.remote, &base, wanted.base.sha.as_deref());
        if tip.is_none() && wanted.base != Base::default() {
            remarks.push(format!(
                "the base `{base}` of the pull request is not in this repository, so nobody can tell which files differ, and \
                 filters of paths leave nothing out: `git fetch {} {base}:{base}` brings it",
                wanted.remote
            ));
        }
        let proposed_files = match (&head, &tip) {
            (Some(head), Some(tip)) => proposal(git, tip, head),
            (Some(_), None) if wanted.base != Base::default() => Some(ChangedFiles::Unknown),
            (_, None) | (None, _) => None,
        };
        let remote_url = git.find_remote(&wanted.remote).ok().and_then(|remote| Some(remote.url().ok()?.to_owned()));
        let repository = remote_url.as_deref().and_then(remote::repository_name);
        let facts = LocalFacts {
            repository: repository.unwrap_or_else(|| remote::local_name(&root)),
            default_branch,
            git_ref,
            sha: head.as_ref().map_or_else(|| NO_COMMIT.to_owned(), |head| head.id().to_string()),
            before: parent.as_ref().map(|parent| parent.id().to_string()),
            actor: actor(wanted, setting("github.user")),
            email: setting("user.email").unwrap_or_default(),
            server_url: format!("https://{}", wanted.host),
            head_commit: head.as_ref().map(|head| commit_facts(head, changes.as_ref())),
            changed_files: match changes {
                Some(changes) => ChangedFiles::Known(changes.all()),
                None => ChangedFiles::Unknown,
            },
            base,
            base_sha: tip.map(|tip| tip.id().to_string()),
            proposed_files,
        };
        Ok(Self { root, is_git: true, facts, remarks })
    }
}

/// The commit that a pull request is compared with.
fn tip<'a>(git: &'a Git, remote: &str, branch: &str, sha: Option<&str>) -> Option<Commit<'a>> {
    let named = sha.and_then(|sha| git.find_commit(git2::Oid::from_str(sha).ok()?).ok());
    named.or_else(|| {
        let names = [format!("refs/remotes/{remote}/{branch}"), format!("refs/heads/{branch}")];
        names.iter().find_map(|name| git.find_reference(name).ok()?.peel_to_commit().ok())
    })
}

/// What a pull request would change: all since the two parted, as GitHub's comparison with three dots has it. `None`: it has
/// nothing of its own.
fn proposal(git: &Git, tip: &Commit<'_>, head: &Commit<'_>) -> Option<ChangedFiles> {
    let parted = git.merge_base(tip.id(), head.id()).and_then(|parted| git.find_commit(parted));
    if parted.as_ref().is_ok_and(|parted| parted.id() == head.id()) {
        return None;
    }
    // The history may be cut off before the place where they parted.
    let changes = parted.and_then(|parted| changes::of(git, Some(&parted), head));
    Some(changes.map_or(ChangedFiles::Unknown, |changes| ChangedFiles::Known(changes.all())))
}

fn unreadable(folder: &Path, error: &git2::Error) -> Failure {
    let failure =
        Failure::environment(format!("cannot read the repository of `{}`: {}", folder.display(), error.message()));
    if error.code() == ErrorCode::Owner {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        return failure.help(format!(
            "it belongs to another user; if you trust it: git config --global --add safe.directory {}",
            folder.display()
        ));
    }
    failure
}

fn branch_ref(name: &str) -> GitRef {
    let main = || GitRef::branch("main").expect("`main` is a branch's name");
    GitRef::branch(name).unwrap_or_else(main)
}

/// The branch that is checked out, also when it has no commit yet.
fn current_ref(git: &Git) -> Option<GitRef> {
    let head = git.find_reference("HEAD").ok()?;
    GitRef::parse(head.symbolic_target().ok()??)
}

/// A tag or a branch at the commit that is checked out, else the default branch.
fn detached_ref(git: &Git, head: &Commit<'_>, default_branch: &str, remarks: &mut Vec<String>) -> GitRef {
    let at_head = |pattern: &str| {
        let references = git.references_glob(pattern).ok()?;
        let mut names: Vec<String> = references
            .flatten()
            .filter(|reference| reference.peel_to_commit().is_ok_and(|commit| commit.id() == head.id()))
            .filter_map(|reference| Some(reference.name().ok()?.to_owned()))
            .collect();
        names.sort();
        names.into_iter().next()
    };
    let found = at_head("refs/tags/*").or_else(|| at_head("refs/heads/*"));
    let git_ref = found.and_then(|name| GitRef::parse(&name)).unwrap_or_else(|| branch_ref(default_branch));
    remarks.push(format!("HEAD is detached: github.ref is `{git_ref}`"));
    git_ref
}

fn default_branch(git: &Git, remote: &str) -> String {
    let prefix = format!("refs/remotes/{remote}/");
    let of_remote = || {
        let head = git.find_reference(&format!("{prefix}HEAD")).ok()?;
        Some(head.symbolic_target().ok()??.strip_prefix(&prefix)?.to_owned())
    };
    let usual = || ["main", "master"].into_iter().find(|name| git.find_branch(name, git2::BranchType::Local).is_ok());
    let configured = || git.config().ok()?.get_string("init.defaultBranch").ok();
    of_remote()
        .or_else(|| usual().map(str::to_owned))
        .or_else(|| current_ref(git).map(|current| current.short().to_owned()))
        .or_else(configured)
        .unwrap_or_else(|| "main".to_owned())
}

/// A login: what the user says, `github.user` of git's configuration, or the name of the account.
fn actor(wanted: &Wanted, configured: Option<String>) -> String {
    let account = || crate::terminal::variable("USER");
    let name = wanted.actor.clone().or(configured).or_else(account).unwrap_or_default();
    let login: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let login = login.trim_matches('-');
    if login.is_empty() { "local".to_owned() } else { login.to_owned() }
}

fn commit_facts(commit: &Commit<'_>, changes: Option<&changes::Changes>) -> CommitFacts {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (author, committer) = (commit.author(), commit.committer());
    let time = jiff::Timestamp::from_second(commit.time().seconds()).unwrap_or_default();
    let (added, removed, modified) = changes
        .map(|changes| (changes.added.clone(), changes.removed.clone(), changes.modified.clone()))
        .unwrap_or_default();
    CommitFacts {
        id: commit.id().to_string(),
        tree_id: commit.tree_id().to_string(),
        message: text(commit.message_bytes()).trim_end().to_owned(),
        timestamp: time.to_string(),
        author_name: text(author.name_bytes()),
        author_email: text(author.email_bytes()),
        committer_name: text(committer.name_bytes()),
        committer_email: text(committer.email_bytes()),
        added,
        removed,
        modified,
    }
}
