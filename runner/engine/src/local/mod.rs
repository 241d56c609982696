//! What lies beside a run of `pipe run` for other processes of the same user: what it was asked for, who carries it, and
//! what people answered.
//!
//! A server needs none of this: it keeps what a run was asked for in its database, and people speak to its process. It
//! does not decide what is done with an answer.

mod again;
mod halves;
mod orders;
mod standing;
mod steer;

#[cfg(test)]
pub(crate) use again::resets;
pub use again::{Continues, NotResumed, TakenUp, take_up};
pub use halves::failed_step;
pub use orders::{Order, Orders};
pub use standing::{Inside, Stand, Standing, forget_stand, standing, stands};
pub use steer::{LocalSteering, Ordered};

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value as Json;

use crate::folders::Folders;
use crate::store::RunId;

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct LocalRun(PathBuf);

/// The right to carry a run: one process has it, until it ends, however it ends.
#[derive(Debug)]
pub struct Carrier(#[expect(dead_code, reason = "the lock ends with it")] Flock<File>);

impl LocalRun {
    /// The files of a run.
    #[must_use]
    pub fn of(folders: &Folders, run: RunId) -> Self {
        Self(folders.state.join("runs").join(run.to_string()))
    }

    /// What it was asked for; `None` for a run that nothing was kept of.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn asked(&self) -> io::Result<Option<Json>> {
        match std::fs::read(self.0.join("asked.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps what it is asked for, readable by this user only.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, asked: &Json) -> io::Result<()> {
        std::fs::create_dir_all(&self.0)?;
        // A file that is made under another name is whole or not there; only its owner may read it.
        let file = tempfile::NamedTempFile::new_in(&self.0)?;
        serde_json::to_writer(io::BufWriter::new(&file), asked)?;
        file.persist(self.0.join("asked.json")).map(drop).map_err(|error| error.error)
    }

    /// Takes the right to carry it; `None` while another process has it.
    ///
    /// # Errors
    /// The file of the lock cannot be used.
    pub fn carry(&self) -> io::Result<Option<Carrier>> {
        std::fs::create_dir_all(&self.0)?;
        let path = self.0.join("carrier");
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Carrier(lock))),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// Whether a process carries it now.
    #[must_use]
    pub fn is_carried(&self) -> bool {
        let Ok(file) = File::options().write(true).open(self.0.join("carrier")) else { return false };
        matches!(Flock::lock(file, FlockArg::LockExclusiveNonblock), Err((_, nix::errno::Errno::EWOULDBLOCK)))
    }

    /// What people answer it.
    #[must_use]
    pub fn orders(&self) -> Orders {
        Orders::of(self.0.join("orders"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_carries_and_what_was_asked_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let folders = Folders { state: root.path().to_owned(), runtime: root.path().to_owned() };
        let run = LocalRun::of(&folders, RunId(7));
        assert!(run.asked().unwrap().is_none() && !run.is_carried());
        let carrier = run.carry().unwrap().unwrap();
        assert!(run.is_carried() && run.carry().unwrap().is_none());
        drop(carrier);
        assert!(!run.is_carried() && run.carry().unwrap().is_some());
        run.keep(&serde_json::json!({ "v": 1 })).unwrap();
        assert_eq!(run.asked().unwrap().unwrap()["v"], 1);
        let path = root.path().join("runs/7/asked.json");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "{").unwrap();
        assert!(run.asked().is_err());
    }
}
