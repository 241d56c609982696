//! Service containers: started side by side, waited for until they are ready.
//!
//! With a health check a service is ready when the engine says healthy. The engine probes for the first time after a whole
//! interval (often 10 s), so that the same command is also run here right away, every half second; it counts once a
//! port of the service takes connections as well, since databases answer to their own socket while they still set
//! themselves up. Without a health check a service is ready when it runs, as on GitHub.

use std::net::SocketAddr;
use std::time::Duration;

use bollard::Docker;
use bollard::exec::StartExecOptions;
use bollard::models::{ContainerInspectResponse, ContainerState, ExecConfig, HealthStatusEnum};
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt as _;

use super::connection::{Connection, refused};
use crate::placement::{PlacementError, PlacementProgress, ProgressSink, SERVICE_LOG_LINES_MAX, ServiceFailure};

/// Between two looks at a service.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Looks between two probes of our own.
const LOOKS_PER_PROBE: u32 = 5;

/// How long a port may take to answer a probe.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Bytes of a log line that an error shows.
const LOG_LINE_CHARS_MAX: usize = 500;

/// A service that was started.
#[derive(Debug, Clone)]
pub(super) struct Started {
    /// Key in `services:`.
    pub(super) service: String,
    /// Its image, as written.
    pub(super) image: String,
    /// Id of its container.
    pub(super) container: String,
    /// Ports that the workflow names.
    pub(super) ports: Vec<u16>,
}

