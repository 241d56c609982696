//! `github.actions.results.api.v1.ArtifactService`, as `@actions/artifact` calls it.
//! See <https://github.com/actions/toolkit/blob/main/packages/artifact/src/generated/results/api/v1/artifact.ts>.

use std::sync::Arc;

use engine::kept::{Artifact, Form, Kept, KeptError, Zipped, now};
use engine::step::check_artifact_name;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::job::Job;
use crate::twirp::{Fault, blocking, number, text};
use crate::uploads::What;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;
/// The forms of clients that are known. See [`Form`].
const VERSIONS: [u64; 2] = [4, 7];
const ZIP: &str = "application/zip";

pub(crate) async fn call(job: &Arc<Job>, method: &str, request: Json) -> Result<Json, Fault> {
    if text(&request, "workflow_run_backend_id")? != job.ids.run {
        return Err(Fault::denied("this token is of another run"));
    }
    let job = Arc::clone(job);
    let method = method.to_owned();
    blocking(move || match &*method {
        "CreateArtifact" => create(&job, &request),
        "FinalizeArtifact" => finalize(&job, &request),
        "ListArtifacts" => list(&job, &request),
        "GetSignedArtifactURL" => signed_url(&job, &request),
        "DeleteArtifact" => delete(&job, &request),
        _ => Err(Fault::not_found(format!("ArtifactService has no method {method}"))),
    })
    .await
}

/// What a job makes is its own: the other id is that of the job.
fn is_own_job(job: &Job, request: &Json) -> Result<(), Fault> {
    if text(request, "workflow_job_run_backend_id")? == job.ids.job {
        return Ok(());
    }
    Err(Fault::denied("this token is of another job"))
}

fn kept_fault(error: &KeptError) -> Fault {
    match error {
        KeptError::Exists => Fault::exists("an artifact with this name already exists on the workflow run"),
        KeptError::Io { .. } => Fault::internal(error),
    }
}

fn all(job: &Job) -> Result<Vec<Artifact>, Fault> {
    job.facts.keeper.artifacts(&job.facts.kept).map_err(|error| kept_fault(&error))
}

fn create(job: &Job, request: &Json) -> Result<Json, Fault> {
    is_own_job(job, request)?;
    let name = text(request, "name")?.to_owned();
    check_artifact_name(&name).map_err(Fault::invalid)?;
    if job.facts.masker.mask(&name) != name {
        return Err(Fault::invalid("the name of the artifact holds a secret"));
    }
    let version = number(request, "version")?.unwrap_or_default();
    if !VERSIONS.contains(&version) {
        return Err(Fault::invalid(format!("artifacts of version {version} are not known here, 4 and 7 are")));
    }
    let attempt = job.facts.keeper.attempt;
    if all(job)?.iter().any(|artifact| artifact.attempt == attempt && artifact.name == name) {
        return Err(kept_fault(&KeptError::Exists));
    }
    let mime = text(request, "mime_type")?.to_owned();
    let expires = expires(&job.facts.kept, text(request, "expires_at")?)?;
    let id = job.uploads.begin(What::Artifact { name, mime, expires }).map_err(Fault::internal)?;
    Ok(json!({ "ok": true, "signed_upload_url": job.upload_url(id) }))
}

/// As asked for, but no later than is kept here.
fn expires(kept: &Kept, asked: &str) -> Result<u64, Fault> {
    let most = now() + kept.rules.artifact_days * SECONDS_A_DAY;
    if asked.is_empty() {
        return Ok(most);
    }
    let time: Timestamp =
        asked.parse().map_err(|error| Fault::invalid(format!("`expires_at: {asked}` is no time: {error}")))?;
    Ok(u64::try_from(time.as_second()).unwrap_or(0).min(most))
}

