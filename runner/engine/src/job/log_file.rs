//! The stored log of a step: where it lies, and its bytes as they were shown, up to a limit.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use workflow::run::{JobRunKey, StepIndex};

/// How much of one step's output is stored where no other limit is set: 1 GiB.
pub(crate) const LOG_BYTES_MAX: u64 = 1 << 30;

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
    let job = key.to_string().replace('/', ".");
    let file = step.map_or_else(|| "job.log".to_owned(), |step| format!("{:04}.log", step.0));
    folder.join(job).join(file)
}

/// A file that stops growing at a limit, and says so in its last line.
#[derive(Debug)]
pub(super) struct LogFile {
    file: Option<File>,
    pub(super) written: u64,
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
            .ok();
        let written = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |facts| facts.len());
        Self { file, written, dropped: 0, bytes_max }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.bytes_max.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let (kept, over) = bytes.split_at(room.min(bytes.len()));
        self.dropped += over.len() as u64;
        self.put(kept);
    }

    fn put(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        match file.write_all(bytes) {
            Ok(()) => self.written += bytes.len() as u64,
            Err(error) => {
                tracing::warn!(%error, "the log is stored no further");
                self.file = None;
            }
        }
    }

    pub(super) fn finish(&mut self) {
        if self.dropped > 0 {
            let note =
                format!("\n##[warning]{} more bytes were not stored: the limit is {}\n", self.dropped, self.bytes_max);
            self.put(note.as_bytes());
        }
    }
}
