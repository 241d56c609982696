//! The value of a secret that was given by name only: from the environment, or typed unseen.

use std::io::{self, BufRead, Write};

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::exit::Failure;
use crate::terminal::Terminal;

/// The value of a secret.
///
/// # Errors
/// It is not in the environment, and nobody can be asked.
pub fn secret(name: &str, terminal: Terminal) -> Result<String, Failure> {
    if let Ok(value) = std::env::var(name) {
        return Ok(value);
    }
    if !terminal.interactive || !io::IsTerminal::is_terminal(&io::stdin()) {
        let message = format!("secret `{name}` has no value: there is no variable of that name");
        return Err(Failure::usage(message).help(format!("set the variable, or write `-s {name}=VALUE`")));
    }
    type_unseen(name).map_err(|error| Failure::environment(format!("cannot ask for secret `{name}`: {error}")))
}

/// Asks a person for a value, without showing what is typed.
///
/// # Errors
/// Nobody answers.
pub fn type_unseen(name: &str) -> io::Result<String> {
    let input = io::stdin();
    write!(io::stderr(), "Value of secret {name}: ")?;
    io::stderr().flush()?;
    let before = tcgetattr(&input)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&input, SetArg::TCSAFLUSH, &silent)?;
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    tcsetattr(&input, SetArg::TCSAFLUSH, &before)?;
    writeln!(io::stderr())?;
    if read? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Whether a person says yes; nobody who answers means no.
pub fn yes() -> bool {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_where_nobody_is() {
        let terminal = Terminal { color: false, interactive: false };
        let failure = secret("PIPE_TEST_NO_SUCH_VARIABLE", terminal).unwrap_err();
        assert!(failure.message.contains("PIPE_TEST_NO_SUCH_VARIABLE"));
        assert!(secret("PATH", terminal).is_ok());
    }
}
