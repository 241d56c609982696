//! Reviews of deployments: what waits, what would change, and what a reviewer says of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use engine::mirror::{Apart, Mirrors};
use engine::service::{Reviewer, Waiting, waiting};
use engine::store::RunId;
use engine::store::deployments::Deployed;
use engine::store::listing::RunListed;
use engine::store::repositories::Repository;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use workflow::run::{Recorded, RunEvent};

use super::answer::{self, Body, Path, store};
use super::irreversible::{self, Irreversible};
use super::runs::{audit, refused, visible};
use super::scans::{Scan, scans};
use super::view::Opinion;
use super::{Review, gates, not_found};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// Longest comment of a reviewer, in bytes.
pub(crate) const COMMENT_BYTES_MAX: usize = 4_096;
/// Most digests that are shown of a run.
pub(super) const IMAGES_MAX: usize = 100;

/// Deployments to one environment that wait for a review.
#[derive(Debug, Serialize)]
pub(crate) struct Pending {
    /// The environment, as the jobs name it.
    pub(crate) environment: String,
    /// What exactly is approved, to be sent back with a review.
    pub(crate) subject: String,
    /// Keys of the jobs.
    pub(crate) jobs: Vec<String>,
    /// Who may approve, people and `team:NAME`.
    pub(crate) reviewers: Vec<String>,
    /// How many of them have to.
    pub(crate) required: u32,
    /// How many more have to.
    pub(crate) missing: usize,
    /// Who began the run and may not approve it.
    pub(crate) barred: Vec<String>,
    /// Who wrote what would come and may not approve it either; `None`: they may.
    pub(crate) authors: Option<Vec<String>>,
    /// What reviewers said so far, in order.
    pub(crate) reviews: Vec<Opinion>,
    pub(crate) since: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// It does not go on before, whatever is said.
    pub(crate) waits_until: Option<Timestamp>,
    /// A freeze that holds now: until when, and why.
    pub(crate) frozen: Option<(Timestamp, String)>,
    /// Why whoever asks may not review it; `None`: they may.
    pub(crate) why_not: Option<String>,
}

/// What a deployment would change.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Changes {
    /// What stands in the environment now.
    pub(crate) standing: Option<Deployed>,
    /// From there to here.
    pub(crate) apart: Option<Apart>,
    /// Why commits and files are not known.
    pub(crate) problem: Option<String>,
    /// Digests that jobs gave as outputs, here and there.
    pub(crate) images: Vec<Image>,
    /// What scans said of the run's images.
    pub(crate) scans: Vec<Scan>,
    /// What of it cannot be undone, as far as that is known before.
    pub(crate) irreversible: Vec<Irreversible>,
}

/// An output that holds a digest.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Image {
    /// `JOB.OUTPUT`.
    pub(crate) name: String,
    /// As this run has it.
    pub(crate) new: Option<String>,
    /// As the run that stands there had it.
    pub(crate) old: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Approved,
    Rejected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewWish {
    state: Verdict,
    environment: Option<String>,
    #[serde(default)]
    comment: String,
    subject: Option<String>,
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&site, &allowed, RunId(id)).await?;
    let mut listed = Vec::new();
    for one in pending(&site, &allowed, &run).await? {
        let changes = changes(&site, &run, &one.environment).await?;
        let mut object = serde_json::to_value(&one).map_err(|error| answer::unreadable(&error))?;
        object["changes"] = serde_json::to_value(&changes).map_err(|error| answer::unreadable(&error))?;
        listed.push(object);
    }
    let gates = gates::waiting(&site, &allowed.holder, run.id).await?;
    answer::json(&headers, &json!({ "reviews": listed, "gates": gates }))
}

pub(super) async fn review(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::ReviewsWrite>,
    Path(id): Path<u64>,
    body: Body,
) -> Result<Response, Problem> {
    let ReviewWish { state, environment, comment, subject } = body.read()?;
    let approved = matches!(state, Verdict::Approved);
    let deed = async {
        let shown = environment.clone();
        review_run(&site, &allowed, RunId(id), Review { environment, approved, comment, subject }).await?;
        Ok((StatusCode::CREATED, json!({ "run": id, "environment": shown })))
    };
    site.once.perform(&allowed.holder, &body, deed).await
}

