//! Blobs that go: from their file, compared with their digest on the way. Who got nearly all of a damaged one does not get
//! its end, so that nobody takes it for whole; a damaged entry of a cache is removed, and is a miss from then on.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use engine::blobs::BlobDigest;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::answer::{Answer, storage, streamed};
use crate::job::Job;

/// Sent at once, and how many of those wait.
const CHUNK_BYTES: usize = 512 * 1024;
const CHUNKS: usize = 4;

/// The part of a blob that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    from: u64,
    /// The first byte that is not of it.
    to: u64,
}

pub(crate) async fn get(job: &Arc<Job>, path: &str, kind: &str, request: &Request<Incoming>) -> Answer {
    let gone = || storage(StatusCode::NOT_FOUND, "BlobNotFound", "it is not there any more");
    let mut parts = path.trim_start_matches("/download/").splitn(2, '/');
    let digest = parts.next().and_then(|digest| BlobDigest::try_from(digest.to_owned()).ok());
    let Some((digest, name)) = digest.zip(parts.next()) else { return gone() };
    let Ok(file) = job.facts.kept.blobs.open_plain(&digest) else { return gone() };
    let Ok(bytes) = file.metadata().map(|facts| facts.len()) else { return gone() };
    let asked = request.headers().get(header::RANGE).or_else(|| request.headers().get("x-ms-range"));
    let part = match asked.and_then(|value| value.to_str().ok()).map(|text| range(text, bytes)) {
        None | Some(None) => None,
        Some(Some(part)) if part.from < part.to => Some(part),
        Some(Some(_)) => return storage(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", "it is shorter than that"),
    };
    // An answer of no bytes has no end that could be kept back.
    if (part.is_some() || bytes == 0) && !is_whole(job, &digest).await {
        return gone();
    }
    let wanted = part.unwrap_or(Part { from: 0, to: bytes });
    let mut answer = if *request.method() == Method::HEAD {
        crate::answer::empty(StatusCode::OK)
    } else {
        send(job, file, digest, wanted, part.is_none())
    };
    let headers = answer.headers_mut();
    let kind = if kind.is_empty() { "application/octet-stream" } else { kind };
    let described = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_LENGTH, (wanted.to - wanted.from).to_string()),
        // The name is written as in a path, which is how this header wants it.
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{name}")),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    for (header, value) in described {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(header, value);
        }
    }
    if let Some(Part { from, to }) = part {
        if let Ok(value) = HeaderValue::from_str(&format!("bytes {from}-{}/{bytes}", to - 1)) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    answer
}

/// What a range means; `None` for one that is not understood, which is answered with all.
fn range(text: &str, bytes: u64) -> Option<Part> {
    let (from, to) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    if from.is_empty() {
        let last: u64 = to.parse().ok()?;
        return Some(Part { from: bytes.saturating_sub(last), to: bytes });
    }
    let from = from.parse().ok()?;
    let to = if to.is_empty() { bytes } else { to.parse::<u64>().ok()?.saturating_add(1).min(bytes) };
    Some(Part { from, to })
}

fn send(job: &Arc<Job>, file: File, digest: BlobDigest, part: Part, check: bool) -> Answer {
    let (chunks, mut inbox) = mpsc::channel(CHUNKS);
    let job = Arc::clone(job);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&file, part, check.then_some(&digest), &chunks) {
            if error.kind() == io::ErrorKind::InvalidData {
                damaged(&job, &digest);
            }
            // Who hung up does not hear it.
            let _gone = chunks.blocking_send(Err(error));
        }
    });
    streamed(futures_util::stream::poll_fn(move |context| inbox.poll_recv(context)))
}

/// Reads a part; the last chunk of one that is checked goes only when the digest fits.
fn read(
    file: &File,
    part: Part,
    check: Option<&BlobDigest>,
    chunks: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let mut hash = Sha256::new();
    let mut file = file;
    file.seek(io::SeekFrom::Start(part.from))?;
    let mut at = part.from;
    while at < part.to {
        let length = CHUNK_BYTES.min(usize::try_from(part.to - at).unwrap_or(usize::MAX));
        let mut chunk = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut chunk)?;
        if chunk.len() < length {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the blob is shorter than it was"));
        }
        at += length as u64;
        if let Some(digest) = check {
            hash.update(&chunk);
            if at == part.to && hex(hash.clone()) != digest.hex() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the blob is damaged"));
            }
        }
        if chunks.blocking_send(Ok(Bytes::from(chunk))).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a blob is what its name says; read whole at the first question.
async fn is_whole(job: &Arc<Job>, digest: &BlobDigest) -> bool {
    if job.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(digest) {
        return true;
    }
    let (reader, own) = (Arc::clone(job), digest.clone());
    let read = tokio::task::spawn_blocking(move || {
        let read = reader.facts.kept.blobs.open(&own).and_then(|mut blob| io::copy(&mut blob, &mut io::sink()));
        match read {
            Ok(_) => true,
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    damaged(&reader, &own);
                }
                false
            }
        }
    });
    let whole = read.await.unwrap_or(false);
    if whole {
        job.verified.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone());
    }
    whole
}

/// An entry of a cache whose content is damaged goes, so that a whole one can be saved.
fn damaged(job: &Job, digest: &BlobDigest) {
    tracing::warn!(digest = digest.hex(), "a blob is damaged");
    let entry = job.offered.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    if let Some(entry) = entry
        && let Err(error) = job.facts.kept.drop_cache(&entry)
    {
        tracing::warn!(%error, "a damaged entry of a cache stays");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expect) in [
            ("bytes=0-3", Some((0, 4))),
            ("bytes=5-", Some((5, 10))),
            ("bytes=-3", Some((7, 10))),
            ("bytes=8-99", Some((8, 10))),
            ("bytes=10-12", Some((10, 10))),
            ("bytes=0-18446744073709551615", Some((0, 10))),
            ("bytes=-99", Some((0, 10))),
            ("bytes=1-2,4-5", None),
            ("lines=1-2", None),
            ("bytes=a-b", None),
        ] {
            assert_eq!(range(text, 10), expect.map(|(from, to)| Part { from, to }), "{text}");
        }
    }
}
