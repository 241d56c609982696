//! `docker/setup-buildx-action` natively: builds run in the BuildKit that the job's engine has, which is always there.
//!
//! No builder is made, so nothing has to be downloaded or removed. What only a builder of its own could do is said. Follows
//! <https://github.com/docker/setup-buildx-action#customizing>.

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use serde_json::json;

use super::aws_step::{failed, given};
use super::{OutputFacts, input};
use crate::docker::{Docker, words};

/// Its inputs, by the names of the official action.
pub const INPUTS: &[InputFacts] = &[
    input("version", "", "Not used: the engine's own BuildKit builds"),
    input("name", "", "Not used: the builder is `default`"),
    input("driver", "docker-container", "Not used: the driver is `docker`"),
    input("driver-opts", "", "Not used"),
    input("buildkitd-flags", "", "Not used"),
    input("config", "", "Not used"),
    input("config-inline", "", "Not used"),
    input("buildkitd-config", "", "Not used"),
    input("buildkitd-config-inline", "", "Not used"),
    input("install", "false", "Not used: `docker build` builds with BuildKit already"),
    input("use", "true", "Not used: there is one builder"),
    input("endpoint", "", "Not used: the engine is that of the job"),
    input("platforms", "", "Platforms that builds are for; those that the engine is not are warned of"),
    input("append", "", "More builders; not known here"),
    input("keep-state", "false", "Not used: the engine keeps its build cache"),
    input("cache-binary", "true", "Not used"),
    input("cleanup", "true", "Not used: nothing is left"),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("name", "Name of the builder: `default`"),
    OutputFacts::new("driver", "`docker`"),
    OutputFacts::new("platforms", "Platforms that it builds for"),
    OutputFacts::new("nodes", "JSON of its nodes"),
    OutputFacts::new("endpoint", "`default`"),
    OutputFacts::new("status", "`running`"),
    OutputFacts::new("flags", "Empty"),
];

/// Inputs that change what is built or how.
const SAID: [&str; 6] =
    ["version", "driver-opts", "buildkitd-flags", "buildkitd-config", "buildkitd-config-inline", "endpoint"];

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetupBuildx;

#[async_trait]
impl BuiltInAction for SetupBuildx {
    fn name(&self) -> &'static str {
        "docker/setup-buildx-action"
    }

    fn stands_in(&self) -> bool {
        true
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        if given(call, "append").is_some() {
            return Err(failed(
                "`append`: the built-in docker/setup-buildx-action knows one builder, that of the engine",
            ));
        }
        let docker = Docker::connect().await.map_err(failed)?;
        let platform = platform(&docker).await?;
        for name in SAID {
            if given(call, name).is_some() {
                call.log.warning(&format!("`{name}` is not used: builds run in the engine's own BuildKit")).await;
            }
        }
        let wanted: Vec<_> =
            given(call, "platforms").unwrap_or_default().split(',').map(|one| one.trim().to_owned()).collect();
        for other in wanted.iter().filter(|other| !other.is_empty() && **other != platform) {
            call.log.warning(&format!("`platforms: {other}` cannot be built here: the engine is {platform}")).await;
        }
        call.log.line(&format!("Builds run in the engine's own BuildKit, for {platform}")).await;
        let node = json!([{
            "name": "default", "endpoint": "default", "driver-opts": [], "status": "running", "buildkitd-flags": "",
            "platforms": platform,
        }]);
        let node = node.to_string();
        for (name, value) in [
            ("name", "default"),
            ("driver", "docker"),
            ("platforms", platform.as_str()),
            ("nodes", node.as_str()),
            ("endpoint", "default"),
            ("status", "running"),
            ("flags", ""),
        ] {
            call.outputs.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }
}

/// What the engine runs: `linux/amd64`.
///
/// # Errors
/// It does not say.
pub(super) async fn platform(docker: &Docker) -> Result<String, ActionError> {
    let version =
        docker.client.version().await.map_err(|error| failed(format!("Docker does not answer: {}", words(&error))))?;
    let (os, architecture) = (version.os.unwrap_or_default(), version.arch.unwrap_or_default());
    Ok(format!("{os}/{architecture}"))
}

#[cfg(test)]
mod tests {
    use engine::step::trial::Trial;

    use super::*;

    #[tokio::test]
    async fn the_engine_is_the_builder() {
        let scratch = tempfile::tempdir().unwrap();
        let trial = Trial::new(scratch.path().to_path_buf(), scratch.path().join("w"), scratch.path());
        let tried = trial.run(&SetupBuildx, &[("driver-opts", "network=host"), ("platforms", "linux/riscv64")]).await;
        assert!(tried.result.is_ok(), "{}", tried.log);
        assert_eq!((tried.outputs["name"].as_str(), tried.outputs["driver"].as_str()), ("default", "docker"));
        let platform = &tried.outputs["platforms"];
        assert!(platform.starts_with("linux/"), "{platform}");
        let nodes: serde_json::Value = serde_json::from_str(&tried.outputs["nodes"]).unwrap();
        assert_eq!(nodes[0]["platforms"], platform.as_str());
        for words in ["`driver-opts` is not used", "`platforms: linux/riscv64` cannot be built here"] {
            assert!(tried.log.contains(words), "{words}\n{}", tried.log);
        }
        let appended = trial.run(&SetupBuildx, &[("append", "- endpoint: x")]).await;
        assert!(appended.result.unwrap_err().to_string().contains("knows one builder"));
    }
}
