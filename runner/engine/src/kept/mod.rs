//! What runs leave to others: artifacts of runs and entries of caches, as lists of small files that name blobs.
//!
//! One folder, one lock for changes, so that several processes may share it. Names of artifacts and keys of caches are
//! never names of files. What is too old or too much is removed by [`Kept::tidy`]; whoever adds something calls it when it
//! is due. Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/dependency-caching> for scopes and
//! eviction.

mod artifacts;
mod caches;
mod evict;
mod forms;
mod scope;
mod tidy;
mod unpack;

pub use artifacts::{Artifact, Form, Zipped};
pub use caches::{CacheEntry, CacheForm, Wanted};
pub use evict::Evictable;
pub use forms::TarOf;
pub(crate) use forms::digest_of;
pub use scope::{CacheScopes, RunOfCaches};
pub use tidy::Tidied;
pub use unpack::unpack;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use serde::{Serialize, de::DeserializeOwned};

use crate::blobs::{BlobStore, Flush};
use crate::store::RunNumbers;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// The folder.
#[derive(Debug, Clone)]
pub struct Kept {
    folder: PathBuf,
    /// The content.
    pub blobs: BlobStore,
    /// For how long.
    pub rules: KeptRules,
    uploads: PathBuf,
}

/// How long and how much is kept. The defaults are GitHub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptRules {
    /// Days that an artifact stays which asks for no other number, and the most that can be asked for.
    pub artifact_days: u64,
    /// Entries of caches that nobody used for so long are removed.
    pub cache_unused: Duration,
    /// Caches of a repository may take so much of the disk; above it those go that were not used for longest.
    pub cache_bytes: u64,
}

impl Default for KeptRules {
    fn default() -> Self {
        let cache_unused = Duration::from_secs(7 * SECONDS_A_DAY);
        Self { artifact_days: 90, cache_unused, cache_bytes: 10 * 1024 * 1024 * 1024 }
    }
}

/// For whom something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// What tells the repository from all others that share the folder.
    pub repository: String,
    /// The run: its first attempt's number.
    pub run: u64,
    /// From 1.
    pub attempt: u32,
    /// Whether it executes code of somebody who may write to the repository. Others write to caches of their own.
    pub trusted: bool,
}

impl Keeper {
    /// For a run of a repository.
    #[must_use]
    pub const fn new(repository: String, numbers: RunNumbers, trusted: bool) -> Self {
        Self { repository, run: numbers.first.0, attempt: numbers.attempt, trusted }
    }
}

/// Why something could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The folder cannot be used.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is one already.
    #[error("there is one of that name already")]
    Exists,
}

/// Where all of it lies, below a state folder.
const FOLDER: &str = "kept";

/// Where all uploads lie, below a state folder.
pub(crate) fn uploads(state: &Path) -> PathBuf {
    state.join(FOLDER).join("uploads")
}

impl Kept {
    /// Below a state folder.
    #[must_use]
    pub fn new(state: &Path, rules: KeptRules) -> Self {
        let folder = state.join(FOLDER);
        Self { blobs: BlobStore::new(folder.join("blobs")), folder, rules, uploads: uploads(state) }
    }

    /// The same for runs that nobody outside waits for: a power cut may cost what they left last, as it costs their log.
    #[must_use]
    pub fn of_local_runs(state: &Path, rules: KeptRules) -> Self {
        let this = Self::new(state, rules);
        Self { blobs: this.blobs.flushed(Flush::Later), ..this }
    }

    /// The same with a folder of one run, of its process, for what clients send.
    #[must_use]
    pub(crate) fn uploading_to(self, uploads: PathBuf) -> Self {
        Self { uploads, ..self }
    }

    /// Folder for what clients send, until it is whole: on the disk of the blobs.
    #[must_use]
    pub fn uploads(&self) -> PathBuf {
        self.uploads.clone()
    }

    /// File of what jobs of a repository said to a forge where nobody else was told.
    #[must_use]
    pub fn said(&self, repository: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c.to_ascii_lowercase() } else { '_' };
        let name: String = repository.replace('/', "__").chars().map(plain).collect();
        self.folder.join("said").join(format!("{name}.jsonl"))
    }

    fn io(&self, error: io::Error) -> KeptError {
        KeptError::Io { path: self.folder.clone(), error }
    }

    fn lock(&self) -> Result<Flock<File>, KeptError> {
        let open = || {
            std::fs::create_dir_all(&self.folder)?;
            let file = File::options().create(true).truncate(false).write(true).open(self.folder.join("lock"))?;
            Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))
        };
        open().map_err(|error| self.io(error))
    }

    /// Read and written under the lock.
    fn next_id(&self) -> Result<u64, KeptError> {
        let path = self.folder.join("last");
        let last = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0_u64);
        self.put(&path, (last + 1).to_string().as_bytes())?;
        Ok(last + 1)
    }

    /// The groups of a kind: folders of runs or of repositories.
    fn groups(&self, kind: &str) -> Result<Vec<String>, KeptError> {
        let entries = self.entries(&self.folder.join(kind))?;
        Ok(entries.iter().filter_map(|path| Some(format!("{kind}/{}", path.file_name()?.to_str()?))).collect())
    }

    fn list<T: DeserializeOwned>(&self, group: &str) -> Result<Vec<T>, KeptError> {
        let mut files = self.entries(&self.folder.join(group))?;
        files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        // One that cannot be read names nothing any more.
        Ok(files.iter().filter_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok()).collect())
    }

    fn entries(&self, folder: &Path) -> Result<Vec<PathBuf>, KeptError> {
        match std::fs::read_dir(folder) {
            Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.io(error)),
        }
    }

    fn write(&self, group: &str, id: u64, value: &impl Serialize) -> Result<(), KeptError> {
        let json = serde_json::to_vec(value).map_err(|error| self.io(error.into()))?;
        let folder = self.folder.join(group);
        std::fs::create_dir_all(&folder).map_err(|error| self.io(error))?;
        self.put(&folder.join(format!("{id}.json")), &json)
    }

    fn put(&self, path: &Path, content: &[u8]) -> Result<(), KeptError> {
        let put = || {
            use std::io::Write as _;
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(content)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        put().map_err(|error| self.io(error))
    }

    fn remove(&self, group: &str, id: u64) -> Result<(), KeptError> {
        let folder = self.folder.join(group);
        std::fs::remove_file(folder.join(format!("{id}.json"))).map_err(|error| self.io(error))?;
        // Gone once it is empty.
        let _others_are_there = std::fs::remove_dir(folder);
        Ok(())
    }
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
