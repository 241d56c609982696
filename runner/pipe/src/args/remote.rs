//! Verbs about runs and what they use: on a server, in a server's folder, or in what `pipe run` left here.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Verbs that ask the API.
#[derive(Debug, Subcommand)]
pub enum RemoteCommand {
    /// List runs, newest first
    Runs(RunsArgs),
    /// Show a run with its jobs and steps
    Show(OneRun),
    /// Follow a run live; ends with its conclusion
    Watch(OneRun),
    /// Print the logs of a run
    Logs(LogsArgs),
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
    /// Hooks that came
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// Secrets of jobs; values come from standard input or a hidden prompt
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Variables of jobs
    #[command(subcommand)]
    Var(VarCommand),
    /// Tokens of the API
    #[command(subcommand)]
    Token(TokenCommand),
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

/// `pipe logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Its number, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Only this job: its key or its name
    #[arg(short, long, value_name = "JOB")]
    pub job: Option<String>,
    /// Only jobs that failed
    #[arg(long, conflicts_with = "job")]
    pub failed: bool,
    /// Go on until the run is over
    #[arg(short, long)]
    pub follow: bool,
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
    /// The environment; without it all that wait
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

/// For which jobs a value is.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Only for jobs of this repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: Option<String>,
    /// Only for jobs of this environment
    #[arg(long, value_name = "ENVIRONMENT")]
    pub env: Option<String>,
    /// Only for jobs of this branch; a pattern as in `on.push.branches`
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,
}

/// `pipe secret`.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Set one; its value comes from standard input or a hidden prompt
    Set {
        /// Its name
        name: String,
        /// For which jobs
        #[command(flatten)]
        place: Place,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// List names
    #[command(visible_alias = "list")]
    Ls {
        /// Only what jobs of this repository may get
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<String>,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Remove one
    Rm {
        /// Its name
        name: String,
        /// For which jobs
        #[command(flatten)]
        place: Place,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Seal everything with a new master key, while the server is stopped
    Rekey {
        /// The server's folder
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `pipe var`.
#[derive(Debug, Subcommand)]
pub enum VarCommand {
    /// Set one
    Set {
        /// Its name
        name: String,
        /// Its value; from standard input where it is left out
        value: Option<String>,
        /// For which jobs
        #[command(flatten)]
        place: Place,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// List them
    #[command(visible_alias = "list")]
    Ls {
        /// Only what jobs of this repository get
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<String>,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Remove one
    Rm {
        /// Its name
        name: String,
        /// For which jobs
        #[command(flatten)]
        place: Place,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}

/// `pipe token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make one; it is printed this once
    Create {
        /// What people call it
        name: String,
        /// What it allows; may be repeated: runs:read, runs:write, reviews:write, dispatch, deliveries, secrets:write,
        /// audit:read, admin
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// Only for this repository; may be repeated
        #[arg(long = "repo", value_name = "OWNER/NAME")]
        repos: Vec<String>,
        /// How many days it lives
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        days: i64,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// List them
    #[command(visible_alias = "list")]
    Ls {
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Take one back
    Revoke {
        /// Its number or its name
        token: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}

/// `pipe backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// A folder that is not there yet
    #[arg(value_name = "TARGET")]
    pub target: PathBuf,
    /// The server's folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// With the master key: who has the backup can read every secret
    #[arg(long)]
    pub with_key: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `pipe restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The folder that `pipe backup` made
    #[arg(value_name = "BACKUP")]
    pub backup: PathBuf,
    /// Where to: a folder without a database
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Only check it
    #[arg(long)]
    pub verify: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `pipe audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List deeds, newest first
    #[command(visible_alias = "list")]
    Ls {
        /// Only these: `secret.set`, or a group: `secret.`
        #[arg(long, value_name = "WHAT")]
        what: Option<String>,
        /// How many
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Check that nothing was changed or removed, while the server is stopped
    Verify {
        /// The server's folder
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// What an earlier check printed; rows that it knew must still be there
        #[arg(long, value_name = "COUNT:HASH")]
        anchor: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
