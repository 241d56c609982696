//! The whole audit log as NDJSON: each row with its hash, and at the end a signed checkpoint.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use engine::store::audit::{Audit, LISTED_MAX};
use futures_util::stream;
use serde_json::json;

use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer;
use crate::site::Site;

pub(crate) async fn export(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::AuditRead>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    Ok(exported(&site))
}

/// The key that signs checkpoints, which may be told to everybody.
pub(crate) async fn key(
    State(site): State<Arc<Site>>,
    _allowed: Allowed<access::Anyone>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer::json(&headers, &json!({ "algorithm": "Ed25519", "key": site.api.audit.public_key() }))
}

/// All of it, read a part at a time.
pub(crate) fn exported(site: &Site) -> Response {
    let parts = stream::unfold((site.api.audit.clone(), Some(0)), |(audit, after)| async move {
        let (part, after) = part(&audit, after?).await;
        Some((part, (audit, after)))
    });
    let mut response = Response::new(Body::from_stream(parts));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// Rows behind a number; at the end the checkpoint.
async fn part(audit: &Audit, after: u64) -> (Result<Bytes, std::io::Error>, Option<u64>) {
    let failed = |error: &dyn std::fmt::Display| (Err(std::io::Error::other(error.to_string())), None);
    let rows = match audit.hashed(after).await {
        Ok(rows) => rows,
        Err(error) => return failed(&error),
    };
    let mut text = String::new();
    for row in &rows {
        match serde_json::to_string(row) {
            Ok(line) => text.extend([line.as_str(), "\n"]),
            Err(error) => return failed(&error),
        }
    }
    if let Some(last) = rows.last().filter(|_| rows.len() == LISTED_MAX) {
        return (Ok(text.into()), Some(last.entry.seq));
    }
    match audit.signed_checkpoint(jiff::Timestamp::now()).await {
        Ok(checkpoint) => text.extend([checkpoint.to_string().as_str(), "\n"]),
        Err(error) => return failed(&error),
    }
    (Ok(text.into()), None)
}
