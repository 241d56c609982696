//! What a scan reads of a job's workspace: opened name by name below it, so that nothing a job puts there leads elsewhere.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use engine::inside::{EntryKind, Inside};
use engine::step::ActionCall;
use scanners::source::Held;
use tempfile::TempDir;

use crate::action::paths;

/// A policy or Dockerfile, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Advisories that a job brings: those of all ecosystems have less.
const ADVISORIES_BYTES_MAX: u64 = 8 << 30;
const ADVISORIES_FILES_MAX: u32 = 500_000;
const ADVISORIES_DEPTH_MAX: u32 = 8;
/// errno(3), as Linux numbers it.
const ELOOP: i32 = 40;
/// Endings of files that may hold some.
const ADVISORIES: [&str; 6] = ["json", "zip", "jsonl", "ndjson", "csv", "gz"];

/// The workspace.
#[derive(Debug)]
pub(in crate::action) struct Workspace {
    /// None where it lies on another machine.
    folder: Option<Inside>,
    /// Where the job has it.
    inside: String,
}

impl Workspace {
    pub(in crate::action) fn open(call: &ActionCall<'_>) -> Result<Self, String> {
        let folder = || Inside::workspace(&call.workspace.host);
        let folder = call.workspace.shared.then(folder).transpose();
        let folder = folder.map_err(|error| format!("cannot open the workspace: {error}"))?;
        Ok(Self { folder, inside: call.workspace.inside.clone() })
    }

    fn folder(&self) -> Result<&Inside, String> {
        let elsewhere = "the workspace of this job lies on another machine; an image can be scanned all the same";
        self.folder.as_ref().ok_or_else(|| elsewhere.to_owned())
    }

    /// Its own folder; none where it lies on another machine.
    pub(super) fn root(&self) -> Result<Option<Held>, String> {
        self.folder.is_some().then(|| self.held("gate", "")).transpose()
    }

    /// A file or folder, open.
    pub(super) fn held(&self, input: &str, path: &str) -> Result<Held, String> {
        let below = paths::below(input, path, &self.inside)?;
        let workspace = self.folder()?;
        let open = match workspace.folder(&below) {
            Ok(folder) => folder.try_clone(),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => workspace.file(&below).map(OwnedFd::from),
            Err(error) => Err(error),
        };
        let open = open.map_err(|error| format!("`{input}: {path}` cannot be read: {}", words(&error)))?;
        Ok(Held::new(path, open))
    }

    /// The text of a file, none where there is no such file.
    pub(in crate::action) async fn text(
        &self,
        call: &ActionCall<'_>,
        input: &str,
        path: &str,
    ) -> Result<Option<String>, String> {
        let below = paths::below(input, path, &self.inside)?;
        let mut bytes = Vec::new();
        match &self.folder {
            Some(folder) => match folder.file(&below) {
                Ok(file) => {
                    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
                    read.map_err(|error| error.to_string())?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(words(&error)),
            },
            None => {
                let inside = format!("{}/{}", self.inside, below.display());
                let read = call.job.read_file(&inside, FILE_BYTES_MAX).await.map_err(|error| error.to_string())?;
                let Some(read) = read else { return Ok(None) };
                bytes = read.to_vec();
            }
        }
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| "it is not UTF-8".to_owned())
    }

    /// Advisories that the job brings, copied to where it cannot reach them, with the times of the files. They and the index
    /// that is made of them go with the folder.
    pub(super) fn advisories(&self, path: &str, cache: &Path) -> Result<TempDir, String> {
        let failed = |error: io::Error| format!("`db: {path}` cannot be read: {}", words(&error));
        let below = paths::below("db", path, &self.inside)?;
        let from = self.folder()?.folder(&below).map_err(failed)?;
        std::fs::create_dir_all(cache).map_err(|error| format!("cannot make {}: {error}", cache.display()))?;
        let copy = TempDir::with_prefix_in("advisories-", cache);
        let copy = copy.map_err(|error| format!("cannot make a folder in {}: {error}", cache.display()))?;
        Copying { files: 0, bytes: 0 }.folder(&from, copy.path(), 0).map_err(failed)?;
        Ok(copy)
    }
}

/// How much was copied.
struct Copying {
    files: u32,
    bytes: u64,
}

impl Copying {
    fn folder(&mut self, from: &Inside, to: &Path, depth: u32) -> io::Result<()> {
        for name in from.names()? {
            let facts = from.facts(&name)?;
            let (there, here) = (PathBuf::from(&name), to.join(&name));
            match facts.kind {
                EntryKind::Folder if depth < ADVISORIES_DEPTH_MAX => {
                    std::fs::create_dir(&here)?;
                    self.folder(&from.folder(&there)?, &here, depth + 1)?;
                }
                EntryKind::File if is_wanted(&there) => self.file(from, &there, &here)?,
                EntryKind::Folder | EntryKind::File | EntryKind::Link | EntryKind::Other => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Inside, there: &Path, here: &Path) -> io::Result<()> {
        let file = from.file(there)?;
        let modified = file.metadata()?.modified()?;
        let mut copy = File::create_new(here)?;
        self.files += 1;
        self.bytes += io::copy(&mut file.take(ADVISORIES_BYTES_MAX - self.bytes + 1), &mut copy)?;
        if self.bytes > ADVISORIES_BYTES_MAX || self.files > ADVISORIES_FILES_MAX {
            return Err(io::Error::other("it holds more than advisories have"));
        }
        // Their age is that of the files. What comes from the future is not younger than now.
        let now = std::time::SystemTime::now();
        copy.set_modified(modified.min(now).max(UNIX_EPOCH + Duration::from_secs(1)))
    }
}

fn is_wanted(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ADVISORIES.iter().any(|one| ending == *one))
}

fn words(error: &io::Error) -> String {
    // What `O_NOFOLLOW` says of a link.
    if error.raw_os_error() == Some(ELOOP) || error.kind() == io::ErrorKind::NotADirectory {
        return "a link or a file is on the way, which is not followed".to_owned();
    }
    error.to_string()
}
