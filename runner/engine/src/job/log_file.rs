//! The stored log of a step: where it lies, and its bytes as they were shown, up to a limit.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use workflow::run::{JobRunKey, StepIndex};

/// How much of one step's output is stored where no other limit is set: 1 GiB.
pub(crate) const LOG_BYTES_MAX: u64 = 1 << 30;

/// So much is sent to the disk at once.
const SEND_BYTES: u64 = 32 * 1024 * 1024;

/// Where a log belongs.
#[derive(Debug, Clone)]
pub(crate) struct LogPlace {
    pub(crate) key: JobRunKey,
    pub(crate) step: Option<StepIndex>,
    /// Folder of the run's logs.
    pub(crate) folder: PathBuf,
    pub(crate) bytes_max: u64,
}

/// The file of a step's log, below the folder of a run's logs.
#[must_use]
pub fn log_path(folder: &Path, key: &JobRunKey, step: Option<StepIndex>) -> PathBuf {
    let file = step.map_or_else(|| "job.log".to_owned(), |step| format!("{:04}.log", step.0));
    log_folder(folder, key).join(file)
}

/// The folder of all that a job run wrote.
pub(crate) fn log_folder(folder: &Path, key: &JobRunKey) -> PathBuf {
    folder.join(key.to_string().replace('/', "."))
}

/// A file that stops growing at a limit, and says so in its last line.
///
/// What a step prints is sent to the disk as it comes, so that a gigabyte of it is not there at the end of the job, when
/// the container's file system is unmounted: that waits for all that is not on the disk yet, whoever wrote it.
#[derive(Debug)]
pub(super) struct LogFile {
    file: Option<Arc<File>>,
    pub(super) written: u64,
    sent: u64,
    sending: Option<JoinHandle<()>>,
    dropped: u64,
    bytes_max: u64,
}

impl LogFile {
    /// Keeps the first `keep` bytes of a file that is there.
    pub(super) fn open(path: &Path, bytes_max: u64, keep: u64) -> Self {
        let open = || {
            let mut file = File::options().write(true).create(true).truncate(keep == 0).open(path)?;
            if keep > 0 {
                file.set_len(keep.min(file.metadata()?.len()))?;
                file.seek(SeekFrom::End(0))?;
            }
            Ok(file)
        };
        let file = open()
            .or_else(|error: std::io::Error| match (error.kind(), path.parent()) {
                (std::io::ErrorKind::NotFound, Some(folder)) => std::fs::create_dir_all(folder).and_then(|()| open()),
                _ => Err(error),
            })
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "this log cannot be stored"))
            .ok()
            .map(Arc::new);
        let written = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |facts| facts.len());
        Self { file, written, sent: written, sending: None, dropped: 0, bytes_max }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.bytes_max.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let (kept, over) = bytes.split_at(room.min(bytes.len()));
        self.dropped += over.len() as u64;
        self.put(kept);
    }

    fn put(&mut self, bytes: &[u8]) {
        let Some(file) = &self.file else { return };
        match (&**file).write_all(bytes) {
            Ok(()) => {
                self.written += bytes.len() as u64;
                if self.written - self.sent >= SEND_BYTES {
                    self.send();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the log is stored no further");
                self.file = None;
            }
        }
    }

    /// Begins to write to the disk what is not there, without waiting for it.
    fn send(&mut self) {
        let (Some(file), Ok(runtime)) = (&self.file, Handle::try_current()) else { return };
        if self.sending.as_ref().is_some_and(|sending| !sending.is_finished()) {
            return;
        }
        let (file, from, until) = (Arc::clone(file), self.sent, self.written);
        self.sent = until;
        self.sending = Some(runtime.spawn_blocking(move || {
            // The advice for what is not on the disk yet is to send it there; see `man 2 posix_fadvise`.
            let (from, length) = (i64::try_from(from), i64::try_from(until - from));
            if let (Ok(from), Ok(length)) = (from, length) {
                let _only_advice = posix_fadvise(&*file, from, length, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
            }
        }));
    }

    pub(super) fn finish(&mut self) {
        if self.dropped > 0 {
            let note =
                format!("\n##[warning]{} more bytes were not stored: the limit is {}\n", self.dropped, self.bytes_max);
            self.put(note.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_log_goes_to_the_disk_as_it_comes_and_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0000.log");
        let piece = b"0123456789abcdef".repeat(64 * 1024);
        let mut log = LogFile::open(&path, LOG_BYTES_MAX, 0);
        for written in 1..=70 {
            log.write(&piece);
            if let Some(sending) = log.sending.take_if(|_| written % 32 == 0) {
                sending.await.unwrap();
            }
        }
        assert_eq!((log.written, log.sent), (70 << 20, 64 << 20));
        log.finish();
        let stored = std::fs::read(&path).unwrap();
        assert!(stored.len() == 70 << 20 && stored.chunks(piece.len()).all(|stored| stored == piece));
    }
}
