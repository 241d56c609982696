//! The front door: `POST /webhooks/{github,gitea,forgejo,gitlab,push}`.
//!
//! A hook is answered in this order, and nothing is stored or logged of one that is refused:
//!
//! | status | when |
//! |---|---|
//! | 404 | no such forge |
//! | 415 | `Content-Encoding`, or neither JSON nor a form, or not UTF-8 by its charset |
//! | 413, 408 | more than 25 MiB (before anything is kept, if the length is told), slower than 30 s |
//! | 401 | no signature, or none of a registered repository's secret |
//! | 403 | signed with the secret of another repository than the payload names |
//! | 400 | no UTF-8, a BOM, no JSON, a name twice; no event or id; a payload that is not of its event |
//! | 429 | the repository sends too much |
//! | 409 | the id was used for another body |
//! | 200 | a duplicate |
//! | 202 | it is on disk, waiting or ignored for a reason that is told |
//! | 503 | the database takes nothing |
//!
//! Follows <https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks>.

mod body;
mod facts;
mod payload;
mod rate;
mod secrets;
mod signature;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use engine::store::StoreError;
use engine::store::deliveries::{Deliveries, Kept, NewDelivery};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use workflow::event::{Event, EventError, Forge};
use workflow::secret::Secret;

pub use rate::Rate;
pub use secrets::{Hook, HookError, HookSecrets, StoredSecrets};

use crate::Problem;
use body::{Bodies, Media};
use payload::Claim;
use rate::Buckets;
use signature::Proof;

/// Repositories whose secrets are tried, to say that a payload was signed with another one's.
const OTHERS_MAX: usize = 256;
/// Bytes hashed for that; what nobody signed costs little more than the largest body anyway.
const OTHERS_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// How often that is tried, so that knocking without a secret stays cheap.
const OTHERS_RATE: Rate = Rate { per_minute: 600, burst: 1_000 };
/// From this size on a body is worked on apart from those that wait for an answer.
const LARGE_BYTES_MIN: usize = 256 * 1_024;
const NO_FIELD: &str = "the form has no single field `payload`";
/// When to come back while the database takes nothing.
const STORE_PAUSE: Duration = Duration::from_secs(30);

/// Limits of the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontDoorOptions {
    /// For a body, from the end of its head on.
    pub body_time: Duration,
    /// For each repository.
    pub rate: Rate,
}

impl Default for FrontDoorOptions {
    fn default() -> Self {
        Self { body_time: Duration::from_secs(30), rate: Rate::default() }
    }
}

/// Takes hooks. Each one kept wakes [`FrontDoor::arrivals`].
#[derive(Debug)]
pub struct FrontDoor {
    deliveries: Deliveries,
    secrets: Arc<dyn HookSecrets>,
    bodies: Bodies,
    buckets: Buckets,
    others: Buckets,
    arrivals: Arc<Notify>,
}

impl FrontDoor {
    /// A door that keeps what comes in `deliveries`.
    #[must_use]
    pub fn new(deliveries: Deliveries, secrets: Arc<dyn HookSecrets>, options: FrontDoorOptions) -> Self {
        Self {
            deliveries,
            secrets,
            bodies: Bodies::new(options.body_time),
            buckets: Buckets::new(options.rate),
            others: Buckets::new(OTHERS_RATE),
            arrivals: Arc::default(),
        }
    }

    /// Told of each delivery that waits to be looked at.
    #[must_use]
    pub fn arrivals(&self) -> Arc<Notify> {
        Arc::clone(&self.arrivals)
    }

    /// Its route.
    pub fn routes(self) -> Router {
        Router::new().route("/webhooks/{forge}", post(receive)).with_state(Arc::new(self))
    }

    async fn receive(&self, forge: Forge, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
        let media = body::media(headers)?;
        let proof = Proof::read(forge, headers);
        let raw = self.bodies.read(headers, body, proof.is_some()).await?;
        let proof = proof.ok_or_else(unsigned)?;
        let bytes = raw.bytes.clone();
        let (text, claim) = apart(raw.bytes.len(), move || claimed(forge, media, bytes)).await;
        let hook = self.signer(forge, proof, &claim, &raw.bytes).await?;
        let text = text.ok_or_else(|| unreadable(NO_FIELD))?;
        let (bytes, payload) = (raw.bytes.clone(), text.clone());
        let read = move || (payload::parse(&payload), <[u8; 32]>::from(Sha256::digest(&bytes)));
        let (json, digest) = apart(raw.bytes.len(), read).await;
        let json = json.map_err(|reason| unreadable(&reason))?;
        let (event, guid) = facts::event_and_id(forge, headers, &digest)?;
        let ignored = ignored_for(Event::from_forge(forge, &event, json), &event, &hook)?;
        self.buckets.take(forge, &hook.repository, Instant::now()).map_err(|wait| {
            let detail = format!("{} sends too much", hook.repository);
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", detail).retry_after(wait)
        })?;
        let delivery = NewDelivery {
            guid,
            forge,
            event,
            repository: hook.repository.clone(),
            received_at: jiff::Timestamp::now(),
            sha256: digest,
            headers: facts::kept(headers),
            body: text.into(),
            ignored: ignored.clone(),
        };
        let kept = self.deliveries.keep(delivery).await.map_err(|error| not_kept(&error))?;
        if matches!(kept, Kept::New { .. }) && ignored.is_none() {
            self.arrivals.notify_one();
        }
        answer(kept, ignored)
    }

