//! The accept loop: how many may come in, how long they may take, and how it ends.
//!
//! `axum::serve` has no time limits at all, so connections are accepted and served here, on hyper. HTTP/1.1 and HTTP/2
//! (by prior knowledge) on one port. TLS is a proxy's. What the routes do is not known here.
//! Follows <https://hyper.rs/guides/1/server/graceful-shutdown/>.

mod places;
mod request;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::{Bytes, BytesMut};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use proxy::guard::{Facts, Limits, Watched};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use places::Network;
pub use request::{ClientAddress, RequestId};

use places::{Full, Places};
use request::Requests;

/// First bytes of HTTP/2.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Head of a request, all headers together.
const HEAD_BYTES_MAX: usize = 32 * 1_024;
/// Headers of a request.
const HEADERS_MAX: usize = 100;
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// Resets that a peer may have outstanding before the connection is ended (rapid reset).
const RESETS_MAX: usize = 20;
/// How long to wait when no connection can be accepted, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of the server. The default is what SECURITY asks for.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// For the head of a request, from its first byte on; and for the first byte of a connection.
    pub head_time: Duration,
    /// For silence between requests, or of a client that does not read.
    pub idle_time: Duration,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections from one address (one /64 of IPv6).
    pub connections_each_max: usize,
    /// Proxies whose `X-Forwarded-For` is believed and whose connections are not counted by address.
    pub trusted_proxies: Vec<Network>,
    /// How long open requests get once the server is told to stop.
    pub drain_time: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(60),
            // A thousand people may follow a run, and hooks still come in.
            connections_max: 2_000,
            connections_each_max: 50,
            trusted_proxies: Vec::new(),
            drain_time: Duration::from_secs(10),
        }
    }
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy at the deadline and were cut.
    pub cut: usize,
}

/// Serves routes on a listener.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    requests: Requests,
}

#[derive(Debug)]
struct Connections {
    server: Server,
    places: Arc<Places>,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Server {
    /// A server of these routes.
    #[must_use]
    pub fn new(router: Router, options: ServerOptions) -> Self {
        let requests = Requests::new(router, options.trusted_proxies.clone());
        Self { options, requests }
    }

    /// Serves until `stop`, then lets open requests end within the drain time.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Drained {
        let drain_time = self.options.drain_time;
        let places = Places::new(self.options.connections_max, self.options.connections_each_max);
        let cut = CancellationToken::new();
        let connections = Arc::new(Connections { server: self, places, stop: stop.clone(), cut: cut.clone() });
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => connections.accept(&tasks, stream, peer),
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        tasks.close();
        if tokio::time::timeout(drain_time, tasks.wait()).await.is_ok() {
            return Drained { cut: 0 };
        }
        let left = tasks.len();
        cut.cancel();
        tasks.wait().await;
        Drained { cut: left }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

impl Connections {
    fn accept(self: &Arc<Self>, tasks: &TaskTracker, stream: TcpStream, peer: SocketAddr) {
        let address = peer.ip().to_canonical();
        let is_proxy = self.server.requests.is_proxy(address);
        let place = match self.places.take(address, !is_proxy) {
            Ok(place) => place,
            Err(full) => return refuse(&stream, peer, full),
        };
        let this = Arc::clone(self);
        tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                ended = this.converse(stream, peer) => {
                    // Clients go away in many ways; none of them is news.
                    if let Err(error) = ended { tracing::debug!(%peer, %error, "connection ended"); }
                }
                () = this.cut.cancelled() => tracing::warn!(%peer, "connection cut: the time to stop is over"),
            }
        });
    }

    async fn converse(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // Answers are small; waiting to fill a packet only costs time.
        stream.set_nodelay(true)?;
        let options = &self.server.options;
        let sniffed = tokio::select! {
            sniffed = tokio::time::timeout(options.head_time, sniff(&mut stream)) => sniffed,
            () = self.stop.cancelled() => return Ok(()),
        };
        let (first, is_http2) = sniffed.map_err(|_| "nothing was asked")??;
        let facts = Arc::new(Facts::default());
        let limits = Limits { head: options.head_time, idle: options.idle_time };
        let io = TokioIo::new(Watched::new(stream, first, is_http2, &facts, limits));
        let service = self.server.requests.of(peer, facts);
        if is_http2 {
            let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_pending_accept_reset_streams(RESETS_MAX)
                .max_header_list_size(HEAD_BYTES_MAX as u32)
                .keep_alive_interval(options.idle_time / 3)
                .keep_alive_timeout(options.head_time);
            let mut connection = std::pin::pin!(http.serve_connection(io, service));
            tokio::select! {
                ended = connection.as_mut() => return Ok(ended?),
                () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            Ok(connection.await?)
        } else {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(None)
                .max_headers(HEADERS_MAX)
                .max_header_size(HEAD_BYTES_MAX)
                .max_buf_size(2 * HEAD_BYTES_MAX);
            let mut connection = std::pin::pin!(http.serve_connection(io, service));
            tokio::select! {
                ended = connection.as_mut() => return Ok(ended?),
                () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            Ok(connection.await?)
        }
    }
}

/// Reads until it is known which protocol it is.
async fn sniff(stream: &mut TcpStream) -> io::Result<(Bytes, bool)> {
    let mut first = BytesMut::with_capacity(HTTP2_PREFACE.len());
    while HTTP2_PREFACE.starts_with(&first) && first.len() < HTTP2_PREFACE.len() {
        // Never more than is looked at: the capacity is that of the preface.
        let room = HTTP2_PREFACE.len() - first.len();
        if stream.take(room as u64).read_buf(&mut first).await? == 0 {
            break;
        }
    }
    let is_http2 = first == HTTP2_PREFACE;
    Ok((first.freeze(), is_http2))
}

/// As many bytes as fit, without waiting for somebody who may be there to make us wait.
fn refuse(stream: &TcpStream, peer: SocketAddr, full: Full) {
    let (answer, reason) = match full {
        Full::ByAll => ("HTTP/1.1 503 Service Unavailable", "too many connections"),
        Full::ByThisAddress => ("HTTP/1.1 429 Too Many Requests", "too many connections from this address"),
    };
    tracing::warn!(%peer, reason, "connection refused");
    let answer = format!("{answer}\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    if let Err(error) = stream.try_write(answer.as_bytes()) {
        tracing::debug!(%peer, %error, "nobody listens to the refusal");
    }
}
