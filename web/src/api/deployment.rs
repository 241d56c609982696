//! One deployment, whole: its commit and its images, who let it go on, what it brought, what became of it; and what people
//! say of it afterwards.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::insights::dora::{Judged, Label, Recovery, Why, judge};
use engine::store::RunId;
use engine::store::audit::{Audited, Deed};
use engine::store::deployments::Deployed;
use engine::store::insights::{DoraFilter, Insights, Mark, Marked, Noted};
use engine::store::tokens::Scope;
use jiff::Timestamp;
use rollout::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::json;
use workflow::run::{JobRunKey, Recorded, RunEvent};

use super::answer::{self, Body, Path, done, store};
use super::gates::is_gate;
use super::not_found;
use super::reviews::{IMAGES_MAX, digests};
use super::rollouts::{Seen, of_run};
use super::view::Opinion;
use crate::Problem;
use crate::access::{self, Allowed, Needs};
use crate::site::Site;

/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 1_000;

/// A deployment with all that is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct Whole {
    #[serde(flatten)]
    pub(crate) deployed: Deployed,
    /// What was looked up when it was over; not at once.
    pub(crate) noted: Option<Noted>,
    /// What DORA's figures make of it.
    pub(crate) verdict: Option<Verdict>,
    /// What people said afterwards.
    pub(crate) marks: Vec<Marked>,
    /// Digests that jobs of its run gave as outputs.
    pub(crate) images: Vec<Digest>,
    /// Who let it go on, in order.
    pub(crate) reviews: Vec<Said>,
    /// What exactly was approved, where somebody had to.
    pub(crate) subject: Option<String>,
    /// Its rollouts, in order: a job may roll out several services.
    pub(crate) rollouts: Vec<Rolled>,
}

/// A rollout of a deployment.
#[derive(Debug, Serialize)]
pub(crate) struct Rolled {
    pub(crate) id: u64,
    pub(crate) service: String,
    /// What it brings.
    pub(crate) version: String,
    /// How it ended; `None`: it goes on.
    pub(crate) outcome: Option<Outcome>,
    /// Where it is, in a sentence.
    pub(crate) words: String,
}

/// What DORA's figures make of a deployment.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    /// Whether users had it.
    pub(crate) counts: bool,
    pub(crate) failed: Option<Why>,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) rework: Option<Label>,
}

/// An output that holds a digest.
#[derive(Debug, Serialize)]
pub(crate) struct Digest {
    /// `JOB.OUTPUT`.
    pub(crate) name: String,
    pub(crate) value: String,
    /// Whether the output is called like the service.
    pub(crate) is_of_service: bool,
}

/// What a reviewer said, and from where.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    #[serde(flatten)]
    pub(crate) opinion: Opinion,
    /// From where, for those who may see the audit log.
    pub(crate) origin: Option<String>,
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer::json(&headers, &whole(&site, &allowed, id).await?)
}

/// The deployment, if there is one for whoever asks.
async fn visible<N: Needs>(site: &Site, allowed: &Allowed<N>, id: u64) -> Result<Deployed, Problem> {
    let found = site.deployments.one(id).await.map_err(|error| store(&error))?;
    let found = found.filter(|found| allowed.may_see(&found.repository));
    found.ok_or_else(|| not_found(format!("there is no deployment {id}")))
}

/// All that is known of a deployment.
pub(crate) async fn whole<N: Needs>(site: &Site, allowed: &Allowed<N>, id: u64) -> Result<Whole, Problem> {
    let deployed = visible(site, allowed, id).await?;
    let insights = Insights::on(site.api.database.clone());
    let noted = insights.noted(id).await.map_err(|error| store(&error))?;
    let verdict = match &noted {
        Some(noted) => verdict(&insights, &deployed, noted).await?,
        None => None,
    };
    let facts = site.listing.log(deployed.run).await.map_err(|error| store(&error))?;
    let images = digests(&facts).into_iter().take(IMAGES_MAX).map(|(name, value)| {
        let output = name.rsplit('.').next().unwrap_or_default();
        let is_of_service = !deployed.service.is_empty() && output.eq_ignore_ascii_case(&deployed.service);
        Digest { name, value, is_of_service }
    });
    let mut images: Vec<Digest> = images.collect();
    images.sort_by_key(|image| !image.is_of_service);
    let (subject, mut reviews) = reviews(&facts, &JobRunKey::parse(&deployed.job));
    if allowed.holder.may(Scope::AuditRead, &deployed.repository) && !reviews.is_empty() {
        let deeds = site.api.audit.of_target(target_of_run(&deployed.repository, deployed.run)).await;
        let deeds = deeds.map_err(|error| store(&error))?;
        reviews.iter_mut().for_each(|review| review.origin = origin(&deeds, &review.opinion, &deployed.environment));
    }
    let marks = insights.marks(id).await.map_err(|error| store(&error))?;
    let rollouts = rollouts(site, allowed, &deployed).await?;
    Ok(Whole { deployed, noted, verdict, marks, images, reviews, subject, rollouts })
}

async fn rollouts<N: Needs>(site: &Site, allowed: &Allowed<N>, deployed: &Deployed) -> Result<Vec<Rolled>, Problem> {
    let mut found = of_run(site, &allowed.holder, deployed.run).await?;
    found.retain(|seen| seen.row.job == deployed.job && !is_gate(&seen.row));
    let rolled = found.into_iter().map(|Seen { row, view }| Rolled {
        id: row.id,
        service: row.service,
        version: view.green.revision.version,
        outcome: view.outcome,
        words: view.words,
    });
    Ok(rolled.collect())
}

