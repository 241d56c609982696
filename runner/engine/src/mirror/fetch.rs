//! Fetching: what is asked of the remote, in which order, and what is tried when it says no.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use git2::{Repository, RepositoryInitOptions};
use workflow::event::GitRef;

use super::lanes::{Turn, Waiting};
use super::program::{Bounds, Git};
use super::{MirrorError, Mirrors, Origin, RefPair, RemoteFacts, RemoteUrl, Shared, Wanted, library, mirror_error};

/// Most bytes of what a fetch itself says.
const OUTPUT_BYTES_MAX: u64 = 1_024 * 1_024;
/// Tells that everything was fetched once, and from where.
const FETCHED_FILE: &str = "pipe-fetched";
/// From this many packs on they are put together; each fetch makes one.
const PACKS_MAX: usize = 50;
/// How long to ask a remote what it has.
const ASK_TIME_MAX: Duration = Duration::from_secs(60);

impl Mirrors {
    /// Makes sure that a mirror has what is wanted; the first time, everything is fetched.
    ///
    /// # Errors
    /// It cannot be had.
    pub async fn bring(&self, origin: &Origin, wanted: Wanted) -> Result<(), MirrorError> {
        if self.has(origin, &wanted).await {
            return Ok(());
        }
        let (turn, waiting) = match self.0.lanes.queue(origin.id, &wanted).await {
            Turn::Served(answer) => return answer,
            Turn::Mine(turn, waiting) => (turn, waiting),
        };
        let mut own = Ok(());
        let answers = self.fetch_all(origin, &waiting).await;
        for (Waiting { wanted: other, answer }, result) in waiting.into_iter().zip(answers) {
            if other == wanted {
                own = result.clone();
            }
            // Whoever waited may have gone away.
            let _gone = answer.send(result);
        }
        drop(turn);
        own
    }

    /// Fetches all branches and tags, and forgets those that are gone.
    ///
    /// # Errors
    /// It cannot be done.
    pub async fn refresh(&self, origin: &Origin) -> Result<RemoteFacts, MirrorError> {
        let _turn = self.0.lanes.enter(origin.id).await;
        let session = self.session(origin).await?;
        session.everything().await
    }

    /// Asks a remote what it has, without a mirror: whether it can be reached, and its default branch.
    ///
    /// # Errors
    /// It cannot be reached, or has nothing.
    pub async fn ask(&self, origin: &Origin) -> Result<RemoteFacts, MirrorError> {
        let git = self.git(origin).await?;
        ask(&git, &origin.url, self.0.options.refs_bytes_max).await
    }

    async fn git(&self, origin: &Origin) -> Result<Git, MirrorError> {
        let credential = self.0.credentials.credential(origin.id).await.map_err(MirrorError::Denied)?;
        Git::prepare(&self.0.options.program, &self.0.folder, &origin.url, &credential)
    }

    async fn session<'a>(&'a self, origin: &'a Origin) -> Result<Session<'a>, MirrorError> {
        let git = self.git(origin).await?;
        let folder = self.folder(origin.id);
        let (made, url) = (folder.clone(), origin.url.clone());
        let making = tokio::task::spawn_blocking(move || {
            // Objects of another repository have no place in this one's.
            if made.join(FETCHED_FILE).exists() && !was_fetched(&made, &url) {
                std::fs::remove_dir_all(&made).map_err(|error| mirror_error(&made, &error))?;
            }
            make(&made)
        });
        making.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Ok(Session { shared: &self.0, git, origin, folder })
    }

