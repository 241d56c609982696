//! Tasks as containers: one network of the fake's own, an address for each task, and the containers of a task share it.

use std::collections::HashMap;
use std::sync::Arc;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::leftovers::{Mark, TASK};
use crate::ecs::Launch;
use crate::inner::Inner;
use crate::value::Input as _;

/// A container that was told to stop has this long, in real seconds: a test does not wait for the usual thirty.
const STOP_SECONDS: i32 = 2;
/// Lines of a task's log that are kept.
const LOG_LINES_MAX: &str = "50";

/// Who starts and stops containers.
#[derive(Debug)]
pub(crate) struct Containers {
    docker: Docker,
    mark: Mark,
    network: String,
    /// `127.0.0.1:PORT` of the fake's registry, and a password for it.
    registry: (String, String),
}

/// A task's containers and what became of the start.
type Started = Result<(String, Vec<String>), String>;

impl Containers {
    /// Makes the network.
    ///
    /// # Errors
    /// Docker is not there, or it has no network for us.
    pub(crate) async fn new(mark: Mark, registry: (String, String)) -> Result<Self, String> {
        let docker =
            Docker::connect_with_local_defaults().map_err(|error| format!("Docker cannot be reached: {error}"))?;
        let network = format!("pipe-fake-{}", mark.name());
        let request = NetworkCreateRequest { name: network.clone(), labels: Some(mark.labels()), ..Default::default() };
        docker.create_network(request).await.map_err(|error| format!("a network for tasks cannot be made: {error}"))?;
        Ok(Self { docker, mark, network, registry })
    }

    fn name(&self, task: &str, at: usize) -> String {
        format!("pipe-fake-{}-{}-{at}", self.mark.name(), task.rsplit('/').next().unwrap_or_default())
    }

    /// Starts a task, waits for its end, and tells the world of both.
    pub(crate) async fn run(self: Arc<Self>, inner: Arc<Inner>, launch: Launch) {
        match self.start(&launch).await {
            Err(reason) => {
                inner.with(|world| world.task_ended(&launch.task, None, Some(&reason)));
                self.remove(&launch.task, launch.containers.len()).await;
            }
            Ok((address, digests)) => {
                inner.with(|world| world.task_runs(&launch.task, &address, digests));
                let code = tokio::select! {
                    () = inner.stop.cancelled() => return,
                    code = self.ended(&launch.task) => code,
                };
                let lines = self.log(&launch.task).await;
                inner.with(|world| {
                    world.logs.insert(launch.task.clone(), lines);
                    world.task_ended(&launch.task, code, None);
                });
                self.remove(&launch.task, launch.containers.len()).await;
            }
        }
    }

    async fn start(&self, launch: &Launch) -> Started {
        let mut digests = Vec::new();
        for (at, container) in launch.containers.iter().enumerate() {
            digests.push(self.pull(container.text("image").unwrap_or_default(), launch.architecture.as_deref()).await?);
            let name = self.name(&launch.task, at);
            let body = self.body(&launch.task, at, container);
            let options = bollard::query_parameters::CreateContainerOptionsBuilder::default().name(&name).build();
            let failed = |error: bollard::errors::Error| format!("CannotCreateContainerError: {error}");
            self.docker.create_container(Some(options), body).await.map_err(failed)?;
            let failed = |error: bollard::errors::Error| {
                format!("CannotStartContainerError: Error response from daemon: {error}")
            };
            self.docker.start_container(&name, None::<StartContainerOptions>).await.map_err(failed)?;
        }
        Ok((self.address(&launch.task).await?, digests))
    }