/// Reviews, and keeps in the audit log who did.
pub(crate) async fn review_run(
    site: &Site,
    allowed: &Allowed<access::ReviewsWrite>,
    run: RunId,
    mut review: Review,
) -> Result<RunListed, Problem> {
    let run = visible(site, allowed, run).await?;
    if review.comment.len() > COMMENT_BYTES_MAX {
        let detail = format!("a comment has at most {COMMENT_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "comment", detail));
    }
    if review.environment.is_none()
        && let [only] = waits(site, run.id).await?.as_slice()
    {
        review.environment = Some(only.environment.clone());
    }
    // Without one it is about all that wait, which takes a role for all.
    if !allowed.holder.may_review(&run.repository, review.environment.as_deref().unwrap_or_default()) {
        let what = review.environment.as_deref().map_or("all environments".to_owned(), |name| format!("`{name}`"));
        let detail = format!("{} may not review deployments to {what}", allowed.holder.person());
        return Err(Problem::new(StatusCode::FORBIDDEN, "reviewer", detail));
    }
    let detail = json!({
        "environment": review.environment, "comment": review.comment, "sha": run.sha, "subject": review.subject,
        "attempt": run.attempt,
    });
    let what = if review.approved { "run.approve" } else { "run.reject" };
    site.api.steering.review(run.id, review, &allowed.holder.reviewer()).await.map_err(refused)?;
    audit(site, allowed, what, &run, detail).await?;
    Ok(run)
}

/// What of a run waits for a review, as whoever asks sees it.
pub(crate) async fn pending<N>(site: &Site, allowed: &Allowed<N>, run: &RunListed) -> Result<Vec<Pending>, Problem> {
    let may = |environment: &str| allowed.holder.may_review(&run.repository, environment);
    pending_of(site, run, &allowed.holder.reviewer(), may).await
}

/// What of a run waits for a review, as a reviewer sees it who may review where `may` says so.
pub(crate) async fn pending_of(
    site: &Site,
    run: &RunListed,
    reviewer: &Reviewer,
    may: impl Fn(&str) -> bool,
) -> Result<Vec<Pending>, Problem> {
    let now = Timestamp::now();
    let pending = waits(site, run.id).await?.into_iter().filter_map(|waiting| {
        let subject = waiting.subject();
        let why_not = if may(&waiting.environment) {
            waiting.check(run.id, reviewer).err().map(|error| error.to_string())
        } else {
            Some(format!("{} may not review deployments to `{}`", reviewer.name, waiting.environment))
        };
        let rules = site.api.environments.protection(&waiting.environment);
        let frozen = rules.and_then(|rules| rules.frozen(now)).map(|(until, reason)| (until, reason.to_owned()));
        let jobs = waiting.gates.keys().map(ToString::to_string).collect();
        let gate = waiting.gates.into_values().next()?;
        let opinions = gate.reviews.iter().map(|review| Opinion {
            by: review.by.clone(),
            approved: review.approved,
            comment: review.comment.clone(),
            at: review.at,
        });
        Some(Pending {
            subject,
            jobs,
            missing: gate.missing(),
            reviews: opinions.collect(),
            since: gate.since,
            expires_at: gate.end(),
            waits_until: Some(gate.timer()).filter(|timer| *timer > now),
            required: gate.terms.required,
            barred: gate.terms.barred.clone(),
            authors: gate.terms.authors.clone(),
            environment: gate.environment,
            reviewers: gate.reviewers,
            frozen,
            why_not,
        })
    });
    Ok(pending.collect())
}

/// What was said of all deployments of a run to an environment, in order; each person once.
pub(crate) async fn opinions(site: &Site, run: RunId, environment: &str) -> Result<Vec<Opinion>, Problem> {
    let (mut jobs, mut said) = (Vec::new(), Vec::<Opinion>::new());
    for fact in facts(site, run).await? {
        if let RunEvent::ReviewRequested { key, environment: own, .. } = &fact.event {
            if own.eq_ignore_ascii_case(environment) {
                jobs.push(key.clone());
            }
        } else if let RunEvent::Reviewed { key, approved, by, comment, .. } = fact.event
            && jobs.contains(&key)
            && !said.iter().any(|one| one.by == by && one.approved == approved)
        {
            said.push(Opinion { by, approved, comment, at: fact.at });
        }
    }
    Ok(said)
}

/// The one that waits at an environment.
pub(crate) async fn pending_at<N>(
    site: &Site,
    allowed: &Allowed<N>,
    run: &RunListed,
    environment: &str,
) -> Result<Pending, Problem> {
    let found = pending(site, allowed, run).await?;
    let found = found.into_iter().find(|one| one.environment.eq_ignore_ascii_case(environment));
    found.ok_or_else(|| not_found(format!("nothing of run {} waits for a review of `{environment}` any more", run.id)))
}

/// What a run would change in an environment.
pub(crate) async fn changes(site: &Site, run: &RunListed, environment: &str) -> Result<Changes, Problem> {
    let standing = site.deployments.standing(Some(run.repository.clone())).await.map_err(|error| store(&error))?;
    let standing = standing
        .into_iter()
        .find(|one| one.environment.eq_ignore_ascii_case(environment) && one.state == "success" && one.run != run.id);
    let own = facts(site, run.id).await?;
    let here = digests(&own);
    let there = match &standing {
        Some(deployed) => digests(&facts(site, deployed.run).await?),
        None => BTreeMap::new(),
    };
    let names = here.keys().chain(there.keys()).collect::<std::collections::BTreeSet<_>>();
    let image =
        |name: &String| Image { name: name.clone(), new: here.get(name).cloned(), old: there.get(name).cloned() };
    let images = names.into_iter().take(IMAGES_MAX).map(image).collect();
    let (apart, problem) = match apart(site, run, standing.as_ref().map(|deployed| deployed.sha.clone())).await {
        Ok(apart) => (Some(apart), None),
        Err(problem) => (None, Some(problem)),
    };
    let waiting = waiting(&own).into_iter().filter(|one| one.environment.eq_ignore_ascii_case(environment));
    let jobs: Vec<String> = waiting.flat_map(|one| one.gates.into_keys()).map(|key| key.to_string()).collect();
    let irreversible = irreversible::known(site, run, &own, &jobs, apart.as_ref()).await;
    let scans = scans(site, &run.repository, run.id, standing.as_ref().map(|deployed| deployed.run)).await?;
    Ok(Changes { standing, apart, problem, images, scans, irreversible })
}

async fn apart(site: &Site, run: &RunListed, old: Option<String>) -> Result<Apart, String> {
    let new = run.sha.clone();
    let (mirrors, id) = copy(site, run).await?;
    let read = mirrors.read(id, move |mirror| Apart::between(mirror, old.as_deref(), &new));
    read.await.map_err(|error| error.to_string())
}

/// Where the copy of a run's repository is, and its number there.
pub(super) async fn copy<'a>(site: &'a Site, run: &RunListed) -> Result<(&'a Mirrors, u64), String> {
    let registry = site.api.registry.as_ref().ok_or("no server has a copy of the repository")?;
    let repositories = site.repositories.all().await.map_err(|error| error.to_string())?;
    let spec = site.store.spec(run.id).await.map_err(|error| error.to_string())?;
    // Two forges may have repositories of one name.
    let is_its = |one: &&Repository| {
        one.full_name.eq_ignore_ascii_case(&run.repository) && spec.as_ref().is_some_and(|spec| spec.forge == one.forge)
    };
    let found = repositories.iter().find(is_its);
    let id = found.ok_or("the repository is not registered any more")?.id;
    Ok((&registry.mirrors, id))
}

