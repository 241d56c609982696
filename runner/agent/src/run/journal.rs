//! The agent's own diagnostics: a file beside the spool, since stdout may carry frames.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

/// Bytes after which the journal is silent: it must not fill a disk.
const JOURNAL_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Journal {
    file: Option<File>,
    started: Instant,
    written: usize,
}

impl Journal {
    /// Without a directory, or where it cannot be written, what is noted is lost.
    pub(crate) fn open(directory: Option<&Path>) -> Self {
        let open =
            |directory: &Path| OpenOptions::new().create(true).append(true).open(directory.join("agent.log")).ok();
        Self { file: directory.and_then(open), started: Instant::now(), written: 0 }
    }

    pub(crate) fn note(&mut self, text: &str) {
        let Some(file) = &mut self.file else { return };
        if self.written > JOURNAL_BYTES_MAX {
            return;
        }
        let line = format!("{:>10.3} {text}\n", self.started.elapsed().as_secs_f64());
        self.written += line.len();
        // A journal that cannot be written is no reason to stop.
        drop(file.write_all(line.as_bytes()));
    }
}
