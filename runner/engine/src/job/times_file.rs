//! When the bytes of a log came: a file beside the log with a mark wherever at least [`MARK_MS`] went by since the last
//! one. The log itself stays what the step wrote.
//!
//! A log that is made anew after a crash has the same bytes: what was known of them stays, and new marks begin behind them.
//! A mark is 16 bytes, the place in the log and milliseconds since 1970, both with the lowest byte first.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Least time between two marks.
const MARK_MS: i64 = 100;
const MARK_BYTES: u64 = 16;
/// Most marks that are given at once.
const MARKS_MAX: u64 = 1 << 20;

fn times_path(log: &Path) -> PathBuf {
    log.with_extension("times")
}

/// The marks of a log that grows.
#[derive(Debug)]
pub(super) struct TimesFile {
    path: PathBuf,
    file: Option<File>,
    /// Bytes of the log whose times are known.
    known: u64,
    last_ms: i64,
}

impl TimesFile {
    /// That of a log of which so many bytes were there before and are there again, or will be.
    pub(super) fn open(log: &Path, known: u64) -> Self {
        let path = times_path(log);
        let mut file = File::options().read(true).write(true).open(&path).ok();
        if let Some(file) = &mut file {
            let kept = place_of(file, known).unwrap_or(0) * MARK_BYTES;
            let cut = file.set_len(kept).and_then(|()| file.seek(SeekFrom::Start(kept)));
            if let Err(error) = cut {
                tracing::warn!(path = %path.display(), %error, "the times of this log may be wrong");
            }
        }
        Self { path, file, known, last_ms: 0 }
    }

    /// Bytes of the log came now.
    pub(super) fn came(&mut self, from: u64, to: u64) {
        let now = Timestamp::now().as_millisecond();
        if to <= self.known || now.saturating_sub(self.last_ms) < MARK_MS {
            return;
        }
        let from = from.max(self.known);
        let mut mark = from.to_le_bytes().to_vec();
        mark.extend(now.to_le_bytes());
        // Without times a log is still a log.
        if self.file.is_none() {
            self.file = File::create(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return };
        if file.write_all(&mark).is_ok() {
            self.last_ms = now;
        }
    }
}

/// When the bytes of a log from one place to another came: places and milliseconds since 1970, in order. The first may lie
/// before `from`. Nothing where nothing is known. It blocks.
///
/// # Errors
/// The file cannot be read.
pub fn log_times(log: &Path, from: u64, to: u64) -> std::io::Result<Vec<(u64, i64)>> {
    let mut file = match File::open(times_path(log)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let begin = place_of(&mut file, from.saturating_add(1))?.saturating_sub(1);
    let end = place_of(&mut file, to)?.clamp(begin, begin + MARKS_MAX);
    file.seek(SeekFrom::Start(begin * MARK_BYTES))?;
    let mut bytes = Vec::new();
    file.take((end - begin) * MARK_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes.chunks_exact(16).map(read).collect())
}

/// How many marks lie before a place of the log.
fn place_of(file: &mut File, at: u64) -> std::io::Result<u64> {
    let (mut low, mut high) = (0, file.metadata()?.len() / MARK_BYTES);
    while low < high {
        let middle = low.midpoint(high);
        let mut mark = [0; 16];
        file.seek(SeekFrom::Start(middle * MARK_BYTES))?;
        file.read_exact(&mut mark)?;
        if read(&mark).0 < at {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn read(mark: &[u8]) -> (u64, i64) {
    let number = |range: std::ops::Range<usize>| mark[range].try_into().map_or(0, u64::from_le_bytes);
    (number(0..8), number(8..16).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(log: &Path, marks: &[(u64, i64)]) {
        let bytes: Vec<u8> =
            marks.iter().flat_map(|(at, ms)| [at.to_le_bytes(), ms.cast_unsigned().to_le_bytes()].concat()).collect();
        std::fs::write(times_path(log), bytes).unwrap();
    }

    #[test]
    fn any_part_has_its_times() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0000.log");
        assert_eq!(log_times(&log, 0, 100).unwrap(), []);
        let all = [(0, 10), (5, 20), (9, 30), (40, 40)];
        marks(&log, &all);
        for (from, to, expected) in
            [(0, 100, &all[..]), (0, 5, &all[..1]), (5, 6, &all[1..2]), (7, 41, &all[1..]), (50, 60, &all[3..])]
        {
            assert_eq!(log_times(&log, from, to).unwrap(), expected, "{from}..{to}");
        }
    }

    #[test]
    fn what_is_made_anew_keeps_its_times() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0000.log");
        marks(&log, &[(0, 10), (5, 20), (9, 30)]);
        let mut times = TimesFile::open(&log, 8);
        times.came(0, 6);
        assert_eq!(log_times(&log, 0, 100).unwrap(), [(0, 10), (5, 20)]);
        times.came(6, 12);
        // So soon afterwards there is none.
        times.came(12, 15);
        let marks = log_times(&log, 0, 100).unwrap();
        assert_eq!((marks.len(), marks[2].0), (3, 8));
        assert!(marks[2].1 > 1_000_000);
        let mut anew = TimesFile::open(&log, 0);
        assert_eq!(log_times(&log, 0, 100).unwrap(), []);
        anew.came(0, 3);
        assert_eq!(log_times(&log, 0, 100).unwrap().len(), 1);
    }
}
