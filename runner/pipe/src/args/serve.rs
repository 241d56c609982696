//! Flags of `pipe serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// `pipe serve`. `--config` is its `pipe.toml`; without it, the one in the data folder.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The server's folder: database, key, logs, mirrors; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where to listen; 127.0.0.1:8080 where neither this nor pipe.toml says it
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Start even if facts that were acknowledged are gone from the database, and go on from what is left
    #[arg(long)]
    pub accept_loss: bool,
}
