//! The files through which a step and the engine talk: its script, and `GITHUB_OUTPUT` and its like.
//!
//! Where the job sees the same files as this machine they are written and read directly, so that a step costs no call
//! to the container engine. Otherwise they travel through the agent.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use workflow::command::environment_file::EnvironmentFile;
use workflow::run::StepIndex;

use crate::placement::{JobHandle, PlacementError, RunDirectory};

/// A job's run directory, reached one way or the other.
#[derive(Debug, Clone)]
pub(crate) struct JobFiles {
    directory: RunDirectory,
    handle: Arc<dyn JobHandle>,
}

/// The files of one step.
#[derive(Debug, Clone)]
pub(crate) struct StepFiles {
    /// As the job sees the folder.
    pub(crate) inside: String,
    host: PathBuf,
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
        Self { directory, handle }
    }

    fn shared(&self) -> bool {
        self.handle.facts().files_are_shared
    }

    /// Makes the empty files of a step.
    pub(crate) async fn prepare(&self, step: StepIndex) -> Result<StepFiles, PlacementError> {
        let name = format!("step-{}", step.0);
        let files =
            StepFiles { inside: format!("{}/{name}", self.directory.inside), host: self.directory.host.join(name) };
        if self.shared() {
            make_folder(&files.host)?;
        }
        for kind in FILES {
            self.write(&files, kind.file_prefix(), Bytes::new(), 0o666).await?;
        }
        Ok(files)
    }

    /// Writes a file of a step and gives its path as the job sees it.
    pub(crate) async fn write(
        &self,
        files: &StepFiles,
        name: &str,
        content: Bytes,
        mode: u32,
    ) -> Result<String, PlacementError> {
        let inside = format!("{}/{name}", files.inside);
        if self.shared() {
            write_here(&files.host.join(name), &content, mode)?;
        } else {
            self.handle.write_file(&inside, content, mode).await?;
        }
        Ok(inside)
    }

    /// What a step left in one of its files; `None` where it is empty or gone. Longer ones give the error of the file's
    /// own limit.
    pub(crate) async fn read(&self, files: &StepFiles, kind: EnvironmentFile) -> Result<Option<Bytes>, FileRefused> {
        let name = kind.file_prefix();
        let bytes = if self.shared() {
            read_here(&files.host.join(name), kind)?
        } else {
            let path = format!("{}/{name}", files.inside);
            let limit = kind.bytes_max() as u64 + 1;
            self.handle.read_file(&path, limit).await.map_err(|error| FileRefused(error.to_string()))?
        };
        Ok(bytes.filter(|bytes| !bytes.is_empty()))
    }

    /// Removes the files of a step that has ended; what cannot be removed goes with the run directory.
    pub(crate) fn discard(&self, files: &StepFiles) {
        if self.shared() {
            let _later = std::fs::remove_dir_all(&files.host);
        }
    }
}

impl StepFiles {
    /// The variables that name the files.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &'static str, String)> + '_ {
        FILES
            .iter()
            .map(|kind| (kind.variable(), kind.context_name(), format!("{}/{}", self.inside, kind.file_prefix())))
    }
}

/// A file of a step that cannot be taken; a sentence for the step's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRefused(pub(crate) String);

fn make_folder(path: &std::path::Path) -> Result<(), PlacementError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |error: std::io::Error| PlacementError::File {
        action: "create",
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    std::fs::create_dir(path).map_err(failed)?;
    // Steps of a container may run as any user.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).map_err(failed)
}

fn write_here(path: &std::path::Path, content: &[u8], mode: u32) -> Result<(), PlacementError> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(path)?;
        file.write_all(content)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))
    };
    write().map_err(|error| PlacementError::File {
        action: "write",
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

fn read_here(path: &std::path::Path, kind: EnvironmentFile) -> Result<Option<Bytes>, FileRefused> {
    let length = match std::fs::symlink_metadata(path) {
        Ok(facts) if facts.is_file() => facts.len(),
        Ok(_) => return Err(FileRefused(format!("{} is no longer a plain file", kind.variable()))),
        Err(_) => return Ok(None),
    };
    if length == 0 {
        return Ok(None);
    }
    kind.check_size(length).map_err(|error| FileRefused(error.to_string()))?;
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(Bytes::from(bytes))),
        Err(error) => Err(FileRefused(format!("{} cannot be read: {error}", kind.variable()))),
    }
}