async fn verdict(insights: &Insights, deployed: &Deployed, noted: &Noted) -> Result<Option<Verdict>, Problem> {
    let filter = DoraFilter {
        environment: deployed.environment.clone(),
        repository: Some(deployed.repository.clone()),
        service: Some(deployed.service.clone()),
        visible: Vec::new(),
        since: noted.done_at,
    };
    let judged = judge(insights.deployments(filter).await.map_err(|error| store(&error))?);
    // Deployments of one run are one.
    let found = judged.into_iter().find(|one| one.deployment.run == deployed.run.0);
    Ok(found.map(|Judged { counts, failed, recovery, rework, .. }| Verdict { counts, failed, recovery, rework }))
}

fn reviews(facts: &[Recorded], key: &JobRunKey) -> (Option<String>, Vec<Said>) {
    let (mut subject, mut said) = (None, Vec::new());
    for fact in facts {
        if let RunEvent::ReviewRequested { key: other, terms, .. } = &fact.event
            && other == key
        {
            subject = Some(terms.subject.clone()).filter(|subject| !subject.is_empty());
        } else if let RunEvent::Reviewed { key: other, approved, by, comment, .. } = &fact.event
            && other == key
        {
            let (by, comment, at) = (by.clone(), comment.clone(), fact.at);
            said.push(Said { opinion: Opinion { by, approved: *approved, comment, at }, origin: None });
        }
    }
    (subject, said)
}

/// As the audit log calls a run.
fn target_of_run(repository: &str, run: RunId) -> String {
    format!("{repository} run {run}")
}

/// Where the review was given, as the audit log has it: the row about the same environment that was written next to it,
/// of the same person, or of a token of theirs (whose reviews are the person's).
fn origin(deeds: &[Audited], review: &Opinion, environment: &str) -> Option<String> {
    let what = if review.approved { "run.approve" } else { "run.reject" };
    let is_same = |deed: &&Audited| {
        let about = deed.detail["environment"].as_str().is_none_or(|one| one.eq_ignore_ascii_case(environment));
        deed.what == what && about && (deed.who == review.by || deed.who.starts_with("token "))
    };
    let apart = |deed: &&Audited| (deed.at.as_millisecond() - review.at.as_millisecond()).unsigned_abs();
    deeds.iter().filter(is_same).min_by_key(apart).map(|deed| deed.origin.clone())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkWish {
    reason: String,
    at: Option<Timestamp>,
}

pub(super) async fn mark(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path((id, mark)): Path<(u64, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let MarkWish { reason, at } = body.read()?;
    let marked = mark_deployment(&site, &allowed, id, known(&mark)?, reason, at).await?;
    Ok(done(StatusCode::OK, &json!({ "deployment": id, "mark": marked })))
}

pub(super) async fn unmark(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsWrite>,
    Path((id, mark)): Path<(u64, String)>,
) -> Result<Response, Problem> {
    let mark = known(&mark)?;
    unmark_deployment(&site, &allowed, id, mark).await?;
    Ok(done(StatusCode::OK, &json!({ "deployment": id, "unmarked": mark })))
}

/// The mark of a word.
pub(crate) fn known(word: &str) -> Result<Mark, Problem> {
    Mark::parse(word).ok_or_else(|| not_found(format!("`{word}` is no mark; marks are failed and unplanned")))
}

/// Says of a deployment that it failed or was not planned, and keeps in the audit log who said so.
pub(crate) async fn mark_deployment(
    site: &Site,
    allowed: &Allowed<access::RunsWrite>,
    id: u64,
    mark: Mark,
    reason: String,
    at: Option<Timestamp>,
) -> Result<Marked, Problem> {
    let deployed = visible(site, allowed, id).await?;
    let wrong = |detail: &str| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", detail.to_owned()));
    let Some(ended_at) = deployed.ended_at else {
        let detail = "the deployment is not over; it can be marked when it is";
        return Err(Problem::new(StatusCode::CONFLICT, "state", detail));
    };
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        return wrong(&format!("say why, in at most {REASON_BYTES_MAX} bytes"));
    }
    let now = Timestamp::now();
    let at = at.unwrap_or(match mark {
        Mark::Failed => now,
        Mark::Unplanned => ended_at,
    });
    if at > now || at < deployed.started_at {
        return wrong("it was noticed after the deployment began, and not in the future");
    }
    let by = allowed.holder.person().to_owned();
    let marked = Marked { mark, at, by, marked_at: now, reason };
    let detail = json!({ "mark": mark, "reason": marked.reason, "at": at, "sha": deployed.sha, "run": deployed.run });
    let deed = deed(allowed, "deployment.mark", &deployed, detail);
    let insights = Insights::on(site.api.database.clone());
    insights.mark(id, marked.clone(), &site.api.audit, deed).await.map_err(|error| store(&error))?;
    Ok(marked)
}

/// Takes back what was said of a deployment.
pub(crate) async fn unmark_deployment(
    site: &Site,
    allowed: &Allowed<access::RunsWrite>,
    id: u64,
    mark: Mark,
) -> Result<(), Problem> {
    let deployed = visible(site, allowed, id).await?;
    let deed = deed(allowed, "deployment.unmark", &deployed, json!({ "mark": mark }));
    let insights = Insights::on(site.api.database.clone());
    let was_there = insights.unmark(id, mark, &site.api.audit, deed).await.map_err(|error| store(&error))?;
    let detail = || not_found(format!("deployment {id} is not marked as {}", mark.word()));
    was_there.then_some(()).ok_or_else(detail)
}

fn deed<N: Needs>(allowed: &Allowed<N>, what: &'static str, deployed: &Deployed, detail: serde_json::Value) -> Deed {
    let target = format!("{} deployment {} to {}", deployed.repository, deployed.id, deployed.environment);
    Deed { actor: allowed.actor.clone(), what, target, detail }
}
