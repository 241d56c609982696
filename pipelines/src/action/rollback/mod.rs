//! `pipe/rollback`: a service goes back to what stood before, or to what an earlier rollout brought.
//!
//! What goes on is told to go back; after success it is a rollout of its own, with all of the traffic at once: what is still warm
//! is used again, else the image by its digest, never built anew. Where to and whether it may is decided by the keeper of
//! rollouts; this action asks it, waits for the end and says what happened.

mod inputs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use engine::store::rollouts::{RolloutFilter, RolloutState};
use rollout::plan::Hook;
use rollout::{Outcome, View};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub use self::inputs::{INPUTS, OUTPUTS};

use self::inputs::Wanted;
use super::aws_step::{cloud_in as cloud, failed as aws_failed};
use super::plan_hash;
use crate::rollout::keeper::{Back, Keeper, KeeperError};
use crate::rollout::{CallError, CallOrder, Hooks};
use crate::target::{Clouds, account_of};

/// Rollouts that are looked at.
const ROLLOUTS_MAX: usize = 100;

/// The action.
#[derive(Debug, Clone, Default)]
pub struct Rollback {
    /// The rollouts of this process; `None`: there are none here.
    pub keeper: Option<Keeper>,
    /// AWS, as steps give it.
    pub clouds: Clouds,
}

#[async_trait]
impl BuiltInAction for Rollback {
    fn name(&self) -> &'static str {
        "pipe/rollback"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        true
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let wanted = Wanted::of(call).map_err(ActionError::Failed)?;
        let Some(keeper) = &self.keeper else {
            return Err(ActionError::Failed(
                "pipe/rollback knows of no rollouts here: run it by a server (`pipe serve`)".into(),
            ));
        };
        let failed = |error: KeeperError| ActionError::Failed(error.to_string());
        let preview = preview(keeper, &wanted).await.map_err(failed)?;
        call.outputs.insert("plan-hash".into(), plan_hash(&preview));
        if wanted.dry_run {
            let words = preview["words"].as_str().unwrap_or_default().to_owned();
            call.log.line(&format!("Dry run: {words}\nPlan {}", plan_hash(&preview))).await;
            return Ok(());
        }
        self.bring_keys(call, keeper, &wanted).await?;
        let id = keeper.go_back(back(call, &wanted)).await.map_err(failed)?;
        call.outputs.insert("deployment-id".into(), id.to_string());
        call.log.line(&format!("Rollout {id} takes {} in {} back", wanted.service, wanted.environment)).await;
        let view = attend(call, keeper, id).await.map_err(failed)?;
        self.end(call, &view)
    }
}

impl Rollback {
    /// What stands in AWS goes back with the keys of this step, else with those that this process has or can have.
    async fn bring_keys(&self, call: &ActionCall<'_>, keeper: &Keeper, wanted: &Wanted) -> Result<(), ActionError> {
        let failed = |error: KeeperError| ActionError::Failed(error.to_string());
        let plan = keeper.newest_plan(&wanted.environment, &wanted.service).await.map_err(failed)?;
        let Some(plan) = plan else { return Ok(()) };
        let Some((account, region)) = account_of(&plan) else { return Ok(()) };
        if !call.env.contains_key("AWS_ACCESS_KEY_ID") {
            let known = self.clouds.ready(&plan).await.map(drop);
            return known.map_err(|error| ActionError::Failed(error.words));
        }
        let cloud = cloud(call, region)?;
        let identity = cloud.identity().await.map_err(aws_failed)?;
        if identity.account != account {
            return Err(ActionError::Failed(format!(
                "{} in {} is in account {account}, and the credentials of this step are of account {} ({}): nothing was done",
                wanted.service, wanted.environment, identity.account, identity.arn
            )));
        }
        self.clouds.hold_for(&plan.environment, account, &cloud);
        Ok(())
    }

    fn end(&self, call: &mut ActionCall<'_>, view: &View) -> Result<(), ActionError> {
        let (status, is_back) = match (view.outcome, view.rollback_of) {
            // A way back is a rollout that succeeded; what was told to go back has rolled back.
            (Some(Outcome::Succeeded), Some(_)) | (Some(Outcome::RolledBack | Outcome::Rejected), None) => {
                ("succeeded", true)
            }
            (Some(Outcome::Stuck), _) => ("stuck", false),
            (Some(Outcome::Succeeded), None) => ("too-late", false),
            (Some(Outcome::RolledBack | Outcome::Rejected), Some(_)) | (None, _) => ("failed", false),
        };
        call.outputs.insert("status".into(), status.to_owned());
        let stands = if view.rollback_of.is_some() { Some(&view.green) } else { view.blue.as_ref() };
        let stands = stands.map(|colour| colour.revision.clone());
        call.outputs.insert("image".into(), stands.as_ref().map(|stands| stands.image.clone()).unwrap_or_default());
        call.outputs.insert("version".into(), stands.map(|stands| stands.version).unwrap_or_default());
        if is_back { Ok(()) } else { Err(ActionError::Failed(format!("it did not go back: {}", view.words))) }
    }
}

