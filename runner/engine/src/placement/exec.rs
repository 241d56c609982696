//! Commands in a placed job: what is asked, what comes back.
//!
//! Not the frames that travel to the agent: those are crate `agent`, module `protocol`.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Names a command within one job. Chosen by the placement, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecId(pub u64);

/// A command to run.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// Program and arguments; a program without `/` is looked up on the PATH of `env`.
    pub argv: Vec<String>,
    /// The whole environment, unless `inherit_env`.
    pub env: Vec<(String, String)>,
    /// Whether `env` is laid over the environment of the container (or of `pipe`'s agent on the host).
    pub inherit_env: bool,
    /// Working directory, absolute, as the job sees it.
    pub cwd: String,
    /// Ended by `ladder` after this time.
    pub timeout: Option<Duration>,
    /// How it is ended on timeout.
    pub ladder: Ladder,
    /// Bytes that the agent keeps until they are delivered, at most.
    pub output_bytes_max: Option<u64>,
}

impl ExecRequest {
    /// A command with the environment of the container and no timeout.
    #[must_use]
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>, cwd: impl Into<String>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            inherit_env: true,
            cwd: cwd.into(),
            timeout: None,
            ladder: Ladder::default(),
            output_bytes_max: None,
        }
    }
}

/// How a command is ended. GitHub's runner waits 7.5 s after SIGINT and 2.5 s after SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// From SIGINT to SIGTERM.
    pub after_interrupt: Duration,
    /// From SIGTERM to SIGKILL.
    pub after_terminate: Duration,
}

impl Default for Ladder {
    fn default() -> Self {
        Self { after_interrupt: Duration::from_millis(7500), after_terminate: Duration::from_millis(2500) }
    }
}

impl Ladder {
    /// SIGKILL at once.
    pub const KILL: Self = Self { after_interrupt: Duration::ZERO, after_terminate: Duration::ZERO };
}

/// A command that was started.
#[derive(Debug)]
pub struct Exec {
    /// Its name.
    pub id: ExecId,
    /// What it does; ends after exactly one [`ExecEvent::Ended`]. Not reading holds the command back, once the agent's spool
    /// is full.
    pub events: mpsc::Receiver<ExecEvent>,
}

/// Something that a command did.
#[derive(Debug, Clone)]
pub enum ExecEvent {
    /// It wrote. Chunks of one stream come in order and without gaps, unless `offset` says otherwise.
    Output {
        /// Where to.
        stream: OutputStream,
        /// Position of the first byte in all that the command wrote to both streams.
        offset: u64,
        /// The bytes, cut anywhere.
        bytes: Bytes,
    },
    /// It is over; nothing follows.
    Ended(ExecOutcome),
}

/// Where a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// How a command ended. Success is `Exited` with code 0 and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecOutcome {
    /// It exited or was killed by a signal.
    Exited {
        /// Its code; 128 + signal where a signal ended it.
        code: i32,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Its time limit was reached.
        timed_out: bool,
        /// It was cancelled.
        cancelled: bool,
        /// The kernel killed one of its processes for lack of memory, even if the shell exited with 0.
        out_of_memory: bool,
        /// What it left running was killed.
        leftover_processes: u32,
        /// What it used.
        usage: Usage,
    },
    /// It could not be started.
    NotStarted {
        /// Why, as a lower-case fragment that names the program.
        reason: String,
    },
    /// Nobody knows: the agent is gone and left no exit code.
    Lost {
        /// What was seen of it.
        reason: String,
    },
}

impl ExecOutcome {
    /// Whether the command ended by itself with code 0.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Exited { code: 0, timed_out: false, cancelled: false, out_of_memory: false, .. })
    }
}

/// What a command and its descendants used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The largest resident set of any one process, in bytes.
    pub resident_bytes_max: u64,
}