    /// The image's digest; it is pulled if it lies in the fake's registry, or in another one of this machine, and not here.
    async fn pull(&self, image: &str, architecture: Option<&str>) -> Result<String, String> {
        let missing = || format!("CannotPullContainerError: failed to resolve ref {image}: {image}: not found");
        let mut found = self.docker.inspect_image(image).await;
        let is_own = image.starts_with(&self.registry.0);
        if found.is_err() && (is_own || image.starts_with("127.0.0.1:")) {
            let options = CreateImageOptionsBuilder::default().from_image(image).build();
            let credentials = bollard::auth::DockerCredentials {
                username: Some("AWS".to_owned()),
                password: Some(self.registry.1.clone()),
                serveraddress: Some(self.registry.0.clone()),
                ..Default::default()
            };
            let mut pulling = self.docker.create_image(Some(options), None, is_own.then_some(credentials));
            while let Some(step) = pulling.next().await {
                step.map_err(|error| format!("CannotPullContainerError: {error}"))?;
            }
            found = self.docker.inspect_image(image).await;
        }
        let found = found.map_err(|_| missing())?;
        let wanted = if architecture == Some("ARM64") { "arm64" } else { "amd64" };
        if found.architecture.as_deref().is_some_and(|has| has != wanted) {
            return Err(format!(
                "CannotPullContainerError: pull image manifest has been retried 5 time(s): image Manifest does not contain \
                 descriptor matching platform 'linux/{wanted}'"
            ));
        }
        let by_digest = found.repo_digests.unwrap_or_default().into_iter().next();
        let digest = by_digest.and_then(|name| name.split_once('@').map(|(_, digest)| digest.to_owned()));
        Ok(digest.or(found.id).unwrap_or_default())
    }

    fn body(&self, task: &str, at: usize, container: &Value) -> ContainerCreateBody {
        let environment = container.items("environment").iter();
        let pair = |one: &Value| Some(format!("{}={}", one.text("name")?, one.text("value").unwrap_or_default()));
        let some = |list: Vec<String>| if list.is_empty() { None } else { Some(list) };
        let mut labels = self.mark.labels();
        labels.insert(TASK.to_owned(), task.to_owned());
        // The first container has the task's address; the others live in its network.
        let network = if at == 0 { self.network.clone() } else { format!("container:{}", self.name(task, 0)) };
        let init = container.get("linuxParameters").and_then(|linux| linux.flag("initProcessEnabled"));
        ContainerCreateBody {
            image: container.text("image").map(str::to_owned),
            env: some(environment.filter_map(pair).collect()),
            entrypoint: some(container.texts("entryPoint")),
            cmd: some(container.texts("command")),
            user: container.text("user").map(str::to_owned),
            working_dir: container.text("workingDirectory").map(str::to_owned),
            labels: Some(labels),
            host_config: Some(HostConfig { network_mode: Some(network), init, ..Default::default() }),
            ..Default::default()
        }
    }

    async fn address(&self, task: &str) -> Result<String, String> {
        let failed = |what: String| format!("CannotStartContainerError: {what}");
        let found = self.docker.inspect_container(&self.name(task, 0), None::<InspectContainerOptions>).await;
        let networks =
            found.map_err(|error| failed(error.to_string()))?.network_settings.and_then(|settings| settings.networks);
        let own = networks.and_then(|mut networks: HashMap<_, _>| networks.remove(&self.network));
        let address = own.and_then(|own| own.ip_address).filter(|address| !address.is_empty());
        // One that ended at once has no address any more; it is found ended by who waits for it.
        Ok(address.unwrap_or_else(|| "0.0.0.0".to_owned()))
    }

    /// Waits for the first container's end: its exit code.
    async fn ended(&self, task: &str) -> Option<i64> {
        let mut waiting = self.docker.wait_container(&self.name(task, 0), None::<WaitContainerOptions>);
        match waiting.next().await? {
            Ok(end) => Some(end.status_code),
            Err(bollard::errors::Error::DockerContainerWaitError { code, .. }) => Some(code),
            Err(_) => None,
        }
    }

    async fn log(&self, task: &str) -> Vec<String> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(LOG_LINES_MAX).build();
        let mut stream = self.docker.logs(&self.name(task, 0), Some(options));
        let mut text = Vec::new();
        while let Some(Ok(output)) = stream.next().await {
            match output {
                LogOutput::StdOut { message } | LogOutput::StdErr { message } | LogOutput::Console { message } => {
                    text.extend_from_slice(&message);
                }
                LogOutput::StdIn { .. } => {}
            }
        }
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }

    /// Stops a task's containers; who waits for their end tells the world.
    pub(crate) async fn halt(self: Arc<Self>, inner: Arc<Inner>, task: String) {
        let options = StopContainerOptionsBuilder::default().t(STOP_SECONDS).build();
        if self.docker.stop_container(&self.name(&task, 0), Some(options)).await.is_err() {
            // It never came to be, or is gone already.
            inner.with(|world| world.task_ended(&task, None, None));
        }
    }

    async fn remove(&self, task: &str, count: usize) {
        for at in (0..count).rev() {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            // What is left all the same is removed with the network, or at the next start.
            let _gone = self.docker.remove_container(&self.name(task, at), Some(options)).await;
        }
    }
}
