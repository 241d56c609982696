//! The files through which a step and the engine talk: its script, and `GITHUB_OUTPUT` and its like.
//!
//! Where the job sees the same files as this machine they are written and read directly, so that a step costs no call
//! to the container engine. Otherwise they travel through the agent. They lie side by side in the run directory, whose
//! own path a job cannot change, and are opened without following links: what a job puts in their place leads nowhere.
//!
//! Making five files costs more than starting a shell, so while a step runs those of the one that comes next, if all goes
//! well, are made. All stay until the job's folders are removed.

use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use tokio::task::JoinHandle;
use workflow::command::environment_file::EnvironmentFile;
use workflow::run::StepIndex;

use crate::placement::{JobHandle, PlacementError, RunDirectory};

/// A job's run directory, reached one way or the other.
#[derive(Debug, Clone)]
pub(crate) struct JobFiles {
    directory: RunDirectory,
    handle: Arc<dyn JobHandle>,
    /// The empty files of a step that may come, made or in the making.
    ahead: Arc<Mutex<Option<Ahead>>>,
}

/// Names a step of a job, or one among the steps of the actions that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StepNumber {
    /// The step of the job.
    pub(crate) step: StepIndex,
    /// 0 for that step itself; those of its actions are counted in the order in which they are met.
    pub(crate) inner: u32,
}

impl StepNumber {
    /// The one that follows, if all goes well.
    const fn next(self) -> Self {
        match self.inner {
            0 => Self { step: StepIndex(self.step.0 + 1), inner: 0 },
            inner => Self { step: self.step, inner: inner + 1 },
        }
    }
}

/// Files made before their step begins.
type Ahead = (StepNumber, JoinHandle<std::io::Result<()>>);

/// The files of one step: their names end with its number.
#[derive(Debug, Clone)]
pub(crate) struct StepFiles {
    /// As the job sees the folder.
    inside: String,
    step: StepNumber,
}

const FILES: [EnvironmentFile; 5] = [
    EnvironmentFile::Output,
    EnvironmentFile::Env,
    EnvironmentFile::Path,
    EnvironmentFile::State,
    EnvironmentFile::StepSummary,
];

impl JobFiles {
    pub(crate) fn new(directory: RunDirectory, handle: Arc<dyn JobHandle>) -> Self {
        Self { directory, handle, ahead: Arc::default() }
    }

    fn shared(&self) -> bool {
        self.handle.facts().files_are_shared
    }

    /// Where the files of a step will be.
    pub(crate) fn of(&self, step: StepNumber) -> StepFiles {
        StepFiles { inside: self.directory.inside.clone(), step }
    }

    /// Makes the empty files of a step.
    pub(crate) async fn prepare(&self, step: StepNumber) -> Result<StepFiles, PlacementError> {
        let files = self.of(step);
        if self.are_made(step).await {
            return Ok(files);
        }
        for kind in FILES {
            self.write(&files, kind.file_prefix(), "", Bytes::new(), 0o666).await?;
        }
        Ok(files)
    }

    /// The files of a step that another process had begun; what the step wrote to them stays.
    pub(crate) async fn prepare_again(&self, step: StepNumber) -> Result<StepFiles, PlacementError> {
        let files = self.of(step);
        for kind in FILES {
            let name = files.of_kind(kind);
            let inside = format!("{}/{name}", files.inside);
            let there = match self.shared() {
                true => self.directory.host.join(&name).symlink_metadata().is_ok(),
                false => self.handle.read_file(&inside, kind.bytes_max() as u64 + 1).await?.is_some(),
            };
            if !there {
                self.write(&files, kind.file_prefix(), "", Bytes::new(), 0o666).await?;
            }
        }
        Ok(files)
    }

    /// Begins to make the files of the step after this one, to be called when there is something to wait for.
    pub(crate) fn make_ahead(&self, after: StepNumber) {
        if !self.shared() {
            return;
        }
        let Ok(mut ahead) = self.ahead.lock() else { return };
        if ahead.is_none() {
            let next = after.next();
            let (files, folder) = (self.of(next), self.directory.host.clone());
            // That step may have begun by now, beside this one: what is there is its own.
            let make = move |kind: &EnvironmentFile| create_new(&folder.join(files.of_kind(*kind)), b"", 0o666);
            let make = move || FILES.iter().try_for_each(make);
            *ahead = Some((next, tokio::task::spawn_blocking(make)));
        }
    }

    /// Waits until nothing is made any more, so that the folders can be removed.
    pub(crate) async fn settle(&self) {
        let ahead = self.ahead.lock().ok().and_then(|mut ahead| ahead.take());
        if let Some((_, making)) = ahead {
            // What could not be made ahead is not there.
            let _made = making.await;
        }
    }

