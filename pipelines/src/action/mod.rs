//! The built-in actions below `pipe/`, and all of them together.
//!
//! Each has a page in `actions/<name>/action.yml` for readers and editors; a test holds the two equal.

#[cfg(test)]
mod answering;
pub mod approve;
pub mod aws_credentials;
mod aws_step;
pub mod changes;
mod deploy;
pub mod deploy_ecs;
pub mod deploy_local;
pub mod deploy_task_definition;
pub mod docker_build;
pub mod docker_buildx;
pub mod docker_login;
pub mod ecr_login;
#[cfg(test)]
mod fake_aws;
pub mod health_check;
mod job_docker;
#[cfg(test)]
mod job_here;
pub mod migrate;
pub mod notify;
mod paths;
pub mod probe;
pub mod push_ecr;
mod push_facts;
pub mod push_registry;
pub mod render_task_definition;
pub mod rollback;
pub mod scan;
mod script;
pub mod setup;
pub mod terraform;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::placement::Owner;
use engine::step::checkout::Checkout;
use engine::step::kept::{Cache, DownloadArtifact, RestoreCache, SaveCache, UploadArtifact};
use engine::step::report::{CoverageReport, TestReport};
use engine::step::{ActionCall, BuiltInActions, InputFacts};
use sha2::{Digest as _, Sha256};
use workflow::catalogue::Catalogue;

pub(crate) use crate::Deploying;

/// An output of an action.
#[derive(Debug, Clone, Copy)]
pub struct OutputFacts {
    /// Its name.
    pub name: &'static str,
    /// One line for a person.
    pub description: &'static str,
}

impl OutputFacts {
    const fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, description }
    }
}

const fn input(name: &'static str, default: &'static str, description: &'static str) -> InputFacts {
    InputFacts::new(name, default, description)
}

const fn required(name: &'static str, description: &'static str) -> InputFacts {
    InputFacts::required(name, description)
}

/// Reads a switch.
fn switch(call: &ActionCall<'_>, name: &str) -> Result<bool, String> {
    match call.inputs.get(name).map_or("", |text| text.trim()) {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        other => Err(format!("`{name}` must be `true` or `false`, not `{other}`")),
    }
}

/// SHA-256 of a plan, as outputs and pages have it.
fn plan_hash(plan: &serde_json::Value) -> String {
    let digest = Sha256::digest(plan.to_string());
    digest.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// What is known of all built-in actions before they run.
#[must_use]
pub fn catalogue() -> Catalogue {
    built_in().catalogue()
}

/// All built-in actions, `actions/checkout` among them.
#[must_use]
pub fn built_in() -> BuiltInActions {
    built_in_with(BTreeMap::new(), scan::ScanFolders::default(), None)
}

/// The same; containers that actions start carry `labels` (those of the owner), so that clean-up finds them, scans
/// have these folders, and what deploys has these means.
#[must_use]
pub fn built_in_with(
    labels: BTreeMap<String, String>,
    folders: scan::ScanFolders,
    deploying: Option<Deploying>,
) -> BuiltInActions {
    let mut all = BuiltInActions::default();
    all.add(Arc::new(Checkout));
    all.add(Arc::new(UploadArtifact));
    all.add(Arc::new(DownloadArtifact));
    all.add(Arc::new(Cache));
    all.add(Arc::new(RestoreCache));
    all.add(Arc::new(SaveCache));
    all.add(Arc::new(TestReport));
    all.add(Arc::new(CoverageReport));
    all.add(Arc::new(changes::Changes));
    // Not whose process: the same files make the same image.
    let lasting =
        labels.iter().filter(|(name, _)| Owner::lasts(name)).map(|(name, value)| (name.clone(), value.clone()));
    let build = docker_build::DockerBuild { labels: lasting.collect() };
    all.add(Arc::new(docker_build::push::BuildPush { build: build.clone() }));
    all.add(Arc::new(build));
    all.add(Arc::new(docker_buildx::SetupBuildx));
    all.add(Arc::new(docker_login::DockerLogin));
    all.add(Arc::new(setup::node::SetupNode));
    all.add(Arc::new(setup::python::SetupPython));
    for name in ["pipe/scan", "aquasecurity/trivy-action"] {
        all.add(Arc::new(scan::Scan { name, folders: folders.clone(), labels: labels.clone() }));
    }
    let keeper = deploying.as_ref().map(|deploying| deploying.keeper.clone());
    let rollouts = keeper.as_ref().map(|keeper| keeper.rollouts().clone());
    let deploys = deploy_ecs::DeployEcs { deploying: deploying.clone(), require: folders.require.clone() };
    all.add(Arc::new(deploy_task_definition::DeployTaskDefinition { deploys: deploys.clone() }));
    all.add(Arc::new(deploys));
    all.add(Arc::new(rollback::Rollback {
        keeper,
        clouds: deploying.as_ref().map(|deploying| deploying.clouds.clone()).unwrap_or_default(),
    }));
    all.add(Arc::new(deploy_local::DeployLocal { deploying, require: folders.require.clone() }));
    all.add(Arc::new(notify::Notify));
    all.add(Arc::new(probe::ProbeAction));
    all.add(Arc::new(approve::Approve { rollouts: rollouts.clone() }));
    all.add(Arc::new(migrate::Migrate { labels: labels.clone(), rollouts }));
    all.add(Arc::new(terraform::Terraform));
    add_aws(&mut all);
    all.add(Arc::new(health_check::HealthCheck { labels }));
    all
}

/// Those for AWS, under the official actions' names too. They ask for nothing until a step runs them.
fn add_aws(all: &mut BuiltInActions) {
    for name in ["pipe/aws-credentials", "aws-actions/configure-aws-credentials"] {
        all.add(Arc::new(aws_credentials::AwsCredentials { name }));
    }
    for name in ["pipe/render-task-definition", render_task_definition::OFFICIAL] {
        all.add(Arc::new(render_task_definition::RenderTaskDefinition { name }));
    }
    all.add(Arc::new(ecr_login::EcrLogin));
    all.add(Arc::new(push_ecr::PushEcr));
    all.add(Arc::new(push_registry::PushRegistry));
}

#[cfg(test)]
mod tests;
