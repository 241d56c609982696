//! The container engine: whether it answers, what it is, which images are there.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::placement::DockerPlacement;
use engine::runner_label::DEFAULT_IMAGE;

use super::Check;
use crate::config::Settings;
use crate::exit::Failure;
use crate::run::machine;

/// How long the engine may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// All that is known of it.
///
/// # Errors
/// There is no runtime to ask with.
pub fn checks(settings: &Settings) -> Result<Vec<Check>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))?;
    let asked = runtime.block_on(async { tokio::time::timeout(ANSWER_MAX, ask(settings)).await });
    Ok(asked.unwrap_or_else(|_| {
        let detail = format!("no answer within {} s", ANSWER_MAX.as_secs());
        vec![Check::error("docker", detail, "restart it: `sudo systemctl restart docker`")]
    }))
}

async fn ask(settings: &Settings) -> Vec<Check> {
    let without = "`pipe run --host` runs jobs on this machine without containers";
    let docker = match machine::docker(settings).await {
        Ok(docker) => docker,
        Err(error) => return vec![Check::error("docker", error.to_string(), without)],
    };
    let mut checks = vec![engine(&docker).await];
    let images: BTreeSet<&str> =
        settings.labels.values().map(String::as_str).chain([DEFAULT_IMAGE]).filter(|image| !is_host(image)).collect();
    for image in images {
        checks.push(match docker.client().inspect_image(image).await {
            Ok(_) => Check::ok("image", format!("{image} is here")),
            Err(_) => Check::warning(
                "image",
                format!("{image} is not here"),
                format!("a run pulls it; or now: docker pull {image}"),
            ),
        });
    }
    checks
}

async fn engine(docker: &DockerPlacement) -> Check {
    let where_it_is = docker.describe();
    let Ok(info) = docker.client().info().await else {
        return Check::warning("docker", where_it_is, "it does not tell about itself; `docker info` may say why");
    };
    let version = info.server_version.unwrap_or_else(|| "?".to_owned());
    let cgroup = info.cgroup_version.map(|version| format!(", cgroup v{version}")).unwrap_or_default();
    let options = info.security_options.unwrap_or_default();
    let rootless = if options.iter().any(|option| option.contains("rootless")) { ", rootless" } else { "" };
    Check::ok("docker", format!("{where_it_is}, version {version}{cgroup}{rootless}"))
}

fn is_host(image: &str) -> bool {
    matches!(image, "host" | "-self-hosted")
}
