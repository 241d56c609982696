//! Answers: JSON, XML as a storage has it, files.

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// What every handler gives.
pub(crate) type Answer = Response<BoxBody<Bytes, std::io::Error>>;

pub(crate) fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // Nothing of a job is a page, whoever asks for it.
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("content-security-policy", "sandbox; default-src 'none'")]
    {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    whole(status, "application/json", value.to_string())
}

pub(crate) fn empty(status: StatusCode) -> Answer {
    whole(status, "text/plain", Bytes::new())
}

/// An error of a storage. See <https://learn.microsoft.com/en-us/rest/api/storageservices/status-and-error-codes2>.
pub(crate) fn storage(status: StatusCode, code: &str, message: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{}</Message></Error>",
        message.replace('&', "&amp;").replace('<', "&lt;")
    );
    let mut answer = whole(status, "application/xml", text);
    if let Ok(code) = HeaderValue::from_str(code) {
        answer.headers_mut().insert("x-ms-error-code", code);
    }
    answer
}

/// What a storage says of something that it took.
pub(crate) fn created() -> Answer {
    let mut answer = empty(StatusCode::CREATED);
    let id = crate::token::random_hex().unwrap_or_default();
    let headers = answer.headers_mut();
    // Clients of buildx take an answer without it for a broken one.
    if let Ok(id) = HeaderValue::from_str(&id[..id.len().min(32)]) {
        headers.insert("x-ms-request-id", id);
    }
    headers.insert("x-ms-version", HeaderValue::from_static("2023-11-03"));
    headers.insert("etag", HeaderValue::from_static("\"0x1\""));
    answer
}

pub(crate) fn streamed(stream: impl Stream<Item = std::io::Result<Bytes>> + Send + Sync + 'static) -> Answer {
    use futures_util::StreamExt as _;
    let frames = stream.map(|part| part.map(Frame::data));
    let mut answer = whole(StatusCode::OK, "application/octet-stream", Bytes::new());
    *answer.body_mut() = BodyExt::boxed(StreamBody::new(frames));
    answer
}
