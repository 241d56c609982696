//! A container that is started to be asked, and removed whatever happens.

use std::collections::{BTreeMap, HashMap};

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use futures_util::StreamExt as _;

use super::inputs::Order;
use super::probe::Url;
use crate::docker::{Docker, words};

/// Lines of the log that a failure shows.
const LOG_LINES_MAX: usize = 50;
/// Processes of the container.
const PIDS_MAX: i64 = 512;

/// A started container.
#[derive(Debug)]
pub(super) struct Started {
    docker: Docker,
    id: String,
    port: u16,
    removed: bool,
}

impl Started {
    pub(super) async fn start(
        image: &str,
        port: u16,
        order: &Order,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let docker = Docker::connect().await?;
        let created =
            docker.client.create_container(None::<CreateContainerOptions>, body(image, port, order, labels)).await;
        let id = created.map_err(|error| format!("{image} cannot be started: {}", refused(&error)))?.id;
        let mut this = Self { docker, id, port: 0, removed: false };
        match this.begin(port).await {
            Ok(port) => this.port = port,
            Err(error) => {
                let _first_error_counts = this.take_away().await;
                return Err(format!("{image} cannot be started: {error}"));
            }
        }
        Ok(this)
    }

    async fn begin(&self, port: u16) -> Result<u16, String> {
        let client = &self.docker.client;
        client.start_container(&self.id, None::<StartContainerOptions>).await.map_err(|error| words(&error))?;
        let facts =
            client.inspect_container(&self.id, None::<InspectContainerOptions>).await.map_err(|error| words(&error))?;
        let ports = facts.network_settings.and_then(|network| network.ports).unwrap_or_default();
        let binding = ports
            .get(&format!("{port}/tcp"))
            .and_then(|bindings| bindings.as_ref()?.first()?.host_port.as_ref()?.parse().ok());
        match binding {
            Some(port) => Ok(port),
            // One that has ended at once has no ports; that is said when it is asked.
            None => Ok(port),
        }
    }

    /// Where it answers.
    pub(super) fn url(&self) -> Url {
        Url { is_tls: false, host: self.docker.host(), port: self.port, path: "/".to_owned() }
    }

    /// How it ended, when it has.
    pub(super) async fn ended(&self) -> Option<String> {
        let facts = self.docker.client.inspect_container(&self.id, None::<InspectContainerOptions>).await.ok()?;
        let state = facts.state.filter(|state| state.running == Some(false))?;
        let code = state.exit_code.unwrap_or_default();
        Some(if state.oom_killed == Some(true) {
            "killed for lack of memory".to_owned()
        } else {
            format!("with exit code {code}")
        })
    }

    /// The end of its log.
    pub(super) async fn log(&self) -> Vec<String> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&LOG_LINES_MAX.to_string()).build();
        let mut pieces = Box::pin(self.docker.client.logs(&self.id, Some(options)));
        let mut bytes = Vec::new();
        while let Some(Ok(piece)) = pieces.next().await {
            match piece {
                LogOutput::StdErr { message }
                | LogOutput::StdOut { message }
                | LogOutput::StdIn { message }
                | LogOutput::Console { message } => {
                    bytes.extend_from_slice(&message);
                }
            }
        }
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }

    pub(super) async fn remove(mut self) -> Result<(), String> {
        self.take_away().await
    }

    async fn take_away(&mut self) -> Result<(), String> {
        self.removed = true;
        take_away(&self.docker, &self.id).await
    }
}

impl Drop for Started {
    /// The action's future may be dropped at any place, when a job is killed.
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        let (docker, id) = (self.docker.clone(), self.id.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = take_away(&docker, &id).await {
                    tracing::warn!(%error, "a health check's container was not removed");
                }
            });
        }
    }
}

async fn take_away(docker: &Docker, id: &str) -> Result<(), String> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match docker.client.remove_container(id, Some(options)).await {
        Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, message: _ }) => Ok(()),
        Err(error) => Err(format!("the container {id} of the health check cannot be removed: {}", words(&error))),
    }
}

fn body(image: &str, port: u16, order: &Order, labels: &BTreeMap<String, String>) -> ContainerCreateBody {
    let port = format!("{port}/tcp");
    // The port is open on this machine's own address alone, at a number that the engine chooses.
    let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
    let tmpfs = order.read_only.then(|| HashMap::from([("/tmp".to_owned(), "rw,size=64m".to_owned())]));
    ContainerCreateBody {
        image: Some(image.to_owned()),
        env: Some(order.env.clone()),
        labels: Some(labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
        exposed_ports: Some(vec![port.clone()]),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([(port, Some(vec![binding]))])),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            pids_limit: Some(PIDS_MAX),
            readonly_rootfs: Some(order.read_only),
            tmpfs,
            init: Some(true),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// A missing image comes with what to do.
fn refused(error: &bollard::errors::Error) -> String {
    let said = words(error);
    if said.contains("No such image") { format!("{said}; build it first, or pull it") } else { said }
}