    /// The repository that the request is by.
    async fn signer(&self, forge: Forge, proof: Proof, claim: &Claim, body: &Bytes) -> Result<Arc<Hook>, Problem> {
        let named = match claim {
            Claim::Repository(name) => self.secrets.find(forge, name).await.map_err(|error| no_secrets(&error))?,
            Claim::Nothing | Claim::Unreadable(_) => None,
        };
        // A name that is not registered costs the same time as one that is.
        let secret = named.as_ref().map_or_else(|| Secret::new("no repository"), |hook| hook.secret.clone());
        let (proof, whole) = (Arc::new(proof), body.clone());
        let is_by = Arc::clone(&proof);
        let is_by = apart(body.len(), move || is_by.is_by(&secret, &whole)).await;
        if let Some(hook) = named
            && is_by
        {
            return Ok(hook);
        }
        let count = OTHERS_MAX.min(OTHERS_BYTES_MAX / body.len().max(1_024));
        self.others.take(forge, "", Instant::now()).map_err(|_| unsigned())?;
        let others = self.secrets.some(forge, count).await.map_err(|error| no_secrets(&error))?;
        let other = others.into_iter().find(|hook| proof.is_by(&hook.secret, body)).ok_or_else(unsigned)?;
        match claim {
            Claim::Repository(_) => {
                let detail =
                    format!("this is signed with the secret of {}, but is about another repository", other.repository);
                Err(Problem::new(StatusCode::FORBIDDEN, "repository", detail))
            }
            Claim::Nothing => Ok(other),
            Claim::Unreadable(reason) => Err(unreadable(reason)),
        }
    }
}

/// The payload's text, and what it says it is about. A form that cannot be read is like JSON that cannot: only who
/// signed it hears why.
fn claimed(forge: Forge, media: Media, bytes: Bytes) -> (Option<Bytes>, Claim) {
    let text = match media {
        Media::Json => Some(bytes),
        Media::Form => body::form_payload(&bytes).map(Bytes::from),
    };
    let claim =
        text.as_ref().map_or_else(|| Claim::Unreadable(NO_FIELD.to_owned()), |text| payload::claim(forge, text));
    (text, claim)
}

/// Work on a body: at once, or where it holds up nobody if the body is large.
async fn apart<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < LARGE_BYTES_MIN {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn receive(
    State(door): State<Arc<FrontDoor>>,
    Path(forge): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let forge = Forge::parse(&forge).ok_or_else(|| {
        let known = Forge::ALL.map(Forge::as_str).join(", ");
        Problem::new(StatusCode::NOT_FOUND, "forge", format!("hooks are taken from {known}"))
    })?;
    let began = Instant::now();
    let result = door.receive(forge, &headers, body).await;
    let word = match &result {
        Ok(response) if response.status() == StatusCode::ACCEPTED => "kept",
        Ok(_) => "duplicate",
        Err(problem) if problem.status().is_server_error() => "failed",
        Err(_) => "refused",
    };
    engine::metrics::metrics().webhook(forge.as_str(), word, began.elapsed());
    if let Err(problem) = &result {
        tracing::warn!(%forge, status = problem.status().as_u16(), problem = problem.kind(), "hook refused");
    }
    result
}

/// Why nothing will come of it, or that it is not what it says.
fn ignored_for(event: Result<Event, EventError>, name: &str, hook: &Hook) -> Result<Option<String>, Problem> {
    match event {
        Ok(event) if event.repository.full_name.eq_ignore_ascii_case(&hook.repository) => Ok(None),
        Ok(_) => Err(Problem::new(StatusCode::FORBIDDEN, "repository", "the payload is about another repository")),
        Err(error @ EventError::NoWorkflowEvent(_)) => Ok(Some(error.to_string())),
        Err(error @ (EventError::NotAnObject(_) | EventError::Missing { .. } | EventError::Unusable { .. })) => {
            tracing::debug!(%error, event = name, "not of its event");
            Err(Problem::new(StatusCode::BAD_REQUEST, "event", error.to_string()))
        }
    }
}

fn answer(kept: Kept, ignored: Option<String>) -> Result<Response, Problem> {
    let (status, body) = match (kept, ignored) {
        (Kept::New { number }, None) => {
            (StatusCode::ACCEPTED, serde_json::json!({ "status": "accepted", "delivery": number }))
        }
        (Kept::New { number }, Some(reason)) => {
            (StatusCode::ACCEPTED, serde_json::json!({ "status": "ignored", "delivery": number, "reason": reason }))
        }
        (Kept::Duplicate { number }, _) => {
            (StatusCode::OK, serde_json::json!({ "status": "duplicate", "delivery": number }))
        }
        (Kept::Conflict, _) => {
            return Err(Problem::new(StatusCode::CONFLICT, "id", "this delivery id was used for another body"));
        }
    };
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((status, json, body.to_string()).into_response())
}

/// One text for all ways of not being signed, so that it does not tell which repositories there are.
fn unsigned() -> Problem {
    let detail = "the signature is missing, or is by no secret of a registered repository";
    Problem::new(StatusCode::UNAUTHORIZED, "signature", detail)
}

fn unreadable(reason: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "payload", format!("the payload cannot be read: {reason}"))
}

fn no_secrets(error: &HookError) -> Problem {
    tracing::error!(%error, "secrets of hooks cannot be read");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store", "nothing can be checked now").retry_after(STORE_PAUSE)
}

fn not_kept(error: &StoreError) -> Problem {
    tracing::error!(%error, "a delivery cannot be kept");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store", "nothing can be kept now").retry_after(STORE_PAUSE)
}
