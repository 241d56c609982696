//! What people order: kept once, with who and why, and refused with words where it cannot be done now.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::store::audit::Deed;
use engine::store::rollouts::RolloutRow;
use jiff::Timestamp;
use rollout::{Order, Outcome};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::super::answer::{Body, Path, bad, store};
use super::super::runs::refused;
use super::super::{Rollback, gates, not_found};
use super::{ORDERS, Seen, newest, visible};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// Longest comment of an order, in bytes.
const COMMENT_BYTES_MAX: usize = 4_096;

/// What somebody orders.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) order: Order,
    pub(crate) comment: String,
    /// The step that they saw, from 0: what has gone on since is refused.
    pub(crate) step: Option<usize>,
    /// Hash of the plan that they saw: of another one nothing is ordered.
    pub(crate) plan: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    order: String,
    #[serde(default)]
    comment: String,
    step: Option<usize>,
    plan: Option<String>,
}

pub(super) async fn order(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deploy>,
    Path(id): Path<u64>,
    body: Body,
) -> Result<Response, Problem> {
    let OrderBody { order, comment, step, plan } = body.read()?;
    let order = known(&order)?;
    let deed = async {
        let wish = Wish { order, comment, step, plan };
        let (rollout, number) = order_or_roll_back(&site, &allowed, id, wish).await?;
        Ok((StatusCode::ACCEPTED, json!({ "rollout": rollout, "order": number, "word": order.word() })))
    };
    site.once.perform(&allowed.holder, &body, deed).await
}

/// The order of a word.
pub(crate) fn known(word: &str) -> Result<Order, Problem> {
    let found = ORDERS.into_iter().find(|order| order.word() == word);
    found.ok_or_else(|| bad("body", format!("`{}` is no order; orders are {}", word.escape_default(), words(&ORDERS))))
}

fn words(orders: &[Order]) -> String {
    orders.iter().map(|order| order.word()).collect::<Vec<_>>().join(", ")
}

/// Gives an order; taking back what has succeeded is a rollout of its own, and its number is given.
pub(crate) async fn order_or_roll_back(
    site: &Site,
    allowed: &Allowed<access::Deploy>,
    id: u64,
    wish: Wish,
) -> Result<(u64, Option<u64>), Problem> {
    let seen = visible(site, &allowed.holder, id).await?;
    let is_over = wish.order == Order::Rollback && seen.view.outcome == Some(Outcome::Succeeded);
    if !is_over {
        return Ok((id, Some(order_rollout(site, allowed, id, wish).await?)));
    }
    let RolloutRow { environment, service, .. } = &seen.row;
    let newest = newest(site, &allowed.holder, Some(environment.clone())).await?;
    if !newest.iter().any(|one| one.row.id == id) {
        return Err(conflict(&seen, wish.order));
    }
    roll_back(site, allowed, environment, Back { service: service.clone(), to: None, comment: wish.comment }).await
}

/// Gives an order to a rollout that goes on, and keeps in the audit log who did; its number.
pub(crate) async fn order_rollout(
    site: &Site,
    allowed: &Allowed<access::Deploy>,
    id: u64,
    wish: Wish,
) -> Result<u64, Problem> {
    let seen = visible(site, &allowed.holder, id).await?;
    permitted(allowed, &seen.row)?;
    let Wish { order, comment, step, plan } = wish;
    let comment = checked(&comment)?;
    if !seen.view.orders.contains(&order) {
        return Err(conflict(&seen, order));
    }
    if step.is_some() && step != seen.step() {
        let detail = format!(
            "rollout {id} has gone on since you looked: {}. Look again, and order it again if it is still right",
            seen.view.words
        );
        return Err(Problem::new(StatusCode::CONFLICT, "state", detail));
    }
    if plan.as_ref().is_some_and(|plan| *plan != seen.row.plan_hash) {
        let detail = format!("rollout {id} has another plan than the one you saw: {}. Look again", seen.row.plan_hash);
        return Err(Problem::new(StatusCode::CONFLICT, "plan", detail));
    }
    // Pressed twice it is one order, as long as nobody has looked at it. At a gate each person counts.
    let by = allowed.holder.person();
    let given = site.rollouts.orders_after(id, 0).await.map_err(|error| store(&error))?;
    let is_waiting = given.last().filter(|last| last.word == order.word() && last.at > seen.row.updated_at);
    if let Some(waiting) = is_waiting.filter(|waiting| waiting.actor == by || !gates::is_gate(&seen.row)) {
        return Ok(waiting.id);
    }
    if matches!(order, Order::Promote | Order::PromoteFull)
        && let Some(why) = gates::refusal(site, &seen.row, &allowed.holder).await?
    {
        let detail = format!("an approval of {by} does not count at {}: {why}", seen.row.service);
        return Err(Problem::new(StatusCode::FORBIDDEN, "reviewer", detail));
    }
    let number = site.rollouts.order(id, order.word(), by, &comment, Timestamp::now()).await;
    let number = number.map_err(|error| store(&error))?;
    let detail = json!({
        "order": number, "comment": comment, "weight": seen.view.weight, "step": seen.step(), "plan": seen.row.plan_hash,
    });
    audit(site, allowed, deed_of(order), &seen.row, detail).await?;
    Ok(number)
}

fn permitted(allowed: &Allowed<access::Deploy>, row: &RolloutRow) -> Result<(), Problem> {
    if allowed.holder.may_deploy(&row.repository, &row.environment) {
        return Ok(());
    }
    let detail =
        format!("{} may not steer rollouts of {} to `{}`", allowed.holder.person(), row.repository, row.environment);
    Err(Problem::new(StatusCode::FORBIDDEN, "deployer", detail))
}

