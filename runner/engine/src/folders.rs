//! Where a machine keeps what belongs to runs: state that stays, and what lives only as long as a run.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, Mode, OFlags};

use crate::kept::uploads;
use crate::store::{RunId, StoreError};

/// The folders of one user, or of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// `$XDG_STATE_HOME/pipe`: database, logs, what runs leave to later runs.
    pub state: PathBuf,
    /// Sockets and step files of running jobs; short, since a socket's path may have 108 bytes.
    pub runtime: PathBuf,
}

/// Folders of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunFolders {
    pub(crate) logs: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) run_directories: PathBuf,
    /// What clients of its jobs send, until it is whole; made when something comes.
    pub(crate) uploads: PathBuf,
    /// What a later process needs to take its jobs up.
    pub(crate) journals: PathBuf,
}

impl Folders {
    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.join("pipe.db")
    }

    /// The logs of a run.
    #[must_use]
    pub fn logs(&self, run: RunId) -> PathBuf {
        self.state.join("runs").join(run.to_string()).join("logs")
    }

    /// Runs of which there are logs.
    #[must_use]
    pub fn with_logs(&self) -> Vec<RunId> {
        let entries = std::fs::read_dir(self.state.join("runs")).into_iter().flatten().flatten();
        let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok().map(RunId);
        entries.filter_map(number).filter(|run| self.logs(*run).exists()).collect()
    }

    /// Removes the logs of a run, and what its steps said of themselves beside them.
    ///
    /// # Errors
    /// The file system said no.
    pub fn remove_logs(&self, run: RunId) -> std::io::Result<()> {
        std::fs::remove_dir_all(self.logs(run))?;
        // Something else of it may be there.
        let _not_empty = std::fs::remove_dir(self.state.join("runs").join(run.to_string()));
        Ok(())
    }

    /// Removes all that a run has left: its logs, and whatever lies beside them.
    ///
    /// # Errors
    /// The file system said no.
    pub fn remove_run(&self, run: RunId) -> std::io::Result<()> {
        match std::fs::remove_dir_all(self.state.join("runs").join(run.to_string())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes the folders of a run. Those that only live as long as it carry the number of this process, so that
    /// [`Folders::remove_abandoned`] knows what a killed process left.
    pub(crate) fn make(&self, run: RunId) -> Result<RunFolders, StoreError> {
        let process = std::process::id();
        self.make_named(run, &format!("{process}-{run}"))
    }

    /// Makes the folders of a run, or finds those that another process made: they outlive this one.
    pub(crate) fn make_lasting(&self, run: RunId) -> Result<RunFolders, StoreError> {
        self.make_named(run, &run.to_string())
    }

    fn make_named(&self, run: RunId, name: &str) -> Result<RunFolders, StoreError> {
        let folders = RunFolders {
            logs: self.logs(run),
            work: self.state.join("work").join(name),
            run_directories: self.runtime.join(name),
            uploads: uploads(&self.state).join(name),
            journals: self.state.join("journals").join(name),
        };
        for (folder, mode) in [(&folders.logs, 0o700), (&folders.work, 0o711), (&folders.run_directories, 0o711)] {
            let failed = |error: std::io::Error| StoreError::File {
                action: "create",
                path: folder.display().to_string(),
                reason: error.to_string(),
            };
            std::fs::create_dir_all(folder).map_err(failed)?;
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
        }
        for parent in [&self.state.join("work"), &self.runtime] {
            spread(parent);
        }
        Ok(folders)
    }

    /// Removes what runs of killed processes left behind. Gives what could not be removed.
    #[must_use]
    pub fn remove_abandoned(&self) -> Vec<PathBuf> {
        self.abandoned().into_iter().filter(|folder| std::fs::remove_dir_all(folder).is_err()).collect()
    }

    /// Whether a killed process left something.
    #[must_use]
    pub fn has_abandoned(&self) -> bool {
        !self.abandoned().is_empty()
    }

    fn abandoned(&self) -> Vec<PathBuf> {
        let kept: HashSet<_> = crate::local::standing(&self.state).into_iter().map(|(run, _)| run).collect();
        let parents = [self.state.join("work"), self.runtime.clone(), uploads(&self.state)];
        let entries = parents.iter().filter_map(|parent| std::fs::read_dir(parent).ok()).flatten().flatten();
        entries
            .filter(|entry| {
                let name = entry.file_name();
                let Some((process, run)) = name.to_str().and_then(|name| name.split_once('-')) else { return false };
                process.parse().is_ok_and(|process: u32| !is_alive(process)) && !kept.contains(run)
            })
            .map(|entry| entry.path())
            .collect()
    }
}

impl RunFolders {
    /// Removes what lives only as long as the run. Jobs have removed their own parts already.
    pub(crate) fn remove(&self) {
        for folder in [&self.work, &self.run_directories, &self.uploads] {
            if let Err(error) = std::fs::remove_dir_all(folder)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(folder = %folder.display(), %error, "this folder is left; the next start removes it");
            }
        }
    }
}

/// Tells the file system that what lies below the folders of a folder is not related (`chattr +T`).
///
/// ext4 otherwise puts the files of a new run where the last one's have just been, and one without a journal then steps
/// over every file that was deleted in the last minutes: after a job with a large `node_modules` each new file cost
/// milliseconds. A hint: other file systems know no such flag.
pub(crate) fn spread(folder: &Path) {
    let hint = || -> rustix::io::Result<()> {
        let opened = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let flags = rustix::fs::ioctl_getflags(&opened)?;
        if flags.contains(IFlags::TOPDIR) {
            return Ok(());
        }
        rustix::fs::ioctl_setflags(&opened, flags | IFlags::TOPDIR)
    };
    if let Err(error) = hint() {
        tracing::debug!(folder = %folder.display(), %error, "its runs lie side by side");
    }
}

/// A process that has ended and is not yet collected by its parent lives no more.
pub(crate) fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).unwrap_or_default();
    // The name in brackets may hold anything; the state follows it.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders { state: root.path().join("state"), runtime: root.path().join("run") };
        let own = folders.make(RunId(7)).unwrap();
        // No process has the highest number that Linux gives.
        let dead = folders.state.join("work").join("4194304-3");
        let half = uploads(&folders.state).join("4194304-3");
        for folder in [&dead, &half] {
            std::fs::create_dir_all(folder.join("deep")).unwrap();
        }
        std::fs::create_dir_all(own.uploads.join("5")).unwrap();
        let other = folders.runtime.join("not-ours");
        std::fs::create_dir_all(&other).unwrap();
        assert_eq!(folders.remove_abandoned(), Vec::<PathBuf>::new());
        assert!(!dead.exists() && !half.exists());
        assert!(own.work.exists() && own.uploads.exists() && own.run_directories.exists() && other.exists());
        own.remove();
        assert!(!own.work.exists() && !own.uploads.exists() && own.logs.exists());
        folders.make(RunId(8)).unwrap();
        std::fs::write(own.logs.join("0000.log"), "one").unwrap();
        folders.remove_logs(RunId(7)).unwrap();
        assert_eq!(folders.with_logs(), [RunId(8)]);
        assert!(!folders.state.join("runs/7").exists());
    }
}
