//! The value of a secret that was given by name only: from the environment, or typed unseen.

use std::io::{self, BufRead, Read as _, Write};

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::exit::{Exit, Failure};
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
    type_unseen(&format!("secret {name}"))
}

/// Asks a person for a value, without showing what is typed.
///
/// # Errors
/// Nobody answers.
pub fn type_unseen(what: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::environment(format!("cannot ask for {what}: {error}"));
    let typed = unseen(what).map_err(failed)?;
    typed.ok_or_else(|| Failure::new(Exit::Cancelled, format!("{what} was not given")))
}

fn unseen(what: &str) -> io::Result<Option<String>> {
    let input = io::stdin();
    let before = tcgetattr(&input)?;
    let mut silent = before.clone();
    // Ctrl-C comes as a byte: as a signal it would leave the terminal without echo.
    silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
    // Before it is asked for, since who answers at once would be shown; what was typed until then is no answer.
    tcsetattr(&input, SetArg::TCSAFLUSH, &silent)?;
    let asked = write!(io::stderr(), "Value of {what}: ").and_then(|()| io::stderr().flush());
    let read = asked.and_then(|()| line(&mut input.lock().bytes()));
    tcsetattr(&input, SetArg::TCSAFLUSH, &before)?;
    writeln!(io::stderr())?;
    read
}

/// A line with the keys that mend one, as a terminal has them; `None`: it was broken off.
fn line(keys: &mut impl Iterator<Item = io::Result<u8>>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    for key in keys {
        match key? {
            b'\n' | b'\r' => break,
            CTRL_C | CTRL_BACKSLASH => return Ok(None),
            CTRL_D if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            CTRL_D => break,
            CTRL_U => line.clear(),
            BACKSPACE | DELETE => while line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {},
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).map(Some).map_err(|_| io::Error::other("it is not UTF-8"))
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;
const CTRL_BACKSLASH: u8 = 28;
const DELETE: u8 = 127;

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

    #[test]
    fn a_line_is_mended_as_it_is_typed() {
        for (typed, expect) in [
            ("word\n", Ok(Some("word"))),
            ("word\rmore\n", Ok(Some("word"))),
            ("wör\u{7f}\u{7f}\u{8}x\n", Ok(Some("x"))),
            ("wrong\u{15}right\n", Ok(Some("right"))),
            ("\u{7f}a\u{4}", Ok(Some("a"))),
            ("half\u{3}", Ok(None)),
            ("half\u{1c}", Ok(None)),
            ("\u{4}", Err(io::ErrorKind::UnexpectedEof)),
        ] {
            let line = line(&mut typed.bytes().map(Ok)).map_err(|error| error.kind());
            assert_eq!(line.as_ref().map(Option::as_deref), expect.as_ref().copied(), "{typed:?}");
        }
    }
}
