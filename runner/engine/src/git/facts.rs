//! What a local repository tells about an event: who, which repository, which commit, what changed.
//!
//! Reads only. Names are made up where the repository has none: an owner `local`, the folder's name.

use std::path::Path;

use git2::{Commit, Delta, DiffOptions, Repository};
use workflow::event::local::{CommitFacts, LocalFacts};
use workflow::event::{ChangedFiles, GitRef};

use super::refs::{Head, unborn_or_head};
use super::{GitError, open};

const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Facts for the events of a local run in the repository, or plain folder, at `folder`.
///
/// # Errors
/// There is a repository that cannot be read.
pub fn local_facts(folder: &Path) -> Result<LocalFacts, GitError> {
    let repository = match open(folder) {
        Ok(repository) => Some(repository),
        Err(GitError::NotARepository(_)) => None,
        Err(error) => return Err(error),
    };
    let Some(repository) = repository else { return Ok(facts_without_git(folder)) };
    let default_branch = default_branch(&repository);
    let target = unborn_or_head(&repository);
    let commit = match target.commit {
        Some(id) => Some(repository.find_commit(id).map_err(GitError::library("read the last commit"))?),
        None => None,
    };
    let git_ref = match &target.head {
        Head::Branch(branch) => GitRef::branch(branch),
        Head::Detached(_) => commit.as_ref().and_then(|commit| tag_of(&repository, commit)),
    };
    let before = commit.as_ref().and_then(|commit| commit.parent_id(0).ok()).map(|id| id.to_string());
    let head_commit = commit.as_ref().map(|commit| commit_facts(&repository, commit)).transpose()?;
    let config = repository.config().ok();
    let setting = |name: &str| config.as_ref().and_then(|config| config.get_string(name).ok());
    let email = setting("user.email").unwrap_or_else(|| "local@localhost".to_owned());
    Ok(LocalFacts {
        repository: repository_name(&repository, folder),
        git_ref: git_ref.or_else(|| GitRef::branch(&default_branch)).unwrap_or_else(main_branch),
        default_branch,
        sha: commit.as_ref().map_or_else(|| NO_COMMIT.to_owned(), |commit| commit.id().to_string()),
        before,
        actor: actor(setting("github.user"), setting("user.name")),
        email,
        server_url: server_url(&repository),
        changed_files: changed_files(head_commit.as_ref()),
        head_commit,
    })
}

fn facts_without_git(folder: &Path) -> LocalFacts {
    LocalFacts {
        repository: format!("local/{}", folder_name(folder)),
        default_branch: "main".to_owned(),
        git_ref: main_branch(),
        sha: NO_COMMIT.to_owned(),
        before: None,
        actor: actor(None, None),
        email: "local@localhost".to_owned(),
        server_url: GITHUB.to_owned(),
        head_commit: None,
        changed_files: ChangedFiles::Unknown,
    }
}

const GITHUB: &str = "https://github.com";

fn main_branch() -> GitRef {
    GitRef::branch("main").expect("`main` is a good name of a branch")
}

/// A login, from the name that git signs commits with where nothing better is known.
fn actor(login: Option<String>, name: Option<String>) -> String {
    let user = || std::env::var("USER").ok();
    let text = login.or_else(user).or(name).unwrap_or_default();
    let login: String = text.chars().map(|letter| if letter.is_whitespace() { '-' } else { letter }).collect();
    if login.is_empty() { "local".to_owned() } else { login }
}

/// The branch that the remote calls its default, else `main` or `master`, whichever exists, else what is checked out.
#[must_use]
pub fn default_branch(repository: &Repository) -> String {
    let of_remote = repository.find_reference("refs/remotes/origin/HEAD").ok().and_then(|head| {
        let target = head.symbolic_target().ok().flatten()?;
        target.strip_prefix("refs/remotes/origin/").map(str::to_owned)
    });
    let known = || {
        let exists = |name: &&str| {
            ["refs/heads", "refs/remotes/origin"]
                .iter()
                .any(|folder| repository.find_reference(&format!("{folder}/{name}")).is_ok())
        };
        ["main", "master"].into_iter().find(|name| exists(name)).map(str::to_owned)
    };
    let current = || match unborn_or_head(repository).head {
        Head::Branch(branch) => Some(branch),
        Head::Detached(_) => None,
    };
    of_remote.or_else(known).or_else(current).unwrap_or_else(|| "main".to_owned())
}

/// URL of `origin` (or of the only remote) without user and password.
#[must_use]
pub fn origin_url(repository: &Repository) -> Option<String> {
    let remotes = repository.remotes().ok()?;
    let only = || (remotes.len() == 1).then(|| remotes.get(0).ok().flatten().map(str::to_owned)).flatten();
    let remote = repository.find_remote("origin").ok().or_else(|| repository.find_remote(&only()?).ok())?;
    remote.url().ok().map(without_credentials)
}

fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if path.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}/{path}") }
}