async fn waits(site: &Site, run: RunId) -> Result<Vec<Waiting>, Problem> {
    Ok(waiting(&facts(site, run).await?))
}

async fn facts(site: &Site, run: RunId) -> Result<Vec<Recorded>, Problem> {
    site.listing.log(run).await.map_err(|error| store(&error))
}

/// Outputs of jobs that hold a digest of an image, by `JOB.OUTPUT`.
pub(crate) fn digests(facts: &[Recorded]) -> BTreeMap<String, String> {
    let ended = facts.iter().filter_map(|fact| {
        let RunEvent::JobRunFinished { key, outputs, .. } = &fact.event else { return None };
        Some((key, outputs))
    });
    let pairs =
        ended.flat_map(|(key, outputs)| outputs.iter().map(move |(name, value)| (format!("{key}.{name}"), value)));
    pairs.filter(|(_, value)| has_digest(value)).map(|(name, value)| (name, value.clone())).collect()
}

fn has_digest(value: &str) -> bool {
    value.match_indices("sha256:").any(|(at, word)| {
        let hex = value[at + word.len()..].bytes().take_while(u8::is_ascii_hexdigit).count();
        hex == 64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_known() {
        let hex = "a1".repeat(32);
        for (value, expected) in [
            (format!("sha256:{hex}"), true),
            (format!("registry.example/shop/orders@sha256:{hex}"), true),
            (format!("[\"a@sha256:{hex}\",\"b\"]"), true),
            (format!("sha256:{hex}0"), false),
            ("sha256:abc".to_owned(), false),
            ("orders:1.2".to_owned(), false),
        ] {
            assert_eq!(has_digest(&value), expected, "{value}");
        }
    }
}
