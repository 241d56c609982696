//! Copying many files at once into a folder that nobody else can see.
//!
//! Links are copied as links and never followed. Never hard links: a job runs as root in its container and could write
//! through them into the files of this machine.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::OFlag;
use nix::unistd::Whence;

use super::GitError;
use super::files::{FileKind, SnapshotFile, on_disk};

/// Files below which threads cost more than they bring.
const FILES_FOR_THREADS_MIN: usize = 64;
/// Threads that copy.
const THREADS_MAX: usize = 8;
/// Depth of folders that are copied where there is no git to list them.
const FOLDER_DEPTH_MAX: usize = 128;
/// Files up to this size are read and written whole: one system call each, and no set-up of a transfer.
const WHOLE_BYTES_MAX: u64 = 64 * 1024;

/// What to copy.
#[derive(Debug)]
pub struct CopyJob<'a> {
    /// The folder that the paths start at.
    pub from: &'a Path,
    /// A new folder.
    pub to: &'a Path,
    /// The files.
    pub files: &'a [SnapshotFile],
    /// Set by somebody else when it should stop.
    pub stop: &'a AtomicBool,
}

/// Copies files. A file that has vanished meanwhile is left out, as one deleted a moment earlier would be.
///
/// # Errors
/// A file cannot be read or written; the first that failed is named.
pub fn copy_files(job: &CopyJob<'_>) -> Result<(), GitError> {
    let mut folders = BTreeSet::new();
    for file in job.files {
        let folder = if file.kind == FileKind::Submodule { Some(file.path.as_path()) } else { file.path.parent() };
        if let Some(folder) = folder
            && !folders.contains(folder)
        {
            folders.extend(folder.ancestors().map(Path::to_path_buf));
        }
    }
    for folder in &folders {
        let path = job.to.join(folder);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(GitError::file("create", &path)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    in_parallel(job.files, job.stop, |file| {
        if file.kind == FileKind::Submodule {
            return Ok(());
        }
        let (from, to) = (job.from.join(&file.path), job.to.join(&file.path));
        match copy_one(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && on_disk(&from).is_none() => Ok(()),
            other => other.map_err(GitError::file("copy", &from)),
        }
    })
}

/// Calls `work` for each item, on several threads where there are many.
pub(super) fn in_parallel<T: Sync>(
    items: &[T],
    stop: &AtomicBool,
    work: impl Fn(&T) -> Result<(), GitError> + Sync,
) -> Result<(), GitError> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<GitError>> = Mutex::new(None);
    let loops = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = work(item) {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                next.store(items.len(), Ordering::Relaxed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(THREADS_MAX);
    if items.len() < FILES_FOR_THREADS_MIN || threads == 1 {
        loops();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(loops);
            }
        });
    }
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Copies one file or link; what is at `to` is never followed nor overwritten.
pub(super) fn copy_one(from: &Path, to: &Path) -> io::Result<()> {
    let source = OpenOptions::new().read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(from);
    let mut source = match source {
        Ok(source) => source,
        // O_NOFOLLOW refuses links this way.
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            return std::os::unix::fs::symlink(fs::read_link(from)?, to);
        }
        Err(error) => return Err(error),
    };
    let facts = source.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::other("it is neither a plain file nor a link"));
    }
    // What git keeps of permissions is one bit; the rest is what a checkout with the usual umask would give.
    let mode = if facts.mode() & 0o100 != 0 { 0o755 } else { 0o644 };
    let mut target = OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
    target.set_permissions(Permissions::from_mode(mode))?;
    if facts.len() <= WHOLE_BYTES_MAX {
        let mut content = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or_default());
        source.read_to_end(&mut content)?;
        target.write_all_at(&content, 0)?;
    } else if facts.blocks().saturating_mul(512) < facts.len() {
        copy_sparse(&source, &target, facts.len())?;
    } else {
        // The standard library copies within the kernel where it can, which shares the blocks on file systems that can.
        io::copy(&mut source, &mut target)?;
    }
    // Tools that compare times see no change where there is none, and git's index may trust them.
    facts.modified().map_or(Ok(()), |time| target.set_modified(time))
}

/// Copies a file's data and leaves its holes.
fn copy_sparse(source: &File, target: &File, length: u64) -> io::Result<()> {
    target.set_len(length)?;
    let mut buffer = vec![0; 1 << 20];
    let mut position = 0;
    while position < length {
        let from = i64::try_from(position).map_err(io::Error::other)?;
        let start = match nix::unistd::lseek(source, from, Whence::SeekData) {
            Ok(start) => u64::try_from(start).map_err(io::Error::other)?,
            // No data after this place.
            Err(nix::errno::Errno::ENXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = nix::unistd::lseek(source, i64::try_from(start).map_err(io::Error::other)?, Whence::SeekHole)?;
        let end = u64::try_from(end).map_err(io::Error::other)?;
        position = start;
        while position < end {
            let room = usize::try_from(end - position).unwrap_or(usize::MAX).min(buffer.len());
            let read = source.read_at(&mut buffer[..room], position)?;
            if read == 0 {
                return Ok(());
            }
            target.write_all_at(&buffer[..read], position)?;
            position += read as u64;
        }
    }
    Ok(())
}

/// Every file below a folder that is not a repository. `without` is left out, for the case that the workspace lies in the
/// folder itself.
///
/// # Errors
/// A folder cannot be read, or folders are nested too deeply.
pub fn folder_files(folder: &Path, without: &Path) -> Result<Vec<SnapshotFile>, GitError> {
    let mut files = Vec::new();
    let mut open: Vec<(PathBuf, usize)> = vec![(PathBuf::new(), 0)];
    while let Some((below, depth)) = open.pop() {
        let path = folder.join(&below);
        if depth > FOLDER_DEPTH_MAX {
            return Err(GitError::file("read", &path)(io::Error::other("folders are nested too deeply")));
        }
        for entry in fs::read_dir(&path).map_err(GitError::file("read", &path))? {
            let entry = entry.map_err(GitError::file("read", &path))?;
            let path = entry.path();
            let name = below.join(entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if path == without {
                continue;
            }
            if is_folder {
                open.push((name, depth + 1));
            } else if let Some(kind) = on_disk(&path) {
                files.push(SnapshotFile { path: name, kind, id: None });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