/// Waits until a service is ready; gives its address on the job's network.
pub(super) async fn wait_ready(
    connection: &Connection,
    started: &Started,
    network: &str,
    progress: &ProgressSink,
) -> Result<String, PlacementError> {
    let docker = &connection.docker;
    let mut looks = 0_u32;
    loop {
        let inspected = docker
            .inspect_container(&started.container, None)
            .await
            .map_err(refused(format!("look at service `{}`", started.service)))?;
        let address = address(&inspected, network);
        let state = inspected.state.clone().unwrap_or_default();
        if state.running != Some(true) {
            return Err(failure(docker, started, ended(&state), None).await);
        }
        let health = state.health.as_ref().and_then(|health| health.status).unwrap_or(HealthStatusEnum::NONE);
        match health {
            HealthStatusEnum::EMPTY | HealthStatusEnum::NONE | HealthStatusEnum::HEALTHY => {
                break ready(started, progress, address);
            }
            HealthStatusEnum::UNHEALTHY => {
                let health = state.health.unwrap_or_default();
                let what = format!("is unhealthy after {} failed health checks", health.failing_streak.unwrap_or(0));
                let probe = health.log.unwrap_or_default().pop().and_then(|probe| probe.output);
                return Err(failure(docker, started, what, probe).await);
            }
            HealthStatusEnum::STARTING => {
                if looks.is_multiple_of(LOOKS_PER_PROBE) {
                    progress(PlacementProgress::ServiceWaiting { service: started.service.clone() });
                    if connection.capabilities.same_kernel && probe(docker, started, &inspected, &address).await {
                        break ready(started, progress, address);
                    }
                }
            }
        }
        looks += 1;
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the end of a loop whose other ends fail")]
fn ready(started: &Started, progress: &ProgressSink, address: String) -> Result<String, PlacementError> {
    progress(PlacementProgress::ServiceReady { service: started.service.clone() });
    Ok(address)
}

/// A last look at services that have no health check: one that has failed since is told.
pub(super) async fn check_running(docker: &Docker, started: &Started) -> Result<(), PlacementError> {
    let inspected = docker
        .inspect_container(&started.container, None)
        .await
        .map_err(refused(format!("look at service `{}`", started.service)))?;
    let state = inspected.state.unwrap_or_default();
    if state.running == Some(true) {
        return Ok(());
    }
    Err(failure(docker, started, ended(&state), None).await)
}

fn address(inspected: &ContainerInspectResponse, network: &str) -> String {
    let networks = inspected.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let endpoint = networks.and_then(|networks| networks.get(network));
    endpoint.and_then(|endpoint| endpoint.ip_address.clone()).unwrap_or_default()
}

fn ended(state: &ContainerState) -> String {
    let code = state.exit_code.unwrap_or(-1);
    let reason = state.error.as_deref().filter(|error| !error.is_empty());
    match (state.oom_killed, reason) {
        (Some(true), _) => "was killed because it used more memory than it may".to_owned(),
        (_, Some(reason)) => format!("ended with code {code} ({reason})"),
        (_, None) => format!("ended with code {code}"),
    }
}

/// Runs the health check once. `false` means nothing: the engine's own verdict counts.
async fn probe(docker: &Docker, started: &Started, inspected: &ContainerInspectResponse, address: &str) -> bool {
    let config = inspected.config.as_ref();
    let test = config.and_then(|config| config.healthcheck.as_ref()).and_then(|health| health.test.clone());
    let command = match test.as_deref() {
        Some([kind, command]) if kind == "CMD-SHELL" => vec!["/bin/sh".to_owned(), "-c".to_owned(), command.clone()],
        Some([kind, words @ ..]) if kind == "CMD" => words.to_vec(),
        Some(_) | None => return false,
    };
    let exposed = config.and_then(|config| config.exposed_ports.clone()).unwrap_or_default();
    let exposed = exposed.iter().filter_map(|port| port.strip_suffix("/tcp")?.parse().ok());
    let named = started.ports.clone();
    let (ports, all): (Vec<u16>, bool) = if named.is_empty() { (exposed.collect(), false) } else { (named, true) };
    if !takes_connections(address, &ports, all).await {
        return false;
    }
    let config = ExecConfig { cmd: Some(command), attach_stdout: Some(false), ..ExecConfig::default() };
    run(docker, &started.container, config).await == Some(0)
}

/// Whether all ports, or any of them, take connections. Without ports nothing can be said.
async fn takes_connections(address: &str, ports: &[u16], all: bool) -> bool {
    let Ok(ip) = address.parse() else { return false };
    let answers = ports.iter().map(|port| async move {
        let connecting = tokio::net::TcpStream::connect(SocketAddr::new(ip, *port));
        matches!(tokio::time::timeout(CONNECT_TIMEOUT, connecting).await, Ok(Ok(_)))
    });
    let answers = futures_util::future::join_all(answers).await;
    !answers.is_empty() && if all { answers.iter().all(|yes| *yes) } else { answers.iter().any(|yes| *yes) }
}

async fn run(docker: &Docker, container: &str, config: ExecConfig) -> Option<i64> {
    let exec = docker.create_exec(container, config).await.ok()?.id;
    docker.start_exec(&exec, Some(StartExecOptions { detach: true, ..StartExecOptions::default() })).await.ok()?;
    for _ in 0..LOOKS_PER_PROBE * 4 {
        let inspected = docker.inspect_exec(&exec).await.ok()?;
        if inspected.running == Some(false) {
            return inspected.exit_code;
        }
        tokio::time::sleep(LOOK_PAUSE / 4).await;
    }
    None
}

/// The error of a service, with the end of its log.
pub(super) async fn failure(docker: &Docker, started: &Started, what: String, probe: Option<String>) -> PlacementError {
    let tail = SERVICE_LOG_LINES_MAX.to_string();
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&tail).build();
    let mut logs = docker.logs(&started.container, Some(options));
    let mut text = Vec::new();
    while let Some(Ok(chunk)) = logs.next().await {
        text.extend_from_slice(&chunk.into_bytes());
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(SERVICE_LOG_LINES_MAX);
    let log = lines.iter().skip(last).map(|line| line.trim_end().chars().take(LOG_LINE_CHARS_MAX).collect()).collect();
    PlacementError::Service(Box::new(ServiceFailure {
        service: started.service.clone(),
        image: started.image.clone(),
        what,
        probe: probe.filter(|probe| !probe.trim().is_empty()),
        log,
    }))
}
