//! Reading a job's workspace from this machine, without being led out of it.
//!
//! A job may put a link anywhere below its workspace while an action of ours reads there. Every path is therefore walked
//! from an open folder, name by name, and no link is followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};
use std::sync::Arc;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

use crate::git::open_below;

/// An open folder of a workspace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inside(Arc<OwnedFd>);

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A plain file.
    File,
    /// A symbolic link.
    Link,
    /// A socket, a device …
    Other,
}

/// Facts about an entry.
#[derive(Debug, Clone, Copy)]
pub struct EntryFacts {
    /// What it is.
    pub kind: EntryKind,
    /// The twelve bits of its permissions.
    pub mode: u32,
    /// Bytes.
    pub size: i64,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified_nanoseconds: i64,
}

impl Inside {
    /// The workspace's own folder, whose last two names belong to the job.
    ///
    /// # Errors
    /// It is not there, or a link stands in its place.
    pub fn workspace(host: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(open_below(host, Path::new(""))?)))
    }

    /// A folder below.
    ///
    /// # Errors
    /// It is not there, is no folder, or a link is on the way.
    pub fn folder(&self, path: &Path) -> io::Result<Self> {
        let mut folder = self.clone();
        for name in names(path)? {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            folder = Self(Arc::new(openat(folder.0.as_fd(), name, flags, Mode::empty())?));
        }
        Ok(folder)
    }

    /// A file below, for reading.
    ///
    /// # Errors
    /// It is not there, is no plain file, or a link is on the way.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let folder = self.folder(path.parent().unwrap_or(Path::new("")))?;
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(folder.0.as_fd(), name, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a plain file")) }
    }

    /// The open folder, for whoever goes through it in another way.
    ///
    /// # Errors
    /// This process has too many files open.
    pub fn try_clone(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Names of what is in the folder, in order of their bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut open = Dir::openat(self.0.as_fd(), ".", flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in open.iter() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Facts about an entry of the folder.
    ///
    /// # Errors
    /// It is gone.
    pub fn facts(&self, name: &OsStr) -> io::Result<EntryFacts> {
        let stat = fstatat(self.0.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(EntryFacts {
            kind: kind(&stat),
            mode: stat.st_mode & 0o7777,
            size: stat.st_size,
            modified_nanoseconds: stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec),
        })
    }

    /// Where a link of the folder leads.
    ///
    /// # Errors
    /// It is gone, or no link.
    pub fn link(&self, name: &OsStr) -> io::Result<OsString> {
        Ok(readlinkat(self.0.as_fd(), name)?)
    }
}

fn kind(stat: &FileStat) -> EntryKind {
    let format = stat.st_mode & SFlag::S_IFMT.bits();
    if format == SFlag::S_IFDIR.bits() {
        EntryKind::Folder
    } else if format == SFlag::S_IFREG.bits() {
        EntryKind::File
    } else if format == SFlag::S_IFLNK.bits() {
        EntryKind::Link
    } else {
        EntryKind::Other
    }
}

fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let name = |part| match part {
        Component::Normal(name) => Some(Ok(name)),
        Component::CurDir => None,
        Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
            Some(Err(io::Error::other("the path leads out of the workspace")))
        }
    };
    path.components().filter_map(name).collect()
}
