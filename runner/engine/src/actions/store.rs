//! Repositories of actions on this machine: the files of each commit, and which commit a branch or tag was.
//!
//! A commit is fetched once, without its history, and never changes. What a branch or tag names is asked anew when it was
//! asked long ago; where that fails, what is kept is used, and said so. Jobs get copies ([`Fetched::copy_to`]), since actions
//! write beside themselves, and what one job writes no other may run.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use git2::{Oid, Repository, RepositoryInitOptions};
use serde::{Deserialize, Serialize};

use super::error::FetchError;
use super::tree;
use crate::git::GitError;
use crate::mirror::program::{Bounds, Git};
use crate::mirror::{GitCredential, MirrorError, RemoteUrl};

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

/// How long the answer of what a branch or tag names is used without asking again.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// How long to ask for branches and tags.
const ASK_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a fetch may take.
const FETCH_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// Most bytes of a repository's pack.
const FETCH_BYTES_MAX: u64 = 2 << 30;
/// Most bytes of a list of branches and tags.
const NAMES_BYTES_MAX: u64 = 16 << 20;
/// The ref that a fetch brings.
const WANTED: &str = "refs/pipe/wanted";

/// Where actions come from.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Such as `https://github.com`: what a repository's name is put behind.
    pub server: String,
    /// Nothing is fetched.
    pub offline: bool,
    /// Repositories that lie on this machine.
    pub local: Vec<LocalRepository>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self { server: "https://github.com".to_owned(), offline: false, local: Vec::new() }
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
}

impl ActionStore {
    /// The store in a folder, which is made when something is fetched.
    #[must_use]
    pub fn new(folder: PathBuf, options: FetchOptions) -> Self {
        Self { folder, options, turn: tokio::sync::Mutex::default() }
    }

    /// The files of `owner/repo` at a branch, tag or commit.
    ///
    /// # Errors
    /// They cannot be had.
    pub async fn get(&self, repository: &str, reference: &str) -> Result<Fetched, FetchError> {
        let action = format!("{repository}@{reference}");
        let is_same = |local: &&LocalRepository| {
            local.repository.eq_ignore_ascii_case(repository)
                && local.reference.as_deref().is_none_or(|own| own == reference)
        };
        let local = self.options.local.iter().find(is_same);
        if let Some(local) = local.filter(|local| !is_bare(&local.path)) {
            return Ok(Fetched { commit: None, folder: local.path.clone(), stale: None, fresh: false });
        }
        // Names of another place are others.
        let place = local.map_or_else(
            || self.place(&self.options.server, repository),
            |local| self.place(&local.path.display().to_string(), repository),
        );
        let named = self.named(&place, reference);
        let is_fresh =
            named.as_ref().is_some_and(|named| is_whole(reference) || named.is_fresh() || self.options.offline);
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
        place.join(&named.commit).is_dir().then_some(named)
    }

    async fn bring(&self, place: &Path, url: &str, action: &str, reference: &str) -> Result<Fetched, FetchError> {
        let store = |reason| FetchError::Store { path: self.folder.display().to_string(), reason };
        std::fs::create_dir_all(place).map_err(store)?;
        let scratch = tempfile::Builder::new().prefix(".fetch-").tempdir_in(place).map_err(store)?;
        let remote = RemoteUrl::parse(url).map_err(|reason| FetchError::Url { action: action.to_owned(), reason })?;
        let failed = |reason: MirrorError| of_mirror(action, reference, url, reason);
        let git = Git::prepare(Path::new("git"), scratch.path(), &remote, &GitCredential::None).map_err(failed)?;
        let source = Source { git, remote, action, reference };
        let commit = if is_whole(reference) { reference.to_lowercase() } else { source.ask().await? };
        if !place.join(&commit).is_dir() {
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
    /// Copies the files to a folder of a job, which is not there yet.
    ///
    /// # Errors
    /// They cannot be read, or not be written there.
    pub fn copy_to(&self, to: &Path) -> Result<(), GitError> {
        tree::write_folder(&self.folder, to)
    }
}

/// One repository that is asked.
struct Source<'a> {
    git: Git,
    remote: RemoteUrl,
    action: &'a str,
    reference: &'a str,
}

impl Source<'_> {
    /// The commit that a tag or branch names: tags first, as git itself has it.
    async fn ask(&self) -> Result<String, FetchError> {
        let reference = self.reference;
        let patterns = [
            format!("refs/tags/{reference}"),
            format!("refs/tags/{reference}^{{}}"),
            format!("refs/heads/{reference}"),
            reference.to_owned(),
        ];
        let patterns = if reference.starts_with("refs/") { &patterns[3..] } else { &patterns[..3] };
        let words = ["ls-remote", "--", self.remote.as_str()].into_iter().chain(patterns.iter().map(String::as_str));
        let listed = self.run(None, words, ASK_TIME_MAX).await?;
        let of = |name: String| {
            let line = listed.lines().find(|line| line.split_once('\t').is_some_and(|(_, other)| other == name))?;
            Some(line.split_once('\t')?.0.to_owned())
        };
        // What a tag with a message points at stands behind `^{}`.
        let found = [1, 0, 2].into_iter().filter_map(|index| patterns.get(index).cloned()).find_map(of);
        match found.filter(|id| is_whole(id)) {
            Some(commit) => Ok(commit),
            None => Err(self.no_version().await),
        }
    }

