//! Repositories of actions on this machine: the files of each commit, and which commit a branch or tag was.
//!
//! A commit is fetched once, without its history, and never changes. What a branch or tag names is asked anew when it was
//! asked long ago; where that fails, what is kept is used, and said so. Jobs get copies ([`Fetched::copy_to`]), since actions
//! write beside themselves, and what one job writes no other may run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use git2::Oid;
use serde::{Deserialize, Serialize};
use workflow::secret::Secret;

use super::error::FetchError;
use super::lock::{Lock, Locked};
use super::source::{Asked, Source};
use super::{hash, tree};
use crate::git::GitError;
use crate::mirror::program::Git;
use crate::mirror::{GitCredential, MirrorError, RemoteUrl};
use crate::scratch;
use crate::step::RepositoryFacts;

#[cfg(test)]
mod tests;

/// Folders between that of the store and those of repositories: server, owner, name.
const PLACE_DEPTH: usize = 3;
/// How long the answer of what a branch or tag names is used without asking again.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// Who a token is of, for servers that want a name with it; those of the usual forges do not look at it.
const TOKEN_USER: &str = "x-access-token";
/// Below the folder of the store: what everybody may have, for those who may not have the rest.
const PUBLIC: &str = "public";

/// Where actions come from.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Such as `https://github.com`: what a repository's name is put behind.
    pub server: String,
    /// Nothing is fetched.
    pub offline: bool,
    /// Repositories that lie on this machine.
    pub local: Vec<LocalRepository>,
    /// Only what is locked, and as it was then.
    pub lock: Option<Lock>,
    /// Opens private repositories of the server, and is sent to no other.
    pub token: Option<Secret>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self { server: "https://github.com".to_owned(), offline: false, local: Vec::new(), lock: None, token: None }
    }
}

/// A repository of actions on this machine: `owner/repo@ref=path`, or `owner/repo=path` for all its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRepository {
    /// `owner/repo`.
    pub repository: String,
    /// The version; absent: all.
    pub reference: Option<String>,
    /// Its folder: one with files, which are taken as they lie, or a bare repository.
    pub path: PathBuf,
}

impl std::str::FromStr for LocalRepository {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not of the form owner/repo@ref=path");
        let (name, path) = text.split_once('=').ok_or_else(wrong)?;
        let (repository, reference) = name.split_once('@').map_or((name, None), |(name, rest)| (name, Some(rest)));
        let is_whole = repository.split('/').count() == 2 && repository.split('/').all(|part| !part.is_empty());
        if !is_whole || path.is_empty() || reference.is_some_and(str::is_empty) {
            return Err(wrong());
        }
        let reference = reference.map(str::to_owned);
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        Ok(Self { repository: repository.to_owned(), reference, path })
    }
}

/// The files of an action's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The commit; absent for a folder whose files are taken as they lie.
    pub commit: Option<String>,
    /// Where they lie.
    pub folder: PathBuf,
    /// Why what is kept was used though it may be old.
    pub stale: Option<String>,
    /// Whether it was fetched now.
    pub fresh: bool,
}

/// What a name was when it was asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    commit: String,
    at: SystemTime,
}

/// The store.
#[derive(Debug)]
pub struct ActionStore {
    folder: PathBuf,
    options: FetchOptions,
    /// One at a time, so that jobs that want the same fetch it once.
    turn: tokio::sync::Mutex<()>,
    /// What names are is only believed of answers since then.
    since: SystemTime,
    /// The same without what a token opens; absent where there is none.
    public: Option<Arc<Self>>,
}

impl ActionStore {
    /// The store in a folder, which is made when something is fetched.
    #[must_use]
    pub fn new(folder: PathBuf, options: FetchOptions) -> Self {
        let without = options.token.is_some().then(|| FetchOptions { token: None, ..options.clone() });
        let public = without.map(|options| Arc::new(Self::new(folder.join(PUBLIC), options)));
        // Whoever goes by a lock wants to know of a tag that has moved.
        let since = if options.lock.is_some() { SystemTime::now() } else { SystemTime::UNIX_EPOCH };
        Self { folder, options, turn: tokio::sync::Mutex::default(), since, public }
    }

