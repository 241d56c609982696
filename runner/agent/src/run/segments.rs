//! Files for output that memory does not hold. A file goes as soon as no piece in it is needed.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, remove_file};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use agent::protocol::ExecId;

/// A file takes no further piece once it is so long.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// Where a piece lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    segment: u64,
    position: u64,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    path: PathBuf,
    file: File,
    bytes: u64,
    pieces: u64,
}

/// The files of one exec, oldest first.
#[derive(Debug)]
pub(crate) struct Segments {
    directory: PathBuf,
    id: ExecId,
    next: u64,
    segments: VecDeque<Segment>,
}

impl Segments {
    pub(crate) fn new(directory: PathBuf, id: ExecId) -> Self {
        Self { directory, id, next: 0, segments: VecDeque::new() }
    }

    /// Writes a piece. After an error nothing of it counts.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Spot> {
        let full = self.segments.back().is_none_or(|last| last.bytes >= SEGMENT_BYTES);
        if full {
            let number = self.next;
            let path = self.directory.join(format!("exec-{}-{number}.out", self.id));
            let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).mode(0o600).open(&path)?;
            self.segments.push_back(Segment { number, path, file, bytes: 0, pieces: 0 });
            self.next += 1;
        }
        let last = self.segments.back_mut().expect("there is one, or one was just made");
        last.file.write_all_at(bytes, last.bytes)?;
        let spot = Spot { segment: last.number, position: last.bytes };
        last.bytes += bytes.len() as u64;
        last.pieces += 1;
        Ok(spot)
    }

    /// Fills `into` from `skip` bytes into the piece on.
    pub(crate) fn read(&self, spot: Spot, skip: u64, into: &mut [u8]) -> io::Result<()> {
        let segment = self.segments.iter().find(|segment| segment.number == spot.segment);
        let segment = segment.ok_or(io::ErrorKind::NotFound)?;
        segment.file.read_exact_at(into, spot.position + skip)
    }

    /// The piece is no longer needed.
    pub(crate) fn forget(&mut self, spot: Spot) {
        let Some(at) = self.segments.iter().position(|segment| segment.number == spot.segment) else { return };
        self.segments[at].pieces -= 1;
        if self.segments[at].pieces == 0
            && let Some(segment) = self.segments.remove(at)
        {
            // What stays behind goes with the directory.
            drop(remove_file(&segment.path));
        }
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        for segment in &self.segments {
            drop(remove_file(&segment.path));
        }
    }
}
