//! How a server lives: it says where it listens, serves, and ends in order when it is told to.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use engine::service::RunService;
use engine::store::Database;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use web::api::LocalAccess;
use web::{Server, ServerOptions};
use workflow::secret::Secret;

use crate::exit::Failure;
use crate::run::Signals;

/// Work beside requests and runs: until the token fires.
pub type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server that is put together.
pub struct Composed {
    /// Its database.
    pub database: Database,
    /// Its runs.
    pub runs: RunService,
    /// Its routes.
    pub routes: Router,
    /// Limits of connections.
    pub options: ServerOptions,
    /// What else goes on.
    pub background: Vec<Background>,
    /// Ends everything but runs.
    pub stop: CancellationToken,
    /// How long jobs get to end.
    pub drain: Duration,
    /// Lets the first administrator in.
    pub first: Option<Secret>,
    /// Lets commands with `--data` in as long as it is held.
    pub local: LocalAccess,
}

/// How it ended.
pub enum End {
    /// Nothing runs.
    Drained,
    /// Jobs go on and are taken up by the next start.
    GoingOn,
    /// The database failed.
    Broken(String),
}

/// Serves until SIGTERM, SIGINT or SIGHUP; a second one ends it at once.
///
/// # Errors
/// The system refuses signals, or runs cannot be taken up.
pub async fn serve(server: Composed, listener: TcpListener) -> Result<End, Failure> {
    let Composed { database, runs, routes, options, background, stop, drain, first, local: _local } = server;
    let failed = |what: &str, error: &dyn std::fmt::Display| Failure::environment(format!("cannot {what}: {error}"));
    let mut signals = Signals::take().map_err(|error| failed("listen to signals", &error))?;
    let address = listener.local_addr().map_err(|error| failed("listen", &error))?;
    let requests = tokio::spawn(Server::new(routes, options).serve(listener, stop.clone()));
    let beside: Vec<_> = background.into_iter().map(tokio::spawn).collect();
    let carrying = tokio::spawn({
        let (runs, never) = (runs.clone(), CancellationToken::new());
        async move { runs.serve(never).await }
    });
    let _nobody_reads = writeln!(std::io::stdout(), "listening on http://{address}");
    if let Some(code) = first {
        tell_first(address, &code);
    }
    let _nobody_reads = std::io::stdout().flush();
    tracing::info!(%address, "listening");
    tokio::select! {
        ended = carrying => {
            stop.cancel();
            return match ended {
                Ok(Err(error)) => Ok(End::Broken(error.to_string())),
                Ok(Ok(())) => Ok(End::GoingOn),
                Err(error) => Err(failed("carry runs", &error)),
            };
        }
        signal = signals.next() => tracing::info!(signal, seconds = drain.as_secs(), "draining: no job is begun any more"),
    }
    stop.cancel();
    let drained = tokio::select! {
        (end, _, ()) = async { tokio::join!(runs.drain(drain), requests, join(beside)) } => end,
        signal = signals.next() => {
            tracing::info!(signal, "ending now; jobs go on and are taken up by the next start");
            return Ok(End::GoingOn);
        }
    };
    if drained.going_on > 0 {
        tracing::info!(runs = drained.going_on, "ending; jobs go on and are taken up by the next start");
        return Ok(End::GoingOn);
    }
    database.close().await;
    tracing::info!("ended in order");
    Ok(End::Drained)
}

/// Where the first administrator is made: for a person, and for a program that reads our output.
fn tell_first(address: SocketAddr, code: &Secret) {
    let host = if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address };
    let url = format!("http://{host}/login?code={}", code.expose());
    let mut output = std::io::stdout();
    let _nobody_reads = if output.is_terminal() {
        writeln!(output, "there are no users yet; make the first administrator, once, at\n  {url}")
    } else {
        writeln!(output, "{}", serde_json::json!({ "event": "first_login", "url": url }))
    };
}

async fn join(tasks: Vec<tokio::task::JoinHandle<()>>) {
    for task in tasks {
        if let Err(error) = task.await {
            tracing::error!(%error, "a bug in pipe ended a part of the server");
        }
    }
}
