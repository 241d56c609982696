//! One request on its way: which colour, which backend, what if that one cannot be reached.
//!
//! Sent again is only what cannot have had an effect twice: what never reached a connection, by any method; and, once, what
//! an idempotent method (RFC 9110 section 9.2.2) asked on a connection that ended without a byte of an answer. A POST that
//! was sent is never sent again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, Uri, Version, header};

use crate::answers::Refusal;
use crate::backend::{self, Backend};
use crate::body::{Progress, SendBody, Upload};
use crate::headers;
use crate::live::{Client, Live, LiveColour, LiveRoute};
use crate::pick;
use crate::table::Affinity;
use crate::tally::Outcome;
use crate::ticket::Ticket;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// Backends that are tried for one request.
const TRIED_MAX: usize = 6;
/// Connections that turned out to have ended before anything was sent on them, for one request.
const STALE_MAX: usize = 8;

/// A request and who has it.
pub(crate) struct Forward<'worker> {
    pub(crate) worker: &'worker Arc<Worker>,
    live: Arc<Live>,
    route: usize,
    colour: usize,
    method: Method,
    pub(crate) ticket: Ticket,
    tried: Vec<SocketAddr>,
    /// Whose connection ended without a word: it is asked again only where there is nobody else.
    lost: Option<SocketAddr>,
    progress: Arc<Progress>,
}

/// What came of one attempt.
pub(crate) enum Attempt {
    /// The backend answers. Its connection comes along unless somebody else drives it.
    Answered(Response<Incoming>, Option<Upstream>),
    /// There was no connection.
    Unreached(Request<SendBody>, String),
    /// There was one, but nothing was sent on it.
    Unsent(Request<SendBody>),
    /// The request may have been received; whether a byte of an answer came.
    Lost { has_heard: bool },
    /// No answer in time.
    TimedOut,
}

impl<'worker> Forward<'worker> {
    /// Decides who gets a request. `is_test`: it came in where tests come in.
    pub(crate) fn choose<B>(
        worker: &'worker Arc<Worker>,
        request: &Request<B>,
        is_test: bool,
    ) -> Result<Self, Refusal> {
        let begun = Instant::now();
        loop {
            let live = worker.shared.live();
            let route = live.route(request.uri().path()).ok_or(Refusal::NoRoute)?;
            let (colour, is_test) = live.routes[route].colour_of(request.headers(), is_test)?;
            let tally = &live.routes[route].colours[colour].tally;
            if !worker.shared.enter(&live, tally) {
                // Another table stands since a moment.
                continue;
            }
            let ticket = Ticket::of_entered(tally, is_test, begun);
            let (method, progress) = (request.method().clone(), Progress::done());
            return Ok(Self { worker, live, route, colour, method, ticket, tried: Vec::new(), lost: None, progress });
        }
    }

    fn route(&self) -> &LiveRoute {
        &self.live.routes[self.route]
    }

    /// Who has it now.
    pub(crate) fn colour(&self) -> &LiveColour {
        &self.route().colours[self.colour]
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
        headers::forwarded(&mut parts.headers, peer, self.worker.shared.options.trust_forwarded);
        if self.route().strip || parts.uri.authority().is_some() {
            let all = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
            parts.uri = self.route().stripped(all).parse().unwrap_or_else(|_| Uri::from_static("/"));
        }
        parts.version = Version::HTTP_11;
        parts.extensions = hyper::http::Extensions::new();
        let time = self.worker.shared.options.times.idle;
        let body = if body.is_end_stream() {
            SendBody::Whole(None)
        } else if self.method.is_idempotent()
            && body.size_hint().upper().is_some_and(|size| size <= self.worker.shared.options.limits.replay_bytes_max)
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
        let (mut stale, mut is_replayed) = (0, false);
        loop {
            let Some(backend) = self.backend() else {
                self.ticket.record(&self.method, Outcome::Failed);
                return Err(Refusal::Unreached);
            };
            self.ticket.at(&backend);
            let copy = if is_replayed { None } else { copy_of(&request) };
            // What is rare is boxed: hyper moves the whole future of each request once, with all that it could become.
            let attempt = match protocol {
                Some(protocol) => Box::pin(crate::upgrade::attempt(self, &backend, request, protocol)).await,
                None => self.attempt(&backend, request).await,
            };
            request = match (attempt, copy) {
                (Attempt::Answered(answer, upstream), _) => {
                    self.ticket.record(&self.method, Outcome::Answered(answer.status().as_u16()));
                    return Ok((answer, upstream));
                }
                (Attempt::Unreached(request, reason), _) => {
                    self.ticket.connection_error();
                    backend::eject(&self.worker.shared, &backend, &reason);
                    self.tried.push(backend.address);
                    request
                }
                (Attempt::Unsent(request), _) => {
                    stale += 1;
                    if stale >= STALE_MAX {
                        self.tried.push(backend.address);
                    }
                    request
                }
                (Attempt::Lost { .. } | Attempt::TimedOut, _) if self.progress.is_given_up() => {
                    return Err(Refusal::Unfinished);
                }
                (Attempt::Lost { has_heard: false }, Some(copy)) => {
                    self.ticket.connection_error();
                    // Its other connections may have ended too.
                    self.lost = Some(backend.address);
                    is_replayed = true;
                    copy
                }
                (Attempt::Lost { .. }, _) => {
                    self.ticket.connection_error();
                    self.ticket.record(&self.method, Outcome::Failed);
                    return Err(Refusal::Broken);
                }
                (Attempt::TimedOut, _) => {
                    self.ticket.record(&self.method, Outcome::TimedOut);
                    return Err(Refusal::TimedOut);
                }
            };
        }
    }

