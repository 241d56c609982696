//! Pages that follow what happens: a stream of parts of a page, each sent only when it differs from what was sent.
//!
//! `hx-sse` of htmx puts them in place; a browser without scripts loads the page again.
//! Follows <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::Problem;
use crate::site::Site;

/// A silent stream says that it lives. A page that hears nothing for much longer takes the server for lost (`streams.js`).
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// How it says so: an event, since scripts of pages do not see comments.
pub(crate) const ALIVE: &str = "event: alive\ndata: alive\n\n";

/// What was sent of a page so far, by digest.
#[derive(Debug, Default)]
pub(crate) struct Parts(HashMap<String, [u8; 32]>);

impl Parts {
    /// The page has this part already.
    pub(crate) fn has(&mut self, target: &str, html: &str) {
        self.0.insert(target.to_owned(), Sha256::digest(html.as_bytes()).into());
    }

    /// Those that differ, for htmx: each says where it belongs, and what stays is left alone.
    pub(crate) fn changed<Target: Into<String>>(
        &mut self,
        parts: impl IntoIterator<Item = (Target, String)>,
    ) -> String {
        let mut changed = String::new();
        for (target, html) in parts {
            let (target, digest) = (target.into(), Sha256::digest(html.as_bytes()).into());
            if self.0.get(&target) != Some(&digest) {
                changed.push_str("<hx-partial hx-target=\"");
                changed.push_str(&target);
                changed.push_str("\" hx-swap=\"outerMorph\">");
                changed.push_str(&html);
                changed.push_str("</hx-partial>");
                self.0.insert(target, digest);
            }
        }
        changed
    }
}

/// Short for a part, so that a page can say which form of it it has.
pub(crate) fn mark(html: &str) -> String {
    Sha256::digest(html.as_bytes())[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A place among those who follow. Browsers say where a request comes from; another site gets no stream (U09).
///
/// # Errors
/// It comes from another site, or too many follow.
pub(crate) fn place(site: &Site, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, Problem> {
    let origin = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if origin.is_some_and(|origin| origin != b"same-origin") {
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin", "streams are for pages of this server"));
    }
    let full = || {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "streams", "too many clients follow runs")
            .retry_after(Duration::from_secs(10))
    };
    site.follow.place().ok_or_else(full)
}

/// Somebody's look at a page that changes.
pub(crate) trait Watch: Send + 'static {
    /// Waits until there may be something new; false: never again. It may be dropped meanwhile and asked again.
    fn wait(&mut self) -> impl Future<Output = bool> + Send;

    /// What to send, possibly nothing, and whether that is the last.
    fn look(&mut self) -> impl Future<Output = Result<(String, bool), Problem>> + Send;
}

/// Asks again and again until the last part, or until the server ends.
pub(crate) fn stream(place: OwnedSemaphorePermit, watch: impl Watch, stop: CancellationToken) -> Response {
    let begin = (watch, place, stop, false);
    let bytes = futures_util::stream::unfold(begin, |(mut watch, place, stop, mut is_over)| async move {
        if is_over {
            return None;
        }
        let text = loop {
            let waited = tokio::select! {
                waited = tokio::time::timeout(HEARTBEAT, watch.wait()) => waited,
                () = stop.cancelled() => return None,
            };
            match waited {
                Err(_) => break ALIVE.to_owned(),
                Ok(false) => return None,
                Ok(true) => {}
            }
            match watch.look().await {
                Err(_) => return None,
                Ok((html, false)) if html.is_empty() => {}
                Ok((html, last)) => {
                    is_over = last;
                    let end = if last { "event: end\ndata: end\n\n" } else { "" };
                    break format!("{}{end}", event(&html));
                }
            }
        };
        let item: Result<Bytes, std::convert::Infallible> = Ok(text.into());
        Some((item, (watch, place, stop, is_over)))
    });
    as_stream(Body::from_stream(bytes))
}

/// Whether a page comes back to a stream of which it has had an event, so that it may have more than its address says.
pub(crate) fn is_again(headers: &HeaderMap) -> bool {
    headers.get("last-event-id").is_some_and(|id| !id.is_empty())
}

/// An event without a name. It has an id, so that a page says that it had one.
pub(crate) fn event(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut event = String::with_capacity(text.len() + 64);
    event.push_str("id: 1\n");
    for line in text.lines() {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

pub(crate) fn as_stream(body: Body) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
