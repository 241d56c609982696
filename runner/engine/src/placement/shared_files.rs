//! Files that this machine and a job share, reached without leaving the shared folders.
//!
//! A job may put links anywhere in its folders; what one of them points to on *this* machine is none of its business. The
//! kernel resolves every path below the folder (`openat2`, `RESOLVE_BENEATH`); what it refuses is left to the agent, who
//! sees what the job sees.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

use super::{Mount, RunDirectory};

/// The folders of one job.
#[derive(Debug, Clone)]
pub(crate) struct SharedFiles {
    /// Path in the job, path on this machine; the deepest first.
    folders: Vec<(String, PathBuf)>,
}

/// Why a file was not reached here.
#[derive(Debug)]
pub(crate) enum Unreached {
    /// The agent may reach it.
    AskAgent,
    /// Nobody does.
    Failed(String),
}

impl SharedFiles {
    pub(crate) fn new(mounts: &[Mount], run_directory: &RunDirectory) -> Self {
        let mut folders: Vec<_> = mounts
            .iter()
            .filter(|mount| !mount.read_only)
            .map(|mount| (mount.inside.clone(), mount.host.clone()))
            .collect();
        folders.push((run_directory.inside.clone(), run_directory.host.clone()));
        folders.sort_by_key(|(inside, _)| std::cmp::Reverse(inside.len()));
        Self { folders }
    }

    fn find<'a>(&self, path: &'a str) -> Option<(&Path, &'a Path)> {
        let path = Path::new(path);
        let (inside, host) = self.folders.iter().find(|(inside, _)| path.starts_with(inside))?;
        Some((host, path.strip_prefix(inside).ok().filter(|rest| !rest.as_os_str().is_empty())?))
    }

    /// A file of at most `bytes_max`; `None`: there is none.
    pub(crate) fn read(&self, path: &str, bytes_max: u64) -> Result<Option<Bytes>, Unreached> {
        let (folder, rest) = self.find(path).ok_or(Unreached::AskAgent)?;
        // Not to hang on a named pipe that nobody writes to.
        let file = match open(folder, rest, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(None),
            Err(_) => return Err(Unreached::AskAgent),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Unreached::Failed("not a regular file".to_owned()));
        }
        if metadata.len() > bytes_max {
            return Err(Unreached::Failed(format!("it has {} bytes, where {bytes_max} are allowed", metadata.len())));
        }
        let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        // It may grow while it is read.
        file.take(bytes_max).read_to_end(&mut content).map_err(failed)?;
        Ok(Some(Bytes::from(content)))
    }

    /// Writes a whole file in a folder that exists.
    pub(crate) fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<(), Unreached> {
        let (folder, rest) = self.find(path).ok_or(Unreached::AskAgent)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NONBLOCK;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(Mode::from_bits_truncate(mode));
        let folder = File::open(folder).map_err(failed)?;
        let file = openat2(&folder, rest, how.resolve(BENEATH)).map_err(|_| Unreached::AskAgent)?;
        let mut file = File::from(file);
        file.write_all(content).map_err(failed)
    }
}

const BENEATH: ResolveFlag = ResolveFlag::RESOLVE_BENEATH.union(ResolveFlag::RESOLVE_NO_MAGICLINKS);

fn open(folder: &Path, rest: &Path, flags: OFlag) -> Result<File, Errno> {
    let folder = File::open(folder).map_err(|_| Errno::EACCES)?;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(BENEATH);
    let descriptor: OwnedFd = openat2(&folder, rest, how)?;
    Ok(File::from(descriptor))
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failed(error: std::io::Error) -> Unreached {
    Unreached::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_below() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("sub/file"), "content").unwrap();
        std::os::unix::fs::symlink("sub/file", folder.path().join("inner")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("outer")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("away")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("fifo"), Mode::S_IRWXU).unwrap();
        let run = RunDirectory { host: folder.path().to_owned(), inside: "/run".into() };
        let files = SharedFiles::new(&[], &run);
        let read = |path: &str| match files.read(path, 100) {
            Ok(Some(content)) => String::from_utf8(content.to_vec()).unwrap(),
            Ok(None) => "none".to_owned(),
            Err(Unreached::AskAgent) => "agent".to_owned(),
            Err(Unreached::Failed(reason)) => reason,
        };
        assert_eq!(read("/run/sub/file"), "content");
        assert_eq!(read("/run/inner"), "content");
        assert_eq!(read("/run/gone"), "none");
        assert_eq!(read("/run/outer"), "agent");
        assert_eq!(read("/run/away/secret"), "agent");
        assert_eq!(read("/run/../x"), "agent");
        assert_eq!(read("/runx"), "agent");
        assert_eq!(read("/run/fifo"), "not a regular file");
        assert_eq!(read("/run/sub"), "not a regular file");
        assert!(matches!(files.read("/run/inner", 3), Err(Unreached::Failed(reason)) if reason.contains("7 bytes")));
        assert!(files.write("/run/new", b"1", 0o600).is_ok());
        assert!(matches!(files.write("/run/outer", b"1", 0o600), Err(Unreached::AskAgent)));
        assert!(matches!(files.write("/run/away/secret", b"1", 0o600), Err(Unreached::AskAgent)));
        assert_eq!(std::fs::read_to_string(outside.path().join("secret")).unwrap(), "x");
    }
}
