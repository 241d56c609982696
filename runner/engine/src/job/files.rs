//! The files through which a step and the engine talk: its script, and `GITHUB_OUTPUT` and its like.
//!
//! Where the job sees the same files as this machine they are written and read directly, so that a step costs no call
//! to the container engine. Otherwise they travel through the agent. They lie side by side in the run directory, whose
//! own path a job cannot change, and are opened without following links: what a job puts in their place leads nowhere.
//!
//! Making five files costs more than starting a shell, so while a step runs those of the next one are made, in a folder
//! that no job sees, and moved to their place when it begins. They stay until the job's folders are removed.

use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
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
    /// The empty files of a step to come, made or in the making.
    ahead: Arc<Mutex<Option<JoinHandle<std::io::Result<()>>>>>,
}

/// Names a step of a job, or one among the steps of the actions that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StepNumber {
    /// The step of the job.
    pub(crate) step: StepIndex,
    /// 0 for that step itself; those of its actions are counted in the order in which they are met.
    pub(crate) inner: u32,
}

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

    /// Where files are made ahead: beside the run directory, so that they can be moved there.
    pub(crate) fn ahead_of(run_directory: &Path) -> PathBuf {
        run_directory.with_extension("ahead")
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
        if self.take_ahead(&files).await {
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
            let name = files.name(kind.file_prefix(), "");
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

    /// Begins to make the files of the next step, to be called when there is something to wait for.
    pub(crate) fn make_ahead(&self) {
        if !self.shared() {
            return;
        }
        let Ok(mut ahead) = self.ahead.lock() else { return };
        if ahead.is_none() {
            let folder = Self::ahead_of(&self.directory.host);
            *ahead = Some(tokio::task::spawn_blocking(move || make_ahead(&folder)));
        }
    }

    /// Waits until nothing is made any more, so that the folders can be removed.
    pub(crate) async fn settle(&self) {
        let making = self.ahead.lock().ok().and_then(|mut ahead| ahead.take());
        if let Some(making) = making {
            // What could not be made ahead is not there.
            let _made = making.await;
        }
    }

    /// Moves the files that were made ahead to their place; false where there are none.
    async fn take_ahead(&self, files: &StepFiles) -> bool {
        let made = self.ahead.lock().ok().and_then(|mut ahead| ahead.take());
        let Some(made) = made else { return false };
        if !matches!(made.await, Ok(Ok(()))) {
            return false;
        }
        let folder = Self::ahead_of(&self.directory.host);
        // Those that were not moved are written anew, so a half of them does no harm.
        FILES.iter().all(|kind| {
            let name = files.name(kind.file_prefix(), "");
            std::fs::rename(folder.join(kind.file_prefix()), self.directory.host.join(name)).is_ok()
        })
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
        let name = files.name(kind.file_prefix(), "");
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
    fn name(&self, name: &str, ending: &str) -> String {
        match self.step {
            StepNumber { step, inner: 0 } => format!("{name}-{}{ending}", step.0),
            StepNumber { step, inner } => format!("{name}-{}.{inner}{ending}", step.0),
        }
    }

    /// The variables that name the files, with the names of the same in the `github` context.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &'static str, String)> + '_ {
        FILES.iter().map(|kind| {
            let path = format!("{}/{}", self.inside, self.name(kind.file_prefix(), ""));
            (kind.variable(), kind.context_name(), path)
        })
    }
}

/// A file of a step that cannot be taken; a sentence for the step's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRefused(pub(crate) String);

fn make_ahead(folder: &Path) -> std::io::Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    FILES.iter().try_for_each(|kind| create(&folder.join(kind.file_prefix()), b"", 0o666))
}

/// Makes a file that was not there; steps of a container may run as any user.
fn create(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let open = || File::options().write(true).create_new(true).custom_flags(O_NOFOLLOW).open(path);
    let mut file = match open() {
        // Whatever lies there was put there by the job.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            open()?
        }
        opened => opened?,
    };
    file.write_all(content)?;
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
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_here(&path, EnvironmentFile::Output), Ok(None));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_here(&path, EnvironmentFile::Output).is_err());
    }
}
