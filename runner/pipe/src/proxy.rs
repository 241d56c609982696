//! `pipe proxy`: the proxy of an environment as a process of its own, and a look at one that runs.
//!
//! What it does is crate `proxy`; here are its flags, its signals, and the words it says.

use std::io::Write as _;

use proxy::client::{AskError, Client};
use proxy::options::Threads;
use proxy::stats::{RevisionStats, Stats};
use proxy::{Ended, Options, StartError};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::{Global, ProxyArgs, ProxyCommand, ProxyStatusArgs};
use crate::exit::{Exit, Failure};
use crate::run::Signals;
use crate::serve::{log_to_stderr, open_many_files};
use crate::terminal::{self, Terminal};

/// Runs the command.
pub fn run(args: &ProxyArgs, global: &Global) -> Result<Exit, Failure> {
    match &args.command {
        Some(ProxyCommand::Status(args)) => status(args, global),
        None => serve(args, global),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))
}

fn serve(args: &ProxyArgs, global: &Global) -> Result<Exit, Failure> {
    log_to_stderr(global);
    open_many_files();
    let options = options(args)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let failed = |error| Failure::environment(format!("cannot listen to signals: {error}"));
        let mut signals = Signals::take().map_err(failed)?;
        let stop = CancellationToken::new();
        let mut serving = std::pin::pin!(proxy::serve(options, stop.clone(), |about| {
            // Whoever started it waits for this line; nothing else is ever written there.
            let _nobody_reads = writeln!(std::io::stdout(), "ready {}", json!(about));
            let _nobody_reads = std::io::stdout().flush();
        }));
        tokio::select! {
            ended = serving.as_mut() => return ended.map(Some).map_err(|error| failure(&error)),
            signal = signals.next() => tracing::info!(signal, "stopping: requests in flight are finished"),
        }
        stop.cancel();
        tokio::select! {
            ended = serving.as_mut() => ended.map(Some).map_err(|error| failure(&error)),
            signal = signals.next() => {
                tracing::warn!(signal, "stopping at once");
                Ok(None)
            }
        }
    })?;
    match ended {
        Some(Ended { is_handed_over: true, cut }) => tracing::info!(cut, "another process has taken over"),
        Some(Ended { is_handed_over: false, cut }) => tracing::info!(cut, "stopped"),
        None => return Ok(Exit::Cancelled),
    }
    Ok(Exit::Success)
}

fn options(args: &ProxyArgs) -> Result<Options, Failure> {
    let (Some(environment), Some(listen), Some(folder)) = (&args.environment, args.listen, &args.folder) else {
        return Err(Failure::usage("`pipe proxy` needs --environment, --listen and --folder"));
    };
    let mut options = Options::new(environment.clone(), listen, folder.clone());
    options.test_listen = args.test_listen;
    options.take_over = args.take_over;
    options.metrics_on_test_port = args.metrics;
    options.trust_forwarded = args.trust_forwarded;
    options.times.answer = args.answer_time;
    options.times.idle = args.idle_time;
    options.times.drain = args.drain_time;
    if let Some(threads) = args.threads {
        options.threads = Threads::EachItsOwn(threads.into());
    }
    Ok(options)
}

fn failure(error: &StartError) -> Failure {
    let help = match error {
        StartError::Runs(..) => None,
        StartError::Listen(_, error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Some("another program has this port; choose one with `--listen`")
        }
        StartError::Listen(_, error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Some("ports below 1024 are the system's; choose a higher one")
        }
        StartError::HandOver(_) => Some("stop it with SIGTERM, then start without `--take-over`"),
        StartError::Listen(..)
        | StartError::File(..)
        | StartError::OtherAddress { .. }
        | StartError::Table(_)
        | StartError::System(_) => None,
    };
    Failure::environment(error.to_string()).maybe_help(help.map(str::to_owned))
}

fn status(args: &ProxyStatusArgs, global: &Global) -> Result<Exit, Failure> {
    let client = Client::at(args.folder.join("control.sock"));
    let asked = runtime()?.block_on(async {
        let (about, table, stats) = (client.about().await?, client.table().await?, client.stats().await?);
        Ok::<_, AskError>((about, table, stats, client.events(0).await?))
    });
    let (about, table, stats, events) = asked.map_err(|error| {
        let help = "`pipe proxy --folder` says which one; does it run?";
        Failure::environment(format!("{error} ({})", client.socket().display())).help(help)
    })?;
    let mut output = terminal::results();
    if args.json {
        let all = json!({ "about": about, "table": table, "stats": stats, "events": events });
        writeln!(output, "{all:#}")?;
    } else {
        let test = about.test_listen.map(|address| format!(", tests on {address}")).unwrap_or_default();
        let (environment, listen, pid) = (&about.environment, about.listen, about.pid);
        writeln!(output, "{environment} on {listen}{test}: generation {}, process {pid}", about.generation)?;
        let paths = |service: &str| table.routes.iter().find(|route| route.service == service).map(|r| r.path.as_str());
        write!(output, "{}", rows(&stats, paths, Terminal::stdout(global.color)))?;
    }
    output.flush()?;
    Ok(Exit::Success)
}

fn rows<'a>(stats: &Stats, path: impl Fn(&str) -> Option<&'a str>, terminal: Terminal) -> String {
    let heading = [
        "SERVICE",
        "PATH",
        "COLOUR",
        "REVISION",
        "SHARE",
        "REQUESTS",
        "ERRORS",
        "P50",
        "P95",
        "P99",
        "IN FLIGHT",
        "OUT",
    ];
    let rows: Vec<Vec<String>> = stats
        .revisions
        .iter()
        .map(|row| {
            let out: Vec<_> = row.ejected.iter().map(ToString::to_string).collect();
            vec![
                row.service.clone(),
                path(&row.service).unwrap_or("-").to_owned(),
                row.colour.clone().unwrap_or_else(|| "-".to_owned()),
                row.revision.clone(),
                format!("{}.{} %", row.weight / 10, row.weight % 10),
                row.requests.to_string(),
                row.errors.to_string(),
                quantile(row, 50),
                quantile(row, 95),
                quantile(row, 99),
                row.in_flight.to_string(),
                out.join(" "),
            ]
        })
        .collect();
    crate::table::render(&heading, &rows, terminal)
}

/// The bound below which so many of a hundred requests were.
fn quantile(row: &RevisionStats, percent: u64) -> String {
    let all: u64 = row.latency.iter().map(|(_, count)| count).sum();
    let mut below = 0;
    let found = row.latency.iter().find(|(_, count)| {
        below += count;
        all > 0 && below * 100 >= all * percent
    });
    match found {
        None => "-".to_owned(),
        Some((u64::MAX, _)) => "over 1 min".to_owned(),
        Some((bound, _)) => format!("{:.1} ms", *bound as f64 / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_rows() {
        let row = RevisionStats {
            service: "orders".to_owned(),
            revision: "r2".to_owned(),
            colour: Some("green".to_owned()),
            weight: 125,
            requests: 100,
            errors: 7,
            latency: vec![(1_000, 50), (2_000, 44), (4_000, 2), (u64::MAX, 4)],
            ..RevisionStats::default()
        };
        let stats = Stats { revisions: vec![row], ..Stats::default() };
        let text = rows(&stats, |_| Some("/orders"), Terminal { color: false, interactive: false });
        let cells: Vec<_> =
            text.lines().nth(1).unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            cells,
            ["orders", "/orders", "green", "r2", "12.5 %", "100", "7", "1.0 ms", "4.0 ms", "over 1 min", "0"]
        );
    }
}
