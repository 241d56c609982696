//! Images: found by what a workflow calls them, pulled where they name a registry, fit for this machine or not.

use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use engine::image::to_the_end;
use futures_util::StreamExt as _;

use super::containers::{refused, status};
use crate::docker::{Docker, words};
use crate::rollout::CallError;

/// The same image for ever: `name@sha256:…` where a registry has it, else its id.
///
/// # Errors
/// It is not here and cannot be pulled.
pub async fn pin(docker: &Docker, reference: &str) -> Result<String, CallError> {
    let found = ensure(docker, reference).await?;
    if reference.contains("@sha256:") {
        return Ok(reference.to_owned());
    }
    let repository = repository(reference);
    let digests = found.repo_digests.unwrap_or_default();
    let pinned = digests.into_iter().find(|digest| digest.split_once('@').is_some_and(|(name, _)| name == repository));
    pinned.or(found.id).ok_or_else(|| CallError::last(format!("the engine gives image {reference} no digest")))
}

/// Its id (`sha256:…`), under which verdicts about it are kept, of what [`pin`] gave.
///
/// # Errors
/// It is not here any more, or the engine cannot be asked.
pub async fn id(docker: &Docker, pinned: &str) -> Result<String, CallError> {
    let found = find(docker, pinned).await?.and_then(|found| found.id);
    found.ok_or_else(|| CallError::last(format!("image {pinned} is not on this machine any more")))
}

/// It is here and runs on this machine.
pub(super) async fn ensure(docker: &Docker, reference: &str) -> Result<ImageInspect, CallError> {
    let found = match find(docker, reference).await? {
        Some(found) => found,
        None => {
            pull(docker, reference).await?;
            let gone = || CallError::last(format!("image {reference} was pulled and is not here; was it removed?"));
            find(docker, reference).await?.ok_or_else(gone)?
        }
    };
    let machine = docker.client.version().await.map_err(refused("say what machine it is on"))?;
    let (os, architecture) = (machine.os.unwrap_or_default(), machine.arch.unwrap_or_default());
    fits(reference, &found, &os, &architecture).map_err(CallError::last)?;
    Ok(found)
}

async fn find(docker: &Docker, reference: &str) -> Result<Option<ImageInspect>, CallError> {
    match docker.client.inspect_image(reference).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(refused(&format!("look at image {reference}"))(error)),
    }
}

async fn pull(docker: &Docker, reference: &str) -> Result<(), CallError> {
    if !names_registry(reference) {
        return Err(CallError::last(format!(
            "image {reference} is not on this machine, and its name has no registry that it could be pulled from; build it \
             first (`pipe/docker-build`), or write its registry before it, such as docker.io/{reference}"
        )));
    }
    let options = CreateImageOptionsBuilder::default().from_image(reference).build();
    let mut progress = std::pin::pin!(to_the_end(docker.client.create_image(Some(options), None, None)));
    while let Some(piece) = progress.next().await {
        let said = piece.map_err(|error| words(&error));
        if let Err(said) = said {
            let text = format!("image {reference} is not on this machine and cannot be pulled: {said}");
            return Err(CallError::last(text));
        }
    }
    Ok(())
}

fn fits(reference: &str, image: &ImageInspect, os: &str, architecture: &str) -> Result<(), String> {
    let (for_os, for_architecture) =
        (image.os.as_deref().unwrap_or_default(), image.architecture.as_deref().unwrap_or_default());
    let differs = |has: &str, wants: &str| !has.is_empty() && !wants.is_empty() && has != wants;
    if differs(for_os, os) || differs(for_architecture, architecture) {
        return Err(format!(
            "image {reference} is for {for_os}/{for_architecture}, this machine is {os}/{architecture}; build it with \
             `platforms: {os}/{architecture}`"
        ));
    }
    Ok(())
}

/// Whether a registry stands before the name, as the engine reads names.
/// See <https://docs.docker.com/reference/cli/docker/image/tag/#description>.
fn names_registry(reference: &str) -> bool {
    let Some((host, _)) = reference.split_once('/') else { return false };
    host.contains('.') || host.contains(':') || host == "localhost"
}

/// The name without tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        Some(_) | None => name,
    }
}

/// The tag, for people; empty where there is none.
#[must_use]
pub fn tag(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    if name.starts_with("sha256:") { "" } else { name[repository(name).len()..].trim_start_matches(':') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for (reference, is_pulled, name, version) in [
            ("shop/orders:1a38bd2", false, "shop/orders", "1a38bd2"),
            ("nginx", false, "nginx", ""),
            ("docker.io/library/nginx:1.27", true, "docker.io/library/nginx", "1.27"),
            ("localhost:5000/a/b", true, "localhost:5000/a/b", ""),
            ("r.example/a:v1@sha256:00", true, "r.example/a", "v1"),
            ("sha256:00ff", false, "sha256", ""),
        ] {
            assert_eq!((names_registry(reference), repository(reference), tag(reference)), (is_pulled, name, version));
        }
    }

    #[test]
    fn platforms() {
        let image = |os: &str, architecture: &str| ImageInspect {
            os: Some(os.to_owned()),
            architecture: Some(architecture.to_owned()),
            ..ImageInspect::default()
        };
        let check = |image: &ImageInspect| fits("a:1", image, "linux", "amd64");
        assert_eq!(check(&image("linux", "amd64")), Ok(()));
        assert_eq!(check(&ImageInspect::default()), Ok(()));
        let error = check(&image("linux", "arm64")).unwrap_err();
        assert!(error.contains("is for linux/arm64, this machine is linux/amd64"), "{error}");
    }
}
