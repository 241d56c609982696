//! Artifacts of the repository's runs, for whoever follows a run: <https://docs.github.com/en/rest/actions/artifacts>.

use engine::kept::Artifact;
use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::ask::{Ask, Refusal, Reply};
use super::{text, url};
use crate::artifacts::{address, zipped};
use crate::job::Job;
use crate::twirp::Fault;

/// `rest` is what follows `actions` in the path.
pub(super) fn answer(job: &Job, ask: &Ask, rest: &[&str]) -> Result<Reply, Refusal> {
    let get = ask.method == Method::GET;
    match rest {
        ["artifacts"] if get => list(job, ask, of_all(job)?),
        ["runs", run, "artifacts"] if get => list(job, ask, of_run(job, number(run)?)?),
        ["artifacts", id] if get => Ok(Reply::json(view(job, &one(job, id)?)?)),
        ["artifacts", id, "zip"] if get => Ok(Reply::elsewhere(address(job, &one(job, id)?).map_err(broken)?)),
        ["artifacts", id] if ask.method == Method::DELETE => {
            let kept = &job.facts.kept;
            kept.remove_artifact(&one(job, id)?).map_err(Refusal::broken)?;
            Ok(Reply::nothing())
        }
        _ => Err(Refusal::not_here(&ask.path)),
    }
}

fn broken(fault: Fault) -> Refusal {
    Refusal::broken(fault.message())
}

fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::not_found())
}

/// Newest first, as GitHub lists them.
fn of_all(job: &Job) -> Result<Vec<Artifact>, Refusal> {
    job.facts.kept.artifacts_of(&job.facts.keeper.repository).map_err(Refusal::broken)
}

/// Of all attempts, but of its own run none that a later attempt than the job's has made.
fn of_run(job: &Job, run: u64) -> Result<Vec<Artifact>, Refusal> {
    let keeper = &job.facts.keeper;
    let attempt = if run == keeper.run { keeper.attempt } else { u32::MAX };
    let mut all = job.facts.kept.artifacts(run, attempt).map_err(Refusal::broken)?;
    all.retain(|artifact| artifact.repository == keeper.repository);
    all.reverse();
    Ok(all)
}

fn one(job: &Job, id: &str) -> Result<Artifact, Refusal> {
    let id = number(id)?;
    of_all(job)?.into_iter().find(|artifact| artifact.id == id).ok_or_else(Refusal::not_found)
}

fn list(job: &Job, ask: &Ask, mut all: Vec<Artifact>) -> Result<Reply, Refusal> {
    if let Some(name) = ask.query("name") {
        all.retain(|artifact| artifact.name == name);
    }
    Reply::counted_by(&all, "artifacts", ask, |artifact| view(job, artifact))
}

fn view(job: &Job, artifact: &Artifact) -> Result<Json, Refusal> {
    let zipped = zipped(job, artifact).map_err(broken)?;
    let time = |seconds: u64| {
        i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).map(|at| at.to_string())
    };
    let place = url(job, &format!("/actions/artifacts/{}", artifact.id));
    let own = artifact.run == job.facts.keeper.run;
    Ok(json!({
        "id": artifact.id, "node_id": "", "name": artifact.name, "size_in_bytes": zipped.bytes,
        "digest": format!("sha256:{}", zipped.digest.hex()),
        "url": place, "archive_download_url": format!("{place}/zip"), "expired": false,
        "created_at": time(artifact.created), "updated_at": time(artifact.created), "expires_at": time(artifact.expires),
        "workflow_run": {
            "id": artifact.run, "head_sha": artifact.sha,
            "head_branch": if own { text(job, "ref_name").into() } else { Json::Null },
            "repository_id": text(job, "repository_id").parse::<u64>().ok(),
        },
    }))
}