fn finalize(job: &Job, request: &Json) -> Result<Json, Fault> {
    is_own_job(job, request)?;
    let wanted = text(request, "name")?;
    let found = job.uploads.whole(|what| matches!(what, What::Artifact { name, .. } if name == wanted));
    let Some((id, upload)) = found else {
        // An answer that was lost is asked for again.
        let own = |artifact: &&Artifact| artifact.name == wanted && artifact.job == job.facts.job;
        let hash = text(request, "hash")?;
        return match all(job)?.iter().filter(own).find(|one| hash == format!("sha256:{}", one.digest.hex())) {
            Some(artifact) => Ok(json!({ "ok": true, "artifact_id": artifact.id.to_string() })),
            None => Err(Fault::not_found(format!("nothing was uploaded for the artifact {wanted}"))),
        };
    };
    let (What::Artifact { name, mime, expires }, Some(committed)) = (upload.what.clone(), upload.committed()) else {
        return Err(Fault::internal("the upload is of something else"));
    };
    let (path, digest) = upload.digest(&committed).map_err(Fault::internal)?;
    agrees(request, &format!("sha256:{}", digest.hex()), committed.bytes)?;
    let mime = if mime.is_empty() { committed.kind.clone() } else { mime };
    let form = if is_zip(&mime) { Form::Zip } else { Form::File(mime) };
    let files = match &form {
        Form::Zip => std::fs::File::open(&path).and_then(Kept::files_of_zip).unwrap_or(0),
        Form::Tar | Form::File(_) => 1,
    };
    let facts = &job.facts;
    let of_github = |key: &str| facts.github[key].as_str().unwrap_or_default().to_owned();
    let artifact = Artifact {
        id: 0,
        repository: facts.keeper.repository.clone(),
        run: facts.keeper.run,
        attempt: facts.keeper.attempt,
        job: facts.job.clone(),
        name,
        digest: digest.clone(),
        bytes: committed.bytes,
        stored: committed.bytes,
        files,
        created: now(),
        expires,
        sha: of_github("sha"),
        event: of_github("event_name"),
        form,
        zipped: None,
    };
    facts.kept.blobs.adopt(&path, &digest).map_err(Fault::internal)?;
    let kept = facts.kept.add_artifact(artifact, false, false).map_err(|error| kept_fault(&error));
    job.uploads.discard(id);
    Ok(json!({ "ok": true, "artifact_id": kept?.id.to_string() }))
}

/// Whether what came is what was sent.
fn agrees(request: &Json, digest: &str, bytes: u64) -> Result<(), Fault> {
    if let Some(size) = number(request, "size")?.filter(|size| *size != bytes) {
        return Err(Fault::invalid(format!("`size` says {size} bytes, but {bytes} came")));
    }
    let hash = text(request, "hash")?;
    if !hash.is_empty() && hash != digest {
        return Err(Fault::invalid(format!("`hash` says {hash}, but what came has {digest}")));
    }
    Ok(())
}

fn is_zip(mime: &str) -> bool {
    // Version 4 of the action writes no whole type.
    matches!(mime, "" | "zip" | ZIP | "application/x-zip-compressed" | "application/zip-compressed")
}

fn list(job: &Job, request: &Json) -> Result<Json, Fault> {
    let (name, id) = (text(request, "name_filter")?, number(request, "id_filter")?);
    let mut all = all(job)?;
    all.retain(|artifact| (name.is_empty() || artifact.name == name) && id.is_none_or(|id| artifact.id == id));
    let shown = all.iter().map(|artifact| view(job, artifact)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "artifacts": shown }))
}

fn view(job: &Job, artifact: &Artifact) -> Result<Json, Fault> {
    let zipped = zipped(job, artifact)?;
    let created = i64::try_from(artifact.created).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    Ok(json!({
        "workflow_run_backend_id": job.ids.run,
        "workflow_job_run_backend_id": job.ids.job,
        "database_id": artifact.id.to_string(),
        "name": artifact.name,
        "size": zipped.bytes.to_string(),
        "created_at": created.map(|time| time.to_string()),
        "digest": format!("sha256:{}", zipped.digest.hex()),
    }))
}

/// What a client gets of an artifact.
pub(crate) fn zipped(job: &Job, artifact: &Artifact) -> Result<Zipped, Fault> {
    let zipped = job.facts.kept.zip_of(artifact);
    zipped.map_err(|error| Fault::internal(format!("the artifact {} cannot be read: {error}", artifact.name)))
}

fn named(job: &Job, request: &Json) -> Result<Artifact, Fault> {
    let name = text(request, "name")?;
    let found = all(job)?.into_iter().rev().find(|artifact| artifact.name == name);
    found.ok_or_else(|| Fault::not_found(format!("the run has no artifact {name}")))
}

fn signed_url(job: &Job, request: &Json) -> Result<Json, Fault> {
    Ok(json!({ "signed_url": address(job, &named(job, request)?)? }))
}

/// Where a client gets an artifact.
pub(crate) fn address(job: &Job, artifact: &Artifact) -> Result<String, Fault> {
    let zipped = zipped(job, artifact)?;
    Ok(match &artifact.form {
        // Clients tell by the end of the path whether there is something to unpack.
        Form::Zip | Form::Tar => job.download_url(&zipped.digest, &format!("{}.zip", artifact.name), ZIP),
        Form::File(mime) => job.download_url(&zipped.digest, &artifact.name, mime),
    })
}

/// Also one of an earlier attempt: `overwrite: true` of a client deletes what it finds under the name, and fails where it may not.
fn delete(job: &Job, request: &Json) -> Result<Json, Fault> {
    let artifact = named(job, request)?;
    job.facts.kept.remove_artifact(&artifact).map_err(|error| kept_fault(&error))?;
    Ok(json!({ "ok": true, "artifact_id": artifact.id.to_string() }))
}
