//! The task definition that is deployed, and whether its image is what was scanned and can run.

use aws::TaskDefinition;
use engine::step::{ActionCall, ActionError};
use serde_json::{Value, json};

use super::super::Deploying;
use super::super::aws_step::{failed, read_file, text};
use super::inputs::{Wish, is_pinned};
use crate::target::local;

/// The task definition with the image in it, and the container that serves.
pub(super) async fn definition(call: &ActionCall<'_>, wish: &Wish) -> Result<(TaskDefinition, String), ActionError> {
    let path = text(call, "task-definition").to_owned();
    let wrong = |flaws: Vec<aws::Flaw>| {
        failed(flaws.iter().map(|flaw| format!("{path}: {flaw}")).collect::<Vec<_>>().join("\n"))
    };
    let read = read_file(call, "task-definition", &path).await?;
    let mut definition = TaskDefinition::parse(&read).map_err(wrong)?;
    let container = match &wish.container {
        Some(name) => name.clone(),
        None => serving(&definition).ok_or_else(|| {
            failed(format!(
                "{path}: no container has `portMappings`, so nobody can tell which one serves: write `container-name`"
            ))
        })?,
    };
    if let Some(image) = &wish.image {
        let set = |one: &mut serde_json::Map<String, Value>| drop(one.insert("image".to_owned(), json!(image)));
        definition.change(&container, set).map_err(wrong)?;
    }
    match definition.image(&container) {
        Some(image) if is_pinned(image) => Ok((definition, container)),
        Some(image) => Err(failed(format!(
            "{path}: container `{container}` has the image {image}, a tag, which may be another image now than when it was scanned: \
             write `image: HOST/NAME@sha256:…`, such as `${{{{ steps.push.outputs.image }}}}`"
        ))),
        None => Err(failed(format!(
            "{path}: there is no container `{container}`; there are {}",
            definition.containers().collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// The first container with a port.
fn serving(definition: &TaskDefinition) -> Option<String> {
    let all = definition.json()["containerDefinitions"].as_array()?;
    let has_port = |one: &&Value| one["portMappings"].as_array().is_some_and(|ports| !ports.is_empty());
    all.iter().find(has_port)?["name"].as_str().map(str::to_owned)
}

/// Whether it is for the platform of the tasks, as far as this machine knows the image.
pub(super) async fn check(
    _call: &ActionCall<'_>,
    deploying: &Deploying,
    definition: &TaskDefinition,
    image: &str,
) -> Result<(), ActionError> {
    let Ok(docker) = deploying.local.docker().await else { return Ok(()) };
    let Ok(found) = docker.client.inspect_image(image).await else { return Ok(()) };
    let (os, architecture) = (found.os.unwrap_or_default(), found.architecture.unwrap_or_default());
    definition.refuses_platform(&os, &architecture).map_or(Ok(()), |words| Err(failed(words)))
}

/// The id under which verdicts about an image are kept.
pub(super) async fn id(deploying: &Deploying, image: &str) -> Result<String, ActionError> {
    let docker = deploying.local.docker().await.map_err(|error| failed(error.words))?;
    local::id(docker, image).await.map_err(|_| {
        failed(format!(
            "the environment takes only images that a scan has let pass, and image {image} is not on this machine: let the job that \
             deploys pull it or build it, so that its verdict is found"
        ))
    })
}
