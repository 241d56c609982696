//! `pipe hook`: a plain repository tells a server of each push, signed, as a forge would.
//!
//! A push never fails by it and hardly waits: what does not arrive within seconds is kept in the repository and sent on
//! by a process of its own.

mod install;
mod payload;
mod post;
mod send;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::args::{HookArgs, HookCommand};
use crate::exit::{Exit, Failure};

/// Name of our folder in a repository.
const FOLDER: &str = "pipe-hook";

/// A server that is told of pushes. It holds a secret: its file is for the owner only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    server: String,
    repository: String,
    secret: String,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.repository, self.server)
    }
}

/// Where what was not sent yet lies.
fn spool(folder: &Path) -> PathBuf {
    folder.join("spool")
}

/// Runs the command.
///
/// # Errors
/// The hook cannot be installed. Sending never fails a push.
pub fn run(args: &HookArgs) -> Result<Exit, Failure> {
    match &args.command {
        HookCommand::Install(args) => install::install(args),
        HookCommand::Send(args) => {
            send::send(args);
            Ok(Exit::Success)
        }
    }
}
