//! Rollouts: which there are, how far each is, what it changes, and what people order while it goes on.
//!
//! What a rollout does next is not decided here: an order is kept, and whoever drives the rollout takes it up. Whether it
//! may be given now is told by the rollout's own view. The words are crate `rollout`'s.

mod changes;
mod deeds;
mod place;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use engine::store::RunId;
use engine::store::rollouts::{LISTED_MAX, RolloutFilter, RolloutRow, RolloutState};
use engine::store::tokens::Holder;
use rollout::{Order, View};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::answer::{self, Path, Query, store, unreadable};
use super::not_found;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

pub(crate) use changes::changes;
pub(crate) use deeds::{Back, Wish, known, order_or_roll_back, order_rollout, roll_back};
pub(crate) use place::{place, standing};

const LISTED: usize = 50;
/// All orders, in the order in which they are offered.
pub(crate) const ORDERS: [Order; 6] =
    [Order::Promote, Order::PromoteFull, Order::Pause, Order::Resume, Order::Abort, Order::Rollback];

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/rollouts", get(list))
        .route("/rollouts/{id}", get(show))
        .route("/rollouts/{id}/changes", get(changes::show))
        .route("/rollouts/{id}/events", get(stream::follow))
        .route("/rollouts/{id}/orders", post(deeds::order))
        .route("/environments/{environment}", get(place::show))
        .route("/environments/{environment}/rollback", post(deeds::rollback))
}

/// A rollout as it is kept, and what people see of it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) row: RolloutRow,
    pub(crate) view: View,
}

impl Seen {
    fn of(row: RolloutRow) -> Result<Self, serde_json::Error> {
        let view = View::deserialize(&row.view)?;
        Ok(Self { row, view })
    }

    /// Those that can be read; the others are of another version of this program.
    pub(crate) fn all(rows: Vec<RolloutRow>, holder: &Holder) -> Vec<Self> {
        let visible = rows.into_iter().filter(|row| holder.may_see(&row.repository));
        let read = visible.filter_map(|row| {
            let id = row.id;
            Self::of(row).inspect_err(|error| tracing::warn!(%error, id, "a rollout cannot be read")).ok()
        });
        read.collect()
    }

    /// Whether it goes on.
    pub(crate) fn is_active(&self) -> bool {
        self.row.state == RolloutState::Active
    }

    /// Which step is going on, from 0.
    pub(crate) fn step(&self) -> Option<usize> {
        self.view.steps.iter().position(|step| step.state == rollout::view::StepState::Running)
    }

    /// What somebody may order now.
    pub(crate) fn orders_of(&self, holder: &Holder) -> Vec<Order> {
        let may = holder.may_deploy(&self.row.repository, &self.row.environment);
        ORDERS.into_iter().filter(|order| may && self.view.orders.contains(order)).collect()
    }

    /// For programs; `holder` is who asks.
    pub(crate) fn told(&self, holder: &Holder) -> Json {
        let RolloutRow { id, environment, service, repository, run, job, actor, plan_hash, state, view, .. } =
            &self.row;
        json!({
            "id": id, "environment": environment, "service": service, "repository": repository, "run": run, "job": job,
            "actor": actor, "plan_hash": plan_hash, "state": state, "created_at": self.row.created_at,
            "updated_at": self.row.updated_at, "step": self.step(), "may_order": self.orders_of(holder), "view": view,
        })
    }
}

/// Which ones are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Which {
    environment: Option<String>,
    service: Option<String>,
    repository: Option<String>,
    run: Option<u64>,
    open: Option<bool>,
    /// Only the newest of each service.
    newest: bool,
    cursor: Option<u64>,
    limit: Option<usize>,
}

async fn list(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Which { environment, service, repository, run, open, newest: is_newest, cursor: before, limit } = which;
    let limit = limit.unwrap_or(LISTED).clamp(1, LISTED_MAX);
    let (rows, next) = if is_newest {
        let is_same =
            |own: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(own));
        let mut rows = site.rollouts.newest(environment).await.map_err(|error| store(&error))?;
        rows.retain(|row| {
            let is_open = row.state != RolloutState::Closed;
            is_same(&row.service, &service)
                && is_same(&row.repository, &repository)
                && run.is_none_or(|run| row.run == Some(RunId(run)))
                && open.is_none_or(|open| open == is_open)
        });
        (rows, None)
    } else {
        let filter = RolloutFilter { environment, service, repository, run: run.map(RunId), open, before, limit };
        let rows = site.rollouts.list(filter).await.map_err(|error| store(&error))?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|last| last.id);
        (rows, next)
    };
    let told: Vec<_> = Seen::all(rows, &allowed.holder).iter().map(|seen| seen.told(&allowed.holder)).collect();
    answer::json(&headers, &json!({ "rollouts": told, "next": next }))
}

async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = visible(&site, &allowed.holder, id).await?;
    answer::json(&headers, &seen.told(&allowed.holder))
}

/// The rollout, if there is one for whoever asks.
pub(crate) async fn visible(site: &Site, holder: &Holder, id: u64) -> Result<Seen, Problem> {
    let found = site.rollouts.get(id).await.map_err(|error| store(&error))?;
    let found = found.filter(|row| holder.may_see(&row.repository));
    let row = found.ok_or_else(|| not_found(format!("there is no rollout {id}")))?;
    Seen::of(row).map_err(|error| unreadable(&format!("rollout {id} cannot be read: {error}")))
}

/// The newest rollout of each service of an environment, as far as somebody sees them.
pub(crate) async fn newest(site: &Site, holder: &Holder, environment: Option<String>) -> Result<Vec<Seen>, Problem> {
    let rows = site.rollouts.newest(environment).await.map_err(|error| store(&error))?;
    Ok(Seen::all(rows, holder))
}

/// Rollouts of a run.
pub(crate) async fn of_run(site: &Site, holder: &Holder, run: RunId) -> Result<Vec<Seen>, Problem> {
    let filter = RolloutFilter { run: Some(run), limit: LISTED_MAX, ..RolloutFilter::default() };
    let mut rows = site.rollouts.list(filter).await.map_err(|error| store(&error))?;
    rows.reverse();
    Ok(Seen::all(rows, holder))
}
