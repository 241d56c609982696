//! `pipe/deploy-local`: an image behind the proxy of an environment on this machine, a share of the traffic at a time; it goes
//! back by itself if it is worse than what stood before.
//!
//! The action reads what is wanted; how it goes on is told by [`super::deploy`].

mod facts;
mod inputs;
#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::inside::Inside;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use rollout::plan::Plan;

pub use self::facts::{INPUTS, OUTPUTS};

use self::inputs::Wish;
use super::Deploying;
use super::deploy::hooks::{Addresses, Reach};
use super::deploy::inputs::What;
use super::deploy::{GRACE, carry, end, environment, means, told};
use crate::rollout::CallError;
use crate::scan::RequireScan;
use crate::target::local::{self, Local, Settings};

/// An `env-file`, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The action.
#[derive(Debug, Clone, Default)]
pub struct DeployLocal {
    /// Who carries rollouts; absent where this process carries none.
    pub deploying: Option<Deploying>,
    /// Which environments take only what a scan has let pass.
    pub require: RequireScan,
}

#[async_trait]
impl BuiltInAction for DeployLocal {
    fn name(&self) -> &'static str {
        "pipe/deploy-local"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        true
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let text = |name: &str| call.inputs.get(name).cloned().unwrap_or_default();
        let mut wish = Wish::read(&text).map_err(ActionError::Failed)?;
        let deploying = means(self.deploying.as_ref())?;
        read_file(call, &mut wish).map_err(ActionError::Failed)?;
        for value in wish.secrets.0.values() {
            // Whoever wrote a short one sees it in the container's log, and nowhere in ours.
            let _too_short = call.masker.add(value);
        }
        let (plan, settings) = plan(call, &wish, &deploying.local).await?;
        self.ask_for_scan(call, &plan, &deploying.local).await?;
        for line in told::plan(&plan, lines(&settings)) {
            call.log.line(&line).await;
        }
        let url = url(call, &plan, &settings, &deploying.local).await?;
        call.outputs.insert("plan-hash".into(), plan.hash());
        if wish.course.dry_run {
            return dry_run(call, deploying, &plan, &settings, &url).await;
        }
        let _known_to_the_target = deploying.local.hold(&settings.secrets_digest, wish.secrets.0);
        let reach = Arc::new(deploying.local.clone());
        let view = carry(call, deploying, plan, reach, &url).await?;
        end(&view, &url, call).await
    }
}

impl DeployLocal {
    /// An environment may take only images that a scan has let pass.
    async fn ask_for_scan(&self, call: &ActionCall<'_>, plan: &Plan, local: &Local) -> Result<(), ActionError> {
        if self.require.rule(&plan.environment).is_none() {
            return Ok(());
        }
        let failed = |error: crate::rollout::CallError| ActionError::Failed(error.words);
        let docker = local.docker().await.map_err(failed)?;
        let id = local::id(docker, &plan.image).await.map_err(failed)?;
        match self.require.refusal(call, &plan.environment, &id).await {
            Some(refusal) => Err(ActionError::Failed(refusal)),
            None => Ok(()),
        }
    }
}

/// Adds the variables of `env-file`.
fn read_file(call: &ActionCall<'_>, wish: &mut Wish) -> Result<(), String> {
    let Some(path) = wish.env_file.clone() else { return Ok(()) };
    let failed = |error: &dyn std::fmt::Display| format!("`env-file: {}` cannot be read: {error}", path.display());
    let relative = path.strip_prefix(&call.workspace.inside).unwrap_or(&path);
    let workspace = Inside::workspace(&call.workspace.host).map_err(|error| failed(&error))?;
    let file = workspace.file(Path::new(relative)).map_err(|error| failed(&error))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| failed(&error))?;
    wish.with_file(&path, &text)
}