/// Host and `owner/name` of a remote's URL: `https://host/owner/name.git`, `git@host:owner/name`, `ssh://…`.
fn split_url(url: &str) -> Option<(String, String)> {
    let (host, path) = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?,
        None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let path = path.trim_matches('/').trim_end_matches(".git");
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty());
    let (name, owner) = (parts.next()?, parts.next()?);
    let good = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    (good(owner) && good(name)).then(|| (host.to_owned(), format!("{owner}/{name}")))
}

/// `owner/name`, from the remote's URL or made up.
#[must_use]
pub fn repository_name(repository: &Repository, folder: &Path) -> String {
    let url = origin_url(repository);
    url.as_deref().and_then(split_url).map_or_else(|| format!("local/{}", folder_name(folder)), |(_, name)| name)
}

/// Where the remote is, as `https://host`; GitHub where there is none.
#[must_use]
pub fn server_url(repository: &Repository) -> String {
    let url = origin_url(repository);
    let split = url.as_deref().and_then(split_url);
    let Some((host, _)) = split else { return GITHUB.to_owned() };
    match url.as_deref().and_then(|url| url.split_once("://")) {
        Some(("http", _)) => format!("http://{host}"),
        Some(_) | None => format!("https://{}", host.split(':').next().unwrap_or(&host)),
    }
}

fn folder_name(folder: &Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let name = whole.file_name().map_or_else(|| "repository".to_owned(), |name| name.to_string_lossy().into_owned());
    let good = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
    name.chars().map(good).collect()
}

/// A tag that names this very commit, the last by name where there are several.
fn tag_of(repository: &Repository, commit: &Commit<'_>) -> Option<GitRef> {
    let names = repository.tag_names(None).ok()?;
    let mut found = None;
    for name in names.iter().flatten().flatten() {
        let reference = repository.find_reference(&format!("refs/tags/{name}"));
        if reference.and_then(|tag| tag.peel_to_commit()).is_ok_and(|tagged| tagged.id() == commit.id()) {
            found = GitRef::tag(name);
        }
    }
    found
}

fn commit_facts(repository: &Repository, commit: &Commit<'_>) -> Result<CommitFacts, GitError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (author, committer) = (commit.author(), commit.committer());
    let mut facts = CommitFacts {
        id: commit.id().to_string(),
        tree_id: commit.tree_id().to_string(),
        message: text(commit.message_bytes()).trim_end().to_owned(),
        timestamp: timestamp(commit.time()),
        author_name: text(author.name_bytes()),
        author_email: text(author.email_bytes()),
        committer_name: text(committer.name_bytes()),
        committer_email: text(committer.email_bytes()),
        ..CommitFacts::default()
    };
    let failed = GitError::library("compare the last commit with the one before it");
    let parent = commit.parent(0).ok().and_then(|parent| parent.tree().ok());
    let tree = commit.tree().map_err(GitError::library("read the last commit's tree"))?;
    let mut options = DiffOptions::new();
    options.skip_binary_check(true);
    let diff = repository.diff_tree_to_tree(parent.as_ref(), Some(&tree), Some(&mut options)).map_err(failed)?;
    for delta in diff.deltas() {
        let Some(path) = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes()) else { continue };
        let list = match delta.status() {
            Delta::Added => &mut facts.added,
            Delta::Deleted => &mut facts.removed,
            _ => &mut facts.modified,
        };
        list.push(text(path));
    }
    Ok(facts)
}

fn changed_files(head: Option<&CommitFacts>) -> ChangedFiles {
    head.map_or(ChangedFiles::Unknown, |head| {
        ChangedFiles::Known([&head.added, &head.removed, &head.modified].into_iter().flatten().cloned().collect())
    })
}

/// RFC 3339 with the zone of the committer, as GitHub has it.
fn timestamp(time: git2::Time) -> String {
    let offset = jiff::tz::Offset::from_seconds(time.offset_minutes() * 60).unwrap_or(jiff::tz::Offset::UTC);
    let at = jiff::Timestamp::from_second(time.seconds()).unwrap_or_default();
    at.display_with_offset(offset).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes() {
        let check = |url: &str, expect: Option<(&str, &str)>| {
            let expect = expect.map(|(host, name)| (host.to_owned(), name.to_owned()));
            assert_eq!(split_url(&without_credentials(url)), expect, "{url}");
        };
        check("https://github.com/owner/name.git", Some(("github.com", "owner/name")));
        check("https://user:word@github.com/owner/name", Some(("github.com", "owner/name")));
        check("git@github.com:owner/name.git", Some(("github.com", "owner/name")));
        check("ssh://git@host:22/group/owner/name.git", Some(("host:22", "owner/name")));
        check("/srv/git/name.git", None);
        check("../name", None);
        check("file:///srv/a/b", None);
        assert_eq!(without_credentials("https://a:b@host/x/y"), "https://host/x/y");
    }
}
