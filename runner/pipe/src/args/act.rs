//! act's flags that have no effect here: those that may be ignored are, with a note; the others say what to use instead.
//!
//! See <https://nektosact.com/usage/index.html>.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// What becomes of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing; the text says why that is right.
    Ignored(&'static str),
    /// An error; the text says what to use.
    Refused(&'static str),
}

/// One flag of act.
#[derive(Debug)]
struct ActFlag {
    long: &'static str,
    short: Option<char>,
    takes_value: bool,
    answer: Answer,
}

const fn ignored(long: &'static str, short: Option<char>, why: &'static str) -> ActFlag {
    ActFlag { long, short, takes_value: false, answer: Answer::Ignored(why) }
}

const fn refused(long: &'static str, short: Option<char>, instead: &'static str) -> ActFlag {
    ActFlag { long, short, takes_value: false, answer: Answer::Refused(instead) }
}

const fn value(mut flag: ActFlag) -> ActFlag {
    flag.takes_value = true;
    flag
}

const OWN_SERVICES: &str = "artifacts and caches are served by pipe itself";
const OPTIONS: &str = "write it in the workflow: `container: {image: …, options: …}`";

const FLAGS: &[ActFlag] = &[
    ignored("rm", None, "what a run made is always removed"),
    ignored("reuse", Some('r'), "containers are never used twice; caches keep runs fast"),
    ignored("rebuild", None, "actions are built when they change"),
    ignored("use-gitignore", None, "the checkout holds what git knows"),
    ignored("use-new-action-cache", None, "there is one action cache"),
    ignored("no-skip-checkout", None, "actions/checkout is done from the local repository"),
    ignored("log-prefix-job-id", None, "lines carry the job's name"),
    ignored("no-cache-server", None, OWN_SERVICES),
    value(ignored("artifact-server-path", None, OWN_SERVICES)),
    value(ignored("artifact-server-addr", None, OWN_SERVICES)),
    value(ignored("artifact-server-port", None, OWN_SERVICES)),
    value(ignored("cache-server-path", None, OWN_SERVICES)),
    value(ignored("cache-server-addr", None, OWN_SERVICES)),
    value(ignored("cache-server-port", None, OWN_SERVICES)),
    value(ignored("cache-server-external-url", None, OWN_SERVICES)),
    value(ignored(
        "container-daemon-socket",
        None,
        "jobs never see the Docker socket; `pipe/docker-build` builds images",
    )),
    refused("insecure-secrets", None, "secrets are always hidden in logs"),
    refused("privileged", None, "containers are never privileged; `--host` runs on this machine"),
    refused("list", Some('l'), "use `pipe list`"),
    refused("graph", Some('g'), "use `pipe graph`"),
    refused("validate", None, "use `pipe check`"),
    refused("strict", None, "use `pipe check --strict`"),
    refused("watch", Some('w'), "run it from a file watcher, such as `watchexec -- pipe run`"),
    refused("bug-report", None, "use `pipe doctor`"),
    refused("list-options", None, "use `pipe help run`"),
    refused("man-page", None, "use `pipe help run`"),
    value(refused("container-options", None, OPTIONS)),
    value(refused("container-cap-add", None, OPTIONS)),
    value(refused("container-cap-drop", None, OPTIONS)),
    value(refused("container-architecture", None, "map the label to an image of that platform with `-P LABEL=IMAGE`")),
    value(refused("network", None, "every job with services gets a network of its own")),
    value(refused("userns", None, OPTIONS)),
    value(refused("replace-ghe-action-with-github-com", None, "actions come from `--github-instance`")),
    value(refused("replace-ghe-action-token-with-github-com", None, "actions come from `--github-instance`")),
];

/// act's flags that were given.
#[derive(Debug, Clone, Default)]
pub struct ActFlags(Vec<(&'static str, Answer)>);

impl ActFlags {
    /// The flags with what becomes of each.
    pub fn given(&self) -> &[(&'static str, Answer)] {
        &self.0
    }
}

impl Args for ActFlags {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, flag| command.arg(flag.arg()))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ActFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = FLAGS.iter().filter(|flag| flag.was_given(matches));
        Ok(Self(given.map(|flag| (flag.long, flag.answer)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl ActFlag {
    fn arg(&self) -> Arg {
        let arg = Arg::new(self.long).long(self.long).hide(true);
        let arg = match self.short {
            Some(short) => arg.short(short),
            None => arg,
        };
        if self.takes_value {
            return arg.action(ArgAction::Append).allow_hyphen_values(true);
        }
        // act's flags are Go's: `--rm=false` is one of them.
        arg.num_args(0..=1).require_equals(true).default_missing_value("true").action(ArgAction::Append)
    }

    fn was_given(&self, matches: &ArgMatches) -> bool {
        let mut values = matches.get_many::<String>(self.long).into_iter().flatten();
        values.next_back().is_some_and(|value| self.takes_value || value != "false")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: &[&str]) {
        let command = ActFlags::augment_args(Command::new("run"));
        let matches = command.get_matches_from(std::iter::once("run").chain(arguments.iter().copied()));
        let flags = ActFlags::from_arg_matches(&matches).unwrap();
        assert_eq!(flags.given().iter().map(|(long, _)| *long).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn flags_are_known_with_and_without_values() {
        check(&[], &[]);
        check(&["--rm", "-g"], &["rm", "graph"]);
        check(&["--rm=false"], &[]);
        check(&["--container-options", "--cpus 2", "--no-cache-server"], &["no-cache-server", "container-options"]);
    }
}
