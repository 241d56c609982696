//! Flags of `pipe proxy`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// `pipe proxy`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Once it accepts connections it prints one line: `ready`, and what it is as JSON. Deployments steer it \
                  over DIR/control.sock. SIGTERM ends it: nothing new is accepted, what is in flight is finished."
)]
pub struct ProxyArgs {
    /// What it does now
    #[command(subcommand)]
    pub command: Option<ProxyCommand>,
    /// The environment it stands before
    #[arg(long, value_name = "NAME", required = true)]
    pub environment: Option<String>,
    /// Where users' requests come in
    #[arg(long, value_name = "ADDR", required = true)]
    pub listen: Option<SocketAddr>,
    /// Where tests' requests come in: they reach the colour that is being tested, whatever its share
    #[arg(long, value_name = "ADDR")]
    pub test_listen: Option<SocketAddr>,
    /// Its table and sockets; made if it is not there
    #[arg(long, value_name = "DIR", required = true)]
    pub folder: Option<PathBuf>,
    /// Take the place of the proxy that runs in the folder; no connection is refused meanwhile
    #[arg(long)]
    pub take_over: bool,
    /// Answer /metrics at the test address as well, for Prometheus
    #[arg(long, requires = "test_listen")]
    pub metrics: bool,
    /// Believe X-Forwarded-For, -Proto and -Host of whoever asks: for a proxy behind one that sets them
    #[arg(long)]
    pub trust_forwarded: bool,
    /// How long a backend may take until its answer begins
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub answer_time: Duration,
    /// How long a client may be silent
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub idle_time: Duration,
    /// How long requests in flight get once it is told to stop
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub drain_time: Duration,
    /// Threads that carry requests [default: as many as there are cores]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

/// Below `pipe proxy`.
#[derive(Debug, Subcommand)]
pub enum ProxyCommand {
    /// Show where requests go and what has been counted
    Status(ProxyStatusArgs),
}

/// `pipe proxy status`.
#[derive(Debug, Args)]
pub struct ProxyStatusArgs {
    /// The folder of the proxy
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.trim_end_matches('s').parse().map_err(|_| "it is a number of seconds, such as 30".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| *time > Duration::ZERO && *time <= Duration::from_hours(24))
        .ok_or_else(|| "it is more than 0 and at most a day".to_owned())
}