    /// One fetch for all; where that fails, one for each, so that one wrong ref fails alone.
    async fn fetch_all(&self, origin: &Origin, waiting: &[Waiting]) -> Vec<Result<(), MirrorError>> {
        let Ok(_place) = self.0.places.acquire().await else { return Vec::new() };
        let session = match self.session(origin).await {
            Ok(session) => session,
            Err(error) => return vec![Err(error); waiting.len()],
        };
        if waiting.len() > 1 {
            let mut all = Wanted::default();
            for Waiting { wanted, .. } in waiting {
                all.refs.extend_from_slice(&wanted.refs);
                all.optional.extend_from_slice(&wanted.optional);
                all.commits.extend_from_slice(&wanted.commits);
            }
            match session.bring(&all, Strict(true)).await {
                Ok(()) => return vec![Ok(()); waiting.len()],
                Err(error) if error.is_passing() => return vec![Err(error); waiting.len()],
                Err(_) => {}
            }
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for Waiting { wanted, .. } in waiting {
            answers.push(session.bring(wanted, Strict(false)).await);
        }
        answers
    }

    /// Whether nothing has to be fetched.
    async fn has(&self, origin: &Origin, wanted: &Wanted) -> bool {
        if wanted.commits.is_empty() || !was_fetched(&self.folder(origin.id), &origin.url) {
            return false;
        }
        let wanted = wanted.clone();
        let has = self.read(origin.id, move |repository| Ok(has(repository, &wanted))).await;
        has.unwrap_or(false)
    }
}

fn has(repository: &Repository, wanted: &Wanted) -> bool {
    let is_there = |pair: &RefPair| repository.find_reference(pair.here.as_str()).is_ok();
    wanted.commits.iter().all(|id| has_commit(repository, id)) && wanted.refs.iter().all(is_there)
}

/// Also through a tag's own object.
fn has_commit(repository: &Repository, id: &str) -> bool {
    let object = git2::Oid::from_str(id).and_then(|id| repository.find_object(id, None));
    object.is_ok_and(|object| object.peel_to_commit().is_ok())
}

/// Whether a missing ref is an error although the commits may be there: they may be wanted by different requests.
#[derive(Debug, Clone, Copy)]
struct Strict(bool);

/// Some commands for one mirror, while its lane is ours.
struct Session<'a> {
    shared: &'a Arc<Shared>,
    git: Git,
    origin: &'a Origin,
    folder: std::path::PathBuf,
}

impl Session<'_> {
    async fn bring(&self, wanted: &Wanted, Strict(strict): Strict) -> Result<(), MirrorError> {
        if !was_fetched(&self.folder, &self.origin.url) {
            self.everything().await?;
        }
        if wanted.commits.is_empty() || !self.look(wanted.clone(), has).await? {
            match self.refs(wanted).await {
                // A commit may be there although its branch has gone.
                Err(MirrorError::NoSuchRef(_)) if !wanted.commits.is_empty() && !strict => {}
                other => other?,
            }
        }
        for id in &wanted.commits {
            self.commit(id).await?;
        }
        self.put_together().await;
        Ok(())
    }

    async fn refs(&self, wanted: &Wanted) -> Result<(), MirrorError> {
        let needed: BTreeSet<&RefPair> = wanted.refs.iter().collect();
        let mut optional: BTreeSet<&RefPair> = wanted.optional.iter().collect();
        let mut swept = false;
        loop {
            let specs: Vec<_> = needed.union(&optional).map(|pair| spec(pair)).collect();
            if specs.is_empty() {
                return Ok(());
            }
            match self.fetch(&specs, false).await {
                Err(MirrorError::NoSuchRef(name)) if optional.iter().any(|pair| pair.there.as_str() == name) => {
                    optional.retain(|pair| pair.there.as_str() != name);
                }
                // `a` stood in the way of `a/b`, and nobody told us that it went.
                Err(MirrorError::Failed(_)) if !swept => {
                    swept = true;
                    self.everything().await?;
                }
                other => return other,
            }
        }
    }

    /// A commit by its id, where no ref brought it.
    async fn commit(&self, id: &str) -> Result<(), MirrorError> {
        let hexadecimal = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hexadecimal {
            return Err(MirrorError::Gone("of an unusable id".to_owned()));
        }
        if self.look(id.to_owned(), |repository, id| has_commit(repository, id)).await? {
            return Ok(());
        }
        let id = id.to_ascii_lowercase();
        match self.fetch(&[format!("+{id}:refs/pipe/commits/{id}")], false).await {
            Err(MirrorError::Gone(_) | MirrorError::NoSuchRef(_)) => Err(MirrorError::Gone(id)),
            other => other,
        }
    }

    /// All branches and tags.
    async fn everything(&self) -> Result<RemoteFacts, MirrorError> {
        let url = &self.origin.url;
        let facts = ask(&self.git, url, self.shared.options.refs_bytes_max).await?;
        let all = ["+refs/heads/*:refs/heads/*".to_owned(), "+refs/tags/*:refs/tags/*".to_owned()];
        self.fetch(&all, true).await?;
        let (folder, text) = (self.folder.clone(), url.to_string());
        let branch = facts.default_branch.clone();
        let noting = tokio::task::spawn_blocking(move || note(&folder, &text, branch.as_deref()));
        noting.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Ok(facts)
    }

    async fn fetch(&self, specs: &[String], prune: bool) -> Result<(), MirrorError> {
        let options = &self.shared.options;
        let first = !was_fetched(&self.folder, &self.origin.url);
        let bounds = Bounds {
            time_max: if first { options.first_time_max } else { options.time_max },
            size: Some((&self.folder, options.bytes_max)),
            output_bytes_max: OUTPUT_BYTES_MAX,
        };
        let mut words = vec!["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        words.extend(prune.then_some("--prune"));
        words.extend(["--", self.origin.url.as_str()]);
        words.extend(specs.iter().map(String::as_str));
        self.git.run(Some(&self.folder), words, bounds).await.map(drop)
    }

    /// Puts small packs together. A mirror with many is slow, not wrong, so that a failure only is told.
    async fn put_together(&self) {
        let packs = std::fs::read_dir(self.folder.join("objects/pack")).into_iter().flatten().flatten();
        let count = packs.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "pack")).count();
        if count < PACKS_MAX {
            return;
        }
        let bounds = Bounds { time_max: self.shared.options.time_max, size: None, output_bytes_max: OUTPUT_BYTES_MAX };
        let words = ["repack", "--quiet", "-d", "--geometric=2"];
        if let Err(error) = self.git.run(Some(&self.folder), words, bounds).await {
            tracing::warn!(%error, mirror = %self.folder.display(), "the packs of a mirror cannot be put together");
        }
    }

    async fn look<Facts: Send + 'static>(
        &self,
        facts: Facts,
        look: impl FnOnce(&Repository, &Facts) -> bool + Send + 'static,
    ) -> Result<bool, MirrorError> {
        let folder = self.folder.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let repository = crate::git::open(&folder).map_err(|error| mirror_error(&folder, &error))?;
            Ok(look(&repository, &facts))
        });
        looking.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

