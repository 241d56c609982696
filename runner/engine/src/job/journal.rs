//! What a job run must remember, beside the run's log, so that another process can take it up: its place, and what its
//! steps left behind in clear. The log holds neither.
//!
//! One line of JSON each, in a file that only this user may read, removed once the end of the job is recorded. What steps
//! left may hold secrets, as their scripts and files do that lie beside it for just as long.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use workflow::run::{Conclusion, JobRunKey, StepIndex};

use super::placed::PlacedRecord;
use super::run::JobEnd;
use crate::step::StepEnd;

/// The journal of a job run: a file, open for writing; lines in memory, to be kept should the job fail; or none, where
/// nobody will take the job up.
#[derive(Debug, Default)]
pub(crate) struct Journal(Option<Mutex<Lines>>);

enum Lines {
    File(File),
    Memory(Vec<u8>),
}

impl std::fmt::Debug for Lines {
    /// Without what they hold.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::Memory(_) => "Memory",
        })
    }
}

/// One thing to remember.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// The job has its place.
    Placed(Box<PlacedRecord>),
    /// A step has ended. Written before its end is recorded.
    Ended { step: StepIndex, end: Box<StepEnd> },
    /// All steps have ended and are recorded; the place is about to be removed.
    Over(Box<JobEnd>),
    /// The step's output before byte `output` is in its log, which had `log` bytes then. `inner`: which of the steps of
    /// its action wrote it.
    Stored {
        step: StepIndex,
        #[serde(default)]
        inner: u32,
        output: u64,
        log: u64,
    },
    /// A step of an action has ended; the log of the job's step had `log` bytes then, and `met` steps of actions had been
    /// met.
    Inner { step: StepIndex, inner: u32, end: Box<StepEnd>, conclusion: Conclusion, log: u64, met: u32 },
    /// The container of an action's part is there, as its placement recorded it.
    Container { step: StepIndex, inner: u32, record: Box<serde_json::Value> },
    /// The file of an action that a step uses, as it was when the step began.
    Action { step: StepIndex, inner: u32, file: String, text: String },
}

/// How a step of an action ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InnerEnd {
    pub(crate) end: StepEnd,
    pub(crate) conclusion: Conclusion,
    /// Bytes of the log then.
    pub(crate) log: u64,
    /// How many steps of actions had been met.
    pub(crate) met: u32,
}

/// What is remembered of a step that had not ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Half {
    /// The last place in the output of one of its commands that was stored: which command, the place, the size of the log.
    pub(crate) stored: Option<(u32, u64, u64)>,
    /// Steps of its actions that have ended.
    pub(crate) inner: BTreeMap<u32, InnerEnd>,
    /// The files of its actions, by the step that uses them.
    pub(crate) actions: BTreeMap<u32, (String, String)>,
    /// Containers of its actions.
    pub(crate) containers: BTreeMap<u32, serde_json::Value>,
}

impl Half {
    /// How much of the step's log stays.
    pub(crate) fn kept(&self) -> u64 {
        let inner = self.inner.values().map(|end| end.log).max().unwrap_or(0);
        self.stored.map_or(0, |(.., log)| log).max(inner)
    }

    /// Whether steps of the action that the step of this number uses had begun to write.
    pub(crate) fn is_begun(&self, number: u32) -> bool {
        let stored = self.stored.map(|(inner, ..)| inner);
        self.inner.keys().copied().chain(stored).any(|inner| inner > number)
    }
}

/// What was remembered.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) placed: Option<PlacedRecord>,
    /// Ends of steps in their order.
    pub(crate) ends: Vec<(StepIndex, StepEnd)>,
    /// What is known of steps, whether they have ended or not.
    pub(crate) halves: BTreeMap<StepIndex, Half>,
    /// How the job ended.
    pub(crate) over: Option<JobEnd>,
}

impl Journal {
    /// The file of a job run below the folder of its run.
    pub(crate) fn path(folder: &Path, key: &JobRunKey) -> PathBuf {
        folder.join(format!("{}.jsonl", key.to_string().replace('/', ".")))
    }

