//! `sudo` for images that have none: workflows written for GitHub's machines call it, and in a container the user is root.
//!
//! It runs its command and grants nothing: who is not root gets an error. The image's own `sudo` wins, since the link to
//! this one stands at the end of `PATH`. Options follow sudo(8); those without a meaning here are refused by name.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::unistd::Uid;

use crate::account::Account;
use crate::run_as::become_account;
use crate::search::find_program;
use crate::{CANNOT_RUN, complain};

/// What a command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    user: Option<String>,
    group: Option<String>,
    set_home: bool,
    keep_home: bool,
    /// `-i` and `-s`: a shell, which gets the command as its script.
    login: bool,
    shell: bool,
    /// `-v`, `-l`, `-k`, `-K`, `-V`: nothing to run.
    only_asks: bool,
    directory: Option<String>,
    variables: Vec<(String, String)>,
    command: Vec<OsString>,
}

pub(crate) fn sudo(arguments: &[OsString]) -> ExitCode {
    let wish = match Wish::parse(arguments) {
        Ok(wish) => wish,
        Err(error) => return complain(&format!("sudo: {error}"), 1),
    };
    if !Uid::effective().is_root() {
        let user = Uid::effective();
        return complain(
            &format!("sudo: this image has no sudo and user {user} is not root; use an image with sudo or run as root"),
            1,
        );
    }
    if wish.only_asks {
        return ExitCode::SUCCESS;
    }
    match run(wish) {
        Ok(never) => match never {},
        Err(error) => complain(&format!("sudo: {error}"), CANNOT_RUN),
    }
}

impl Wish {
    fn parse(arguments: &[OsString]) -> Result<Self, String> {
        let mut wish = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.as_slice().first() {
            let Some(text) = argument.to_str() else { break };
            if text == "--" {
                rest.next();
                break;
            }
            if let Some(long) = text.strip_prefix("--") {
                rest.next();
                wish.long(long, &mut rest)?;
            } else if let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                rest.next();
                wish.letters(letters, &mut rest)?;
            } else {
                break;
            }
        }
        while let Some((name, value)) = rest.as_slice().first().and_then(|argument| assignment(argument)) {
            wish.variables.push((name.to_owned(), value.to_owned()));
            rest.next();
        }
        wish.command = rest.cloned().collect();
        if wish.command.is_empty() && !(wish.only_asks || wish.login || wish.shell) {
            return Err("no command given".to_owned());
        }
        Ok(wish)
    }

    fn letters<'a>(&mut self, letters: &str, rest: &mut impl Iterator<Item = &'a OsString>) -> Result<(), String> {
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let takes_value = matches!(letter, 'u' | 'g' | 'D' | 'p' | 'C' | 'T' | 'h');
            if takes_value {
                let attached = letters.as_str();
                let value =
                    if attached.is_empty() { next_value(&format!("-{letter}"), rest)? } else { attached.to_owned() };
                return self.option(&letter.to_string(), value);
            }
            self.option(&letter.to_string(), String::new())?;
        }
        Ok(())
    }

    fn long<'a>(&mut self, long: &str, rest: &mut impl Iterator<Item = &'a OsString>) -> Result<(), String> {
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let letter = match name {
            "user" => "u",
            "group" => "g",
            "chdir" => "D",
            "prompt" => "p",
            "preserve-env" => "E",
            "set-home" => "H",
            "non-interactive" => "n",
            "stdin" => "S",
            "background" | "bell" | "askpass" => "B",
            "login" => "i",
            "shell" => "s",
            "validate" => "v",
            "list" => "l",
            "reset-timestamp" => "k",
            "remove-timestamp" => "K",
            "version" => "V",
            unknown => return Err(format!("option --{unknown} has no meaning in this stand-in for sudo")),
        };
        let value = match attached {
            Some(value) => value,
            None if matches!(letter, "u" | "g" | "D" | "p") => next_value(&format!("--{name}"), rest)?,
            None => String::new(),
        };
        self.option(letter, value)
    }

    fn option(&mut self, letter: &str, value: String) -> Result<(), String> {
        match letter {
            "u" => self.user = Some(value.trim_start_matches('#').to_owned()),
            "g" => self.group = Some(value.trim_start_matches('#').to_owned()),
            "D" => self.directory = Some(value),
            "H" => self.set_home = true,
            "E" => self.keep_home = true,
            "i" => self.login = true,
            "s" => self.shell = true,
            "v" | "l" | "k" | "K" | "V" => self.only_asks |= letter != "k" || self.command.is_empty(),
            // Prompts, passwords, timestamps and descriptors: nothing of that exists here.
            "n" | "S" | "A" | "B" | "P" | "p" | "C" | "T" => {}
            unknown => return Err(format!("option -{unknown} has no meaning in this stand-in for sudo")),
        }
        Ok(())
    }
}

