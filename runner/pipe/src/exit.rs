//! How `pipe` ends: the exit codes that scripts may rely on, and the failure that ends a command early.
//!
//! The codes are part of the interface: a code never changes its meaning.

use std::process::ExitCode;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// A job failed or was cancelled by its time limit or its concurrency group, or an expression has an error.
    Failure = 1,
    /// The command line or a settings file is wrong.
    Usage = 2,
    /// A workflow is invalid.
    Invalid = 3,
    /// There is nothing to run.
    Nothing = 4,
    /// Something outside is missing: Docker, a file, a permission.
    Environment = 6,
    /// Cancelled by the user: Ctrl-C, SIGTERM, SIGHUP.
    Cancelled = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends early: one sentence, what to do, and the exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong; the first line is one sentence.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Failure {
    /// The user's command line or settings are wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something outside is missing.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Exit::Environment, message)
    }

    /// Any exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what to do, if there is something.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = self.help.or(help);
        self
    }
}

/// Results cannot be written. That the reader has gone away is no failure: it has seen enough.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Success, String::new());
        }
        Self::environment(format!("cannot write the results: {error}"))
    }
}
