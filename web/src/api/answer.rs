//! Requests as typed values and answers as JSON: queries and bodies with unknown names are refused, answers carry an ETag.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use engine::store::StoreError;
use engine::store::people::PeopleError;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use workflow::secret::Secret;

use crate::Problem;
use crate::site::Site;

/// Longest body of a request: a secret of 48 KB, written with escapes.
const BODY_BYTES_MAX: usize = 320 * 1_024;

/// The query, with all its names known.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Site>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _shared: &Arc<Site>) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|axum::extract::Query(query)| Self(query)).map_err(|error| {
            bad(
                "query",
                std::error::Error::source(&error).map_or_else(|| error.to_string(), |source| source.to_string()),
            )
        })
    }
}

/// A part of the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Site>> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Site>) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, shared).await;
        // What cannot be a number is the number of nothing.
        path.map(|path| Self(path.0)).map_err(|_| super::not_found("there is nothing of that number"))
    }
}

/// The body as it came, at most [`BODY_BYTES_MAX`]; empty, or JSON by its content type.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) headers: HeaderMap,
    pub(crate) path: String,
}

impl FromRequest<Arc<Site>> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _shared: &Arc<Site>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let read = Limited::new(body, BODY_BYTES_MAX).collect();
        let read = tokio::time::timeout(std::time::Duration::from_secs(30), read).await;
        let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body", "the body takes too long").closing();
        let bytes = read.map_err(late)?.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let detail = format!("a request has at most {BODY_BYTES_MAX} bytes");
                return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", detail).closing();
            }
            bad("body", "it ended early".to_owned())
        })?;
        let bytes = bytes.to_bytes().to_vec();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_json = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !bytes.is_empty() && !is_json {
            let detail = "send JSON, with `Content-Type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "body", detail));
        }
        Ok(Self { bytes, headers: parts.headers, path: parts.uri.path().to_owned() })
    }
}

impl Body {
    /// As a value; an empty body is `{}`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let bytes: &[u8] = if self.bytes.is_empty() { b"{}" } else { &self.bytes };
        // The place, but not the text: it may be a secret.
        serde_json::from_slice(bytes).map_err(|error| {
            let text = error.to_string();
            let is_safe = text.starts_with("missing field") || text.starts_with("unknown field");
            let what = if is_safe {
                text
            } else {
                format!("line {} column {}: not as expected", error.line(), error.column())
            };
            bad("body", what)
        })
    }
}

/// JSON, with an ETag; 304 where the client has it.
pub(crate) fn json(headers: &HeaderMap, value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|error| unreadable(&error))?;
    let digest = Sha256::digest(&body);
    let tag: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|one| {
        let one = one.trim();
        one == "*" || one.trim_start_matches("W/") == tag
    });
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { (StatusCode::OK, body).into_response() };
    let answer = response.headers_mut();
    if !is_known {
        answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.insert(header::ETAG, tag);
    }
    // To be asked again each time, and never by others.
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// JSON of a deed.
pub(crate) fn done(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], value.to_string()).into_response()
}

pub(crate) fn bad(what: &str, reason: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "request", format!("the {what} cannot be read: {reason}"))
}

/// Something of ours failed. What it was is for the server's log.
pub(crate) fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a request cannot be answered");
    let detail = "the server cannot answer now; its log says why";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "server", detail)
}

/// The store took nothing, or gave nothing.
pub(crate) fn store(error: &StoreError) -> Problem {
    tracing::error!(%error, "a request cannot be answered");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database", "the database takes nothing now; try again later")
        .retry_after(std::time::Duration::from_secs(10))
}

/// What something about people was refused for.
pub(crate) fn people(error: &PeopleError) -> Problem {
    let (status, kind) = match error {
        PeopleError::Store(error) => return store(error),
        PeopleError::Unavailable(error) => return unreadable(error),
        PeopleError::Wish(_) => (StatusCode::UNPROCESSABLE_ENTITY, "request"),
        PeopleError::Conflict(_) => (StatusCode::CONFLICT, "state"),
        PeopleError::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
        PeopleError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
    };
    Problem::new(status, kind, error.to_string())
}

/// A secret of a body.
pub(crate) fn hidden<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    <String as serde::Deserialize>::deserialize(deserializer).map(Secret::new)
}

/// The same where there may be none.
pub(crate) fn hidden_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    hidden(deserializer).map(Some)
}