/// What a person approves.
async fn plan(call: &ActionCall<'_>, wish: &Wish, local: &Local) -> Result<(Plan, Settings), ActionError> {
    let failed = |error: String| ActionError::Failed(error);
    let environment = environment(call, &wish.course)?;
    let docker = local.docker().await.map_err(|error| failed(error.words))?;
    let image = local::pin(docker, &wish.image).await.map_err(|error| failed(error.words))?;
    let digest = local.digest(&wish.secrets.0).map_err(|error| failed(format!("the key of secrets: {error}")))?;
    let settings =
        Settings { secrets: wish.secrets.0.keys().cloned().collect(), secrets_digest: digest, ..wish.settings.clone() };
    let written = &wish.course.version;
    let version = if written.is_empty() { local::tag(&wish.image).to_owned() } else { written.clone() };
    let plan = wish.course.plan(What {
        environment,
        service: wish.service.clone(),
        repository: call.repository.name.clone(),
        commit: call.run.sha.clone(),
        image,
        version,
        target: Local::NAME,
        settings: serde_json::to_value(&settings).map_err(|error| failed(error.to_string()))?,
    });
    Ok((plan, settings))
}

/// Where the service answers, as the job reaches it.
async fn url(call: &ActionCall<'_>, plan: &Plan, settings: &Settings, local: &Local) -> Result<String, ActionError> {
    let in_container = call.job.facts().container_id.is_some();
    let host = local.host(&plan.environment, in_container).await.map_err(|error| ActionError::Failed(error.words))?;
    Ok(format!("http://{host}:{}{}", settings.proxy_port, settings.route))
}

/// Says what would be done.
async fn dry_run(
    call: &mut ActionCall<'_>,
    deploying: &Deploying,
    plan: &Plan,
    settings: &Settings,
    url: &str,
) -> Result<(), ActionError> {
    let stands = deploying.local.stands(&plan.environment, &plan.service).await;
    let stands = stands.map_err(|error| ActionError::Failed(error.words))?;
    call.log.line("This is a dry run; it would:").await;
    let first = match &stands {
        Some(blue) => format!("look whether rollout {} ({}), which stands, is healthy", blue.id, blue.image),
        None => "find that nothing of the service stands yet: the new one gets all of the traffic at once".to_owned(),
    };
    let mut lines = vec![
        first,
        format!("start {} × {} in the network pipe-{}", settings.replicas, plan.image, plan.environment),
        format!(
            "wait until all of them are healthy {} times in a row, {:#} at most",
            settings.health_threshold, plan.start_timeout
        ),
    ];
    let steps = plan.schedule.steps.iter().map(|step| step.weight.to_string()).collect::<Vec<_>>();
    if stands.is_some() {
        lines.push(format!("give it {} of the requests to {url}", steps.join(", then ")));
        lines.push(format!("keep the old one warm for {:#}, then stop it", plan.keep_blue));
    }
    for (number, line) in lines.iter().enumerate() {
        call.log.line(&format!("  {}. {line}", number + 1)).await;
    }
    call.outputs.insert("previous-image".into(), stands.map(|blue| blue.image).unwrap_or_default());
    call.outputs.insert("url".into(), url.to_owned());
    Ok(())
}

/// The plan of this target for a person.
fn lines(settings: &Settings) -> Vec<String> {
    let mut lines = vec![
        format!(
            "containers   {} listening at port {}, healthy if GET {} is",
            settings.replicas, settings.port, settings.health_path
        ),
        format!("route        {} at port {}", settings.route, settings.proxy_port),
    ];
    if let Some(port) = settings.test_port {
        lines.push(format!("tests        port {port}, or the header X-Pipe-Color: green"));
    }
    for (name, list) in [
        ("variables", settings.env.keys().cloned().collect::<Vec<_>>()),
        ("secrets", settings.secrets.clone()),
        ("networks", settings.networks.clone()),
    ] {
        if !list.is_empty() {
            lines.push(format!("{name:<12} {}", list.join(", ")));
        }
    }
    lines
}

#[async_trait]
impl Reach for Local {
    async fn addresses(&self, plan: &Plan, from_container: bool) -> Result<Addresses, CallError> {
        let settings = Settings::of(plan)?;
        let host = self.host(&plan.environment, from_container).await?;
        let url = |port: u16| format!("http://{host}:{port}{}", settings.route);
        Ok(Addresses {
            users: Some(url(settings.proxy_port)),
            tests: settings.test_port.map(url),
            colour: Some("green"),
        })
    }
}
