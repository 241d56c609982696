//! The flags of `pipe run`, in act's words where act has them.

use std::path::PathBuf;

use clap::Args;
use workflow::secret::Secret;

use super::{ActFlags, ActionArgs, Selection};

/// `pipe run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The event
    #[command(flatten)]
    pub event: EventArgs,
    /// The event's payload, a JSON file, `-` for standard input
    #[arg(short = 'e', long, visible_alias = "event-file", value_name = "FILE")]
    pub eventpath: Option<PathBuf>,
    /// Which workflows
    #[command(flatten)]
    pub selection: Selection,
    /// Only this job and those that it needs; may be repeated
    #[arg(short, long = "job", value_name = "JOB")]
    pub jobs: Vec<String>,
    /// Secrets, variables, inputs
    #[command(flatten)]
    pub values: ValueArgs,
    /// Only legs with this matrix value, of called workflows too; may be repeated
    #[arg(long, value_name = "KEY:VALUE", help_heading = "Jobs")]
    pub matrix: Vec<String>,
    /// The image for a label of runs-on, or `-self-hosted` for this machine; may be repeated
    #[arg(short = 'P', long, value_name = "LABEL=IMAGE", help_heading = "Jobs", allow_hyphen_values = true)]
    pub platform: Vec<String>,
    /// Run every job on this machine instead of in containers
    #[arg(long, help_heading = "Jobs")]
    pub host: bool,
    /// When to pull images: `missing` (or `false`), `always` (--pull alone, or `true`), `never`
    #[arg(
        short,
        long,
        value_enum,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value_t,
        default_missing_value = "always",
        help_heading = "Jobs"
    )]
    pub pull: Pull,
    /// How many jobs run at once, over all workflows
    #[arg(long, visible_alias = "concurrent-jobs", value_name = "N", help_heading = "Jobs")]
    pub parallel: Option<std::num::NonZeroUsize>,
    /// Approve the deployments of this environment, whose rules ask for a review; may be repeated
    #[arg(long, value_name = "ENVIRONMENT", help_heading = "Jobs")]
    pub approve: Vec<String>,
    /// Let jobs work in the repository's own folder instead of a copy
    #[arg(short, long, help_heading = "Jobs")]
    pub bind: bool,
    /// Where actions come from
    #[command(flatten)]
    pub actions: ActionArgs,
    /// Run no action that is not in .github/pipe.lock, or has changed since
    #[arg(long, help_heading = "Actions")]
    pub locked: bool,
    /// Go on with a run (its number, or `latest`) that was killed, or failed: what succeeded is kept
    #[arg(long, value_name = "RUN", help_heading = "Going on")]
    pub resume: Option<String>,
    /// With --resume: the step to go on from in a place that was kept (its id, name or number; JOB/STEP of several jobs)
    #[arg(long, value_name = "STEP", help_heading = "Going on")]
    pub from: Option<String>,
    /// What becomes of the workspace and container of a job that fails: `clean`, `keep`, or `shell` (keep, and open one)
    #[arg(long, value_enum, value_name = "WHAT", default_value_t, help_heading = "Going on")]
    pub on_fail: OnFail,
    /// What to do where a rule wants a review: `ask` on the terminal (without one: reject), `wait` for `pipe approve`, or `reject`
    #[arg(long, value_enum, value_name = "HOW", default_value_t, help_heading = "Jobs")]
    pub on_review: OnReview,
    /// Only say what would run
    #[arg(short = 'n', long)]
    pub dryrun: bool,
    /// Print events as JSON lines on standard output (docs/events.md)
    #[arg(long)]
    pub json: bool,
    /// An undefined secret that is used is an error, not a warning
    #[arg(long)]
    pub strict_secrets: bool,
    /// Run though this is no git repository, without saying so
    #[arg(long)]
    pub no_git: bool,
    /// Flags of act that are ignored or refused
    #[command(flatten)]
    pub act: ActFlags,
}

/// When images are pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Pull {
    /// When they are not here.
    #[default]
    #[value(alias = "false")]
    Missing,
    /// Every time; that it fails is an error.
    #[value(alias = "true")]
    Always,
    /// Not at all.
    Never,
}

/// What becomes of the place of a job that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OnFail {
    /// It is removed.
    #[default]
    Clean,
    /// It stands until `pipe gc`, or until the run goes on in it.
    Keep,
    /// The same, and a shell is opened in it.
    Shell,
}

/// `pipe shell`.
#[derive(Debug, Args)]
pub struct ShellArgs {
    /// Of which job; without it those that are kept are listed
    #[arg(value_name = "RUN/JOB")]
    pub place: Option<String>,
    /// List as JSON
    #[arg(long, conflicts_with = "place")]
    pub json: bool,
}

/// Who answers where a rule wants a review. `pipe approve` and `pipe reject` count in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OnReview {
    /// Whoever sits at the terminal.
    #[default]
    Ask,
    /// Nobody here.
    Wait,
    /// Nobody at all.
    Reject,
}

/// Which event happened.
#[derive(Debug, Clone, Args)]
pub struct EventArgs {
    /// The event's name, such as push; without it the only event of the workflows, or push
    #[arg(value_name = "EVENT")]
    pub event: Option<String>,
    /// Without an event's name take the first one that a workflow lists
    #[arg(long, help_heading = "Event")]
    pub detect_event: bool,
    /// Who did it
    #[arg(short, long, value_name = "LOGIN", help_heading = "Event")]
    pub actor: Option<String>,
    /// The default branch
    #[arg(long, value_name = "BRANCH", help_heading = "Event")]
    pub defaultbranch: Option<String>,
    /// The git remote that names the repository
    #[arg(long, value_name = "NAME", default_value = "origin", help_heading = "Event")]
    pub remote_name: String,
    /// The forge's host
    #[arg(long, value_name = "HOST", default_value = "github.com", help_heading = "Event")]
    pub github_instance: String,
    /// An input of workflow_dispatch; may be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Event")]
    pub input: Vec<String>,
    /// Inputs from a file (without it .input, if there is one)
    #[arg(long, value_name = "FILE", help_heading = "Event")]
    pub input_file: Option<PathBuf>,
}

/// What a run is given.
#[derive(Debug, Clone, Args)]
pub struct ValueArgs {
    /// A secret; NAME alone takes it from the environment or asks; ENVIRONMENT/NAME for jobs of that environment; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", hide_env_values = true, help_heading = "Values")]
    pub secret: Vec<Secret>,
    /// Secrets from a file, dotenv or YAML (without it .secrets, if there is one)
    #[arg(long, value_name = "FILE", help_heading = "Values")]
    pub secret_file: Option<PathBuf>,
    /// A variable (the vars context); ENVIRONMENT/NAME for jobs of that environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Values")]
    pub var: Vec<String>,
    /// Variables from a file, dotenv or YAML (without it .vars, if there is one)
    #[arg(long, value_name = "FILE", help_heading = "Values")]
    pub var_file: Option<PathBuf>,
    /// An environment variable for every step; may be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Values")]
    pub env: Vec<String>,
    /// Environment variables from a file, dotenv or YAML (without it .env, if there is one)
    #[arg(long, value_name = "FILE", help_heading = "Values")]
    pub env_file: Option<PathBuf>,
}
