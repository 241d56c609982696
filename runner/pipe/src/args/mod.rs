//! The command line: what can be asked, in the words that act's users know.
//!
//! Every flag has a variable, `PIPE_` and its long name in capitals; [`command`] gives them all, so that none is
//! forgotten. Nothing is decided here.

mod act;
mod actions;
mod actrc;
mod artifacts;
mod deploy;
mod insights;
mod keeping;
mod notify;
mod people;
mod proxy;
mod remote;
mod repo;
mod run;
mod scan;
mod serve;

pub use act::{ActFlags, Answer};
pub use actions::{ActionArgs, LockArgs};
pub use actrc::with_actrc;
pub use artifacts::ArtifactsCommand;
pub use deploy::{DeployCommand, EnvCommand, OrderArgs, WhichRollout};
pub use insights::{CostsArgs, CostsBy, DeploymentCommand, DoraArgs, WindowArgs};
pub use keeping::{AuditCommand, BackupArgs, GcArgs, Place, RestoreArgs, SecretCommand, TokenCommand, VarCommand};
pub use notify::NotifyCommand;
pub use people::{AliasCommand, RolePlace, TeamCommand, UserCommand};
pub use proxy::{ProxyArgs, ProxyCommand, ProxyStatusArgs};
pub use remote::{
    CancelArgs, Connect, DeliveriesCommand, DeploymentsArgs, DispatchArgs, EnvironmentsArgs, LogsArgs, MessagesCommand,
    OneRun, RemoteCommand, RerunArgs, ReviewArgs, RunsArgs, WatchArgs,
};
pub use repo::{
    BadgesForName, HookArgs, HookCommand, HookInstallArgs, HookSendArgs, RepoAddArgs, RepoArgs, RepoBadgesArgs,
    RepoCommand, RepoOneArgs,
};
pub use run::{EventArgs, OnFail, OnReview, Pull, RunArgs, ShellArgs, ValueArgs};
pub use scan::{
    ScanArgs, ScanAttestArgs, ScanCommand, ScanDbCommand, ScanDiffArgs, ScanHow, ScanKeyArgs, ScanStatusArgs,
    ScanUpdateArgs, ScanVerifyArgs, Scanner,
};
pub use serve::ServeArgs;

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::terminal::ColorChoice;

/// Runs GitHub Actions workflows here.
#[derive(Debug, Parser)]
#[command(
    name = "pipe",
    version,
    about = "Runs GitHub Actions workflows on your own machine",
    after_help = "Every flag can be given by a variable as well: PIPE_ and its long name in capitals, such as \
                  PIPE_COLOR=never.\nExit codes: 0 success, 1 a job failed, 2 usage, 3 workflow invalid, 4 nothing to \
                  run, 6 environment, 130 cancelled by you.",
    arg_required_else_help = true,
    args_override_self = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Flags of all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of all commands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Work in this folder instead of the current one
    #[arg(short = 'C', long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub directory: Option<PathBuf>,
    /// When to show colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", help_heading = "Global options")]
    pub color: ColorChoice,
    /// User settings instead of $XDG_CONFIG_HOME/pipe/config.toml
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Say more; twice: still more
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Say less: only results, warnings and errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run workflows for an event
    Run(Box<RunArgs>),
    /// Open a shell in the place of a job that failed and was kept
    Shell(ShellArgs),
    /// Say what would run for an event, in which order, and why the rest would not
    Plan(Box<PlanArgs>),
    /// List workflows, their events and jobs
    List(ListArgs),
    /// Draw the jobs of a workflow and what they need
    Graph(GraphArgs),
    /// Check workflow files
    Check(CheckArgs),
    /// Write down which commit each action is that the workflows use
    Lock(Box<LockArgs>),
    /// Explain a diagnostic code
    Explain(ExplainArgs),
    /// Evaluate an expression
    Eval(EvalArgs),
    /// Serve: take hooks, run workflows, keep everything
    Serve(ServeArgs),
    /// Stand before a service's colours: split requests, count answers, lose none
    Proxy(Box<ProxyArgs>),
    /// Find what is wrong with images and sources, and decide whether they may go on
    Scan(Box<ScanArgs>),
    /// Check this machine: Docker, images, git, disk, settings
    Doctor(DoctorArgs),
    /// Make a plain repository tell a server of each push
    Hook(HookArgs),
    /// Copy a server's folder, while it runs
    Backup(BackupArgs),
    /// Make room where a disk is full: caches, images and volumes of ours that nothing uses
    Gc(GcArgs),
    /// Check a backup, and put it into a folder
    Restore(RestoreArgs),
    /// Runs and what they use, on a server or here
    #[command(flatten)]
    Remote(RemoteCommand),
    /// Print shell completions
    Completions(CompletionsArgs),
}

/// Which workflow files are meant.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// A workflow file, a folder of them, or a workflow's name; may be repeated
    #[arg(short = 'W', long = "workflows", value_name = "PATH")]
    pub workflows: Vec<String>,
    /// Do not look into folders below a folder given by -W
    #[arg(long)]
    pub no_recurse: bool,
}

