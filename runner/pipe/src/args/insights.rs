//! Verbs about figures: how delivery goes, and what one deployment was.

use clap::{Args, Subcommand};

use super::Connect;

/// From when to when.
#[derive(Debug, Clone, Args)]
pub struct WindowArgs {
    /// So long back from now: 7d, 12w, 36h
    #[arg(long, value_name = "TIME", conflicts_with = "from")]
    pub since: Option<String>,
    /// From this day (2026-03-01) or moment
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// To the end of this day, or to this moment; else to now
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
    /// Where days begin and end, such as Europe/Vienna; else UTC
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
}

/// `pipe dora`.
#[derive(Debug, Args)]
pub struct DoraArgs {
    /// Of deployments to this environment; else to production
    #[arg(long, value_name = "ENVIRONMENT")]
    pub environment: Option<String>,
    /// Only of this service
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// Only of this repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: Option<String>,
    /// When
    #[command(flatten)]
    pub window: WindowArgs,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// `pipe costs`.
#[derive(Debug, Args)]
pub struct CostsArgs {
    /// Only of this repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: Option<String>,
    /// By what: workflow, job, service or label
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub by: CostsBy,
    /// So long back from now: 7d, 12w, 36h
    #[arg(long, value_name = "TIME", conflicts_with = "from")]
    pub since: Option<String>,
    /// From this day (2026-03-01), in UTC
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// To the end of this day
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// What costs are added up by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CostsBy {
    /// Workflows
    #[default]
    Workflow,
    /// Jobs
    Job,
    /// Services
    Service,
    /// Labels of runs-on
    Label,
}

/// `pipe deployment`.
#[derive(Debug, Subcommand)]
pub enum DeploymentCommand {
    /// Show one: commit, images, who let it go on, what it brought
    Show {
        /// Its number; `pipe deployments` lists them
        number: u64,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Say that one failed, or that an incident made it necessary
    Mark {
        /// Its number
        number: u64,
        /// failed or unplanned
        #[arg(value_name = "MARK")]
        mark: String,
        /// Why
        #[arg(short, long, value_name = "TEXT")]
        message: String,
        /// When it was noticed (RFC 3339); else now
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Take back what was said of one
    Unmark {
        /// Its number
        number: u64,
        /// failed or unplanned
        #[arg(value_name = "MARK")]
        mark: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}
