//! Verbs about rollouts: how far they are, what they change, and what people order; and environments.

use clap::{Args, Subcommand};

use super::Connect;

/// Which rollout is meant.
#[derive(Debug, Clone, Args)]
pub struct WhichRollout {
    /// The environment; may be left out where only one is meant
    #[arg(value_name = "ENVIRONMENT")]
    pub environment: Option<String>,
    /// The service; may be left out where only one is meant
    #[arg(short, long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// The number of a rollout, instead of where and what
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["environment", "service"])]
    pub rollout: Option<u64>,
    /// Where
    #[command(flatten)]
    pub connect: Connect,
}

/// An order.
#[derive(Debug, Clone, Args)]
pub struct OrderArgs {
    /// Which
    #[command(flatten)]
    pub which: WhichRollout,
    /// Why; kept with the rollout and in the audit log
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub message: String,
}

/// `pipe deploy`.
#[derive(Debug, Subcommand)]
pub enum DeployCommand {
    /// How far rollouts are: split, steps, evidence, what may be ordered
    Status {
        /// Which
        #[command(flatten)]
        which: WhichRollout,
        /// Follow it live; ends with 0 if it succeeded, 1 if it went back
        #[arg(short, long)]
        watch: bool,
    },
    /// Rollouts that there were, newest first, how they ended and why
    #[command(visible_alias = "ls")]
    History {
        /// Only to this environment
        #[arg(value_name = "ENVIRONMENT")]
        environment: Option<String>,
        /// Only of this service
        #[arg(short, long, value_name = "SERVICE")]
        service: Option<String>,
        /// Only of this repository
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<String>,
        /// How many
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// What a rollout changes: image, commits, settings, migrations
    Diff {
        /// Which
        #[command(flatten)]
        which: WhichRollout,
    },
    /// Go on with the next step, whatever is left of this one
    Promote {
        /// The order
        #[command(flatten)]
        order: OrderArgs,
        /// Go on to all of the traffic
        #[arg(long)]
        full: bool,
    },
    /// Stay where it is; what makes it go back still does
    Pause(OrderArgs),
    /// Go on after a pause
    Resume(OrderArgs),
    /// Go back, and end
    Abort(OrderArgs),
    /// Take back what goes on, or else what stands
    Rollback {
        /// The order
        #[command(flatten)]
        order: OrderArgs,
        /// The number of a rollout that succeeded: what it brought shall stand; else what stood before
        #[arg(long, value_name = "NUMBER")]
        to: Option<u64>,
    },
    /// Why it is where it is: the evidence, and everything that happened
    Explain {
        /// Which
        #[command(flatten)]
        which: WhichRollout,
    },
}

/// `pipe env`.
#[derive(Debug, Subcommand)]
pub enum EnvCommand {
    /// List environments, each once, with what stands there and what goes on
    #[command(visible_alias = "list")]
    Ls {
        /// Only what is of this repository
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<String>,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}
