//! What the terminal can show: colours, live lines, prompts; and where results and progress go.
//!
//! Results go to stdout, progress and diagnostics to stderr. Colours: `--color`, then `NO_COLOR`, then
//! `CLICOLOR_FORCE` or `FORCE_COLOR`, then `CLICOLOR=0`, then whether it is a terminal. See <https://no-color.org> and
//! <https://bixense.com/clicolors/>.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anstyle::{AnsiColor, Style};
use nix::fcntl::{FcntlArg, fcntl};

/// What a pipe that we write to is grown to: fewer switches between its reader and us.
const PIPE_BYTES: i32 = 1024 * 1024;

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// Where a terminal shows them.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Standard output; where it is a pipe, with room for a busy run.
pub fn stdout_with_room() -> io::Stdout {
    let stdout = io::stdout();
    // No pipe, or more than a user may have: then it stays as it is.
    let _as_it_is = fcntl(&stdout, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    stdout
}

/// What one of the two outputs can show.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Whether colours are shown.
    pub color: bool,
    /// Whether a person watches: lines may be redrawn, questions asked.
    pub interactive: bool,
}

/// The facts that [`Terminal`] is made from.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// `--color`.
    pub choice: ColorChoice,
    /// Whether it is a terminal.
    pub is_terminal: bool,
    /// Gives a variable; an empty one counts as absent.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Terminal {
    /// Of stdout.
    pub fn stdout(choice: ColorChoice) -> Self {
        Self::new(Facts { choice, is_terminal: io::stdout().is_terminal(), variable: &variable })
    }

    /// Of stderr.
    pub fn stderr(choice: ColorChoice) -> Self {
        Self::new(Facts { choice, is_terminal: io::stderr().is_terminal(), variable: &variable })
    }

    /// From facts.
    pub fn new(facts: Facts<'_>) -> Self {
        let set = |name: &str| (facts.variable)(name).is_some_and(|value| value != "0");
        let dumb = (facts.variable)("TERM").as_deref() == Some("dumb");
        let interactive = facts.is_terminal && !dumb && !ci((facts.variable)("CI").as_deref());
        let color = match facts.choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if (facts.variable)("NO_COLOR").is_some() => false,
            ColorChoice::Auto if set("CLICOLOR_FORCE") || set("FORCE_COLOR") => true,
            ColorChoice::Auto if (facts.variable)("CLICOLOR").as_deref() == Some("0") => false,
            ColorChoice::Auto => facts.is_terminal && !dumb,
        };
        Self { color, interactive }
    }

    /// A text in a style, where colours are shown.
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// Bold.
    pub fn bold(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// Dim.
    pub fn dim(self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// In a bold colour.
    pub fn strong(self, color: AnsiColor, text: &str) -> String {
        self.paint(color.on_default().bold(), text)
    }

    /// In a colour.
    pub fn tint(self, color: AnsiColor, text: &str) -> String {
        self.paint(color.on_default(), text)
    }
}

fn ci(value: Option<&str>) -> bool {
    value.is_some_and(|value| !matches!(value, "false" | "0"))
}

/// How many columns the terminal has, if one is there.
pub fn columns() -> Option<usize> {
    let (_, columns) = console::Term::stdout().size_checked()?;
    Some(usize::from(columns))
}

/// A variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Stdout for results, buffered. It must be flushed.
pub fn results() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}

/// A remark on stderr. That stderr is gone is no reason to stop.
pub fn note(terminal: Terminal, text: &str) {
    let _gone = writeln!(io::stderr(), "{} {text}", terminal.strong(AnsiColor::Cyan, "note:"));
}

/// A warning on stderr.
pub fn warning(terminal: Terminal, text: &str) {
    let _gone = writeln!(io::stderr(), "{} {text}", terminal.strong(AnsiColor::Yellow, "warning:"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(choice: ColorChoice, is_terminal: bool, variables: &[(&str, &str)], color: bool, interactive: bool) {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let terminal = Terminal::new(Facts { choice, is_terminal, variable: &variable });
        assert_eq!(
            (terminal.color, terminal.interactive),
            (color, interactive),
            "{choice:?} {is_terminal} {variables:?}"
        );
    }

    #[test]
    fn the_flag_wins_then_the_variables_then_the_terminal() {
        use ColorChoice::{Always, Auto, Never};
        check(Auto, true, &[], true, true);
        check(Auto, false, &[], false, false);
        check(Always, false, &[("NO_COLOR", "1")], true, false);
        check(Never, true, &[("FORCE_COLOR", "1")], false, true);
        check(Auto, true, &[("NO_COLOR", "1"), ("FORCE_COLOR", "1")], false, true);
        check(Auto, false, &[("CLICOLOR_FORCE", "1")], true, false);
        check(Auto, false, &[("FORCE_COLOR", "0")], false, false);
        check(Auto, true, &[("CLICOLOR", "0")], false, true);
        check(Auto, true, &[("TERM", "dumb")], false, false);
        check(Auto, true, &[("CI", "true")], true, false);
        check(Auto, true, &[("CI", "false")], true, true);
    }
}
