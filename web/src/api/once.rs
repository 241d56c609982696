//! Requests that may be sent again: with `Idempotency-Key`, the second one gets the first one's answer and does nothing.
//!
//! A server that is killed between the deed and the answer's record does not do it again: it says that nobody knows, and
//! whoever asks can look.

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
pub(crate) struct Once {
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
    pub(crate) fn new(answers: Answers) -> Self {
        Self { answers, busy: Mutex::default() }
    }

    /// Does `deed`, or answers as it was answered before.
    pub(crate) async fn perform<Deed>(&self, holder: &Holder, body: &Body, deed: Deed) -> Result<Response, Problem>
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
            if answer.status == 0 {
                let detail = "the server ended while a request with this Idempotency-Key was carried out: look whether it \
                              was done; to do it again, send it with another key";
                return Err(Problem::new(StatusCode::CONFLICT, "idempotency_key", detail));
            }
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
            return Ok(done(status, &serde_json::from_str(&answer.body).unwrap_or(Json::Null)));
        }
        self.answers.begin(key, request, now).await.map_err(|error| store(&error))?;
        let (status, value) = match deed.await {
            Ok(done) => done,
            Err(problem) => {
                if let Err(error) = self.answers.forget(key).await {
                    tracing::warn!(%error, "a request that was refused is taken for one that may have been done");
                }
                return Err(problem);
            }
        };
        let answer = Answer { request, status: status.as_u16(), body: value.to_string() };
        if let Err(error) = self.answers.keep(key, answer, now).await {
            tracing::warn!(%error, "an answer is not remembered: sent again, the request is refused");
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

#[cfg(test)]
mod tests {
    use engine::store::tokens::Scopes;
    use engine::store::{Database, Options};

    use super::*;

    #[tokio::test]
    async fn one_that_was_cut_off_is_not_done_twice() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let once = || Once::new(Answers::on(database.clone()));
        let holder = Holder::of("ada".into(), Scopes::default(), Vec::new());
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("idempotency-key", "one".parse().unwrap());
        let body = Body { bytes: b"{}".to_vec(), headers, path: "/runs/1/rerun".into() };
        let (begun, done) = tokio::sync::oneshot::channel();
        let killed = once();
        let deed = async {
            begun.send(()).unwrap();
            std::future::pending().await
        };
        tokio::select! {
            _ = killed.perform(&holder, &body, deed) => panic!("it never ends"),
            begun = done => begun.unwrap(),
        }
        let deed = async { panic!("it may have been done") };
        let refused = once().perform(&holder, &body, deed).await.unwrap_err();
        assert_eq!(axum::response::IntoResponse::into_response(refused).status(), StatusCode::CONFLICT);
    }
}
