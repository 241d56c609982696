//! `pipe completions SHELL`: made from the definition of the command line.

use std::io::Write;

use crate::args::{self, CompletionsArgs};
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Runs the command.
pub fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "pipe", &mut script);
    let mut output = terminal::results();
    output.write_all(&script)?;
    output.flush()?;
    Ok(Exit::Success)
}
