//! `pipe notify`: whom people's news go to.

use clap::Subcommand;

use super::Connect;

/// `pipe notify`.
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// List the channels, and how it goes
    #[command(visible_alias = "list")]
    Ls {
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Send a trial to one channel or to all, and wait until it has arrived
    Test {
        /// The channel; else all
        name: Option<String>,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// List what was told, newest first
    Deliveries {
        /// Only by this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// How many
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Send something once more
    Redeliver {
        /// Its number
        number: u64,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
}
