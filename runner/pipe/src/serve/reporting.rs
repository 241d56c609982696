//! Who a server tells about its runs, begun as `pipe.toml` says, and its numbers.

use std::sync::Arc;

use axum::Router;
use engine::clock::SystemClock;
use engine::folders::Folders;
use engine::notify::{Herald, SealedCredentials};
use engine::reporting::Reporting;
use engine::service::RunService;
use engine::store::findings::Findings;
use engine::store::secrets::Settings;
use engine::store::{Database, SqliteStore};
use engine::telemetry::Traces;
use engine::triggering::SentHooks;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use web::metrics_routes;

use super::config::ServerConfig;
use super::lifetime::Background;
use crate::exit::Failure;
use crate::terminal;

/// What is begun.
pub struct Telling {
    /// Goes on until the server stops.
    pub background: Background,
    /// The route of the numbers.
    pub numbers: Router,
    /// Tells people what comes of no run's log.
    pub herald: Herald,
    /// Whom to ask for hooks that did not arrive.
    pub sent: Option<Arc<dyn SentHooks>>,
}

/// How traces of runs are named; `None` where none are exported.
pub fn traces(config: &ServerConfig, database: &Database) -> Option<Traces> {
    config.telemetry.endpoint.as_ref().map(|_| Traces { instance: instance(config, database) })
}

/// Servers that send traces to one place must not make the same ids.
fn instance(config: &ServerConfig, database: &Database) -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    config.server.url.clone().unwrap_or_else(|| format!("{} {}", host(), database.path().display()))
}

/// Begins to tell, before there are runs.
///
/// # Errors
/// A table of the settings cannot be used, or the database said no.
pub async fn start(
    config: &ServerConfig,
    database: &Database,
    settings: Settings,
    (runs, folders, arrivals): (&RunService, &Folders, Arc<Notify>),
    stop: &CancellationToken,
) -> Result<Telling, Failure> {
    let (url, instance) = (config.server.url.clone(), instance(config, database));
    let sealed: Arc<dyn SealedCredentials> = Arc::new(settings.clone());
    let plan = config.reporting().plan(url, &instance, &terminal::variable, Some(&sealed));
    let mut plan = plan.map_err(|error| Failure::usage(error.to_string()))?;
    plan.reader.arrivals = Some(arrivals);
    let numbers = metrics_routes(database.clone(), plan.metrics_token.clone(), Some(runs.clone()));
    let sent = plan.sent.clone();
    let store = SqliteStore::on(database.clone());
    let findings = Findings::of(folders.clone());
    let reporting = Reporting::start(store, plan, Arc::new(settings), Arc::new(findings), Arc::new(SystemClock)).await;
    let reporting = reporting.map_err(|error| Failure::environment(format!("cannot report runs: {error}")))?;
    let herald = reporting.herald();
    Ok(Telling { background: Box::pin(reporting.until(stop.clone())), numbers, herald, sent })
}
