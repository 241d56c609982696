//! A request is sent to a backend once, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::backend::Backend;
use crate::sending::{Progress, SendBody};
use crate::upstream::{self, Upstream};
use crate::worker::Worker;

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

/// What is known of the request.
pub(crate) struct One<'all> {
    pub(crate) worker: &'all Worker,
    /// Connections that were idle for longer are not used.
    pub(crate) kept: Duration,
    /// How far its body is.
    pub(crate) progress: &'all Arc<Progress>,
}

impl One<'_> {
    /// On a connection that waits, or a new one.
    pub(crate) async fn send(&self, backend: &Backend, request: Request<SendBody>) -> Attempt {
        let connect = self.worker.shared.options.times.connect;
        let mut upstream = match self.worker.pool.take(backend.address, self.kept) {
            Some(upstream) => upstream,
            None => match Box::pin(Upstream::connect(backend.address, connect)).await {
                Ok(upstream) => upstream,
                Err(reason) => return Attempt::Unreached(request, reason),
            },
        };
        upstream.expect(self.progress);
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
    async fn in_time<T>(&self, answering: impl Future<Output = T>) -> Option<T> {
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

    /// Asks a backend for another protocol, on a connection of its own.
    pub(crate) async fn with_protocol(
        &self,
        backend: &Backend,
        mut request: Request<SendBody>,
        protocol: &HeaderValue,
    ) -> Attempt {
        let shared = &self.worker.shared;
        let stream = match upstream::connect(backend.address, shared.options.times.connect).await {
            Ok(stream) => stream,
            Err(reason) => return Attempt::Unreached(request, reason),
        };
        let (mut sender, connection) = match upstream::http().handshake(TokioIo::new(stream)).await {
            Ok(made) => made,
            Err(error) => return Attempt::Unreached(request, error.to_string()),
        };
        let all = Arc::clone(shared);
        shared.tasks.spawn(async move {
            tokio::select! {
                ended = connection.with_upgrades() => {
                    if let Err(error) = ended { tracing::debug!(%error, "connection to a backend ended"); }
                }
                () = all.cut.rung() => {}
            }
        });
        request.headers_mut().insert(header::UPGRADE, protocol.clone());
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        match self.in_time(sender.try_send_request(request)).await {
            None => Attempt::TimedOut,
            Some(Ok(answer)) => Attempt::Answered(answer, None),
            Some(Err(mut error)) => match error.take_message() {
                Some(request) => Attempt::Unsent(request),
                None => Attempt::Lost { has_heard: true },
            },
        }
    }
}
