//! A request on its way through hyper: what the backend gets of it, and how it is sent until somebody answers.
//!
//! Plain requests go another way (`plain`). Whom to ask, and whether again, is decided in one place for both (`way`).

use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderValue;
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, Uri, Version, header};

use crate::answers::Refusal;
use crate::attempt::{Attempt, One};
use crate::headers;
use crate::sending::{Progress, SendBody, Upload};
use crate::upstream::Upstream;
use crate::way::{Asked, Way};
use crate::worker::Worker;

/// A request and who has it.
pub(crate) struct Forward<'worker> {
    pub(crate) way: Way<'worker>,
    progress: Arc<Progress>,
}

impl<'worker> Forward<'worker> {
    /// Decides who gets a request. `is_test`: it came in where tests come in.
    pub(crate) fn choose<B>(
        worker: &'worker Arc<Worker>,
        request: &Request<B>,
        is_test: bool,
    ) -> Result<Self, Refusal> {
        Ok(Self { way: Way::choose(worker, request, is_test)?, progress: Progress::done() })
    }

    /// Whether all of the request has been sent.
    pub(crate) fn is_whole(&self) -> bool {
        self.progress.is_sent()
    }

    /// The request as the backend gets it.
    pub(crate) async fn prepare(
        &mut self,
        request: Request<Incoming>,
        peer: &HeaderValue,
    ) -> Result<Request<SendBody>, Refusal> {
        let (mut parts, body) = request.into_parts();
        if parts.version == Version::HTTP_2 {
            headers::join_cookies(&mut parts.headers);
        }
        if let Some(authority) = parts.uri.authority()
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            parts.headers.insert(header::HOST, host);
        }
        parts.headers.entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
        headers::take_out_hops(&mut parts.headers);
        // The body is asked for already: whoever waits for a word before sending it gets that from here.
        parts.headers.remove(header::EXPECT);
        headers::forwarded(&mut parts.headers, peer, self.way.worker.shared.options.trust_forwarded);
        if self.way.route().strip || parts.uri.authority().is_some() {
            let all = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
            parts.uri = self.way.route().stripped(all).parse().unwrap_or_else(|_| Uri::from_static("/"));
        }
        parts.version = Version::HTTP_11;
        parts.extensions = hyper::http::Extensions::new();
        let time = self.way.worker.shared.options.times.idle;
        let body = if body.is_end_stream() {
            SendBody::Whole(None)
        } else if self.way.method.is_idempotent()
            && body
                .size_hint()
                .upper()
                .is_some_and(|size| size <= self.way.worker.shared.options.limits.replay_bytes_max)
        {
            let collected = Box::pin(tokio::time::timeout(time, body.collect())).await;
            SendBody::Whole(Some(collected.ok().and_then(Result::ok).ok_or(Refusal::Unfinished)?.to_bytes()))
        } else {
            self.progress = Arc::new(Progress::default());
            SendBody::Through(Upload::new(body, &self.progress, time))
        };
        Ok(Request::from_parts(parts, body))
    }

    /// Sends it until somebody answers. `protocol`: it wants to go on with another one.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<SendBody>,
        protocol: Option<&HeaderValue>,
    ) -> Result<(Response<Incoming>, Option<Upstream>), Refusal> {
        loop {
            let backend = self.way.next()?;
            let copy = if self.way.may_be_sent_twice() { copy_of(&request) } else { None };
            // What is rare is boxed: hyper moves the whole future of each request once, with all that it could become.
            let one = One { worker: self.way.worker, kept: self.way.kept(), progress: &self.progress };
            let attempt = match protocol {
                Some(protocol) => Box::pin(one.with_protocol(&backend, request, protocol)).await,
                None => one.send(&backend, request).await,
            };
            request = match attempt {
                Attempt::Answered(answer, upstream) => {
                    self.way.answered(answer.status().as_u16());
                    return Ok((answer, upstream));
                }
                Attempt::Unreached(request, reason) => {
                    self.way.unreached(&backend, &reason);
                    request
                }
                Attempt::Unsent(request) => {
                    self.way.unsent(&backend);
                    request
                }
                Attempt::Lost { .. } | Attempt::TimedOut if self.progress.is_given_up() => {
                    return Err(Refusal::Unfinished);
                }
                Attempt::Lost { has_heard } => {
                    self.way.lost(&backend, !has_heard && copy.is_some())?;
                    copy.ok_or(Refusal::Broken)?
                }
                Attempt::TimedOut => return Err(self.way.timed_out()),
            };
        }
    }
}

impl<B> Asked for Request<B> {
    fn method(&self) -> &Method {
        self.method()
    }

    fn path(&self) -> &str {
        self.uri().path()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().get(name).map(HeaderValue::as_bytes)
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        headers::cookie(self.headers(), name)
    }
}

/// The same request once more, if all of it is there.
fn copy_of(request: &Request<SendBody>) -> Option<Request<SendBody>> {
    let SendBody::Whole(body) = request.body() else { return None };
    let mut copy = Request::new(SendBody::Whole(body.clone()));
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}
