//! Verbs about what a server keeps: secrets, variables, tokens, the audit log, copies of its folder.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Connect;

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
        /// For no job: a credential of a channel of `[notify.NAME]`, such as PIPE_NOTIFY_NAME_URL
        #[arg(long, conflicts_with_all = ["repo", "env", "branch"])]
        notify: bool,
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
        /// The one of channels, which no job gets
        #[arg(long, conflicts_with_all = ["repo", "env", "branch"])]
        notify: bool,
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
        /// What it allows; may be repeated: runs:read, runs:write, reviews:write, dispatch, deploy, deliveries,
        /// secrets:write, repositories, audit:read, admin
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

/// `pipe gc`.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// The folder of a server that does not run; else what `pipe run` left
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Make room on disks that are fuller than this, until they are not
    #[arg(long, value_name = "PERCENT", default_value_t = engine::collect::DISK_PERCENT,
          value_parser = clap::value_parser!(u8).range(0..=100))]
    pub disk_percent: u8,
    /// Remove runs that ended so many days ago, with their logs, but for those that deployed something
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub run_days: Option<u32>,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
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
        /// A file with signed checkpoints, such as an export or the server's audit-checkpoints.ndjson
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print all deeds with their hashes, and a signed checkpoint at the end, as NDJSON
    Export {
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}