    /// Opens it for appending; what another process wrote stays.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        if std::fs::read(path)?.last().is_some_and(|last| *last != b'\n') {
            // A process was killed in the middle of a line.
            file.write_all(b"\n")?;
        }
        Ok(Self(Some(Mutex::new(Lines::File(file)))))
    }

    /// One in memory that begins with these lines.
    pub(crate) fn in_memory(lines: String) -> Self {
        Self(Some(Mutex::new(Lines::Memory(lines.into_bytes()))))
    }

    /// What is in memory.
    pub(crate) fn text(&self) -> String {
        let lines = self.0.as_ref().map(|lines| lines.lock().unwrap_or_else(PoisonError::into_inner));
        match lines.as_deref() {
            Some(Lines::Memory(lines)) => String::from_utf8_lossy(lines).into_owned(),
            Some(Lines::File(_)) | None => String::new(),
        }
    }

    /// Whether anybody will read it; otherwise nothing need be made for it.
    pub(crate) const fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Adds an entry, made only where it is kept. One that cannot be written costs a job that is taken up, not one that
    /// goes on.
    pub(crate) fn write(&self, entry: impl FnOnce() -> Entry) {
        let Some(lines) = &self.0 else { return };
        let written = serde_json::to_vec(&entry()).map_err(io::Error::other).and_then(|mut line| {
            line.push(b'\n');
            match &mut *lines.lock().unwrap_or_else(PoisonError::into_inner) {
                Lines::File(file) => file.write_all(&line),
                Lines::Memory(lines) => {
                    lines.extend(line);
                    Ok(())
                }
            }
        });
        if let Err(error) = written {
            tracing::warn!(%error, "should this process be killed, this job cannot be taken up where it is");
        }
    }
}

impl Remembered {
    /// Reads what there is. A line that is not whole was never finished, and what it tells of had not been recorded.
    pub(crate) fn read(path: &Path) -> Self {
        Self::of(&std::fs::read(path).unwrap_or_default())
    }

    /// The same of what was read.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut this = Self::default();
        for line in bytes.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Entry::Placed(placed)) => this.placed = Some(*placed),
                Ok(Entry::Ended { step, end }) => this.ends.push((step, *end)),
                Ok(Entry::Stored { step, inner, output, log }) => {
                    this.halves.entry(step).or_default().stored = Some((inner, output, log));
                }
                Ok(Entry::Inner { step, inner, end, conclusion, log, met }) => {
                    let end = InnerEnd { end: *end, conclusion, log, met };
                    this.halves.entry(step).or_default().inner.insert(inner, end);
                }
                Ok(Entry::Action { step, inner, file, text }) => {
                    this.halves.entry(step).or_default().actions.insert(inner, (file, text));
                }
                Ok(Entry::Container { step, inner, record }) => {
                    this.halves.entry(step).or_default().containers.insert(inner, *record);
                }
                Ok(Entry::Over(end)) => this.over = Some(*end),
                Err(_torn) => {}
            }
        }
        this
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_written_whole_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path(folder.path(), &JobRunKey::parse("deploy/push(1)"));
        let end = |code| StepEnd { exit_code: Some(code), ..StepEnd::plain(Conclusion::Failure, None) };
        let journal = Journal::open(&path).unwrap();
        journal.write(|| Entry::Ended { step: StepIndex(0), end: Box::new(end(1)) });
        journal.write(|| Entry::Stored { step: StepIndex(1), inner: 0, output: 5, log: 9 });
        let torn = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&torn[..], b"{\"ended\":{\"step\":"].concat()).unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.write(|| Entry::Stored { step: StepIndex(1), inner: 0, output: 7, log: 11 });
        journal.write(|| Entry::Ended { step: StepIndex(2), end: Box::new(end(3)) });
        let remembered = Remembered::read(&path);
        assert_eq!(remembered.ends, [(StepIndex(0), end(1)), (StepIndex(2), end(3))]);
        assert_eq!(remembered.halves[&StepIndex(1)].stored, Some((0, 7, 11)));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Remembered::read(&folder.path().join("none")).placed.is_none());
    }
}