    /// What may be meant by a name that is not there.
    async fn no_version(&self) -> FetchError {
        let words = ["ls-remote", "--heads", "--tags", "--", self.remote.as_str()];
        let (action, reference) = (self.action.to_owned(), self.reference.to_owned());
        let listed = self.run(None, words, ASK_TIME_MAX).await.unwrap_or_default();
        let pairs = || listed.lines().filter_map(|line| line.split_once('\t'));
        let is_short = reference.len() >= 7 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some((whole, _)) = pairs().find(|(id, _)| is_short && id.starts_with(&reference.to_lowercase())) {
            return FetchError::Short { action, reference, whole: whole.to_owned() };
        }
        let short = |name: &str| {
            let name = name.strip_prefix("refs/tags/").or_else(|| name.strip_prefix("refs/heads/"))?;
            (!name.ends_with("^{}")).then(|| name.to_owned())
        };
        let names: Vec<String> = pairs().filter_map(|(_, name)| short(name)).collect();
        let near = workflow::diagnostic::suggest(&reference, names.iter().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        FetchError::NoVersion { action, reference, hint }
    }

    async fn fetch(&self, bare: &Path, commit: &str) -> Result<(), FetchError> {
        let action = || self.action.to_owned();
        let mut options = RepositoryInitOptions::new();
        options.bare(true).no_reinit(true).external_template(false);
        Repository::init_opts(bare, &options).map_err(|error| FetchError::Repository {
            action: action(),
            reason: GitError::library("make a repository")(error),
        })?;
        // What a tag or branch names is asked for by that name: not every server gives commits by their ids.
        let by_id = format!("+{commit}:{WANTED}");
        let words = ["fetch", "--depth=1", "--no-tags", "--no-auto-maintenance", "--", self.remote.as_str(), &by_id];
        let by_id = self.run(Some(bare), words, FETCH_TIME_MAX).await;
        let Err(error) = by_id else { return Ok(()) };
        if is_whole(self.reference) && self.remote.local_path().is_none() {
            return Err(error);
        }
        // All of it, which is what a repository on this machine lets us have.
        let all = "+refs/*:refs/pipe/*";
        let words = ["fetch", "--no-tags", "--no-auto-maintenance", "--", self.remote.as_str(), all];
        self.run(Some(bare), words, FETCH_TIME_MAX).await?;
        let has = |repository: Repository| Oid::from_str(commit).and_then(|id| repository.find_commit(id).map(drop));
        match crate::git::open(bare).map(has) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                let reference = self.reference.to_owned();
                Err(FetchError::NoVersion { action: action(), reference, hint: String::new() })
            }
        }
    }

    async fn run<'w>(
        &self,
        repository: Option<&Path>,
        words: impl IntoIterator<Item = &'w str>,
        time_max: Duration,
    ) -> Result<String, FetchError> {
        let size = repository.map(|folder| (folder, FETCH_BYTES_MAX));
        let bounds = Bounds { time_max, size, output_bytes_max: NAMES_BYTES_MAX };
        let ran = self.git.run(repository, words, bounds).await;
        ran.map_err(|reason| of_mirror(self.action, self.reference, self.remote.as_str(), reason))
    }
}

fn of_mirror(action: &str, reference: &str, url: &str, reason: MirrorError) -> FetchError {
    let action = action.to_owned();
    match reason {
        MirrorError::NotFound(_) | MirrorError::Denied(_) => FetchError::NoRepository { action, url: url.to_owned() },
        MirrorError::NoSuchRef(_) | MirrorError::Gone(_) => {
            FetchError::NoVersion { action, reference: reference.to_owned(), hint: String::new() }
        }
        reason @ (MirrorError::Url(_)
        | MirrorError::Unreachable(_)
        | MirrorError::TooSlow { .. }
        | MirrorError::Empty
        | MirrorError::TooLarge { .. }
        | MirrorError::TooManyRefs { .. }
        | MirrorError::Damaged(_)
        | MirrorError::ObjectFormat
        | MirrorError::NoRoom
        | MirrorError::Program(_)
        | MirrorError::Mirror { .. }
        | MirrorError::Failed(_)) => FetchError::Unreachable { action, reason },
    }
}

/// Writes the files of a commit under another name first: what is in the store is whole.
fn unpack(bare: &Path, commit: &str, files: &Path, to: &Path) -> Result<(), GitError> {
    let repository = crate::git::open(bare)?;
    let id = Oid::from_str(commit).map_err(GitError::library("read the commit's id"))?;
    tree::write_commit(&repository, id, files)?;
    match std::fs::rename(files, to) {
        // Another process was there first, with the same.
        Err(_) if to.is_dir() => Ok(()),
        renamed => renamed.map_err(GitError::file("create", to)),
    }
}

fn is_whole(reference: &str) -> bool {
    reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_bare(path: &Path) -> bool {
    path.join("HEAD").is_file() && path.join("objects").is_dir() && !path.join(".git").exists()
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
