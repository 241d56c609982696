//! `GET /runs/{id}/events`: a run as server-sent events, from its beginning or from a place on, until it is over.
//!
//! Each event is an object of the wire (docs/events.md) with the place behind it as its id, so that `Last-Event-ID`
//! goes on without a gap. After the last one comes an event named `end`.
//! Follows <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use engine::store::RunId;
use serde::Deserialize;

use super::answer::{Path, Query, bad};
use super::follow::{Place, Wanted};
use super::logs::key_of;
use super::runs::visible;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct What {
    /// Whether lines of logs come too.
    #[serde(default = "yes")]
    logs: bool,
    /// Only this job's lines.
    job: Option<String>,
    /// As `Last-Event-ID`, for who cannot set headers.
    after: Option<String>,
}

const fn yes() -> bool {
    true
}

pub(crate) async fn stream(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    Query(what): Query<What>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&shared, &allowed, RunId(id)).await?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned).or(what.after);
    let place = match last.as_deref() {
        None | Some("") => None,
        Some(text) => {
            Some(Place::parse(text).ok_or_else(|| bad("query", "`Last-Event-ID` is none of ours".to_owned()))?)
        }
    };
    let job = match what.job {
        None => None,
        Some(text) => Some(key_of(&text).ok_or_else(|| bad("query", "`job` is no key of a job".to_owned()))?),
    };
    let wanted = Wanted { logs: what.logs, job };
    let Some(stream) = shared.follow.stream(run, place, wanted) else {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "streams", "too many clients follow runs");
        return Err(problem.retry_after(std::time::Duration::from_secs(10)));
    };
    let mut response = Body::from_stream(stream).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}
