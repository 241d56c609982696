//! `/deployments/{id}`: what was deployed by whom, who let it go on, what it brought, and the forms that say what became of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use engine::store::insights::{Mark, Noted};
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};

use super::forms::Form;
use super::render::page;
use super::shown::seconds;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::Path;
use crate::api::deployment::{known, mark_deployment, unmark_deployment, whole};
use crate::site::Site;

/// A part of the time from the run to its end.
#[derive(Debug, Serialize)]
struct Stage {
    name: &'static str,
    at: Timestamp,
    seconds: f64,
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
) -> Result<Response, Problem> {
    let whole = whole(&site, &allowed, id).await?;
    let stages = whole.noted.as_ref().map(stages).unwrap_or_default();
    let marked = |mark: Mark| whole.marks.iter().any(|marked| marked.mark == mark);
    let marks: Vec<_> =
        Mark::ALL.iter().filter(|mark| !marked(**mark)).map(|mark| (mark.word(), title(*mark))).collect();
    let context = context! {
        title => format!("Deployment {id} to {}", whole.deployed.environment), active => "deployments",
        one => Serde(&whole), stages => Serde(&stages), unmarked => marks,
        may_mark => allowed.holder.may(engine::store::tokens::Scope::RunsWrite, &whole.deployed.repository),
    };
    page(&allowed.holder, "deployment.html", context)
}

const fn title(mark: Mark) -> &'static str {
    match mark {
        Mark::Failed => "It failed and hurt users",
        Mark::Unplanned => "It was not planned: an incident made it necessary",
    }
}

fn stages(noted: &Noted) -> Vec<Stage> {
    let first = noted.first_at.min(noted.ready_at);
    let mut from = noted.made_at;
    let all = [
        ("Waits for the first place", first),
        ("Jobs before it", noted.ready_at),
        ("Waits for rules to be looked at", noted.asked_at),
        ("Waits for people or time", noted.passed_at),
        ("Waits for a place", noted.started_at),
        ("Is deployed", noted.done_at),
    ];
    let stages = all.map(|(name, until)| {
        let (at, until) = (from, until.max(from));
        from = until;
        Stage { name, at, seconds: seconds(at, until) }
    });
    stages.into_iter().filter(|stage| stage.seconds > 0.0).collect()
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    mark: String,
    #[serde(default)]
    reason: String,
    /// How many minutes ago it was noticed.
    #[serde(default)]
    minutes: String,
}

pub(super) async fn mark(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path(id): Path<u64>,
    Form(said): Form<Said>,
) -> Result<Response, Problem> {
    let minutes = said.minutes.trim();
    let at = match minutes {
        "" => None,
        _ => {
            let minutes: i64 =
                minutes.parse().ok().filter(|minutes| (0..=1_000_000).contains(minutes)).ok_or_else(|| {
                    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", "minutes are a number from 0 on")
                })?;
            Some(Timestamp::now() - jiff::SignedDuration::from_mins(minutes))
        }
    };
    mark_deployment(&site, &allowed, id, known(&said.mark)?, said.reason, at).await?;
    Ok(Redirect::to(&format!("/deployments/{id}")).into_response())
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(super) struct TakenBack {
    mark: String,
}

pub(super) async fn unmark(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path(id): Path<u64>,
    Form(said): Form<TakenBack>,
) -> Result<Response, Problem> {
    unmark_deployment(&site, &allowed, id, known(&said.mark)?).await?;
    Ok(Redirect::to(&format!("/deployments/{id}")).into_response())
}