fn next_value<'a>(flag: &str, rest: &mut impl Iterator<Item = &'a OsString>) -> Result<String, String> {
    let value = rest.next().and_then(|value| value.to_str());
    value.map(str::to_owned).ok_or_else(|| format!("option {flag} needs a value"))
}

fn assignment(argument: &OsStr) -> Option<(&str, &str)> {
    let (name, value) = argument.to_str()?.split_once('=')?;
    let named = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    (named && !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())).then_some((name, value))
}

/// Becomes the command; comes back only with an error.
fn run(wish: Wish) -> Result<std::convert::Infallible, String> {
    let wanted = match (&wish.user, &wish.group) {
        (user, Some(group)) => format!("{}:{group}", user.as_deref().unwrap_or("0")),
        (user, None) => user.clone().unwrap_or_else(|| "0".to_owned()),
    };
    let account = Account::find(&wanted)?;
    let shell = match (wish.login, std::env::var("SHELL")) {
        (false, Ok(shell)) if !shell.is_empty() => shell,
        (true | false, Ok(_) | Err(_)) => account.shell.clone().unwrap_or_else(|| "/bin/sh".to_owned()),
    };
    let mut command = wish.command;
    let mut arg0 = None;
    if wish.login || wish.shell {
        if wish.login {
            arg0 = Some(format!("-{}", shell.rsplit('/').next().unwrap_or("sh")));
        }
        let script = std::mem::take(&mut command);
        command.push(shell.into());
        if !script.is_empty() {
            command.push("-c".into());
            command.push(quote(&script));
        }
    }
    let Some((program, arguments)) = command.split_first() else { return Err("no command given".to_owned()) };
    let path = wish.variables.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| OsString::from(value));
    let file = find_program(program, path.or_else(|| std::env::var_os("PATH")).as_deref())?;
    let mut process = Command::new(file);
    process.args(arguments).arg0(arg0.map_or_else(|| program.clone(), OsString::from));
    let home = account.home.as_deref().unwrap_or("/");
    if wish.set_home || wish.login || !wish.keep_home {
        process.env("HOME", home);
    }
    let name = account.name.clone().unwrap_or_else(|| account.uid.to_string());
    process.env("USER", &name).env("LOGNAME", name).env("SUDO_UID", "0").env("SUDO_GID", "0").env("SUDO_USER", "root");
    process.envs(wish.variables);
    if let Some(directory) = wish.directory.as_deref().or(wish.login.then_some(home)) {
        std::env::set_current_dir(directory).map_err(|error| format!("{directory}: {error}"))?;
    }
    if account.uid != 0 || account.gid != 0 {
        become_account(&account)?;
    }
    Err(format!("{}: {}", program.display(), process.exec()))
}

/// One line for the shell, escaped as sudo does it: all but letters, digits, `_`, `-` and `$`.
fn quote(words: &[OsString]) -> OsString {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        for letter in word.to_string_lossy().chars() {
            if !(letter.is_alphanumeric() || matches!(letter, '_' | '-' | '$')) {
                line.push('\\');
            }
            line.push(letter);
        }
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: Result<Wish, &str>) {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        assert_eq!(Wish::parse(&arguments), expect.map_err(str::to_owned), "{line}");
    }

    fn command(line: &str) -> Wish {
        Wish { command: line.split_whitespace().map(OsString::from).collect(), ..Wish::default() }
    }

    #[test]
    fn command_lines() {
        check("apt-get -y install x", Ok(command("apt-get -y install x")));
        check("-n -- -x", Ok(command("-x")));
        check("-nE true", Ok(Wish { keep_home: true, ..command("true") }));
        check("-u node -H id -u", Ok(Wish { user: Some("node".into()), set_home: true, ..command("id -u") }));
        check("-unode id", Ok(Wish { user: Some("node".into()), ..command("id") }));
        check("--user=#7 id", Ok(Wish { user: Some("7".into()), ..command("id") }));
        check("--preserve-env=A,B id", Ok(Wish { keep_home: true, ..command("id") }));
        check(
            "A=1 B= c D=2",
            Ok(Wish { variables: vec![("A".into(), "1".into()), ("B".into(), String::new())], ..command("c D=2") }),
        );
        check("-s", Ok(Wish { shell: true, ..Wish::default() }));
        check("-v", Ok(Wish { only_asks: true, ..Wish::default() }));
        check("-u", Err("option -u needs a value"));
        check("-e file", Err("option -e has no meaning in this stand-in for sudo"));
        check("--edit file", Err("option --edit has no meaning in this stand-in for sudo"));
        check("", Err("no command given"));
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(quote(&["a b".into(), "it's".into(), "$X".into()]), OsString::from(r"a\ b it\'s $X"));
    }
}
