//! Blobs that come, as Azure's clients send them: whole, or in blocks with a list of them.
//! See <https://learn.microsoft.com/en-us/rest/api/storageservices/put-block>.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderMap};
use hyper::{Request, StatusCode};

use crate::answer::{Answer, created, storage};
use crate::job::Job;
use crate::uploads::{Extent, UPLOAD_BYTES_MAX, Upload};

/// Gathered before it is written.
const WRITTEN_BYTES: usize = 1 << 20;
/// Parts of it.
const PARTS_MAX: usize = 256;
/// Bytes of a list of blocks.
const LIST_BYTES_MAX: usize = 8 << 20;
/// Characters of the name of a block.
const BLOCK_NAME_MAX: usize = 200;
/// Characters of a type.
const KIND_CHARS_MAX: usize = 200;

/// What a client is told that sent something wrong.
type Refused = (StatusCode, &'static str, String);

pub(crate) async fn put(job: &Arc<Job>, path: &str, query: &str, request: Request<Incoming>) -> Answer {
    match take(job, path, query, request).await {
        Ok(()) => created(),
        Err((status, code, message)) => storage(status, code, &message),
    }
}

async fn take(job: &Arc<Job>, path: &str, query: &str, request: Request<Incoming>) -> Result<(), Refused> {
    let gone = || (StatusCode::NOT_FOUND, "BlobNotFound", "this upload is finished, or was never begun".to_owned());
    let id = path.strip_prefix("/upload/").and_then(|id| id.parse::<u64>().ok()).ok_or_else(gone)?;
    let upload = job.uploads.get(id).ok_or_else(gone)?;
    let parameter = |name: &str| {
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let kind = kind(request.headers());
    match parameter("comp").as_deref() {
        Some("block") => {
            let name = parameter("blockid").filter(|name| !name.is_empty() && name.len() <= BLOCK_NAME_MAX);
            let name = name.ok_or_else(|| invalid("InvalidQueryParameterValue", "`blockid` is missing or too long"))?;
            let place = |bytes| upload.place(&name, bytes);
            let extent = receive(&upload, request, None, place).await?;
            wrote(&upload, name, extent).await
        }
        Some("blocklist") => {
            let body = Limited::new(request.into_body(), LIST_BYTES_MAX).collect().await;
            let body = body.map_err(|error| invalid("InvalidXmlDocument", &error.to_string()))?.to_bytes();
            let list = list(&String::from_utf8_lossy(&body));
            blocking(move || upload.commit(&list, &kind).map_err(|error| invalid("InvalidBlockList", &error))).await
        }
        Some(other) => Err(invalid("InvalidQueryParameterValue", &format!("`comp={other}` is not known"))),
        None => {
            let extent = receive(&upload, request, None, |bytes| upload.place_at(0, bytes)).await?;
            wrote(&upload, "whole".to_owned(), extent).await?;
            let commit = move || upload.commit_as_is(extent.bytes, &kind).map_err(|error| failed(&error));
            blocking(commit).await
        }
    }
}

fn invalid(code: &'static str, message: &str) -> Refused {
    (StatusCode::BAD_REQUEST, code, message.to_owned())
}

pub(crate) fn failed(error: &dyn std::fmt::Display) -> Refused {
    (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.to_string())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refused> + Send + 'static) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?
}

pub(crate) async fn wrote(upload: &Arc<Upload>, name: String, extent: Extent) -> Result<(), Refused> {
    let noting = Arc::clone(upload);
    blocking(move || noting.wrote(&name, extent).map_err(|error| failed(&error))).await?;
    // Nobody waits for these: what they leave undone, or cannot do, is done when the upload is finished.
    let (hashing, flushing) = (Arc::clone(upload), Arc::clone(upload));
    drop(tokio::task::spawn_blocking(move || hashing.hash_on()));
    drop(tokio::task::spawn_blocking(move || flushing.flush_on()));
    Ok(())
}

fn kind(headers: &HeaderMap) -> String {
    let kind = headers.get("x-ms-blob-content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.chars().take(KIND_CHARS_MAX).collect()
}

/// Takes a body to where `place` says, which has to say its length, so that what is too large is refused before it comes: `said` where the
/// client has another way to say it than `Content-Length`.
pub(crate) async fn receive(
    upload: &Arc<Upload>,
    request: Request<Incoming>,
    said: Option<u64>,
    place: impl FnOnce(u64) -> Result<Extent, String>,
) -> Result<Extent, Refused> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let length = length.or(said).ok_or_else(|| {
        (StatusCode::LENGTH_REQUIRED, "MissingContentLengthHeader", "say how long it is: Content-Length".to_owned())
    })?;
    let too_large = |why: String| (StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge", why);
    if length > UPLOAD_BYTES_MAX {
        return Err(too_large(format!("it has more than {} GiB", UPLOAD_BYTES_MAX >> 30)));
    }
    let extent = place(length).map_err(too_large)?;
    let mut body = request.into_body();
    let mut gathered = Vec::new();
    let mut waiting = 0;
    let mut written = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| invalid("IncompleteBody", &error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        waiting += data.len();
        gathered.push(data);
        if waiting >= WRITTEN_BYTES || gathered.len() >= PARTS_MAX {
            waiting = 0;
            written = write(upload, extent, written, std::mem::take(&mut gathered)).await?;
        }
    }
    written = write(upload, extent, written, gathered).await?;
    if written != length {
        return Err(invalid("IncompleteBody", &format!("of {length} bytes {written} came")));
    }
    Ok(extent)
}

async fn write(upload: &Arc<Upload>, extent: Extent, at: u64, parts: Vec<Bytes>) -> Result<u64, Refused> {
    let end = at + parts.iter().map(|part| part.len() as u64).sum::<u64>();
    if end > extent.bytes {
        return Err(invalid("InvalidHeaderValue", "more came than was said"));
    }
    let upload = Arc::clone(upload);
    blocking(move || upload.write(extent, at, &parts).map_err(|error| failed(&error))).await?;
    Ok(end)
}

/// The names in a list of blocks, in its order. They are base64, so there is nothing to unescape.
fn list(xml: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = xml;
    while let Some(open) = rest.find('<') {
        rest = &rest[open + 1..];
        let Some(tag) = ["Latest>", "Uncommitted>", "Committed>"].into_iter().find(|tag| rest.starts_with(tag)) else {
            continue;
        };
        rest = &rest[tag.len()..];
        if let Some(end) = rest.find('<') {
            names.push(rest[..end].trim().to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_blocks() {
        let xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Latest>YmE=</Latest>\n<Committed>Yg==</Committed><Latest></Latest></BlockList>";
        assert_eq!(list(xml), ["YmE=", "Yg==", ""]);
        assert!(list("<BlockList/>").is_empty() && list("<Latest>").is_empty() && list("").is_empty());
    }
}
