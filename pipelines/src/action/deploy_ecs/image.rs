//! The task definition that is deployed, and whether its image is what was scanned and can run.

use std::time::Duration;

use aws::{Cloud, TaskDefinition};
use engine::outbound::{Asker, Proxies};
use engine::step::{ActionCall, ActionError};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::super::Deploying;
use super::super::aws_step::{failed, read_file, text};
use super::inputs::{Wish, is_pinned};
use crate::registry::{Platform, Reference, RegistryError, Remote};
use crate::target::keeping::Kept;
use crate::target::local;

/// How long a registry may take to say what an image is for.
const REGISTRY_TIME_MAX: Duration = Duration::from_secs(20);

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

/// Whether it is there, and for the platform of the tasks: by this machine's Docker if it has the image, else by its registry. Where
/// neither can tell, that is said, and ECS finds out.
pub(super) async fn check(
    call: &mut ActionCall<'_>,
    deploying: &Deploying,
    cloud: &Cloud,
    definition: &TaskDefinition,
    image: &str,
) -> Result<(), ActionError> {
    let refused =
        |platforms: &[(&str, &str)]| definition.refuses_platforms(platforms).map_or(Ok(()), |words| Err(failed(words)));
    if let Ok(docker) = deploying.local.docker().await
        && let Ok(found) = docker.client.inspect_image(image).await
    {
        return refused(&[(&found.os.unwrap_or_default(), &found.architecture.unwrap_or_default())]);
    }
    let asked = tokio::time::timeout(REGISTRY_TIME_MAX, platforms(cloud, image)).await;
    let why = match asked {
        Ok(Ok(Some(found))) => {
            let all: Vec<_> = found.iter().map(|one| (one.os.as_str(), one.architecture.as_str())).collect();
            return refused(&all);
        }
        Ok(Ok(None)) => {
            return Err(failed(format!(
                "the registry has no image {image}: its tasks would end with `CannotPullContainerError`. Push it first, and \
                 deploy the output `image` of that step"
            )));
        }
        Ok(Err(why)) => why,
        Err(_) => format!("no answer within {} s", REGISTRY_TIME_MAX.as_secs()),
    };
    let (os, architecture) = definition.platform();
    let words =
        format!("Whether {image} is for {os}/{architecture}, as the tasks are, was not asked of its registry: {why}");
    call.log.line(&words).await;
    Ok(())
}

/// What the image is for, as its registry says; `None`: it has no such image.
async fn platforms(cloud: &Cloud, image: &str) -> Result<Option<Vec<Platform>>, String> {
    asked(cloud, image, |there, reference| there.platforms(reference)).await
}

/// Asks the registry of an image, with the key that this cloud has for it.
async fn asked<T: Send + 'static>(
    cloud: &Cloud,
    image: &str,
    ask: impl FnOnce(&mut Remote, &str) -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, String> {
    let named = Reference::parse(image).map_err(|error| error.to_string())?;
    let login = match Kept::of(cloud, image) {
        Some(kept) => Some(kept.login(cloud).await.map_err(|problem| problem.words)?),
        None => None,
    };
    let asker = Asker::by(Proxies::default()).map_err(|error| error.to_string())?;
    let mut there = Remote::new(asker, Handle::current(), &named, login);
    let asked = tokio::task::spawn_blocking(move || ask(&mut there, &named.reference)).await;
    asked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// The ids under which verdicts about an image may be kept: by this machine's Docker if it has the image, else by its registry. There
/// they are its configuration and its manifest, of which an engine takes the one or the other; both are what its digest names.
pub(super) async fn ids(deploying: &Deploying, cloud: &Cloud, image: &str) -> Result<Vec<String>, ActionError> {
    if let Ok(docker) = deploying.local.docker().await
        && let Ok(id) = local::id(docker, image).await
    {
        return Ok(vec![id]);
    }
    let there = tokio::time::timeout(REGISTRY_TIME_MAX, ids_there(cloud, image)).await;
    let why = match there {
        Ok(Ok(ids)) => return Ok(ids),
        Ok(Err(why)) => why,
        Err(_) => format!("no answer within {} s", REGISTRY_TIME_MAX.as_secs()),
    };
    Err(failed(format!(
        "the environment takes only images that a scan has let pass, and image {image} is not on this machine, nor says its registry \
         what it is ({why}): let the job that deploys pull it or build it, so that its verdict is found"
    )))
}

async fn ids_there(cloud: &Cloud, image: &str) -> Result<Vec<String>, String> {
    let bytes = asked(cloud, image, scanners::attest::Registry::manifest).await?;
    let bytes = bytes.ok_or("it has no such image")?;
    let digest = crate::registry::digest(&bytes);
    if !image.ends_with(&format!("@{digest}")) {
        return Err(format!("it has {digest} there"));
    }
    let manifest: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let configuration = manifest.pointer("/config/digest").and_then(Value::as_str).map(str::to_owned);
    Ok(configuration.into_iter().chain([digest]).collect())
}
