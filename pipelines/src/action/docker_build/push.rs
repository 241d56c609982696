//! `docker/build-push-action` natively: the build of `pipe/docker-build`, and the image into registries under its tags.
//!
//! Without `context:` it builds the repository as the official action does, whatever steps have made of the workspace. It takes what
//! the checkout gives, since a local run is of files and commits that no server has. Registries are those that the job has logged
//! in to. Follows <https://github.com/docker/build-push-action#inputs>.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use serde_json::json;

use super::super::aws_step::{failed, given};
use super::super::docker_buildx::platform;
use super::super::job_docker::{is_hub, login_at};
use super::super::push_registry::carry;
use super::super::{OutputFacts, input};
use super::DockerBuild;
use super::inputs::{Order, SWITCH, list};
use crate::docker::Docker;
use crate::push::Push;
use crate::registry::Reference;

/// Its inputs, by the names of the official action.
pub const INPUTS: &[InputFacts] = &[
    input(
        "context",
        "",
        "Folder of the workspace; empty: the repository as actions/checkout gives it, `{{defaultContext}}:folder`: a folder of that",
    ),
    input(
        "file",
        "",
        "Path of the Dockerfile in the workspace, in the context where that is the repository; empty: `Dockerfile` in the context",
    ),
    input("tags", "", "Names of the image, with commas or one a line"),
    input("push", "false", "Whether it goes into the registries of its tags").form(SWITCH),
    input("load", "false", "The image is always there for `docker run` afterwards").form(SWITCH),
    input("build-args", "", "NAME=value, one a line; never secrets"),
    input("labels", "", "NAME=value, one a line"),
    input("target", "", "Stage to build"),
    input("platforms", "", "Platforms; others than the engine's are refused"),
    input("secrets", "", "ID=value, one a line, for `RUN --mount=type=secret,id=ID`"),
    input("secret-files", "", "ID=path in the workspace, one a line"),
    input("secret-envs", "", "ID=VARIABLE of the step, one a line"),
    input("no-cache", "false", "Whether every step is done anew").form(SWITCH),
    input("pull", "false", "Whether base images are looked up in their registry although they are here").form(SWITCH),
    input("add-hosts", "", "name:address, one a line"),
    input("network", "", "Network of `RUN`: default, none or host"),
    input("cache-from", "", "Images to take layers from; other caches are not used, which is said"),
    input("cache-to", "", "Not used, which is said"),
    input("outputs", "", "Not known here: images are loaded and pushed"),
    input("shm-size", "", "Not used, which is said"),
    input("provenance", "", "Not used, which is said"),
    input("sbom", "", "Not used, which is said"),
    input("builder", "", "Not used: the engine's own BuildKit builds"),
    input("annotations", "", "Not used, which is said"),
    input("attests", "", "Not used, which is said"),
    input("allow", "", "Not used, which is said"),
    input("build-contexts", "", "Not known here"),
    input("call", "", "Not known here"),
    input("cgroup-parent", "", "Not used, which is said"),
    input("no-cache-filters", "", "Not used, which is said"),
    input("ssh", "", "Not known here"),
    input("ulimit", "", "Not used, which is said"),
    input("github-token", "", "Not used: nothing is fetched"),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("imageid", "Id of the image"),
    OutputFacts::new("digest", "Digest of its manifest as the registry has it; where it is not pushed, its id"),
    OutputFacts::new("metadata", "JSON with `containerimage.config.digest`, `containerimage.digest` and `image.name`"),
];

/// What changes little of the image, and is left out with a word.
const SAID: [&str; 6] = ["annotations", "attests", "allow", "cgroup-parent", "no-cache-filters", "ulimit"];
/// What would make another image, or none.
const REFUSED: [&str; 4] = ["outputs", "build-contexts", "call", "ssh"];
/// As images of Docker Hub are named in full.
const HUB: &str = "docker.io";

/// The action.
#[derive(Debug, Clone, Default)]
pub struct BuildPush {
    /// What builds.
    pub build: DockerBuild,
}

