//! Commands in a placed job: what is asked, what comes back.
//!
//! Not the frames that travel to the agent: those are crate `agent`, module `protocol`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Stored output is acknowledged each time it has grown by so much; the end of a command acknowledges the rest.
const ACKNOWLEDGE_BYTES: u64 = 1024 * 1024;

/// Names a command within one job. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecId(pub u64);

impl ExecId {
    /// Names that callers choose are below this one.
    pub const CHOSEN_MAX: u64 = 1 << 48;
    /// Added to every name as often as a place was gone on in.
    pub const OF_ROUND: u64 = 1 << 40;
    /// Added to the number of a step (which is below it) as often as an action has commands of its own there.
    pub const OF_ACTION: u64 = 1 << 32;
}

/// A command to run.
#[derive(Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// The name under which another process can take it up, chosen by the caller and below [`ExecId::CHOSEN_MAX`];
    /// absent: any.
    pub id: Option<ExecId>,
    /// Program and arguments; a program without `/` is looked up on the PATH of `env`.
    pub argv: Vec<String>,
    /// The whole environment, unless `inherit_env`.
    pub env: Vec<(String, String)>,
    /// Whether `env` is laid over the environment of the container (on the host: of `pipe`).
    pub inherit_env: bool,
    /// Working directory, absolute, as the job sees it.
    pub cwd: String,
    /// Another user than that of the job: `name`, `uid`, `uid:gid`.
    pub user: Option<String>,
    /// Ended by `ladder` after this time.
    pub timeout: Option<Duration>,
    /// How it is ended on timeout.
    pub ladder: Ladder,
}

impl std::fmt::Debug for ExecRequest {
    /// Of the environment only the names: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        let mut shown = f.debug_struct("ExecRequest");
        shown.field("argv", &self.argv).field("env", &names).field("cwd", &self.cwd).field("user", &self.user);
        shown.finish_non_exhaustive()
    }
}

impl ExecRequest {
    /// A command with the environment of the container and no timeout.
    #[must_use]
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>, cwd: impl Into<String>) -> Self {
        Self {
            id: None,
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            inherit_env: true,
            cwd: cwd.into(),
            user: None,
            timeout: None,
            ladder: Ladder::default(),
        }
    }

    /// With the job's user and directory where it names none; without any user it is root's.
    #[must_use]
    pub(super) fn completed(mut self, user: Option<&String>, workdir: &str) -> Self {
        self.user = self.user.or_else(|| user.cloned());
        if self.cwd.is_empty() {
            workdir.clone_into(&mut self.cwd);
        }
        self
    }
}

/// How a command is ended. GitHub's runner waits 7.5 s after SIGINT and 2.5 s after SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// From SIGINT to SIGTERM; zero: no SIGINT.
    pub after_interrupt: Duration,
    /// From SIGTERM to SIGKILL; zero: no SIGTERM.
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

/// A command that was started. Its events must be taken: all commands of a job share one connection, so that one whose
/// output nobody takes holds the others back. Dropped, it runs on and its output is thrown away.
pub struct Exec {
    /// Its name.
    pub id: ExecId,
    events: mpsc::Receiver<ExecEvent>,
    acknowledge: Arc<dyn Fn(Acknowledgement) + Send + Sync>,
    stored: u64,
    acknowledged: u64,
    /// Whether its reader says what may be forgotten.
    held: bool,
}

/// What the reader of a command has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// Output before this offset: the agent may forget it.
    Output(u64),
    /// How it ended: the agent may forget the command.
    End,
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exec").field("id", &self.id).field("stored", &self.stored).finish_non_exhaustive()
    }
}

impl Exec {
    /// For implementations of a placement. `events` ends after one [`ExecEvent::Ended`].
    pub fn new(
        id: ExecId,
        events: mpsc::Receiver<ExecEvent>,
        acknowledge: impl Fn(Acknowledgement) + Send + Sync + 'static,
    ) -> Self {
        Self { id, events, acknowledge: Arc::new(acknowledge), stored: 0, acknowledged: 0, held: false }
    }

    /// From now on output is forgotten only when [`Self::acknowledge_output`] says so.
    pub const fn hold(&mut self) {
        self.held = true;
    }

    /// How much output was taken and not acknowledged.
    #[must_use]
    pub const fn unacknowledged(&self) -> u64 {
        self.stored - self.acknowledged
    }

    /// Says that all that was taken is stored. Gives the offset behind it.
    pub fn acknowledge_output(&mut self) -> u64 {
        self.acknowledged = self.stored;
        (self.acknowledge)(Acknowledgement::Output(self.stored));
        self.stored
    }

    /// The offset behind what was taken.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.stored
    }

    /// The next event; `None` after the end. Asking says that what came before is stored, unless [held](Self::hold).
    pub async fn next(&mut self) -> Option<ExecEvent> {
        if !self.held && self.unacknowledged() >= ACKNOWLEDGE_BYTES {
            self.acknowledge_output();
        }
        let event = self.events.recv().await?;
        if let ExecEvent::Output { offset, bytes } = &event {
            // What another process had acknowledged does not come again.
            self.acknowledged = self.acknowledged.max(if self.stored == 0 { *offset } else { 0 });
            self.stored = offset + bytes.len() as u64;
        }
        Some(event)
    }

    /// Says that the end is stored. Until then the agent keeps what it knows of the command.
    pub fn acknowledge_end(&self) {
        (self.acknowledge)(Acknowledgement::End);
    }

    /// Waits for the end and collects the output, the first `bytes_max` of it. For short commands and tests.
    pub async fn output(mut self, bytes_max: usize) -> (ExecOutcome, Vec<u8>) {
        let mut output = Vec::new();
        while let Some(event) = self.next().await {
            match event {
                ExecEvent::Output { offset: _, bytes } => {
                    let room = bytes_max.saturating_sub(output.len()).min(bytes.len());
                    output.extend(bytes.iter().take(room));
                }
                ExecEvent::Ended(outcome) => {
                    self.acknowledge_end();
                    return (outcome, output);
                }
            }
        }
        (ExecOutcome::Lost { reason: "its events ended without an outcome".to_owned() }, output)
    }
}

/// Something that a command did.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecEvent {
    /// It wrote, to stdout or stderr. Chunks come in order and without gaps.
    Output {
        /// Position of the first byte in all that the command wrote.
        offset: u64,
        /// The bytes, cut anywhere.
        bytes: Bytes,
    },
    /// It is over; nothing follows.
    Ended(ExecOutcome),
}

/// How a command ended. Success is `Exited` with code 0 and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        /// What was seen of it, as a lower-case fragment.
        reason: String,
    },
}

impl ExecOutcome {
    /// Whether the command ended by itself with code 0.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Exited { code: 0, timed_out: false, cancelled: false, .. })
    }
}

/// What a command and its descendants used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
