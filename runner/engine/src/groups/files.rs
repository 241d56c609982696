//! Groups among processes: who has a group in this process also locks a file of it, so that a group that another process
//! has is waited for. The kernel gives the lock back when a process ends, however it ends.
//!
//! Another process is waited for, never cancelled: `cancel-in-progress` reaches the runs of this process only. Who waits
//! with others in several processes gets its turn in no certain order.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};

/// Where the files are.
#[derive(Debug, Clone)]
pub(super) struct GroupFiles(PathBuf);

/// What trying to lock gives.
pub(super) enum Tried {
    /// It is ours. The file is absent where there can be none: then this process has its groups for itself.
    Ours(Option<Flock<File>>),
    /// Another process has it; here it can be waited for.
    Others(PathBuf),
}

impl GroupFiles {
    pub(super) const fn below(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Locks the file of a group, unless another process has.
    pub(super) fn try_lock(&self, group: &str) -> Tried {
        let digest = Sha256::digest(group.to_lowercase());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let path = self.0.join(format!("{name}.lock"));
        let failed = |error: &dyn std::fmt::Display| {
            tracing::warn!(path = %path.display(), %error, "groups of other processes are not known");
            Tried::Ours(None)
        };
        let file = match open(&path) {
            Ok(file) => file,
            Err(error) => return failed(&error),
        };
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Tried::Ours(Some(lock)),
            Err((_, Errno::EWOULDBLOCK)) => Tried::Others(path),
            Err((_, error)) => failed(&error),
        }
    }
}

/// Waits for the lock, however long that takes.
pub(super) fn wait(path: &Path) -> Option<Flock<File>> {
    let file = open(path).ok()?;
    Flock::lock(file, FlockArg::LockExclusive).ok()
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::options().create(true).truncate(false).write(true).open(path)
}