    /// The same, but it asks what each branch and tag is now, once.
    #[must_use]
    pub fn asking_anew(self) -> Self {
        Self { since: SystemTime::now(), ..self }
    }

    /// For code that anybody may have written: what everybody may read, and what lies on this machine for all.
    #[must_use]
    pub fn for_forks(self: &Arc<Self>) -> Arc<Self> {
        self.public.as_ref().map_or_else(|| Arc::clone(self), Arc::clone)
    }

    /// Whether nothing is fetched.
    pub(crate) const fn is_offline(&self) -> bool {
        self.options.offline
    }

    /// Removes what killed processes had begun to fetch.
    pub(crate) fn remove_abandoned(&self) {
        scratch::remove_abandoned(&self.folder, PLACE_DEPTH);
        self.public.iter().for_each(|public| public.remove_abandoned());
    }

    /// The files of `owner/repo` at a branch, tag or commit.
    ///
    /// # Errors
    /// They cannot be had.
    pub async fn get(&self, repository: &str, reference: &str) -> Result<Fetched, FetchError> {
        let Some(lock) = &self.options.lock else { return self.find(repository, reference).await };
        let action = format!("{repository}@{reference}");
        let Some(Locked { commit, tree }) = lock.get(&action) else { return Err(FetchError::NotLocked { action }) };
        let fetched = match self.find(repository, reference).await {
            // What it is now cannot be known, but what was locked may be here.
            Err(FetchError::Offline { .. } | FetchError::Unreachable { .. }) => self.find(repository, commit).await?,
            found => found?,
        };
        match &fetched.commit {
            None => Err(FetchError::Folder { action, path: fetched.folder.display().to_string() }),
            Some(now) if now != commit => {
                let (locked, now) = (commit.clone(), now.clone());
                Err(FetchError::Moved { action, locked, now })
            }
            Some(_) => match fetched.is_still(tree).await {
                true => Ok(fetched),
                false => Err(FetchError::Changed { action, locked: tree.clone() }),
            },
        }
    }

    /// The commit that is kept under a name, without asking anybody.
    #[must_use]
    pub fn known(&self, repository: &str, reference: &str) -> Option<String> {
        let local = self.local(repository, reference).map(|local| local.path.display().to_string());
        let place = self.place(local.as_ref().unwrap_or(&self.options.server), repository);
        Some(self.named(&place, reference)?.commit)
    }

    /// The files of the repository that a run is for: as they lie there where that is what runs, else those of the commit.
    ///
    /// # Errors
    /// They cannot be had.
    pub async fn own(&self, repository: &RepositoryFacts, commit: &str) -> Result<Fetched, FetchError> {
        if repository.working_tree {
            return Ok(Fetched { commit: None, folder: repository.folder.clone(), stale: None, fresh: false });
        }
        let path = repository.folder.display().to_string();
        let place = self.place(&path, &repository.name);
        if let Some(named) = self.named(&place, commit) {
            return Ok(self.kept(&place, &named.commit));
        }
        let _turn = self.turn.lock().await;
        self.bring(&place, &path, &format!("{}@{commit}", repository.name), commit).await
    }

    /// One that names the reference stands before one for all of them, in whatever order they are given.
    fn local(&self, repository: &str, reference: &str) -> Option<&LocalRepository> {
        let of = || self.options.local.iter().filter(|local| local.repository.eq_ignore_ascii_case(repository));
        let exact = of().find(|local| local.reference.as_deref() == Some(reference));
        exact.or_else(|| of().find(|local| local.reference.is_none()))
    }