fn checked(comment: &str) -> Result<String, Problem> {
    if comment.len() > COMMENT_BYTES_MAX {
        let detail = format!("a comment has at most {COMMENT_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "comment", detail));
    }
    Ok(comment.trim().to_owned())
}

fn conflict(seen: &Seen, order: Order) -> Problem {
    let RolloutRow { id, service, environment, .. } = &seen.row;
    let words = seen.view.words.trim_end_matches('.');
    let rest = match (seen.is_active(), seen.view.orders.as_slice()) {
        (true, []) => "it takes no orders now".to_owned(),
        (true, orders) => format!("it takes {}", self::words(orders)),
        (false, _) => "it has ended; `pipe deploy rollback` takes back what stands".to_owned(),
    };
    let detail = format!("rollout {id} of {service} to {environment} takes no `{}` now: {words}; {rest}", order.word());
    Problem::new(StatusCode::CONFLICT, "state", detail)
}

const fn deed_of(order: Order) -> &'static str {
    match order {
        Order::Promote => "rollout.promote",
        Order::PromoteFull => "rollout.promote-full",
        Order::Pause => "rollout.pause",
        Order::Resume => "rollout.resume",
        Order::Abort => "rollout.abort",
        Order::Rollback => "rollout.rollback",
    }
}

async fn audit(
    site: &Site,
    allowed: &Allowed<access::Deploy>,
    what: &'static str,
    row: &RolloutRow,
    detail: Json,
) -> Result<(), Problem> {
    let RolloutRow { id, environment, service, repository, .. } = row;
    let target = format!("{repository} rollout {id} of {service} to {environment}");
    let deed = Deed { actor: allowed.actor.clone(), what, target, detail };
    site.api.audit.record(deed).await.map_err(|error| store(&error))
}

/// What is to be taken back.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Back {
    /// Which service; needed where there are several.
    pub(crate) service: String,
    /// The rollout whose revision shall stand; `None`: what stood before.
    pub(crate) to: Option<u64>,
    pub(crate) comment: String,
}

pub(super) async fn rollback(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::Deploy>,
    Path(environment): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let back: Back = body.read()?;
    let deed = async {
        let (rollout, order) = roll_back(&site, &allowed, &environment, back).await?;
        let status = if order.is_some() { StatusCode::ACCEPTED } else { StatusCode::CREATED };
        Ok((status, json!({ "rollout": rollout, "order": order })))
    };
    site.once.perform(&allowed.holder, &body, deed).await
}

/// Takes back what goes on, or what stands: the rollout that does it, and the number of the order if it is the same one.
pub(crate) async fn roll_back(
    site: &Site,
    allowed: &Allowed<access::Deploy>,
    environment: &str,
    back: Back,
) -> Result<(u64, Option<u64>), Problem> {
    let Back { service, to, comment } = back;
    let comment = checked(&comment)?;
    let seen = one_of(newest(site, &allowed.holder, Some(environment.to_owned())).await?, environment, &service)?;
    permitted(allowed, &seen.row)?;
    let RolloutRow { id, environment, service, repository, .. } = &seen.row;
    let is_over = seen.view.outcome == Some(Outcome::Succeeded);
    let order = [Order::Rollback, Order::Abort].into_iter().find(|order| !is_over && seen.view.orders.contains(order));
    if seen.is_active() || order.is_some() {
        if to.is_some() {
            let detail = format!(
                "rollout {id} of {service} to {environment} goes on; abort it first, then roll back to another one"
            );
            return Err(Problem::new(StatusCode::CONFLICT, "state", detail));
        }
        let order = order.unwrap_or(Order::Rollback);
        let number = order_rollout(site, allowed, *id, Wish { order, comment, step: None, plan: None }).await?;
        return Ok((*id, Some(number)));
    }
    if let Some(to) = to {
        let target = visible(site, &allowed.holder, to).await?;
        let is_here = target.row.environment.eq_ignore_ascii_case(environment) && target.row.service == *service;
        if !is_here || target.view.outcome != Some(Outcome::Succeeded) {
            let detail = format!(
                "rollout {to} did not bring {service} to {environment}; `pipe deploy history {environment}` lists those that did"
            );
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", detail));
        }
    }
    let (repository, environment, service) = (repository.clone(), environment.clone(), service.clone());
    let wish = Rollback { environment, service, repository, to, comment: comment.clone() };
    let made = site.api.steering.rollback(wish, allowed.holder.person()).await.map_err(refused)?;
    audit(site, allowed, "rollout.rollback", &seen.row, json!({ "comment": comment, "to": to, "rollout": made }))
        .await?;
    Ok((made, None))
}

fn one_of(found: Vec<Seen>, environment: &str, service: &str) -> Result<Seen, Problem> {
    let is_meant = |own: &str| match service {
        // What steps ask people for is no service.
        "" => !own.starts_with(rollout::gate::PREFIX),
        service => own.eq_ignore_ascii_case(service),
    };
    let mut found: Vec<_> = found.into_iter().filter(|seen| is_meant(&seen.row.service)).collect();
    match (found.pop(), found.as_slice()) {
        (Some(only), []) => Ok(only),
        (None, _) => {
            let what = if service.is_empty() { "nothing".to_owned() } else { format!("`{service}`") };
            Err(not_found(format!("{what} was rolled out to `{environment}`")))
        }
        (Some(last), others) => {
            let names: Vec<_> = others.iter().chain([&last]).map(|seen| seen.row.service.as_str()).collect();
            let detail = format!("say which service of `{environment}`: {}", names.join(", "));
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", detail))
        }
    }
}