    /// Whether the files of a step were made ahead. Those that were made for another one stay, for whenever it comes.
    async fn are_made(&self, step: StepNumber) -> bool {
        let ahead = self.ahead.lock().ok().and_then(|mut ahead| ahead.take());
        let Some((made_for, making)) = ahead else { return false };
        let made = making.await;
        made_for == step && matches!(made, Ok(Ok(())))
    }

    /// Writes a file of a step and gives its path as the job sees it.
    pub(crate) async fn write(
        &self,
        files: &StepFiles,
        name: &str,
        ending: &str,
        content: Bytes,
        mode: u32,
    ) -> Result<String, PlacementError> {
        let name = files.name(name, ending);
        let inside = format!("{}/{name}", files.inside);
        if self.shared() {
            write_here(&self.directory.host.join(&name), &content, mode)?;
        } else {
            self.handle.write_file(&inside, content, mode).await?;
        }
        Ok(inside)
    }

    /// What a step left in one of its files; `None` where it is empty or gone. Longer ones give the error of the file's
    /// own limit.
    pub(crate) async fn read(&self, files: &StepFiles, kind: EnvironmentFile) -> Result<Option<Bytes>, FileRefused> {
        let name = files.of_kind(kind);
        let bytes = if self.shared() {
            read_here(&self.directory.host.join(name), kind)?
        } else {
            let path = format!("{}/{name}", files.inside);
            let limit = kind.bytes_max() as u64 + 1;
            self.handle.read_file(&path, limit).await.map_err(|error| FileRefused(error.to_string()))?
        };
        Ok(bytes.filter(|bytes| !bytes.is_empty()))
    }
}

impl StepFiles {
    fn of_kind(&self, kind: EnvironmentFile) -> String {
        self.name(kind.file_prefix(), "")
    }

    fn name(&self, name: &str, ending: &str) -> String {
        match self.step {
            StepNumber { step, inner: 0 } => format!("{name}-{}{ending}", step.0),
            StepNumber { step, inner } => format!("{name}-{}.{inner}{ending}", step.0),
        }
    }

    /// The variables that name the files, with the names of the same in the `github` context.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &'static str, String)> + '_ {
        FILES.iter().map(|kind| {
            let path = format!("{}/{}", self.inside, self.of_kind(*kind));
            (kind.variable(), kind.context_name(), path)
        })
    }
}

/// A file of a step that cannot be taken; a sentence for the step's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRefused(pub(crate) String);

/// Makes a file. Whatever lies there was put there by the job, and goes.
fn create(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    match create_new(path, content, mode) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            create_new(path, content, mode)
        }
        created => created,
    }
}

/// Makes a file that was not there; steps of a container may run as any user.
fn create_new(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).custom_flags(O_NOFOLLOW).open(path)?;
    if !content.is_empty() {
        file.write_all(content)?;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

fn write_here(path: &Path, content: &[u8], mode: u32) -> Result<(), PlacementError> {
    create(path, content, mode).map_err(|error| PlacementError::File {
        action: "write",
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

fn read_here(path: &Path, kind: EnvironmentFile) -> Result<Option<Bytes>, FileRefused> {
    let refused = |reason: &str| FileRefused(format!("{} {reason}", kind.variable()));
    // Most are empty, and a look costs less than opening them.
    if path.symlink_metadata().is_ok_and(|facts| facts.is_file() && facts.len() == 0) {
        return Ok(None);
    }
    // Not to wait for a pipe that nobody writes to.
    let file = match File::options().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&format!("cannot be read: {error}"))),
    };
    let facts = file.metadata().map_err(|error| refused(&format!("cannot be read: {error}")))?;
    if !facts.is_file() {
        return Err(refused("is no longer a plain file"));
    }
    kind.check_size(facts.len()).map_err(|error| FileRefused(error.to_string()))?;
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or(0));
    match file.take(facts.len()).read_to_end(&mut bytes) {
        Ok(_) => Ok(Some(Bytes::from(bytes))),
        Err(error) => Err(refused(&format!("cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_puts_in_the_place_of_a_file_leads_nowhere() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("secret");
        std::fs::write(&secret, "x").unwrap();
        let path = folder.path().join("file");
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        assert!(read_here(&path, EnvironmentFile::Output).is_err());
        write_here(&path, b"ours", 0o666).unwrap();
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "x");
        assert_eq!(read_here(&path, EnvironmentFile::Output), Ok(Some(Bytes::from("ours"))));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert!(create_new(&path, b"", 0o666).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ours");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_here(&path, EnvironmentFile::Output), Ok(None));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_here(&path, EnvironmentFile::Output).is_err());
    }
}