/// `pipe plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The event
    #[command(flatten)]
    pub event: EventArgs,
    /// The event's name, as a flag
    #[arg(short = 'e', long = "event", value_name = "EVENT", conflicts_with = "event")]
    pub event_flag: Option<String>,
    /// The event's payload, a JSON file, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub event_file: Option<PathBuf>,
    /// Which workflows
    #[command(flatten)]
    pub selection: Selection,
    /// Only this job and those that it needs; may be repeated
    #[arg(short, long = "job", value_name = "JOB")]
    pub jobs: Vec<String>,
    /// Only legs with this matrix value
    #[arg(long, value_name = "KEY:VALUE")]
    pub matrix: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `pipe list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only workflows that list this event
    #[arg(value_name = "EVENT")]
    pub event: Option<String>,
    /// Which workflows
    #[command(flatten)]
    pub selection: Selection,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `pipe graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// A workflow file or name, as -W
    #[arg(value_name = "WORKFLOW")]
    pub workflow: Option<String>,
    /// Which workflows
    #[command(flatten)]
    pub selection: Selection,
    /// Only this job and those that it needs; may be repeated
    #[arg(short, long = "job", value_name = "JOB")]
    pub jobs: Vec<String>,
    /// The form
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: GraphFormat,
}

/// Forms of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum GraphFormat {
    /// For the terminal.
    #[default]
    Text,
    /// For Markdown pages.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// A picture.
    Svg,
    /// For programs.
    Json,
}

/// `pipe check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Workflow files and folders; without any: this repository's
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The form of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: CheckFormat,
    /// Warnings count as errors
    #[arg(long)]
    pub strict: bool,
    /// Audits tell also what is only not as safe as it could be
    #[arg(long)]
    pub pedantic: bool,
}

/// Forms of the result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum CheckFormat {
    /// For people.
    #[default]
    Text,
    /// A line of JSON for each file.
    Json,
    /// SARIF 2.1.0, as code scanning reads it.
    Sarif,
    /// Workflow commands that become annotations on GitHub.
    Github,
}

/// `pipe explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Such as P0103 or unpinned-uses; without one: all codes
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}

/// `pipe eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The expression, with or without `${{ }}`
    #[arg(
        value_name = "EXPR",
        required_unless_present = "stdin",
        conflicts_with = "stdin",
        allow_hyphen_values = true
    )]
    pub expression: Option<String>,
    /// Contexts: a JSON object such as {"github":{"ref":"refs/heads/main"}}; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub context: Option<PathBuf>,
    /// Print {"kind":…,"value":…} or {"error":…}
    #[arg(long)]
    pub json: bool,
    /// Read a request {"expr":…,"contexts":…} a line, answer a line of JSON each
    #[arg(long)]
    pub stdin: bool,
}

/// `pipe doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Check the folder of a server as well
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Whether a server could listen there
    #[arg(long, value_name = "ADDR", requires = "data")]
    pub listen: Option<std::net::SocketAddr>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `pipe completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Prefix of the variables.
const VARIABLE_PREFIX: &str = "PIPE_";

/// The whole command line, every flag with its variable. A variable counts for nothing where the line itself gives a flag
/// that excludes it: who says `--data` does not mean the server of `PIPE_SERVER`.
pub fn command() -> clap::Command {
    let given = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok()).take_while(|word| word != "--");
    command_beside(&given.collect::<Vec<_>>())
}

fn command_beside(given: &[String]) -> clap::Command {
    with_variables(Cli::command(), given)
}

fn with_variables(command: clap::Command, given: &[String]) -> clap::Command {
    let is_given = |arg: &clap::Arg| {
        let Some(long) = arg.get_long() else { return false };
        given.iter().any(|word| {
            let rest = word.strip_prefix("--").and_then(|word| word.strip_prefix(long));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    let mut excluded = Vec::new();
    for arg in command.get_arguments() {
        for other in command.get_arg_conflicts_with(arg) {
            excluded.extend([(arg, other), (other, arg)].map(|(one, two)| is_given(one).then(|| two.get_id().clone())));
        }
    }
    let with = |arg: clap::Arg| {
        let is_excluded = excluded.iter().flatten().any(|id| id == arg.get_id());
        if is_excluded { arg } else { with_variable(arg) }
    };
    command.mut_args(with).mut_subcommands(|command| with_variables(command, given))
}

fn with_variable(arg: clap::Arg) -> clap::Arg {
    let Some(long) = arg.get_long() else { return arg };
    let name = format!("{VARIABLE_PREFIX}{}", long.to_uppercase().replace('-', "_"));
    let flag = matches!(arg.get_action(), ArgAction::SetTrue);
    let arg = arg.env(name).hide_env(true);
    if flag { arg.value_parser(FalseyValueParser::new()) } else { arg }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable() {
        let mut commands = vec![command()];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            for arg in command.get_arguments().filter(|arg| arg.get_long().is_some()) {
                assert!(arg.get_env().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
        }
    }

    #[test]
    fn what_the_line_gives_excludes_variables() {
        let variables = |words: &[&str]| {
            let given: Vec<String> = words.iter().map(ToString::to_string).collect();
            let command = command_beside(&given);
            let runs = command.find_subcommand("runs").unwrap();
            let has =
                |name: &str| runs.get_arguments().any(|arg| arg.get_id().as_str() == name && arg.get_env().is_some());
            (has("server"), has("data"))
        };
        assert_eq!(variables(&["runs"]), (true, true));
        assert_eq!(variables(&["runs", "--data", "d"]), (false, true));
        assert_eq!(variables(&["runs", "--data=d"]), (false, true));
        assert_eq!(variables(&["runs", "--server", "http://x"]), (true, false));
        assert_eq!(variables(&["runs", "--database"]), (true, true));
    }
}
