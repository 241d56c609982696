//! Gates in the middle of jobs (`pipe/approve`): what they ask, of whom, and what was said so far. They are rollouts that move
//! nothing, and an answer is an order to one (`rollouts/deeds.rs`); here is what people have to see before they give it.

use engine::store::RunId;
use engine::store::rollouts::{OrderRow, RolloutRow};
use engine::store::tokens::Holder;
use jiff::Timestamp;
use rollout::gate::{Asks, PREFIX};
use rollout::{Order, Outcome, Plan};
use serde::{Deserialize as _, Serialize};

use super::answer::{store, unreadable};
use super::not_found;
use super::rollouts::{Seen, visible};
use super::view::Opinion;
use crate::Problem;
use crate::site::Site;

/// A gate.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Gate {
    /// Its number among the rollouts.
    pub(crate) id: u64,
    /// `gate:NAME`.
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) environment: String,
    pub(crate) repository: String,
    pub(crate) run: u64,
    /// Key of the job that waits.
    pub(crate) job: String,
    pub(crate) commit: String,
    /// What is asked.
    pub(crate) subject: String,
    pub(crate) details: String,
    /// Hash of all that is approved, to be sent back with an answer.
    pub(crate) plan: String,
    /// Who may approve; empty: whoever may deploy there.
    pub(crate) reviewers: Vec<String>,
    /// How many have to.
    pub(crate) required: usize,
    /// How many more have to.
    pub(crate) missing: usize,
    /// Who started the run and may not approve.
    pub(crate) barred: Option<String>,
    /// What was said so far, in order.
    pub(crate) reviews: Vec<Opinion>,
    pub(crate) since: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    /// How it ended, in a word; `None`: it waits.
    pub(crate) outcome: Option<&'static str>,
    /// The same, in a sentence.
    pub(crate) words: String,
    /// Why whoever asks may not approve it; `None`: they may.
    pub(crate) why_not: Option<String>,
    /// Whether they may reject it.
    pub(crate) may_reject: bool,
}

/// Whether a row is a gate.
pub(crate) fn is_gate(row: &RolloutRow) -> bool {
    row.service.starts_with(PREFIX)
}

/// What a gate asks; `None` where it is none.
pub(crate) async fn asks(site: &Site, row: &RolloutRow) -> Result<Option<Asks>, Problem> {
    if !is_gate(row) {
        return Ok(None);
    }
    let fact = site.rollouts.first_fact(row.id).await.map_err(|error| store(&error))?;
    let plan = fact.map(|fact| Plan::deserialize(&fact["plan"])).transpose();
    let plan = plan.map_err(|error| unreadable(&format!("gate {} cannot be read: {error}", row.id)))?;
    Ok(plan.as_ref().and_then(Asks::of))
}

/// What counts of what people said, in order, as the step counts it.
pub(crate) fn counted(asks: &Asks, by: &str, orders: &[OrderRow]) -> Vec<Opinion> {
    let (mut said, mut approved) = (Vec::new(), Vec::new());
    for order in orders {
        let is_approval = [Order::Promote, Order::PromoteFull].iter().any(|known| known.word() == order.word);
        let is_rejection = [Order::Abort, Order::Rollback].iter().any(|known| known.word() == order.word);
        if is_approval && asks.refusal(by, &approved, &order.actor).is_none() {
            approved.push(order.actor.clone());
        } else if !is_rejection {
            continue;
        }
        let (by, comment, at) = (order.actor.clone(), order.comment.clone(), order.at);
        said.push(Opinion { by, approved: is_approval, comment, at });
    }
    said
}

/// Why somebody's approval of a gate would not count now; `None`: it would.
pub(crate) async fn refusal(site: &Site, row: &RolloutRow, holder: &Holder) -> Result<Option<String>, Problem> {
    let Some(asks) = asks(site, row).await? else { return Ok(None) };
    let orders = site.rollouts.orders_after(row.id, 0).await.map_err(|error| store(&error))?;
    Ok(refused(&asks, row, &approved(&counted(&asks, &row.actor, &orders)), holder))
}

