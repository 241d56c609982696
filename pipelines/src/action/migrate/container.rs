//! The command in a container of an image: the workspace and a folder for what was applied are mounted, nothing else.
//!
//! The container's name follows from the step, so that a process that takes the step up finds it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    WaitContainerOptions,
};
use engine::step::{ActionCall, ActionError};
use futures_util::StreamExt as _;

use super::inputs::Wanted;
use crate::docker::{Docker, words};

/// Where the workspace is in the container, and the folder for what was applied.
const WORKSPACE: &str = "/workspace";
pub(super) const NOTES: &str = "/pipe-notes";

/// Runs `script` with the image's `sh`, and shows what it says. `notes` is a folder of this machine.
///
/// # Errors
/// It did not end with 0, or could not be run.
pub(super) async fn run(
    call: &mut ActionCall<'_>,
    wanted: &Wanted,
    (image, labels): (&str, &BTreeMap<String, String>),
    (script, env): (&str, Vec<(String, String)>),
    notes: &Path,
) -> Result<(), ActionError> {
    let failed = |text: String| ActionError::Failed(format!("the command cannot be run in {image}: {text}"));
    if !call.workspace.shared {
        return Err(failed(
            "its workspace is not on this machine; leave `image` out, so that it runs in the job".to_owned(),
        ));
    }
    let docker = Docker::connect().await.map_err(failed)?;
    let name = format!(
        "pipe-migrate-{}-{}-{}",
        call.run.id,
        super::digest(call.run.job.as_bytes())[..8].to_owned(),
        call.step
    );
    let bind = |host: &Path, inside: &str| format!("{}:{inside}", host.display());
    let network = wanted.network.clone().or_else(|| call.job.facts().network.clone());
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec!["sh".to_owned(), "-ec".to_owned()]),
        cmd: Some(vec![script.to_owned()]),
        working_dir: Some(WORKSPACE.to_owned()),
        env: Some(env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<HashMap<_, _>>()),
        host_config: Some(HostConfig {
            binds: Some(vec![bind(&call.workspace.host, WORKSPACE), bind(notes, NOTES)]),
            network_mode: network,
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            init: Some(true),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let created = docker.client.create_container(Some(options), body).await;
    let is_there = matches!(&created, Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }));
    if !(is_there && call.again) {
        created.map_err(|error| failed(words(&error)))?;
    }
    let kept = Container { docker: docker.clone(), name: name.clone(), is_removed: false };
    docker.client.start_container(&name, None::<StartContainerOptions>).await.map_err(|error| failed(words(&error)))?;
    let outcome = follow(call, &docker, &name).await;
    kept.remove().await;
    match outcome? {
        0 => Ok(()),
        code => Err(ActionError::Failed(format!("the command ended with exit code {code}"))),
    }
}

async fn follow(call: &mut ActionCall<'_>, docker: &Docker, name: &str) -> Result<i64, ActionError> {
    let cancel = call.cancel.clone();
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
    let mut lines = Box::pin(docker.client.logs(name, Some(options)));
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Err(ActionError::Cancelled),
            piece = lines.next() => match piece {
                Some(Ok(
                    LogOutput::StdErr { message } | LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message },
                )) => call.log.output(&message).await,
                Some(Err(_)) | None => break,
            },
        }
    }
    call.log.end_of_output().await;
    let mut ended = Box::pin(docker.client.wait_container(name, None::<WaitContainerOptions>));
    match ended.next().await {
        Some(Ok(answer)) => Ok(answer.status_code),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(error)) => Err(ActionError::Failed(format!("how the command ended is not known: {}", words(&error)))),
        None => Err(ActionError::Failed("how the command ended is not known: the engine does not say".to_owned())),
    }
}

/// Removed whatever happens.
struct Container {
    docker: Docker,
    name: String,
    is_removed: bool,
}

impl Container {
    async fn remove(mut self) {
        self.is_removed = true;
        remove(&self.docker, &self.name).await;
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.is_removed {
            return;
        }
        let (docker, name) = (self.docker.clone(), self.name.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { remove(&docker, &name).await });
        }
    }
}

async fn remove(docker: &Docker, name: &str) {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    if let Err(error) = docker.client.remove_container(name, Some(options)).await {
        tracing::warn!(error = words(&error), name, "the container of a migration was not removed");
    }
}
