//! act's flags that mean nothing here: a note, or an error that says what to use.

use crate::args::{ActFlags, Answer};
use crate::exit::Failure;
use crate::terminal::{self, Terminal};

/// Answers each flag that was given.
pub fn answer(flags: &ActFlags, terminal: Terminal, quiet: bool) -> Result<(), Failure> {
    for (flag, answer) in flags.given() {
        match answer {
            Answer::Refused(instead) => {
                return Err(Failure::usage(format!("act's flag `--{flag}` is not supported")).help(*instead));
            }
            Answer::Ignored(why) if !quiet => terminal::note(terminal, &format!("`--{flag}` is ignored: {why}")),
            Answer::Ignored(_) => {}
        }
    }
    Ok(())
}