#[async_trait]
impl BuiltInAction for BuildPush {
    fn name(&self) -> &'static str {
        "docker/build-push-action"
    }

    fn stands_in(&self) -> bool {
        true
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        if let Some(name) = REFUSED.into_iter().find(|name| given(call, name).is_some()) {
            return Err(failed(format!(
                "`{name}` is not known to the built-in docker/build-push-action: leave it out, or run the action itself \
                 (`--builtin-actions never`)"
            )));
        }
        let docker = Docker::connect().await.map_err(failed)?;
        one_platform(call, &platform(&docker).await?)?;
        let secrets = of_variables(call)?;
        let mut order = Order::of(call, true).map_err(failed)?;
        order.secrets.extend(secrets);
        for name in SAID {
            if given(call, name).is_some() {
                order.warnings.push(format!("`{name}` is not used by the built-in docker/build-push-action"));
            }
        }
        let (push, tags) = (order.push, order.tags.clone());
        let places = if push { places(&tags).map_err(failed)? } else { BTreeMap::new() };
        let image = self.build.built(call, order).await?;
        let mut digest = None;
        for ((host, repository), tags) in places {
            let login = login_at(call, &host).await;
            let host = if is_hub(&host) { "registry-1.docker.io".to_owned() } else { host };
            // A tag of a build is moved, as `docker push` does.
            let push = Push {
                image: image.clone(),
                must_be: None,
                host,
                repository,
                tags,
                may_move: true,
                login,
                keeps_name: true,
            };
            digest = Some(carry(call, &push).await?.digest);
        }
        if let Some(digest) = digest {
            let metadata = json!({
                "containerimage.config.digest": image, "containerimage.digest": digest, "image.name": tags.join(","),
            });
            call.outputs.insert("digest".to_owned(), digest);
            call.outputs.insert("metadata".to_owned(), metadata.to_string());
        }
        Ok(())
    }
}

/// Refuses what the engine is not.
fn one_platform(call: &ActionCall<'_>, own: &str) -> Result<(), ActionError> {
    let wanted = list(given(call, "platforms").unwrap_or_default());
    let others: Vec<_> = wanted.iter().filter(|one| !is_same(one, own)).cloned().collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(failed(format!(
        "`platforms`: the engine builds for {own}, not for {}: build those on a machine that they are the platform of, or run the \
         action itself with an emulator (`--builtin-actions never`)",
        others.join(", ")
    )))
}

/// Whether two words name one platform: `linux/arm64/v8` is what `linux/arm64` means.
fn is_same(one: &str, other: &str) -> bool {
    let usual = |platform: &str| match platform.strip_suffix("/v8") {
        Some(plain) if plain.ends_with("/arm64") => plain.to_lowercase(),
        Some(_) | None => platform.to_lowercase(),
    };
    usual(one) == usual(other)
}

/// Secrets that lie in variables of the step.
fn of_variables(call: &ActionCall<'_>) -> Result<Vec<(String, Vec<u8>)>, ActionError> {
    let lines = list(given(call, "secret-envs").unwrap_or_default());
    let read = lines.iter().map(|line| {
        let (id, name) =
            line.split_once('=').ok_or_else(|| failed(format!("`secret-envs`: `{line}` is not ID=VARIABLE")))?;
        let value =
            call.env.get(name).ok_or_else(|| failed(format!("`secret-envs`: the step has no variable {name}")))?;
        Ok((id.to_owned(), value.clone().into_bytes()))
    });
    read.collect()
}

/// Tags by the repositories that they are in.
fn places(names: &[String]) -> Result<BTreeMap<(String, String), Vec<String>>, String> {
    if names.is_empty() {
        return Err("`push: true` needs `tags`: an image is pushed under a name".to_owned());
    }
    let mut places: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for name in names {
        let read = Reference::parse(&in_full(name)).map_err(|error| format!("`tags`: {error}"))?;
        places.entry((read.host, read.repository)).or_default().push(read.reference);
    }
    Ok(places)
}

/// `user/app` is an image of Docker Hub, `app` one of its own there.
fn in_full(name: &str) -> String {
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name.to_owned(),
        Some(_) => format!("{HUB}/{name}"),
        None => format!("{HUB}/library/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_platform() {
        for (one, other, same) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm/v8", "linux/arm", false),
            ("linux/arm64", "linux/amd64", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn tags_are_of_repositories() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let check = |given: &[&str], expect: &str| {
            let seen = match places(&names(given)) {
                Ok(places) => places
                    .iter()
                    .map(|((host, repository), tags)| format!("{host} {repository} {}", tags.join("+")))
                    .collect::<Vec<_>>()
                    .join("; "),
                Err(error) => error,
            };
            assert!(seen.contains(expect), "{seen}");
        };
        check(&["app"], "docker.io library/app latest");
        check(&["mona/app:1", "mona/app:2"], "docker.io mona/app 1+2");
        check(&["r.example:5000/a/b:1", "localhost/c"], "localhost c latest; r.example:5000 a/b 1");
        check(&[], "`push: true` needs `tags`");
    }
}