/// Waits for its end and says how it goes. What was begun is ended, whatever becomes of the job: half a way back is nowhere.
async fn attend(call: &mut ActionCall<'_>, keeper: &Keeper, id: u64) -> Result<View, KeeperError> {
    let (send, mut words) = tokio::sync::mpsc::unbounded_channel();
    let told = move |view: &View| {
        let _nobody_listens_any_more = send.send(view.words.clone());
    };
    let mut end = std::pin::pin!(keeper.attend(id, Arc::new(NoScripts), CancellationToken::new(), told));
    let mut last = String::new();
    loop {
        tokio::select! {
            biased;
            Some(words) = words.recv() => {
                if words != last {
                    call.log.line(&words).await;
                    last = words;
                }
            }
            view = &mut end => {
                if let Some(view) = view.as_ref().ok().filter(|view| view.words != last) {
                    call.log.line(&view.words).await;
                }
                return view;
            }
        }
    }
}

fn back(call: &ActionCall<'_>, wanted: &Wanted) -> Back {
    Back {
        environment: wanted.environment.clone(),
        service: wanted.service.clone(),
        to: wanted.to,
        by: call.run.actor.clone(),
        comment: wanted.reason.clone(),
        key: Some(format!("rollback {} {} {} {}", call.run.id, call.run.keeper.attempt, call.run.job, call.step)),
        run: Some(call.run.id),
        job: call.run.job.clone(),
    }
}

/// What would be done, as far as it can be told without doing it.
async fn preview(keeper: &Keeper, wanted: &Wanted) -> Result<Value, KeeperError> {
    let filter = RolloutFilter {
        environment: Some(wanted.environment.clone()),
        service: Some(wanted.service.clone()),
        limit: ROLLOUTS_MAX,
        ..RolloutFilter::default()
    };
    let rows = keeper.rollouts().list(filter).await?;
    let place = format!("{} in {}", wanted.service, wanted.environment);
    let view = |value: &Value| serde_json::from_value::<View>(value.clone()).ok();
    if let Some(row) = rows.iter().find(|row| row.state == RolloutState::Active) {
        return Ok(
            json!({ "rollout": row.id, "words": format!("rollout {} of {place}, which goes on, would be told to go back", row.id) }),
        );
    }
    let succeeded: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row.id, view(&row.view)?)))
        .filter(|(_, view)| view.outcome == Some(Outcome::Succeeded))
        .collect();
    let Some((of, standing)) = succeeded.first() else {
        return Ok(
            json!({ "words": format!("nothing was deployed of {place} yet, so there is nothing to take back") }),
        );
    };
    let to = match wanted.to {
        None => standing.blue.as_ref().map(|blue| blue.revision.clone()),
        Some(to) => succeeded.iter().find(|(id, _)| *id == to).map(|(_, view)| view.green.revision.clone()),
    };
    let since = |id: u64| succeeded.iter().filter(move |(other, _)| *other > id);
    let words = match &to {
        None => format!("{place} has nothing to go back to"),
        Some(to) => match since(to.id).find_map(|(id, view)| Some((id, view.irreversible.as_ref()?))) {
            Some((id, migration)) => {
                format!("{place} cannot go back: the migration `{migration}` of rollout {id} cannot be undone")
            }
            None => format!(
                "{place} would go back from {} to {} ({})",
                standing.green.revision.version, to.version, to.image
            ),
        },
    };
    Ok(json!({ "takes_back": of, "to": to, "words": words }))
}

/// A way back has no scripts.
#[derive(Debug)]
struct NoScripts;

#[async_trait]
impl Hooks for NoScripts {
    async fn run(&self, order: &CallOrder, _scripts: &[Hook]) -> Result<Value, CallError> {
        let text = format!(
            "the job that runs the scripts of rollout {} is another one, and it is gone",
            order.subject.rollout
        );
        Err(CallError::last(text))
    }

    async fn look_up(&self, _order: &CallOrder) -> Result<Option<Value>, CallError> {
        Ok(None)
    }
}