    async fn find(&self, repository: &str, reference: &str) -> Result<Fetched, FetchError> {
        let action = format!("{repository}@{reference}");
        let local = self.local(repository, reference);
        if let Some(local) = local.filter(|local| !is_bare(&local.path)) {
            return Ok(Fetched { commit: None, folder: local.path.clone(), stale: None, fresh: false });
        }
        // Names of another place are others.
        let place = local.map_or_else(
            || self.place(&self.options.server, repository),
            |local| self.place(&local.path.display().to_string(), repository),
        );
        let named = self.named(&place, reference);
        let is_fresh = named.as_ref().is_some_and(|named| {
            is_whole(reference) || (named.is_fresh() && named.at >= self.since) || self.options.offline
        });
        if let Some(named) = named.as_ref().filter(|_| is_fresh) {
            return Ok(self.kept(&place, &named.commit));
        }
        if self.options.offline && local.is_none() {
            return Err(FetchError::Offline { action });
        }
        let _turn = self.turn.lock().await;
        let url = local.map_or_else(
            || format!("{}/{repository}", self.options.server.trim_end_matches('/')),
            |local| local.path.display().to_string(),
        );
        match (self.bring(&place, &url, &action, reference).await, named) {
            (Ok(fetched), _) => Ok(fetched),
            (Err(FetchError::Unreachable { reason, .. }), Some(named)) => {
                Ok(Fetched { stale: Some(reason.to_string()), ..self.kept(&place, &named.commit) })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The folder of a repository, of that server.
    fn place(&self, server: &str, repository: &str) -> PathBuf {
        let host: String = server.split("://").last().unwrap_or_default().chars().map(plain).collect();
        let host = format!("at-{host}");
        let part = |part: &str| -> String {
            let is_dots = part.bytes().all(|byte| byte == b'.');
            part.to_lowercase().chars().map(|letter| if is_dots { '_' } else { plain(letter) }).collect()
        };
        repository.split('/').fold(self.folder.join(host), |folder, name| folder.join(part(name)))
    }

    fn kept(&self, place: &Path, commit: &str) -> Fetched {
        Fetched { commit: Some(commit.to_owned()), folder: place.join(commit), stale: None, fresh: false }
    }

    /// What is kept under a name.
    fn named(&self, place: &Path, reference: &str) -> Option<Named> {
        let named = if is_whole(reference) {
            Named { commit: reference.to_lowercase(), at: SystemTime::UNIX_EPOCH }
        } else {
            serde_json::from_slice(&std::fs::read(name_file(place, reference)).ok()?).ok()?
        };
        is_kept(place, &named.commit).then_some(named)
    }

    async fn bring(&self, place: &Path, url: &str, action: &str, reference: &str) -> Result<Fetched, FetchError> {
        let store = |reason| FetchError::Store { path: self.folder.display().to_string(), reason };
        std::fs::create_dir_all(place).map_err(store)?;
        let scratch = scratch::folder(place).map_err(store)?;
        let remote = RemoteUrl::parse(url).map_err(|reason| FetchError::Url { action: action.to_owned(), reason })?;
        // A repository on this machine is nobody's to whom a token is sent.
        let token = self.options.token.clone().filter(|_| remote.local_path().is_none());
        let has_token = remote.local_path().is_none().then_some(token.is_some());
        let credential =
            token.map_or(GitCredential::None, |token| GitCredential::Token { user: TOKEN_USER.to_owned(), token });
        let asked = Asked { action, reference, has_token };
        let failed = |reason: MirrorError| asked.failed(url, reason);
        let git = Git::prepare(Path::new("git"), scratch.path(), &remote, &credential).map_err(failed)?;
        let source = Source { git, remote, asked };
        let commit = if is_whole(reference) { reference.to_lowercase() } else { source.ask().await? };
        if !is_kept(place, &commit) {
            let bare = scratch.path().join("objects.git");
            source.fetch(&bare, &commit).await?;
            let (files, wanted, to) = (scratch.path().join("files"), commit.clone(), place.join(&commit));
            let writing = tokio::task::spawn_blocking(move || unpack(&bare, &wanted, &files, &to));
            let written = writing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            written.map_err(|reason| FetchError::Repository { action: action.to_owned(), reason })?;
        }
        if !is_whole(reference) {
            let named = Named { commit: commit.clone(), at: SystemTime::now() };
            let part = scratch.path().join("named");
            let written = serde_json::to_vec(&named).map_err(std::io::Error::other);
            written.and_then(|bytes| std::fs::write(&part, bytes)).map_err(store)?;
            std::fs::rename(&part, name_file(place, reference)).map_err(store)?;
        }
        Ok(Fetched { fresh: true, ..self.kept(place, &commit) })
    }
}

impl Named {
    fn is_fresh(&self) -> bool {
        self.at.elapsed().is_ok_and(|age| age < FRESH)
    }
}

impl Fetched {
    /// The tree of the commit.
    #[must_use]
    pub fn tree(&self) -> Option<String> {
        let note = std::fs::read_to_string(tree_file(&self.folder, self.commit.as_ref()?)).ok()?;
        Some(note.lines().next()?.to_owned())
    }

    /// Whether the files that are kept are still those of the commit with that tree.
    async fn is_still(&self, tree: &str) -> bool {
        let Some(note) = self.commit.as_ref().map(|commit| tree_file(&self.folder, commit)) else { return false };
        let (folder, tree) = (self.folder.clone(), tree.to_owned());
        let comparing = tokio::task::spawn_blocking(move || {
            let files = hash::folder(&folder).ok()?.to_string();
            // Where nothing of the commit was left out, its files are its tree.
            let is_noted = || std::fs::read_to_string(&note).is_ok_and(|noted| noted == format!("{tree}\n{files}\n"));
            Some(files == tree || is_noted())
        });
        comparing.await.ok().flatten() == Some(true)
    }

    /// Copies the files to a folder of a job, which is not there yet.
    ///
    /// # Errors
    /// They cannot be read, or not be written there.
    pub fn copy_to(&self, to: &Path) -> Result<(), GitError> {
        tree::write_folder(&self.folder, to)
    }
}

/// Writes the files of a commit under another name first: what is in the store is whole.
fn unpack(bare: &Path, commit: &str, files: &Path, to: &Path) -> Result<(), GitError> {
    let repository = crate::git::open(bare)?;
    let id = Oid::from_str(commit).map_err(GitError::library("read the commit's id"))?;
    tree::write_commit(&repository, id, files)?;
    let tree = repository.find_commit(id).map_err(GitError::library("read the commit"))?.tree_id();
    let note = tree_file(to, commit);
    let own = hash::folder(files)?;
    std::fs::write(&note, format!("{tree}\n{own}\n")).map_err(GitError::file("create", &note))?;
    match std::fs::rename(files, to) {
        // Another process was there first, with the same.
        Err(_) if to.is_dir() => Ok(()),
        renamed => renamed.map_err(GitError::file("create", to)),
    }
}

pub(super) fn is_whole(reference: &str) -> bool {
    reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_bare(path: &Path) -> bool {
    path.join("HEAD").is_file() && path.join("objects").is_dir() && !path.join(".git").exists()
}

/// Whether the files of a commit are there, and the note of its tree.
fn is_kept(place: &Path, commit: &str) -> bool {
    let folder = place.join(commit);
    folder.is_dir() && tree_file(&folder, commit).is_file()
}

/// Where it is noted what the tree of a commit is, and that of the files that were written of it: beside their folder.
fn tree_file(folder: &Path, commit: &str) -> PathBuf {
    folder.with_file_name(format!("tree-{commit}"))
}

/// A letter of a file's name; dots of `..` are none.
fn plain(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || letter == '-' || letter == '_' || letter == '.' { letter } else { '_' }
}

/// Where it is kept what a name was; names may have any form.
fn name_file(place: &Path, reference: &str) -> PathBuf {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(reference);
    let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    place.join(format!("name-{name}"))
}
