//! What the agent tells its client.
//!
//! Plain data; the rules of the conversation are in the head of [`super`].

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ExecId, Ticket};

/// From agent to client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The answer to the client's Hello.
    Hello(AgentHello),
    /// The exec's program runs, or ran (also the answer to Resume).
    Started {
        /// Which exec.
        id: ExecId,
        /// Its main process, as seen inside the container; 0 for one that could not start.
        pid: i32,
    },
    /// Bytes of stdout and stderr in the order in which they were written.
    #[serde(skip)]
    Output {
        /// Which exec.
        id: ExecId,
        /// Where `bytes` begins, counted from the start of the exec's output.
        offset: u64,
        /// 1 to [`super::OUTPUT_BYTES_MAX`] bytes, not cut at lines or characters.
        bytes: Bytes,
    },
    /// The exec ended and all its output was sent. Kept and sent again on later connections until `AckExit`.
    Exited {
        /// Which exec.
        id: ExecId,
        /// How it ended and what it used.
        report: ExitReport,
        /// Length of its whole output in bytes.
        output_bytes: u64,
    },
    /// The answer to List, ordered by id.
    Execs {
        /// All execs whose exit is not acknowledged.
        execs: Vec<ExecState>,
    },
    /// A WriteFile, Remove or MkdirAll is done.
    Done {
        /// The request's.
        ticket: Ticket,
    },
    /// A piece of a file.
    File {
        /// The request's.
        ticket: Ticket,
        /// Permission bits.
        mode: u32,
        /// Length of the whole file in bytes.
        size: u64,
        /// The bytes from the request's offset on; fewer than asked for only at the end of the file or at the bound.
        #[serde(skip)]
        bytes: Bytes,
    },
    /// A request was not carried out.
    Failed {
        /// Which one.
        about: Subject,
        /// A lower-case fragment that fits after "failed to …: ".
        reason: String,
    },
    /// The last event before the agent exits.
    Stopped {
        /// Processes that steps had left behind, now ended.
        orphans: Vec<Orphan>,
    },
}

/// Who is speaking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentHello {
    /// The agent's [`super::PROTOCOL_VERSION`].
    pub version: u8,
    /// The agent's process id; 1 in a container.
    pub pid: i32,
    /// Of the container.
    pub hostname: String,
    /// Drawn at the agent's start: another one means that the execs of before are lost.
    pub boot_id: String,
    /// As in Rust's `std::env::consts::OS`.
    pub os: String,
    /// As in Rust's `std::env::consts::ARCH`.
    pub arch: String,
    /// The user as whom steps run unless they name one.
    pub uid: u32,
}

/// One line of the answer to List.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecState {
    /// Which exec.
    pub id: ExecId,
    /// Its main process; 0 for one that could not start.
    pub pid: i32,
    /// Does it still run?
    pub progress: ExecProgress,
    /// Bytes of output so far.
    pub output_bytes: u64,
    /// The first byte that Resume can still give.
    pub acked_bytes: u64,
}

/// Where an exec is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecProgress {
    /// Its main process lives, or its last output is still being read.
    Running,
    /// It ended.
    Exited(ExitReport),
}

/// How an exec ended and what it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitReport {
    /// Why it ended.
    pub cause: Cause,
    /// Processes that the kernel killed for want of memory in the container while this exec ran. Above zero with
    /// `Cause::Exited` and code 0: the step hid it.
    #[serde(default)]
    pub oom_kills: u64,
    /// CPU time in user mode, milliseconds, of the main process and the children that it waited for.
    pub user_ms: u64,
    /// CPU time in the kernel, likewise.
    pub system_ms: u64,
    /// The largest resident set among those processes, KiB.
    pub max_rss_kib: u64,
    /// From start to exit of the main process, milliseconds.
    pub wall_ms: u64,
}

/// Why an exec ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that the agent did not send for a Cancel or a timeout.
    Signalled(i32),
    /// By the ladder, at its `timeout_ms`.
    TimedOut(Ending),
    /// By the ladder, at the client's Cancel or Shutdown.
    Cancelled(Ending),
    /// It failed and the kernel had killed for want of memory meanwhile.
    OutOfMemory(Ending),
    /// It never ran; the reason, a lower-case fragment.
    StartFailed(String),
}

/// How the main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It exited with this code.
    Code(i32),
    /// It was killed by this signal.
    Signal(i32),
}

impl Ending {
    /// The code as shells give it: 128 + n for signal n.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl Cause {
    /// The code as shells give it: 128 + n for signal n, 127 for what could not start.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Exited(code) => *code,
            Self::Signalled(signal) => 128 + signal,
            Self::TimedOut(ending) | Self::Cancelled(ending) | Self::OutOfMemory(ending) => ending.code(),
            Self::StartFailed(_) => 127,
        }
    }
}

/// What a `Failed` is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The Hello; the agent closes the connection.
    Hello,
    /// A request on this exec.
    Exec(ExecId),
    /// A file request.
    File(Ticket),
    /// A frame that could not be read.
    Frame,
}

/// A process that a step left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// As seen inside the container.
    pub pid: i32,
    /// The kernel's short name of it.
    pub command: String,
}
