//! The control socket: HTTP/1.1 for one user of this machine. Its routes are those of [`crate::client::Client`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::client::{About, Drained};
use crate::metrics;
use crate::shared::{Refused, Shared};
use crate::table::Table;

/// The longest table that is read.
const TABLE_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// The longest that anybody may wait for something.
const WAIT_MAX: Duration = Duration::from_hours(1);
/// For the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// For what was asked in the last moment.
const LAST_TIME: Duration = Duration::from_secs(1);

type Answer = Response<Full<Bytes>>;

/// Serves until `end`; whoever waits then is told to ask again.
pub(crate) async fn serve(shared: Arc<Shared>, listener: UnixListener, about: About, end: CancellationToken) {
    let connections = tokio_util::task::TaskTracker::new();
    let about = Arc::new(about);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.cancelled() => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let conversation = converse(Arc::clone(&shared), stream, Arc::clone(&about), end.clone());
        connections.spawn(conversation);
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn converse(shared: Arc<Shared>, stream: UnixStream, about: Arc<About>, end: CancellationToken) {
    let service = service_fn(|request| {
        let (shared, about, end) = (Arc::clone(&shared), Arc::clone(&about), end.clone());
        async move {
            // Who waits for something asks the successor for it.
            let waits = matches!(request.uri().path(), "/drained" | "/events");
            let answered = tokio::select! {
                biased;
                answered = answer(&shared, &about, request) => answered,
                () = end.cancelled(), if waits => handed_over(),
            };
            Ok::<_, Infallible>(answered)
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended { tracing::debug!(%error, "control connection ended"); }
            return;
        }
        () = end.cancelled() => {}
    }
    // What was asked in the last moment is still answered: whoever asks closes its connection then.
    let _late = tokio::time::timeout(LAST_TIME, connection).await;
}

async fn answer(shared: &Arc<Shared>, about: &About, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/about") => json(
            StatusCode::OK,
            &json!(About { generation: shared.generation(), process: shared.process(), ..about.clone() }),
        ),
        (&Method::GET, "/table") => {
            let live = shared.live();
            let mut answer = json(StatusCode::OK, &json!(live.table));
            if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", live.table.generation)) {
                answer.headers_mut().insert(header::ETAG, tag);
            }
            answer
        }
        (&Method::PUT, "/table") => replace(shared, request).await,
        (&Method::GET, "/stats") => json(StatusCode::OK, &json!(shared.stats())),
        (&Method::GET, "/metrics") => {
            let mut answer = Response::new(Full::new(Bytes::from(metrics::text(&shared.stats()))));
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            answer
        }
        (&Method::GET, "/events") => {
            let (after, wait) = (number(&request, "after"), number(&request, "wait-ms"));
            let events = shared.events.after(after);
            let waiting = Duration::from_millis(wait).min(WAIT_MAX);
            let events = if events.is_empty() && wait > 0 {
                tokio::time::timeout(waiting, shared.events.wait_after(after)).await.unwrap_or_default()
            } else {
                events
            };
            json(StatusCode::OK, &json!({ "events": events }))
        }
        (&Method::GET, "/drained") => drained(shared, &request).await,
        (_, "/about" | "/table" | "/stats" | "/metrics" | "/events" | "/drained") => {
            trouble(StatusCode::METHOD_NOT_ALLOWED, "this method is not for this path")
        }
        _ => trouble(StatusCode::NOT_FOUND, "there is no such path"),
    }
}

async fn replace(shared: &Shared, request: Request<Incoming>) -> Answer {
    let tag = request.headers().get(header::IF_MATCH).and_then(|tag| tag.to_str().ok());
    let expected = tag.and_then(|tag| tag.trim().trim_matches('"').parse::<u64>().ok());
    let Some(expected) = expected else {
        return trouble(StatusCode::PRECONDITION_REQUIRED, "If-Match says which generation is to be replaced");
    };
    let body = match Limited::new(request.into_body(), TABLE_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return trouble(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()),
    };
    let table: Table = match serde_json::from_slice(&body) {
        Ok(table) => table,
        Err(error) => return trouble(StatusCode::BAD_REQUEST, &format!("the table is not understood: {error}")),
    };
    match shared.replace(expected, table).await {
        Ok(generation) => json(StatusCode::OK, &json!({ "generation": generation })),
        Err(Refused::Conflict(current)) => {
            json(StatusCode::PRECONDITION_FAILED, &json!({ "generation": current, "error": "another table stands" }))
        }
        Err(Refused::Mistakes(mistakes)) => trouble(StatusCode::UNPROCESSABLE_ENTITY, &mistakes.join("; ")),
        Err(Refused::Disk(error)) => {
            let text = format!("it cannot be written, so the old one stands: {error}");
            trouble(StatusCode::INSUFFICIENT_STORAGE, &text)
        }
        Err(Refused::HandedOver) => handed_over(),
    }
}

fn handed_over() -> Answer {
    trouble(StatusCode::SERVICE_UNAVAILABLE, "this process ends or hands over to another one: ask again")
}

async fn drained(shared: &Shared, request: &Request<Incoming>) -> Answer {
    let (Some(service), Some(revision)) = (parameter(request, "service"), parameter(request, "revision")) else {
        return trouble(StatusCode::BAD_REQUEST, "service and revision are needed");
    };
    let Some(tally) = shared.tally(&service, &revision) else {
        return json(StatusCode::OK, &json!(Drained { in_flight: 0 }));
    };
    let wait = Duration::from_millis(number(request, "timeout-ms")).min(WAIT_MAX);
    let both = async {
        // A process that has handed over may still answer some of its requests.
        shared.elder_gone().await;
        tally.drained().await;
    };
    let is_over = tokio::time::timeout(wait, both).await.is_ok();
    let in_flight = if is_over { 0 } else { tally.in_flight().max(1) };
    json(StatusCode::OK, &json!(Drained { in_flight }))
}

fn parameter(request: &Request<Incoming>, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// 0 if it is not there, or no number.
fn number(request: &Request<Incoming>, name: &str) -> u64 {
    parameter(request, name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn json(status: StatusCode, value: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(value.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn trouble(status: StatusCode, text: &str) -> Answer {
    json(status, &json!({ "error": text }))
}
