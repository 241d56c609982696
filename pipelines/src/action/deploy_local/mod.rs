//! `pipe/deploy-local`: an image behind the proxy of an environment on this machine, a share of the traffic at a time; it goes
//! back by itself if it is worse than what stood before.
//!
//! The action reads what is wanted and tells what happens. The rollout is carried by the process, not by the step: it outlives
//! both, and a step that is taken up after a crash finds it by its key.

mod facts;
mod hooks;
mod inputs;
#[cfg(test)]
mod tests;
mod told;
mod values;

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::inside::Inside;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use rollout::plan::Plan;
use rollout::{Outcome, View};
use tokio::sync::mpsc;

pub use self::facts::{INPUTS, OUTPUTS};

use self::hooks::JobHooks;
use self::inputs::Wish;
use self::told::{Story, Told};
use super::Deploying;
use crate::rollout::{Asked, KeeperError};
use crate::scan::RequireScan;
use crate::target::local::{self, Local, Settings};

/// An `env-file`, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How long a step that was cancelled waits until its rollout has gone back.
const GRACE: Duration = Duration::from_secs(120);

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
        let deploying = self.deploying.as_ref().ok_or_else(|| {
            ActionError::Failed("this process keeps no rollouts; use `pipe run` or `pipe serve`".to_owned())
        })?;
        read_file(call, &mut wish).map_err(ActionError::Failed)?;
        for value in wish.secrets.0.values() {
            // Whoever wrote a short one sees it in the container's log, and nowhere in ours.
            let _too_short = call.masker.add(value);
        }
        let (plan, settings) = plan(call, &wish, &deploying.local).await?;
        self.ask_for_scan(call, &plan, &deploying.local).await?;
        for line in told::plan(&plan, &settings) {
            call.log.line(&line).await;
        }
        let url = url(call, &plan, &settings, &deploying.local).await?;
        call.outputs.insert("plan-hash".into(), plan.hash());
        if wish.dry_run {
            return dry_run(call, deploying, &plan, &settings, &url).await;
        }
        let _known_to_the_target = deploying.local.hold(&settings.secrets_digest, wish.secrets.0);
        let view = carry(call, deploying, plan).await?;
        told::outputs(call, &view, &url);
        *call.summary = told::summary(&view);
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
    let environment = wish.environment.clone().or_else(|| call.run.environment.clone()).ok_or_else(|| {
        failed("where to? Give the job an `environment:`, or the step an input `environment`".to_owned())
    })?;
    let docker = local.docker().await.map_err(|error| failed(error.words))?;
    let image = local::pin(docker, &wish.image).await.map_err(|error| failed(error.words))?;
    let digest = local.digest(&wish.secrets.0).map_err(|error| failed(format!("the key of secrets: {error}")))?;
    let settings =
        Settings { secrets: wish.secrets.0.keys().cloned().collect(), secrets_digest: digest, ..wish.settings.clone() };
    let version = if wish.version.is_empty() { local::tag(&wish.image).to_owned() } else { wish.version.clone() };
    let plan = Plan {
        environment,
        service: wish.service.clone(),
        repository: call.repository.name.clone(),
        commit: call.run.sha.clone(),
        image,
        version,
        target: Local::NAME.to_owned(),
        settings: serde_json::to_value(&settings).map_err(|error| failed(error.to_string()))?,
        schedule: wish.schedule.clone(),
        analysis: wish.analysis.clone(),
        rollback_on: wish.rollback_on,
        on_active: wish.on_active,
        hooks: wish.hooks.clone(),
        start_timeout: wish.start_timeout,
        timeout: wish.timeout,
        keep_blue: wish.keep_blue,
        tick: wish.tick,
        irreversible: wish.irreversible.clone(),
        rollback_of: None,
        reuse: None,
    };
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

/// Asks for the rollout, or finds it, and tells its story until its end.
async fn carry(call: &mut ActionCall<'_>, deploying: &Deploying, plan: Plan) -> Result<View, ActionError> {
    let failed = |error: KeeperError| ActionError::Failed(error.to_string());
    let run = &call.run;
    let key = format!("{} {} {} {}", run.id, run.keeper.attempt, run.job, call.step);
    let asked = Asked { key, plan, run: Some(run.id), job: run.job.clone(), by: run.actor.clone() };
    let id = deploying.keeper.ask(asked).await.map_err(failed)?;
    call.outputs.insert("deployment-id".into(), id.to_string());
    call.log.line(&format!("Rollout {id}{}", if call.again { ", taken up" } else { "" })).await;
    let (sender, mut told) = mpsc::unbounded_channel();
    let hooks = Arc::new(JobHooks {
        job: Arc::clone(call.job),
        local: deploying.local.clone(),
        env: call.env.clone(),
        has_bash: call.has_bash,
        cwd: call.workspace.inside.clone(),
        step: call.step,
        told: sender.clone(),
    });
    let attended = deploying.keeper.attend(id, hooks, call.cancel.clone(), |view: &View| {
        let _nobody_listens = sender.send(Told::View(Box::new(view.clone())));
    });
    let mut attended = std::pin::pin!(attended);
    let mut story = Story::default();
    let ended = loop {
        tokio::select! {
            biased;
            Some(one) = told.recv() => tell(call, &mut story, one).await,
            ended = &mut attended => break ended,
        }
    };
    while let Ok(one) = told.try_recv() {
        tell(call, &mut story, one).await;
    }
    ended.map_err(failed)
}

async fn tell(call: &mut ActionCall<'_>, story: &mut Story, told: Told) {
    match told {
        Told::View(view) => {
            for line in story.news(&view) {
                call.log.line(&line).await;
            }
        }
        Told::Begins(stage) => call.log.line(&format!("Running the script of {}", stage.word())).await,
        Told::Visits(stage) => call.log.line(&format!("Visiting green at {}", stage.word())).await,
        Told::Output(bytes) => call.log.output(&bytes).await,
    }
}

/// What the step says at last.
async fn end(view: &View, url: &str, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
    let name = format!("rollout {} of {} to {}", view.id, view.service, view.environment);
    match view.outcome {
        Some(Outcome::Succeeded) => {
            call.log.line(&format!("The {name} succeeded: {url}")).await;
            Ok(())
        }
        Some(outcome) => {
            Err(ActionError::Failed(format!("the {name} ended {}: {}", told::status(outcome), view.words)))
        }
        None => Err(ActionError::Failed(format!("the {name} has no end: {}", view.words))),
    }
}
