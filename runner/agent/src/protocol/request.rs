//! What a client asks of the agent.
//!
//! Plain data; the rules of the conversation are in the head of [`super`].

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Names one exec for the life of the agent; chosen by the client, never used twice.
pub type ExecId = u64;

/// Pairs a file request with its answer; chosen by the client.
pub type Ticket = u64;

/// From client to agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The first message of a connection. Answer: [`super::Event::Hello`].
    Hello {
        /// The client's [`super::PROTOCOL_VERSION`].
        version: u8,
    },
    /// Runs a program. Answer: `Started`, then `Output`, then `Exited` (only `Exited` where it cannot start).
    Start(ExecRequest),
    /// Ends an exec with the ladder; it is then reported as cancelled. An exec that has already exited is left as it is.
    Cancel {
        /// Which exec.
        id: ExecId,
        /// The ladder to use in place of the exec's own.
        #[serde(default)]
        ladder: Option<Ladder>,
    },
    /// Sends one signal to the exec's process group.
    Signal {
        /// Which exec.
        id: ExecId,
        /// The signal's number on Linux.
        signal: i32,
    },
    /// Bytes before `offset` are stored by the client and may be forgotten.
    AckOutput {
        /// Which exec.
        id: ExecId,
        /// Bytes from the start of the exec's output.
        offset: u64,
    },
    /// The exit is stored by the client: forget the exec and what is left of its output.
    AckExit {
        /// Which exec.
        id: ExecId,
    },
    /// Sends the exec's output from `offset` on this connection, then its exit. Answer: `Started`, then as for Start.
    Resume {
        /// Which exec.
        id: ExecId,
        /// Bytes from the start of the exec's output; not before what was acknowledged.
        offset: u64,
    },
    /// Which execs are there? Answer: [`super::Event::Execs`].
    List,
    /// Writes a file whole, or appends to it. Answer: `Done`.
    WriteFile {
        /// Pairs the answer.
        ticket: Ticket,
        /// Absolute; its directory must exist.
        path: String,
        /// Permission bits of a new file, such as 0o644.
        mode: u32,
        /// Adds to the end of the file, which is made if absent.
        #[serde(default)]
        append: bool,
        /// Up to [`super::FILE_BYTES_MAX`].
        #[serde(skip)]
        bytes: Bytes,
    },
    /// Reads a piece of a file. Answer: [`super::Event::File`].
    ReadFile {
        /// Pairs the answer.
        ticket: Ticket,
        /// Absolute.
        path: String,
        /// Where in the file to begin, in bytes.
        #[serde(default)]
        offset: u64,
        /// The most bytes to read; the agent lowers it to [`super::FILE_BYTES_MAX`].
        max_bytes: u64,
    },
    /// Removes a file, or a directory with all that is in it; one that is absent is no error. Answer: `Done`.
    Remove {
        /// Pairs the answer.
        ticket: Ticket,
        /// Absolute.
        path: String,
    },
    /// Makes a directory and its parents; one that is there is no error. Answer: `Done`.
    MkdirAll {
        /// Pairs the answer.
        ticket: Ticket,
        /// Absolute.
        path: String,
        /// Permission bits of the directories made.
        mode: u32,
    },
    /// Ends every exec, then every process left behind, sends what is due and [`super::Event::Stopped`], and exits.
    Shutdown {
        /// The ladder for execs that still run.
        #[serde(default)]
        ladder: Ladder,
    },
}

/// One program to run.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Names the exec.
    pub id: ExecId,
    /// Program and arguments. A program without `/` is looked for in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment, in order; a later pair wins over an earlier one of the same name. The agent adds only
    /// `RUNNER_TRACKING_ID`, unless it is there already, to find processes that were left behind.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// Puts the agent's own environment (in a container: the image's) under `env`.
    #[serde(default)]
    pub inherit_env: bool,
    /// Working directory; must exist. Absent: the agent's own (in a container: the image's `WORKDIR`).
    #[serde(default)]
    pub cwd: Option<String>,
    /// `name`, `uid`, `name:group` or `uid:gid` of the container's `/etc/passwd` and `/etc/group`. Absent: the agent's user.
    #[serde(default)]
    pub user: Option<String>,
    /// After so many milliseconds the ladder begins, also when no client is there. Absent: never.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// How the exec is ended at its timeout, or when it is cancelled.
    #[serde(default)]
    pub ladder: Ladder,
}

impl std::fmt::Debug for ExecRequest {
    /// Of the environment only the names: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        let mut shown = f.debug_struct("ExecRequest");
        shown.field("id", &self.id).field("argv", &self.argv).field("env", &names).field("cwd", &self.cwd);
        shown.finish_non_exhaustive()
    }
}

/// How a process group is ended: SIGINT, wait, SIGTERM, wait, SIGKILL. The defaults are those of `actions/runner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// Milliseconds from SIGINT to SIGTERM. Zero: no SIGINT at all.
    pub interrupt_ms: u64,
    /// Milliseconds from SIGTERM to SIGKILL. Zero: no SIGTERM at all.
    pub terminate_ms: u64,
}

impl Ladder {
    /// SIGKILL at once.
    pub const KILL: Self = Self { interrupt_ms: 0, terminate_ms: 0 };
}

impl Default for Ladder {
    fn default() -> Self {
        Self { interrupt_ms: 7_500, terminate_ms: 2_500 }
    }
}
