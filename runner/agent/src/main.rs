//! `pipe-agent`: PID 1 of a job's container. Reads its command line and becomes what its name or first argument says.
//!
//! It holds no logic of its own; the supervisor is in [`run`]. One static binary plays all parts, since nothing may be
//! expected of the image that it runs in.

mod account;
mod forward;
mod init_copy;
mod options;
mod run;
mod run_as;
mod search;
mod sudo;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use options::{Options, USAGE};

/// What shells give for a program that cannot be started.
const CANNOT_RUN: u8 = 126;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let name = arguments.first().and_then(|name| Path::new(name).file_name()).unwrap_or_default();
    if name.as_encoded_bytes().ends_with(b"sudo") {
        return sudo::sudo(arguments.get(1..).unwrap_or_default());
    }
    let first = arguments.get(1).and_then(|first| first.to_str()).unwrap_or_default();
    let rest = arguments.get(2..).unwrap_or_default();
    match first {
        run_as::VERB => run_as::main(rest),
        forward::VERB => forward::main(rest),
        "init-copy" => init_copy::init_copy(rest),
        "--version" => {
            let done = writeln!(std::io::stdout(), "pipe-agent {}", env!("CARGO_PKG_VERSION"));
            ExitCode::from(u8::from(done.is_err()))
        }
        _ => match Options::parse(&arguments[arguments.len().min(1)..]) {
            Ok(options) => match run::run(options) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => complain(&format!("pipe-agent: {error}"), 1),
            },
            Err(error) => complain(&format!("pipe-agent: {error}\n{USAGE}"), 2),
        },
    }
}

/// A line on stderr and a code: all that a program can do when it cannot go on.
fn complain(text: &str, code: u8) -> ExitCode {
    // When stderr is closed as well there is no one left to tell.
    drop(writeln!(std::io::stderr(), "{text}"));
    ExitCode::from(code)
}