    /// Who is to be tried next. If nobody of the colour is left, its share goes to another one; if there is none either, those
    /// that could not be reached are tried once more.
    fn backend(&mut self) -> Option<Arc<Backend>> {
        if self.tried.len() >= TRIED_MAX {
            return None;
        }
        let shunned: Vec<_> = self.tried.iter().copied().chain(self.lost.take()).collect();
        if let Some(backend) = self.colour().backend(&shunned, false) {
            return Some(Arc::clone(backend));
        }
        if !self.ticket.is_test()
            && let Some(other) = self.route().instead_of(self.colour)
            && let Some(backend) = self.route().colours[other].backend(&shunned, false)
        {
            let backend = Arc::clone(backend);
            let tally = Arc::clone(&self.route().colours[other].tally);
            self.ticket.divert(&self.method, &tally);
            self.colour = other;
            return Some(backend);
        }
        self.colour().backend(&self.tried, true).map(Arc::clone)
    }

    async fn attempt(&self, backend: &Backend, request: Request<SendBody>) -> Attempt {
        let times = &self.worker.shared.options.times;
        let kept = if self.method.is_idempotent() { times.kept } else { times.kept.min(times.kept_for_unsafe) };
        let mut upstream = match self.worker.pool.take(backend.address, kept) {
            Some(upstream) => upstream,
            None => match Box::pin(Upstream::connect(backend.address, times.connect)).await {
                Ok(upstream) => upstream,
                Err(reason) => return Attempt::Unreached(request, reason),
            },
        };
        upstream.expect(&self.progress);
        match self.in_time(upstream.send(request)).await {
            None => Attempt::TimedOut,
            Some(Ok(answer)) => Attempt::Answered(answer, Some(upstream)),
            Some(Err(mut error)) => match error.take_message() {
                Some(request) => Attempt::Unsent(request),
                None => Attempt::Lost { has_heard: !upstream.is_unheard() },
            },
        }
    }

    /// The time of a backend begins when it has all of the request, or takes no more of it.
    pub(crate) async fn in_time<T>(&self, answering: impl Future<Output = T>) -> Option<T> {
        let mut answering = std::pin::pin!(answering);
        loop {
            let (time, before) = (self.worker.shared.options.times.answer, self.progress.frames());
            if let Ok(answer) = tokio::time::timeout(time, answering.as_mut()).await {
                return Some(answer);
            }
            if self.progress.frames() == before {
                return None;
            }
        }
    }
}

impl LiveRoute {
    /// Index of the colour that a request goes to, and whether it is one of tests.
    fn colour_of(&self, headers: &HeaderMap, is_test: bool) -> Result<(usize, bool), Refusal> {
        if let Some(wanted) = headers.get(headers::COLOUR) {
            let found = self.colours.iter().position(|colour| colour.name.as_bytes() == wanted.as_bytes());
            let index = found.ok_or(Refusal::NoColour)?;
            // Users' door leads to what users may see anyway, and to what is there for tests.
            let may = is_test || self.colours[index].weight > 0 || self.test == Some(index);
            return if may { Ok((index, true)) } else { Err(Refusal::NoColour) };
        }
        if is_test {
            return self.test.map(|index| (index, true)).ok_or(Refusal::NoColour);
        }
        let client: Client = match &self.affinity {
            Affinity::None => None,
            Affinity::Cookie(name) => headers::cookie(headers, name),
            Affinity::Header(name) => headers.get(name).map(HeaderValue::as_bytes),
        }
        .map(|value| pick::number_of(&self.service, value));
        self.pick(client).map(|index| (index, false)).ok_or(Refusal::NoTraffic)
    }
}

/// The same request once more, if it may be sent twice.
fn copy_of(request: &Request<SendBody>) -> Option<Request<SendBody>> {
    let SendBody::Whole(body) = request.body() else { return None };
    if !request.method().is_idempotent() {
        return None;
    }
    let mut copy = Request::new(SendBody::Whole(body.clone()));
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}
