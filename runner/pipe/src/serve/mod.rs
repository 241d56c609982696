//! `pipe serve`: the server put together. Everything it does is elsewhere: hooks in crate `web`, runs in `engine`.
//!
//! The parts: its settings ([`config`]), what it is made of ([`compose`]), how it ends ([`lifetime`]). Follows
//! <https://12factor.net/disposability>: it starts fast, and SIGTERM ends it in order.

mod actions;
mod compose;
pub mod config;
mod costs;
mod housekeeping;
mod lifetime;
mod oidc;
mod reporting;
mod steering;

pub use housekeeping::forget_runs;
pub use steering::{go_back, refused};

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use engine::store::{Database, Options, StoreError};
use tokio::net::TcpListener;

use crate::args::{Global, ServeArgs};
use crate::exit::{Exit, Failure};
use config::ServerConfig;

/// Name of the settings file in the data folder.
const CONFIG_FILE: &str = "pipe.toml";

/// Files that the server may have open at once, where the system lets it.
const OPEN_FILES_MAX: u64 = 16_384;

/// Runs the command.
pub fn run(args: &ServeArgs, global: &Global) -> Result<Exit, Failure> {
    log_to_stderr(global);
    open_many_files();
    let config = config(args, global)?;
    make_folder(&args.data)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))?;
    let end = runtime.block_on(async {
        // The folder before the port: two servers on one folder are told so, whatever their ports are.
        let database = open(&args.data, args.accept_loss)?;
        let listener = listen(args.listen.or(config.server.listen).unwrap_or(config::LISTEN_DEFAULT)).await?;
        let address = listener.local_addr();
        let address = address.map_err(|error| Failure::environment(format!("cannot listen: {error}")))?;
        let server = compose::compose(args, address, config, database).await?;
        lifetime::serve(server, listener).await
    });
    match end? {
        lifetime::End::GoingOn => end_now(Exit::Success),
        lifetime::End::Broken(reason) => {
            tracing::error!(reason, "the database cannot be used any more; jobs go on for the next start");
            end_now(Exit::Environment)
        }
        lifetime::End::Drained => Ok(Exit::Success),
    }
}

#[expect(clippy::exit, reason = "what goes on outlives us; dropping it in order would stop it")]
fn end_now(exit: Exit) -> ! {
    std::process::exit(exit as i32)
}

fn config(args: &ServeArgs, global: &Global) -> Result<ServerConfig, Failure> {
    let path = global.config.clone().unwrap_or_else(|| args.data.join(CONFIG_FILE));
    match std::fs::read_to_string(&path) {
        Ok(text) => ServerConfig::parse(&path.display().to_string(), &text, global.color),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && global.config.is_none() => {
            Ok(ServerConfig::default())
        }
        Err(error) => Err(Failure::usage(format!("cannot read `{}`: {error}", path.display()))),
    }
}

fn make_folder(data: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(data);
    made.map_err(|error| Failure::environment(format!("cannot make the data folder `{}`: {error}", data.display())))
}

fn open(data: &Path, accept_loss: bool) -> Result<Database, Failure> {
    Database::open(&data.join("pipe.db"), Options { accept_loss, ..Options::SERVER }).map_err(|error| {
        let help = match &error {
            StoreError::InUse { .. } => Some("a folder is served by one server; give this one another `--data`"),
            StoreError::Newer { .. } => Some("run the newer pipe, or put back the copy from before its first start"),
            StoreError::Lost { .. } => {
                Some("`--accept-loss` starts with what is left; runs and deliveries after it are gone")
            }
            StoreError::Database { .. }
            | StoreError::Full { .. }
            | StoreError::Broken { .. }
            | StoreError::Unfit { .. }
            | StoreError::Conflict { .. }
            | StoreError::File { .. } => None,
        };
        Failure::environment(format!("cannot {error}")).maybe_help(help.map(str::to_owned))
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::environment(format!("cannot listen on {address}: {error}"));
        let help = if error.kind() == std::io::ErrorKind::AddrInUse {
            Some("another program has this port; choose one with `--listen`")
        } else if error.kind() == std::io::ErrorKind::PermissionDenied {
            Some("ports below 1024 are the system's; choose a higher one")
        } else {
            None
        };
        failure.maybe_help(help.map(str::to_owned))
    })
}

/// Each client and each job takes some; what a process may have at first is often 1,024.
pub fn open_many_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = OPEN_FILES_MAX.min(hard);
        if soft >= wanted { Ok(()) } else { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "only few files can be open at once");
    }
}

/// Our own diagnostics as `key=value` lines. `PIPE_LOG` chooses what, as `RUST_LOG` does elsewhere.
pub fn log_to_stderr(global: &Global) {
    let default = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, _) => "info,engine=debug,web=debug,pipe=debug",
    };
    let wanted = crate::terminal::variable("PIPE_LOG").unwrap_or_else(|| default.to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(&wanted).unwrap_or_else(|_| default.into());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second one in the same process changes nothing.
    let _set_already = lines.try_init();
}
