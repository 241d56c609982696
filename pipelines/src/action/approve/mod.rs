//! `pipe/approve`: a job waits at a step until a person says that it goes on.
//!
//! The gate is shown where rollouts are, and "promote" lets it pass, "abort" fails it: on the environment's page, by `pipe deploy
//! promote --rollout NUMBER`, and through the API. Whoever may deploy to the environment may say so, or only the reviewers that are
//! named. What is approved has a hash; a step that is run again with another subject asks again.
//!
//! It is no protection rule: those of an environment hold a job before its first step and are kept by the server, whatever the
//! workflow says. This is for what is known only in the middle of a job, and keeps the job's place on the machine meanwhile.

mod gate;
mod inputs;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use engine::store::rollouts::{OrderRow, Rollouts};
use jiff::Timestamp;
use rollout::{Cause, Fact, Order, Outcome};
use serde_json::json;

pub use self::inputs::{INPUTS, OUTPUTS};

pub(crate) use self::gate::{GateError, end_gate};

use self::gate::{Asked, Gate, plan_of};
use self::inputs::Wanted;

/// Another process may have taken the order.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The action.
#[derive(Debug, Clone, Default)]
pub struct Approve {
    /// Where gates are kept; `None`: there is no place for them here.
    pub rollouts: Option<Rollouts>,
}

#[async_trait]
impl BuiltInAction for Approve {
    fn name(&self) -> &'static str {
        "pipe/approve"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        true
    }

    /// To write down that nobody is asked any more.
    fn grace(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let wanted = Wanted::of(call).map_err(ActionError::Failed)?;
        let asked = asked(call, &wanted);
        call.outputs.insert("plan-hash".into(), asked.plan.hash());
        let who = match wanted.asks.reviewers.as_slice() {
            [] => format!("whoever may deploy to {}", wanted.environment),
            names => names.join(", "),
        };
        let words = format!("{} of {who} asked for: {}", wanted.asks.approvals, asked.words);
        if !wanted.asks.details.is_empty() {
            call.log.line(&wanted.asks.details).await;
        }
        if wanted.dry_run {
            call.log.line(&format!("Dry run: {words}\nPlan {}", asked.plan.hash())).await;
            return Ok(());
        }
        let Some(rollouts) = &self.rollouts else {
            let text = "pipe/approve has nobody to ask here: run it by a server (`pipe serve`)";
            return Err(ActionError::Failed(text.to_owned()));
        };
        let failed = |error: GateError| ActionError::Failed(error.to_string());
        let mut gate = Gate::open(rollouts, asked, Timestamp::now()).await.map_err(failed)?;
        call.outputs.insert("approval-id".into(), gate.id.to_string());
        call.log.line(&words).await;
        let run = call.run.id;
        let text = format!(
            "Waiting. `pipe approve {run} {gate}` approves, `pipe reject {run} {gate}` rejects; so does the run's page",
            gate = wanted.gate
        );
        call.log.line(&text).await;
        let ended = wait(call, rollouts, &wanted, &mut gate).await.map_err(failed)?;
        match ended {
            End::Approved { by, comment } => {
                call.outputs.insert("approved-by".into(), by);
                call.outputs.insert("comment".into(), comment);
                Ok(())
            }
            End::Refused(words) => Err(ActionError::Failed(words)),
            End::Cancelled => Err(ActionError::Cancelled),
        }
    }
}

fn asked(call: &ActionCall<'_>, wanted: &Wanted) -> Asked {
    let plan = plan_of(&wanted.environment, &wanted.gate, (&call.repository.name, &call.run.sha), json!(wanted.asks));
    let subject = match wanted.asks.subject.as_str() {
        "" => format!("job {} of run {} asks whether it may go on", call.run.job, call.run.id),
        subject => subject.to_owned(),
    };
    Asked {
        key: format!("approve {} {} {} {}", call.run.id, call.run.keeper.attempt, call.run.job, call.step),
        plan,
        run: call.run.id,
        job: call.run.job.clone(),
        by: call.run.actor.clone(),
        words: subject,
        timeout: wanted.timeout,
    }
}

enum End {
    Approved { by: String, comment: String },
    Refused(String),
    Cancelled,
}

/// Takes orders until enough have approved, one has rejected, or time is up. A process that takes the step up reads them all anew.
async fn wait(
    call: &mut ActionCall<'_>,
    rollouts: &Rollouts,
    wanted: &Wanted,
    gate: &mut Gate,
) -> Result<End, GateError> {
    let until = gate.view.started_at.checked_add(wanted.timeout).unwrap_or(Timestamp::MAX);
    let cancel = call.cancel.clone();
    if gate.view.outcome.is_some_and(|outcome| outcome != Outcome::Succeeded) {
        return Ok(End::Refused(gate.view.words.clone()));
    }
    let mut changed = rollouts.changed();
    let (mut last, mut approved) = (0, Vec::<String>::new());
    loop {
        changed.mark_unchanged();
        for order in rollouts.orders_after(gate.id, last).await? {
            last = order.id;
            if let Some(end) = take(call, wanted, (&mut *gate, &mut approved), &order).await? {
                return Ok(end);
            }
        }
        let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
        if left.is_zero() {
            let words =
                format!("nobody approved it in time: {} of {} approvals", approved.len(), wanted.asks.approvals);
            gate.end((Outcome::Rejected, Some(Cause::Timeout)), &words, Timestamp::now()).await?;
            return Ok(End::Refused(words));
        }
        tokio::select! {
            _ = changed.changed() => {}
            () = tokio::time::sleep(left.min(LOOK_EVERY)) => {}
            () = cancel.cancelled() => {
                gate.end((Outcome::Rejected, Some(Cause::Cancelled)), "the job was cancelled", Timestamp::now()).await?;
                return Ok(End::Cancelled);
            }
        }
    }
}

async fn take(
    call: &mut ActionCall<'_>,
    wanted: &Wanted,
    (gate, approved): (&mut Gate, &mut Vec<String>),
    given: &OrderRow,
) -> Result<Option<End>, GateError> {
    let OrderRow { actor, comment, word, at, .. } = given;
    let said = if comment.is_empty() { String::new() } else { format!(": {comment}") };
    let order = match word.as_str() {
        "promote" | "promote-full" => Order::Promote,
        "abort" | "rollback" => Order::Abort,
        other => {
            call.log.line(&format!("{actor} says `{other}`, which means nothing here")).await;
            return Ok(None);
        }
    };
    let refused = wanted.asks.refusal(&call.run.actor, approved, actor);
    if let Some(why) = refused.filter(|_| order == Order::Promote) {
        call.log.line(&format!("{actor} approves, which does not count: {why}")).await;
        return Ok(None);
    }
    if order == Order::Abort {
        let words = format!("{actor} rejected it{said}");
        gate.end((Outcome::Rejected, Some(Cause::Ordered)), &words, *at).await?;
        return Ok(Some(End::Refused(words)));
    }
    approved.push(actor.clone());
    let words = format!("{actor} approved it{said} ({} of {})", approved.len(), wanted.asks.approvals);
    call.log.line(&words).await;
    if approved.len() < wanted.asks.approvals {
        let fact = Fact::Ordered { order, by: actor.clone(), comment: comment.clone(), number: given.id };
        gate.tell(fact, words, *at).await?;
        return Ok(None);
    }
    let by = approved.join(", ");
    if gate.view.outcome.is_none() {
        gate.end((Outcome::Succeeded, None), &words, *at).await?;
    }
    Ok(Some(End::Approved { by, comment: comment.clone() }))
}
