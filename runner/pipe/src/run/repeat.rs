//! The command line that asks for a run again: whole, as it is kept for `--resume`, and short, as it is shown to a person.

use std::path::{Path, PathBuf};

use workflow::secret::Secret;

use crate::args::{Global, Pull, RunArgs};
use crate::values::Values;

/// One flag of the command line.
#[derive(Debug)]
struct Flag {
    name: &'static str,
    /// Absent: the flag has none.
    value: Option<String>,
    /// It says what would be so without it.
    is_usual: bool,
}

/// All flags that ask for the same again, of secrets only the names. What comes from the command's own environment is written out.
pub fn whole(args: &RunArgs, event: &str, workflow: &Path, values: &Values) -> Vec<String> {
    let mut words = vec![event.to_owned(), format!("--workflows={}", workflow.display())];
    words.extend(args.jobs.iter().map(|job| format!("--job={job}")));
    let env = |name: &String| {
        // The name alone means the value that it had then.
        let value = values.env.get(name).filter(|_| !name.contains('='));
        value.map_or_else(|| name.clone(), |value| format!("{name}={value}"))
    };
    words.extend(flags(args, env).into_iter().map(|Flag { name, value, .. }| match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    }));
    words
}

/// The command that a person types for it, ready for a shell: without what is usual, with the event's file and inputs.
pub fn shown(args: &RunArgs, global: &Global, event: &str, workflow: &str, jobs: &[&str]) -> String {
    let mut words = vec!["pipe".to_owned()];
    if let Some(folder) = &global.directory {
        words.extend(["-C".to_owned(), folder.display().to_string()]);
    }
    words.extend(["run".to_owned(), event.to_owned(), "-W".to_owned(), workflow.to_owned()]);
    words.extend(jobs.iter().flat_map(|job| ["-j".to_owned(), (*job).to_owned()]));
    // What was read from standard input cannot be read again.
    let file = |file: &Option<PathBuf>| {
        file.as_ref().filter(|file| *file != Path::new("-")).map(|file| file.display().to_string())
    };
    let mut more = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    file(&args.eventpath).into_iter().for_each(|file| more("eventpath", file));
    args.event.input.iter().for_each(|input| more("input", input.clone()));
    file(&args.event.input_file).into_iter().for_each(|file| more("input-file", file));
    for Flag { name, value, .. } in flags(args, String::clone).into_iter().filter(|flag| !flag.is_usual) {
        words.push(match &value {
            // Its values are taken with the sign only, or may begin with a dash.
            Some(value) if matches!(name, "pull" | "platform") => format!("--{name}={value}"),
            _ => format!("--{name}"),
        });
        words.extend(value.filter(|_| !matches!(name, "pull" | "platform")));
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// The flags beside the event, its workflow and jobs.
fn flags(args: &RunArgs, env: impl Fn(&String) -> String) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut flag = |name, value: String, is_usual| flags.push(Flag { name, value: Some(value), is_usual });
    args.matrix.iter().for_each(|leg| flag("matrix", leg.clone(), false));
    args.platform.iter().for_each(|platform| flag("platform", platform.clone(), false));
    args.approve.iter().for_each(|environment| flag("approve", environment.clone(), false));
    let pull = match args.pull {
        Pull::Missing => "missing",
        Pull::Always => "always",
        Pull::Never => "never",
    };
    flag("pull", pull.to_owned(), args.pull == Pull::default());
    args.parallel.iter().for_each(|parallel| flag("parallel", parallel.to_string(), false));
    let (of_actions, event) = (&args.actions, &args.event);
    let mode = of_actions.builtin_actions;
    flag("builtin-actions", mode.word().to_owned(), mode == Default::default());
    let server = &of_actions.actions_server;
    flag("actions-server", server.clone(), server == "https://github.com");
    for local in &of_actions.local_repository {
        let version = local.reference.as_ref().map(|reference| format!("@{reference}")).unwrap_or_default();
        flag("local-repository", format!("{}{version}={}", local.repository, local.path.display()), false);
    }
    flag("remote-name", event.remote_name.clone(), event.remote_name == "origin");
    flag("github-instance", event.github_instance.clone(), event.github_instance == "github.com");
    event.actor.iter().for_each(|actor| flag("actor", actor.clone(), false));
    event.defaultbranch.iter().for_each(|branch| flag("defaultbranch", branch.clone(), false));
    let values = &args.values;
    for given in values.secret.iter().map(Secret::expose) {
        flag("secret", given.split_once('=').map_or(given, |(name, _)| name).to_owned(), false);
    }
    values.var.iter().for_each(|var| flag("var", var.clone(), false));
    values.env.iter().for_each(|given| flag("env", env(given), false));
    let files = [("secret-file", &values.secret_file), ("var-file", &values.var_file), ("env-file", &values.env_file)];
    for (name, file) in files {
        file.iter().for_each(|file| flag(name, file.display().to_string(), false));
    }
    let switches = [
        ("host", args.host),
        ("bind", args.bind),
        ("locked", args.locked),
        ("offline", of_actions.offline),
        ("no-git", args.no_git),
        ("strict-secrets", args.strict_secrets),
    ];
    let given = switches.into_iter().filter(|(_, is_given)| *is_given);
    flags.extend(given.map(|(name, _)| Flag { name, value: None, is_usual: false }));
    flags
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn shown_of(line: &[&str], jobs: &[&str]) -> String {
        let cli = Cli::try_parse_from(line).expect("a command line");
        let Command::Run(args) = cli.command else { panic!("no run") };
        shown(&args, &cli.global, "push", ".github/workflows/a.yml", jobs)
    }

    #[test]
    fn what_is_usual_is_not_shown() {
        let plain = "pipe run push -W .github/workflows/a.yml";
        assert_eq!(shown_of(&["pipe", "run"], &[]), plain);
        assert_eq!(shown_of(&["pipe", "run", "--on-fail=keep", "-W", "b.yml"], &["test"]), format!("{plain} -j test"));
    }

    #[test]
    fn what_decides_is_shown_and_means_the_same() {
        let given = [
            "pipe",
            "-C",
            "my repo",
            "run",
            "--locked",
            "--offline",
            "--builtin-actions=never",
            "-e",
            "e.json",
            "--input",
            "a=it's",
            "-P",
            "x=-self-hosted",
            "--pull",
            "-s",
            "KEY=hunter2",
            "--secret-file",
            "s",
            "--env",
            "A=b c",
            "--matrix",
            "os:linux",
        ];
        let text = shown_of(&given, &["a"]);
        let expected = "pipe -C 'my repo' run push -W .github/workflows/a.yml -j a --eventpath e.json --input 'a=it'\\''s' \
                        --matrix os:linux --platform=x=-self-hosted --pull=always --builtin-actions never --secret KEY \
                        --env 'A=b c' --secret-file s --locked --offline";
        assert_eq!(text, expected);
        assert!(!text.contains("hunter2"), "a secret's value is not shown");
        let words = shlex_like(&text);
        let again = shown_of(&words.iter().map(String::as_str).collect::<Vec<_>>(), &["a"]);
        assert_eq!(again, text, "what is shown asks for the same");
    }

    /// The words that a shell makes of it.
    fn shlex_like(text: &str) -> Vec<String> {
        let output =
            std::process::Command::new("sh").args(["-c", &format!("printf '%s\\n' {text}")]).output().expect("sh");
        String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("a/b.yml"), "a/b.yml");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
