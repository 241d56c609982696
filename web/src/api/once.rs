//! Requests that may be sent again: with `Idempotency-Key`, the second one gets the first one's answer and does nothing.
//!
//! A server that is killed between the deed and the answer's record does it again; a run that was made by then shows.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use axum::response::Response;
use engine::store::answers::{Answer, Answers};
use engine::store::tokens::Holder;
use jiff::Timestamp;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::answer::{Body, done, store};
use crate::Problem;

/// Longest key.
const KEY_BYTES_MAX: usize = 255;

/// Knows what was answered, and what is being done.
#[derive(Debug)]
pub(super) struct Once {
    answers: Answers,
    busy: Mutex<HashSet<[u8; 32]>>,
}

/// A key whose request is being carried out.
struct Busy<'a> {
    once: &'a Once,
    key: [u8; 32],
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.once.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Once {
    pub(super) fn new(answers: Answers) -> Self {
        Self { answers, busy: Mutex::default() }
    }

    /// Does `deed`, or answers as it was answered before.
    pub(super) async fn perform<Deed>(&self, holder: &Holder, body: &Body, deed: Deed) -> Result<Response, Problem>
    where
        Deed: Future<Output = Result<(StatusCode, Json), Problem>>,
    {
        let Some(key) = body.headers.get("idempotency-key") else {
            let (status, value) = deed.await?;
            return Ok(done(status, &value));
        };
        let key = key.as_bytes();
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            let detail = format!("an Idempotency-Key has 1 to {KEY_BYTES_MAX} bytes");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "idempotency_key", detail));
        }
        let key = digest(&[holder.who.as_bytes(), key]);
        let request = digest(&[body.path.as_bytes(), &body.bytes]);
        let now = Timestamp::now();
        if !self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
            let detail = "a request with this Idempotency-Key is being carried out";
            return Err(Problem::new(StatusCode::CONFLICT, "idempotency_key", detail));
        }
        let _busy = Busy { once: self, key };
        if let Some(answer) = self.answers.find(key, now).await.map_err(|error| store(&error))? {
            if answer.request != request {
                let detail = "this Idempotency-Key was used for another request";
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key", detail));
            }
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
            return Ok(done(status, &serde_json::from_str(&answer.body).unwrap_or(Json::Null)));
        }
        let (status, value) = deed.await?;
        let answer = Answer { request, status: status.as_u16(), body: value.to_string() };
        if let Err(error) = self.answers.keep(key, answer, now).await {
            tracing::warn!(%error, "an answer is not remembered: sent again, the request is carried out again");
        }
        Ok(done(status, &value))
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
