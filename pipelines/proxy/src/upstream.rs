//! Connections to backends: driven by whoever uses them, kept for the next request, looked at before they are used again.
//!
//! hyper's connections are usually driven by a task of their own, which costs two hops between tasks for each request.
//! Here the request's own task drives its connection, so an idle one is driven by nobody; what happened to it meanwhile is
//! found out when it is taken.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::guard::{Tap, Tapped};
use crate::headers;
use crate::nested::Nested;
use crate::pool::{self, Kept};
use crate::sending::{Progress, SendBody};

/// Head of an answer.
const HEAD_BYTES_MAX: usize = 256 * 1_024;

/// Whether anything was read.
#[derive(Debug)]
struct Heard(Arc<AtomicBool>);

impl Tap for Heard {
    fn saw(&mut self, _bytes: &[u8]) {
        self.0.store(true, Ordering::Release);
    }
}

type Driven = Connection<TokioIo<Tapped<TcpStream, Heard>>, SendBody>;

/// A connection to a backend, with at most one request on it.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    sender: SendRequest<SendBody>,
    /// `None` once it has ended.
    connection: Option<Pin<Box<Driven>>>,
    nested: Nested,
    has_heard: Arc<AtomicBool>,
    idle_since: Instant,
    /// The backend's own word for how long it keeps an idle connection.
    keep_alive: Option<Duration>,
    /// How far the body of its request is.
    progress: Arc<Progress>,
}

/// A connection, not yet made one of requests.
pub(crate) async fn connect(address: SocketAddr, time: Duration) -> Result<TcpStream, String> {
    let connected = tokio::time::timeout(time, TcpStream::connect(address)).await;
    let stream = connected.map_err(|_| format!("no connection within {} ms", time.as_millis()))?;
    let stream = stream.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// How requests are written to it.
pub(crate) fn http() -> Builder {
    let mut http = Builder::new();
    // As in front: hyper's hundred headers, one piece.
    http.writev(false).max_header_size(HEAD_BYTES_MAX).max_buf_size(2 * HEAD_BYTES_MAX);
    http
}

impl Upstream {
    /// A new connection.
    pub(crate) async fn connect(address: SocketAddr, time: Duration) -> Result<Self, String> {
        let stream = connect(address, time).await?;
        let has_heard = Arc::new(AtomicBool::new(false));
        let heard = Tapped::with(stream, Bytes::new(), Heard(Arc::clone(&has_heard)));
        let made = http().handshake(TokioIo::new(heard)).await;
        let (sender, connection) = made.map_err(|error| error.to_string())?;
        let connection = Some(Box::pin(connection));
        let idle_since = Instant::now();
        let progress = Progress::done();
        Ok(Self {
            address,
            sender,
            connection,
            nested: Nested::new(),
            has_heard,
            idle_since,
            keep_alive: None,
            progress,
        })
    }

    /// Whether nothing of an answer has come.
    pub(crate) fn is_unheard(&self) -> bool {
        !self.has_heard.load(Ordering::Acquire)
    }

    /// What tells how far the body of the next request is.
    pub(crate) fn expect(&mut self, progress: &Arc<Progress>) {
        self.progress = Arc::clone(progress);
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else { return };
        if self.nested.poll(context, |context| connection.as_mut().poll(context)).is_ready() {
            self.connection = None;
        }
    }

    /// Drives it until there is a piece of its answer's body.
    pub(crate) fn drive_for(
        &mut self,
        context: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let (connection, nested) = (&mut self.connection, &self.nested);
        nested.poll(context, |context| {
            if let Some(driven) = connection
                && driven.as_mut().poll(context).is_ready()
            {
                *connection = None;
            }
            Pin::new(&mut *body).poll_frame(context)
        })
    }

    /// Sends a request and waits until its answer begins. The request comes back if nothing of it was sent.
    pub(crate) async fn send(
        &mut self,
        request: Request<SendBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<SendBody>>> {
        self.has_heard.store(false, Ordering::Release);
        let mut sent = pin!(self.sender.try_send_request(request));
        let (connection, nested) = (&mut self.connection, &self.nested);
        let answer = std::future::poll_fn(|context| {
            nested.poll(context, |context| {
                if let Some(driven) = connection
                    && driven.as_mut().poll(context).is_ready()
                {
                    *connection = None;
                }
                sent.as_mut().poll(context)
            })
        })
        .await?;
        self.keep_alive = keep_alive(&answer);
        Ok(answer)
    }
}

fn keep_alive(answer: &Response<Incoming>) -> Option<Duration> {
    headers::keep_alive(answer.headers().get("keep-alive")?.to_str().ok()?)
}

impl Kept for Upstream {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn is_usable(&mut self, kept: Duration) -> bool {
        if !pool::is_fresh(self.idle_since, self.keep_alive, kept) {
            return false;
        }
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    fn rest(&mut self) -> bool {
        self.idle_since = Instant::now();
        // One whose answer came before its request was sent cannot be used again.
        self.connection.is_some() && !self.sender.is_closed() && self.progress.is_sent()
    }
}
