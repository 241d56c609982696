//! A file or folder that is open: it stays the same one whatever becomes of its path, and what lies below it is reached name
//! by name, so that no link leads out of it.
//!
//! A job may change its workspace while it is scanned. Between a check of a path and its opening there is time for a link;
//! between an open folder and a name in it there is none (openat(2) with `O_NOFOLLOW`).

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};

use super::Random;

/// An open file or folder, with its name for messages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Held {
    what: String,
    open: Arc<File>,
}

impl Held {
    /// What lies at a path. Links are followed: whoever names a path means what is there.
    ///
    /// # Errors
    /// It is not there, or may not be read.
    pub fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let open = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self::new(path.display().to_string(), open))
    }

    /// What somebody else has opened for reading.
    #[must_use]
    pub fn new(what: impl Into<String>, open: OwnedFd) -> Self {
        Self { what: what.into(), open: Arc::new(File::from(open)) }
    }

    /// Its name.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.open.metadata().is_ok_and(|metadata| metadata.is_dir())
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// It is none, has more than `bytes_max`, or cannot be read.
    pub fn bytes(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
        let content = self.random()?;
        if content.length() > bytes_max as u64 {
            return Err(io::Error::other(format!("it is longer than {bytes_max} bytes")));
        }
        content.bytes(0, content.length())
    }

    /// All of the file.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn random(&self) -> io::Result<Random> {
        let metadata = self.open.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        Ok(Random::from_file(Arc::clone(&self.open), 0, metadata.len()))
    }

    /// The folder once more, with a place of its own in its list of names.
    ///
    /// # Errors
    /// It is no folder.
    pub(crate) fn again(&self) -> io::Result<OwnedFd> {
        folder_in(self.open.as_fd(), c".")
    }

    /// A file below the folder, by a clean path.
    ///
    /// # Errors
    /// It is not there, is none, or a link is on the way.
    pub(crate) fn file(&self, path: &str) -> io::Result<Random> {
        let (folder, name) = self.parent(path)?;
        file_in(folder.as_fd(), name)
    }

    /// Whether there is anything at a clean path below the folder, links on the way not followed.
    pub(crate) fn has(&self, path: &str) -> bool {
        let found = self.parent(path).and_then(|(folder, name)| Ok(statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?));
        found.is_ok()
    }

    fn parent<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let mut folder = self.again()?;
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for name in folders.split('/').filter(|name| !name.is_empty()) {
            folder = folder_in(folder.as_fd(), name)?;
        }
        Ok((folder, name))
    }
}

/// A folder of a folder. A link is none.
pub(super) fn folder_in<N: rustix::path::Arg>(folder: BorrowedFd<'_>, name: N) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

/// A file of a folder. A link is none, nor is a pipe, which is not waited for.
pub(super) fn file_in<N: rustix::path::Arg>(folder: BorrowedFd<'_>, name: N) -> io::Result<Random> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(folder, name, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no longer a file"));
    }
    Random::whole(file)
}

/// A name that the kernel gave, for messages.
pub(super) fn shown(name: &CStr) -> String {
    String::from_utf8_lossy(name.to_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_nowhere_and_paths_may_change() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        std::fs::create_dir_all(path("in/deep")).unwrap();
        std::fs::write(path("in/deep/file"), "inside").unwrap();
        std::fs::create_dir(path("out")).unwrap();
        std::fs::write(path("out/file"), "outside").unwrap();
        std::os::unix::fs::symlink(path("out"), path("in/folder")).unwrap();
        std::os::unix::fs::symlink(path("out/file"), path("in/link")).unwrap();
        let held = Held::at(&path("in")).unwrap();
        let read = |name: &str| held.file(name).map(|file| file.bytes(0, file.length()).unwrap());
        assert!(held.is_folder() && read("link").is_err() && read("folder/file").is_err() && read("deep").is_err());
        std::fs::rename(path("in"), path("elsewhere")).unwrap();
        std::os::unix::fs::symlink(path("out"), path("in")).unwrap();
        assert_eq!(read("deep/file").unwrap(), b"inside");
        assert!(read("file").is_err());
        assert!(Held::at(&path("in")).unwrap().file("file").is_ok(), "whoever names a link means what is there");
    }
}
