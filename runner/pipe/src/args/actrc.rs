//! `.actrc`: flags in files, as act reads them.
//!
//! A line that starts with `-` is a flag and, after the first white space, its value; `$NAME` stands for a variable.
//! Other lines are nothing. The files come in act's order, then the command line, so that the last one wins.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct ActrcError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub message: String,
}

/// The arguments of one file, each line's with its number.
type Lines = Vec<(usize, Vec<String>)>;

/// The command line with the flags of `.actrc` put after `run`, for `pipe run` only.
///
/// # Errors
/// A file is there but cannot be read, or a line of it is no flag of ours.
pub fn with_actrc(
    arguments: Vec<OsString>,
    folder: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
    check: &dyn Fn(&[String]) -> Result<(), String>,
) -> Result<Vec<OsString>, ActrcError> {
    let Some(at) = arguments.iter().position(|argument| argument == "run") else { return Ok(arguments) };
    if !comes_first(&arguments[1..at]) {
        return Ok(arguments);
    }
    let mut flags = Vec::new();
    for path in places(folder, variable) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ActrcError { path, message: error.to_string() }),
        };
        for (line, arguments) in parse(&text, variable) {
            check(&arguments)
                .map_err(|message| ActrcError { path: path.clone(), message: format!("line {line}: {message}") })?;
            flags.extend(arguments.into_iter().map(OsString::from));
        }
    }
    let mut arguments = arguments;
    arguments.splice(at + 1..=at, flags);
    Ok(arguments)
}

/// Whether only global flags (and their values) stand before.
fn comes_first(before: &[OsString]) -> bool {
    let mut value = false;
    before.iter().all(|argument| {
        let text = argument.to_string_lossy();
        let is_value = std::mem::replace(&mut value, matches!(&*text, "-C" | "--directory" | "--color" | "--config"));
        is_value || text.starts_with('-')
    })
}

fn places(folder: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let home = variable("HOME").map(PathBuf::from);
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".config")));
    let mut places = Vec::new();
    places.extend(config.map(|config| config.join("act/actrc")));
    places.extend(home.map(|home| home.join(".actrc")));
    let local = folder.join(".actrc");
    if !places.contains(&local) {
        places.push(local);
    }
    places
}

fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Lines {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| line.starts_with('-'));
    lines
        .map(|(index, line)| {
            let line = expand(line, variable);
            let parts = line.splitn(2, char::is_whitespace).map(|part| part.trim_start().to_owned()).collect();
            (index + 1, parts)
        })
        .collect()
}

/// Replaces `$NAME` and `${NAME}`; unset variables are empty.
fn expand(line: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let braced = after.strip_prefix('{').and_then(|inner| Some((inner, inner.find('}')?)));
        let (name, next) = match braced {
            Some((inner, end)) => (&inner[..end], &inner[end + 1..]),
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                after.split_at(end)
            }
        };
        if name.is_empty() {
            expanded.push('$');
        } else {
            expanded.push_str(&variable(name).unwrap_or_default());
        }
        rest = next;
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&[&str]]) {
        let variable = |name: &str| (name == "IMAGE").then(|| "debian:12".to_owned());
        let lines: Vec<_> = parse(text, &variable).into_iter().map(|(_, arguments)| arguments).collect();
        assert_eq!(lines, expected, "{text:?}");
    }

    #[test]
    fn lines_are_flags_with_values() {
        check("-P ubuntu-latest=$IMAGE\n", &[&["-P", "ubuntu-latest=debian:12"]]);
        check("# --json\n\n  --env   A=b c \nplain\n--rm", &[&["--env", "A=b c"], &["--rm"]]);
        check("--env A=${IMAGE}x$ y", &[&["--env", "A=debian:12x$ y"]]);
    }

    #[test]
    fn only_run_takes_them_and_the_command_line_wins() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".actrc"), "--env A=1\n").unwrap();
        let run = |arguments: &[&str]| {
            let arguments = arguments.iter().map(OsString::from).collect();
            with_actrc(arguments, folder.path(), &|_| None, &|_| Ok(())).unwrap()
        };
        assert_eq!(
            run(&["pipe", "-C", "x", "run", "--env", "A=2"]),
            ["pipe", "-C", "x", "run", "--env", "A=1", "--env", "A=2"]
        );
        assert_eq!(run(&["pipe", "eval", "run"]), ["pipe", "eval", "run"]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".actrc"), "\n--nonsense\n").unwrap();
        let arguments = ["pipe", "run"].map(OsString::from).to_vec();
        let error = with_actrc(arguments, folder.path(), &|_| None, &|_| Err("unknown".into())).unwrap_err();
        assert!(error.to_string().ends_with(".actrc: line 2: unknown"), "{error}");
    }
}
