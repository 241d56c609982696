//! One repository that git asks: what its branches and tags are, and one commit without its history.

use std::path::Path;
use std::time::Duration;

use git2::{Oid, Repository, RepositoryInitOptions};

use super::error::FetchError;
use super::store::is_whole;
use crate::git::GitError;
use crate::mirror::program::{Bounds, Git};
use crate::mirror::{MirrorError, RemoteUrl};

/// How long to ask for branches and tags.
const ASK_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a fetch may take.
const FETCH_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// Most bytes of a repository's pack.
const FETCH_BYTES_MAX: u64 = 2 << 30;
/// Most bytes of a list of branches and tags.
const NAMES_BYTES_MAX: u64 = 16 << 20;
/// What opens a private repository.
const NO_TOKEN: &str =
    "; a private one needs a token that may read it: `PIPE_ACTIONS_TOKEN`, or `token-file` of a server's `[actions]`";
/// It was shown one already.
const NOT_OPENED: &str = "; the token that is given for actions does not open it";
/// The ref that a fetch brings.
const WANTED: &str = "refs/pipe/wanted";

/// One repository that is asked.
pub(super) struct Source<'a> {
    pub(super) git: Git,
    pub(super) remote: RemoteUrl,
    pub(super) asked: Asked<'a>,
}

/// What it is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// `owner/repo@ref`.
    pub(super) action: &'a str,
    /// What stands behind the `@`.
    pub(super) reference: &'a str,
    /// Whether we say who we are, to another machine.
    pub(super) has_token: Option<bool>,
}

impl Source<'_> {
    /// The commit that a tag or branch names: tags first, as git itself has it.
    pub(super) async fn ask(&self) -> Result<String, FetchError> {
        let reference = self.asked.reference;
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
        let (action, reference) = (self.asked.action.to_owned(), self.asked.reference.to_owned());
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

    pub(super) async fn fetch(&self, bare: &Path, commit: &str) -> Result<(), FetchError> {
        let action = || self.asked.action.to_owned();
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
        if is_whole(self.asked.reference) && self.remote.local_path().is_none() {
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
                let reference = self.asked.reference.to_owned();
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
        ran.map_err(|reason| self.asked.failed(self.remote.as_str(), reason))
    }
}

impl Asked<'_> {
    /// Why it cannot be had.
    pub(super) fn failed(self, url: &str, reason: MirrorError) -> FetchError {
        let action = self.action.to_owned();
        match reason {
            MirrorError::NotFound(_) | MirrorError::Denied(_) => {
                let hint = self.has_token.map_or("", |has_token| if has_token { NOT_OPENED } else { NO_TOKEN });
                FetchError::NoRepository { action, url: url.to_owned(), hint }
            }
            MirrorError::NoSuchRef(_) | MirrorError::Gone(_) => {
                FetchError::NoVersion { action, reference: self.reference.to_owned(), hint: String::new() }
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
}
