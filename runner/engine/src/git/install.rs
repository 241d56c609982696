//! Moving a finished folder into a workspace that a job can write to at the same time.
//!
//! A job is root in its container and may put links anywhere below its workspace, which this machine would follow. So all
//! files are made in a folder that no job sees, and only moved: every step on the way is taken from an open folder to one
//! name in it, and no link is ever followed. Moving is also all-or-nothing for each folder, and quick.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};

use super::GitError;

/// How many folders above the workspace belong to the job and are entered without following links:
/// `<repository>/<repository>`.
const OWN_FOLDERS: usize = 2;

/// Moves what is in `stage` to `below` in `workspace`. With `clean`, whatever was there goes to `trash` first; without,
/// folders are merged and files replaced.
///
/// `stage` and `trash` are on the file system of `workspace` and out of the job's sight.
///
/// # Errors
/// Something in the way cannot be moved, or a link stands where a folder should be.
pub fn install(stage: &Path, trash: &Path, workspace: &Path, below: &Path, clean: bool) -> Result<(), GitError> {
    let failed = |error: io::Error| GitError::file("write to the workspace", &workspace.join(below))(error);
    let target = open_below(workspace, below).map_err(failed)?;
    let trash = Trash { folder: File::open(trash).map_err(failed)?.into(), count: AtomicU64::new(0) };
    if clean {
        for name in names(target.as_fd()).map_err(failed)? {
            trash.take(target.as_fd(), &name).map_err(failed)?;
        }
    }
    let stage: OwnedFd = File::open(stage).map_err(failed)?.into();
    merge(stage.as_fd(), target.as_fd(), &trash).map_err(failed)
}

struct Trash {
    folder: OwnedFd,
    count: AtomicU64,
}

impl Trash {
    fn take(&self, from: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        match renameat(from, name, &self.folder, number.as_str()) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Folders are merged to the depth at which one of the two lacks them, which in a fresh workspace is the first.
fn merge(stage: BorrowedFd<'_>, target: BorrowedFd<'_>, trash: &Trash) -> io::Result<()> {
    for name in names(stage)? {
        let both = (open_folder(stage, &name), open_folder(target, &name));
        if let (Ok(stage), Ok(target)) = &both {
            merge(stage.as_fd(), target.as_fd(), trash)?;
            continue;
        }
        trash.take(target, &name)?;
        renameat(stage, name.as_os_str(), target, name.as_os_str())?;
    }
    Ok(())
}

fn names(folder: BorrowedFd<'_>) -> io::Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut open = Dir::openat(folder, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in open.iter() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn open_folder(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// Opens `workspace`/`below`, making what is missing. The folders of the job itself are entered one by one.
pub(crate) fn open_below(workspace: &Path, below: &Path) -> io::Result<OwnedFd> {
    let own: Vec<&OsStr> = workspace.ancestors().take(OWN_FOLDERS).filter_map(Path::file_name).collect();
    let base = workspace.ancestors().nth(own.len()).unwrap_or(workspace);
    let mut folder: OwnedFd = File::open(base)?.into();
    let below = below.components().map(|part| match part {
        Component::Normal(name) => Ok(name),
        Component::CurDir | Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
            Err(io::Error::other("the path leads out of the workspace"))
        }
    });
    for name in own.into_iter().rev().map(Ok).chain(below) {
        let name = name?;
        match mkdirat(&folder, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        folder = open_folder(folder.as_fd(), name)?;
    }
    Ok(folder)
}

/// Whether two paths are the same folder.
pub(crate) fn is_same_folder(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (Ok(_) | Err(_), _) => false,
    }
}
