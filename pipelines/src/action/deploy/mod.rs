//! What actions that deploy have in common: inputs that say how, a rollout that is asked for and waited for, its story in the step's
//! log, and scripts and visits beside it.
//!
//! The rollout is carried by the process, not by the step: it outlives both, and a step that is taken up after a crash finds it
//! by its key.

pub(super) mod hooks;
pub(super) mod inputs;
pub(super) mod told;
pub(super) mod values;

use std::sync::Arc;
use std::time::Duration;

use engine::step::{ActionCall, ActionError};
use rollout::plan::Plan;
use rollout::{Outcome, View};
use tokio::sync::mpsc;

use self::hooks::{JobHooks, Reach};
use self::inputs::Course;
use self::told::{Story, Told};
use super::Deploying;
use crate::rollout::{Asked, KeeperError};

/// How long a step that was cancelled waits until its rollout has gone back.
pub(super) const GRACE: Duration = Duration::from_secs(120);

/// Where to: as the step says, else as its job does.
pub(super) fn environment(call: &ActionCall<'_>, course: &Course) -> Result<String, ActionError> {
    course.environment.clone().or_else(|| call.run.environment.clone()).ok_or_else(|| {
        ActionError::Failed("where to? Give the job an `environment:`, or the step an input `environment`".to_owned())
    })
}

/// The means of this process.
pub(super) fn means(deploying: Option<&Deploying>) -> Result<&Deploying, ActionError> {
    deploying
        .ok_or_else(|| ActionError::Failed("this process keeps no rollouts; use `pipe run` or `pipe serve`".to_owned()))
}

/// Asks for the rollout, or finds it, tells its story until its end, and says how that was. `url` is where users reach it.
pub(super) async fn carry(
    call: &mut ActionCall<'_>,
    deploying: &Deploying,
    plan: Plan,
    reach: Arc<dyn Reach>,
    url: &str,
) -> Result<View, ActionError> {
    let view = attend(call, deploying, plan, reach).await?;
    told::outputs(call, &view, url);
    *call.summary = told::summary(&view);
    Ok(view)
}

async fn attend(
    call: &mut ActionCall<'_>,
    deploying: &Deploying,
    plan: Plan,
    reach: Arc<dyn Reach>,
) -> Result<View, ActionError> {
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
        reach,
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
pub(super) async fn end(view: &View, url: &str, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
    let name = format!("rollout {} of {} to {}", view.id, view.service, view.environment);
    match view.outcome {
        Some(Outcome::Succeeded) => {
            let at = if url.is_empty() { String::new() } else { format!(": {url}") };
            call.log.line(&format!("The {name} succeeded{at}")).await;
            Ok(())
        }
        Some(outcome) => {
            Err(ActionError::Failed(format!("the {name} ended {}: {}", told::status(outcome), view.words)))
        }
        None => Err(ActionError::Failed(format!("the {name} has no end: {}", view.words))),
    }
}