fn spec(pair: &RefPair) -> String {
    format!("+{}:{}", pair.there, pair.here)
}

async fn ask(git: &Git, url: &RemoteUrl, refs_bytes_max: u64) -> Result<RemoteFacts, MirrorError> {
    let bounds = Bounds { time_max: ASK_TIME_MAX, size: None, output_bytes_max: refs_bytes_max };
    let words = ["ls-remote", "--quiet", "--symref", "--", url.as_str(), "HEAD", "refs/heads/*", "refs/tags/*"];
    let listed = git.run(None, words, bounds).await?;
    let names = || listed.lines().filter_map(|line| line.split_once('\t'));
    let default_branch = names().find_map(|(target, name)| {
        let branch = target.strip_prefix("ref: refs/heads/").filter(|_| name == "HEAD")?;
        GitRef::branch(branch).map(|_| branch.to_owned())
    });
    let refs = names().filter(|(_, name)| name.starts_with("refs/") && !name.ends_with("^{}")).count();
    if refs == 0 { Err(MirrorError::Empty) } else { Ok(RemoteFacts { default_branch, refs }) }
}

pub(super) fn was_fetched(folder: &Path, url: &RemoteUrl) -> bool {
    std::fs::read_to_string(folder.join(FETCHED_FILE)).is_ok_and(|text| text == url.as_str())
}

/// An empty bare repository, made aside so that it is there whole or not at all.
fn make(folder: &Path) -> Result<(), MirrorError> {
    if folder.join("HEAD").exists() {
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| mirror_error(folder, error);
    let parent = folder.parent().ok_or_else(|| failed(&"has no folder"))?;
    let part = tempfile::Builder::new().prefix(".git-").tempdir_in(parent).map_err(|error| failed(&error))?;
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false).initial_head("main");
    Repository::init_opts(part.path(), &options).map_err(|error| failed(&error.message()))?;
    std::fs::rename(part.keep(), folder).map_err(|error| failed(&error))
}

/// What readers of the mirror want to know of its remote.
fn note(folder: &Path, url: &str, default_branch: Option<&str>) -> Result<(), MirrorError> {
    let repository = crate::git::open(folder).map_err(|error| mirror_error(folder, &error))?;
    let failed = library(&repository);
    let mut config =
        repository.config().and_then(|config| config.open_level(git2::ConfigLevel::Local)).map_err(&failed)?;
    config.set_str("remote.origin.url", url).map_err(&failed)?;
    if let Some(branch) = default_branch {
        let name = "refs/remotes/origin/HEAD";
        let target = format!("refs/remotes/origin/{branch}");
        repository.reference_symbolic(name, &target, true, "default branch").map_err(&failed)?;
        repository.set_head(&format!("refs/heads/{branch}")).map_err(&failed)?;
    }
    std::fs::write(folder.join(FETCHED_FILE), url).map_err(|error| mirror_error(folder, &error))
}