/// Under whichever of their names somebody started the run.
fn refused(asks: &Asks, row: &RolloutRow, approved: &[String], holder: &Holder) -> Option<String> {
    let is_own = || asks.prevent_self_review && holder.aliases.iter().any(|own| own.eq_ignore_ascii_case(&row.actor));
    let own = || is_own().then(|| format!("they started the run, as {}", row.actor));
    asks.refusal(&row.actor, approved, holder.person()).or_else(own)
}

fn approved(said: &[Opinion]) -> Vec<String> {
    said.iter().filter(|one| one.approved).map(|one| one.by.clone()).collect()
}

/// Gates of a run that wait.
pub(crate) async fn waiting(site: &Site, holder: &Holder, run: RunId) -> Result<Vec<Gate>, Problem> {
    let rows = site.rollouts.asking(Some(run)).await.map_err(|error| store(&error))?;
    all(site, holder, Seen::all(rows, holder)).await
}

/// All gates that wait, as far as somebody sees them. Those of runs that are over ask nobody any more.
pub(crate) async fn waiting_anywhere(site: &Site, holder: &Holder) -> Result<Vec<Gate>, Problem> {
    let mut rows = site.rollouts.asking(None).await.map_err(|error| store(&error))?;
    let mut going = Vec::new();
    for run in rows.iter().filter_map(|row| row.run).collect::<std::collections::BTreeSet<_>>() {
        let found = site.listing.one(run).await.map_err(|error| store(&error))?;
        going.extend(found.filter(|run| run.status != engine::store::RunStatus::Completed).map(|run| run.id));
    }
    rows.retain(|row| row.run.is_some_and(|run| going.contains(&run)));
    all(site, holder, Seen::all(rows, holder)).await
}

/// The gates among rollouts.
pub(crate) async fn all(site: &Site, holder: &Holder, rollouts: Vec<Seen>) -> Result<Vec<Gate>, Problem> {
    let mut gates = Vec::new();
    for seen in rollouts {
        gates.extend(gate(site, holder, seen).await?);
    }
    Ok(gates)
}

/// A gate of a run, whether it waits or not.
pub(crate) async fn one(site: &Site, holder: &Holder, run: RunId, id: u64) -> Result<Gate, Problem> {
    let seen = visible(site, holder, id).await?;
    let found = if seen.row.run == Some(run) { gate(site, holder, seen).await? } else { None };
    found.ok_or_else(|| not_found(format!("run {run} has no gate {id}")))
}

async fn gate(site: &Site, holder: &Holder, seen: Seen) -> Result<Option<Gate>, Problem> {
    let Seen { row, view } = seen;
    let Some(asks) = asks(site, &row).await? else { return Ok(None) };
    let orders = site.rollouts.orders_after(row.id, 0).await.map_err(|error| store(&error))?;
    let reviews = counted(&asks, &row.actor, &orders);
    let approved = approved(&reviews);
    let may_deploy = holder.may_deploy(&row.repository, &row.environment);
    let who = holder.person();
    let is_decided =
        view.outcome.is_some() || reviews.iter().any(|one| !one.approved) || approved.len() >= asks.approvals;
    let why_not = if !may_deploy {
        Some(format!("{who} may not steer what goes on in `{}`", row.environment))
    } else if is_decided {
        Some("it is decided".to_owned())
    } else {
        refused(&asks, &row, &approved, holder).map(|why| format!("an approval of {who} does not count: {why}"))
    };
    Ok(Some(Gate {
        id: row.id,
        name: row.service.trim_start_matches(PREFIX).to_owned(),
        run: row.run.map_or(0, |run| run.0),
        commit: view.green.revision.commit,
        subject: view.timeline.into_iter().next().map(|line| line.words).unwrap_or_default(),
        missing: asks.approvals.saturating_sub(approved.len()),
        required: asks.approvals,
        barred: Some(row.actor).filter(|_| asks.prevent_self_review),
        since: view.started_at,
        expires_at: view.next_at,
        outcome: view.outcome.map(word),
        words: view.words,
        details: asks.details,
        reviewers: asks.reviewers,
        may_reject: may_deploy && !is_decided,
        service: row.service,
        environment: row.environment,
        repository: row.repository,
        job: row.job,
        plan: row.plan_hash,
        reviews,
        why_not,
    }))
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "approved",
        Outcome::RolledBack | Outcome::Rejected => "rejected",
        Outcome::Stuck => "stuck",
    }
}
