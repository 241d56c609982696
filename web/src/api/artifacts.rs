//! Artifacts of runs: listed, and given out as archives.
//!
//! An archive is checked against its digest while it is sent; one that is damaged ends the answer early, so that nobody
//! takes it for whole. Removing them is the business of their age.

use std::io::Read as _;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use engine::kept::{Artifact, Kept, KeptError, KeptRules, TarOf};
use engine::store::RunId;
use engine::store::listing::RunListed;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::answer::{self, Path, store, unreadable};
use super::not_found;
use super::runs::visible;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// Bytes of a download that are in memory at once: so many chunks of so many bytes.
const CHUNK_BYTES: usize = 64 * 1_024;
const CHUNKS: usize = 4;

pub(crate) async fn list(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, artifacts) = of_run(&shared, &allowed, RunId(id)).await?;
    let shown: Vec<_> = artifacts.iter().map(view).collect();
    answer::json(&headers, &json!({ "artifacts": shown }))
}

pub(crate) async fn download(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path((id, name)): Path<(u64, String)>,
) -> Result<Response, Problem> {
    let (kept, artifacts) = of_run(&shared, &allowed, RunId(id)).await?;
    let names = || artifacts.iter().map(|artifact| artifact.name.as_str());
    let artifact = artifacts.iter().find(|artifact| artifact.name == name).ok_or_else(|| {
        let known: Vec<_> = names().collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        not_found(format!("run {id} has no artifact `{name}`; {known}"))
    })?;
    let wanted = artifact.clone();
    let opened = tokio::task::spawn_blocking(move || kept.tar_of(&wanted)).await.map_err(|error| unreadable(&error))?;
    let TarOf { mut archive, bytes, digest } = opened.map_err(|error| unreadable(&error))?;
    let (chunks, mut inbox) = tokio::sync::mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = archive.read(&mut chunk).map(|length| {
                chunk.truncate(length);
                Bytes::from(chunk)
            });
            let is_end = !matches!(&read, Ok(bytes) if !bytes.is_empty());
            let is_sent = matches!(&read, Ok(bytes) if bytes.is_empty()) || chunks.blocking_send(read).is_ok();
            if is_end || !is_sent {
                return;
            }
        }
    });
    let stream = futures_util::stream::poll_fn(move |context| inbox.poll_recv(context));
    let mut response = (StatusCode::OK, Body::from_stream(stream)).into_response();
    let safe: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    for (header, value) in [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{safe}.tar\"")),
        (header::ETAG, format!("\"{}\"", digest.hex())),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ] {
        response.headers_mut().insert(header, HeaderValue::from_str(&value).map_err(|error| unreadable(&error))?);
    }
    Ok(response)
}

/// What the run left, if there is such a run for this token.
async fn of_run<N>(shared: &Site, allowed: &Allowed<N>, id: RunId) -> Result<(Kept, Vec<Artifact>), Problem> {
    let run = visible(shared, allowed, id).await?;
    of_visible(shared, &run).await
}

/// What a run left that somebody may see.
pub(crate) async fn of_visible(shared: &Site, run: &RunListed) -> Result<(Kept, Vec<Artifact>), Problem> {
    let attempt = run.attempt;
    let attempts = shared.listing.attempts(run.id).await.map_err(|error| store(&error))?;
    let first = attempts.first().map_or(run.id, |first| first.id);
    // How long things are kept is the business of those who add to it.
    let kept = Kept::new(&shared.api.folders.state, KeptRules::default());
    let read = tokio::task::spawn_blocking(move || {
        let artifacts = kept.artifacts(first.0, attempt)?;
        Ok::<_, KeptError>((kept, artifacts))
    });
    read.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))
}

pub(crate) fn view(artifact: &Artifact) -> Json {
    let time = |seconds: u64| {
        let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map(|time| time.to_string())
    };
    json!({
        "id": artifact.id,
        "name": artifact.name,
        "attempt": artifact.attempt,
        "job": artifact.job,
        "files": artifact.files,
        "bytes": artifact.bytes,
        "stored": artifact.stored,
        "digest": format!("sha256:{}", artifact.digest.hex()),
        "created_at": time(artifact.created),
        "expires_at": time(artifact.expires),
    })
}
