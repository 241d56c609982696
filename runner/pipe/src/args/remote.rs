//! Verbs about runs and what they use: on a server, in a server's folder, or in what `pipe run` left here.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    ArtifactsCommand, AuditCommand, CostsArgs, DeployCommand, DeploymentCommand, DoraArgs, EnvCommand, NotifyCommand,
    RepoArgs, SecretCommand, TeamCommand, TokenCommand, UserCommand, VarCommand,
};

/// Verbs that ask the API.
#[derive(Debug, Subcommand)]
pub enum RemoteCommand {
    /// List runs, newest first
    Runs(RunsArgs),
    /// Show a run with its jobs and steps
    Show(OneRun),
    /// Follow a run live; ends with its conclusion
    Watch(WatchArgs),
    /// Print the logs of a run
    Logs(LogsArgs),
    /// What runs left
    #[command(subcommand)]
    Artifacts(ArtifactsCommand),
    /// Stop a run
    Cancel(CancelArgs),
    /// Run again what is over
    Rerun(RerunArgs),
    /// Let a deployment that waits go on
    Approve(ReviewArgs),
    /// Stop a deployment that waits
    Reject(ReviewArgs),
    /// Start runs by hand
    Dispatch(DispatchArgs),
    /// Rollouts: how far they are, and orders to them
    #[command(subcommand)]
    Deploy(DeployCommand),
    /// Environments: what stands there, what goes on
    #[command(subcommand)]
    Env(EnvCommand),
    /// List deployments, newest first
    Deployments(DeploymentsArgs),
    /// List environments and what stands there
    Environments(EnvironmentsArgs),
    /// One deployment, and what became of it
    #[command(subcommand)]
    Deployment(DeploymentCommand),
    /// DORA's five figures: how often, how fast, how many fail
    Dora(DoraArgs),
    /// Minutes and money of jobs, slow steps, caches, the budget
    Costs(CostsArgs),
    /// What forges and people have not been told yet
    #[command(subcommand)]
    Messages(MessagesCommand),
    /// Repositories of a server
    Repo(RepoArgs),
    /// Hooks that came
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// Whom people's news go to: Slack, mail, Teams, Discord, hooks
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Secrets of jobs; values come from standard input or a hidden prompt
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Variables of jobs
    #[command(subcommand)]
    Var(VarCommand),
    /// Tokens of the API
    #[command(subcommand)]
    Token(TokenCommand),
    /// People who may sign in
    #[command(subcommand)]
    User(UserCommand),
    /// Teams of people
    #[command(subcommand)]
    Team(TeamCommand),
    /// Who did what
    #[command(subcommand)]
    Audit(AuditCommand),
}

/// Where to ask.
#[derive(Debug, Clone, Args)]
pub struct Connect {
    /// The server; its token is taken from PIPE_TOKEN
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub server: Option<String>,
    /// A file that holds the token, instead of PIPE_TOKEN
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub token_file: Option<PathBuf>,
    /// The folder of a server on this machine, running or not
    #[arg(long, value_name = "DIR", conflicts_with = "server", help_heading = "Server")]
    pub data: Option<PathBuf>,
    /// Print JSON
    #[arg(long, help_heading = "Server")]
    pub json: bool,
}

/// `pipe runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Where
    #[command(flatten)]
    pub connect: Connect,
    /// Only of this repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: Option<String>,
    /// Only of this branch
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,
    /// Only of this event
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
    /// queued, waiting, in_progress, completed, success, failure, cancelled …
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// Only by this person
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Only of this commit
    #[arg(long, value_name = "SHA")]
    pub sha: Option<String>,
    /// Only of this workflow: its path or file name
    #[arg(short = 'W', long, value_name = "FILE")]
    pub workflow: Option<String>,
    /// How many
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
}

/// A run.
#[derive(Debug, Args)]
pub struct OneRun {
    /// Its number, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Which
    #[command(flatten)]
    pub one: OneRun,
    /// End, with success, as soon as the run waits for people: for a review, or at a gate
    #[arg(long)]
    pub until_review: bool,
}

/// `pipe logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Its number, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Only this job: its key or its name; all legs of a matrix where it is their job's
    #[arg(short, long, value_name = "JOB")]
    pub job: Option<String>,
    /// Only jobs that failed
    #[arg(long, conflicts_with_all = ["job", "follow"])]
    pub failed: bool,
    /// Go on until the run is over
    #[arg(short, long)]
    pub follow: bool,
    /// With the time (UTC) at which each line came before it
    #[arg(short, long, conflicts_with = "follow")]
    pub timestamps: bool,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Its number, or `latest`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Without the steps that always run
    #[arg(long)]
    pub force: bool,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe rerun`.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// Its number, or `latest`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Only what failed, and what needs it
    #[arg(long, conflicts_with = "job")]
    pub failed: bool,
    /// Only this job, and what needs it
    #[arg(short, long, value_name = "JOB")]
    pub job: Option<String>,
    /// Follow it live
    #[arg(short, long)]
    pub watch: bool,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe approve` and `pipe reject`.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// Its number, or `latest`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// The environment, or `gate:NAME` of what a job asks; without it all that wait
    #[arg(value_name = "ENVIRONMENT")]
    pub environment: Option<String>,
    /// Why
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub message: String,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe dispatch`.
#[derive(Debug, Args)]
pub struct DispatchArgs {
    /// Path or file name of the workflow
    #[arg(value_name = "WORKFLOW", required_unless_present = "type")]
    pub workflow: Option<String>,
    /// The repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: String,
    /// Branch, tag or whole ref; else the default branch
    #[arg(long = "ref", value_name = "REF")]
    pub git_ref: Option<String>,
    /// An input of the workflow; may be repeated
    #[arg(long = "input", value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,
    /// A repository_dispatch of this type, instead of a workflow
    #[arg(long = "type", id = "type", value_name = "TYPE", conflicts_with = "workflow")]
    pub event_type: Option<String>,
    /// Follow the run live
    #[arg(short, long)]
    pub watch: bool,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe deployments`.
#[derive(Debug, Args)]
pub struct DeploymentsArgs {
    /// Only to this environment
    #[arg(value_name = "ENVIRONMENT")]
    pub environment: Option<String>,
    /// Only of this repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: Option<String>,
    /// How many
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe environments`.
#[derive(Debug, Args)]
pub struct EnvironmentsArgs {
    /// Only of this repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: Option<String>,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe messages`.
#[derive(Debug, Subcommand)]
pub enum MessagesCommand {
    /// List them, newest first, with what went wrong
    #[command(visible_alias = "ls")]
    List {
        /// How many
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Try one again that was given up
    Retry {
        /// Its number
        number: u64,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}

/// `pipe deliveries`.
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// List them, newest first
    #[command(visible_alias = "ls")]
    List {
        /// Only of this repository
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<String>,
        /// received, processed, ignored or failed
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// How many
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one with its payload
    Show {
        /// Its number
        number: u64,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Look at one again
    Replay {
        /// Its number
        number: u64,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}
