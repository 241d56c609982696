//! Clients' connections: accepted in one place, carried by the workers, ended in order.
//!
//! HTTP/1.1 and HTTP/2 (by prior knowledge) on one port. TLS is somebody else's in front.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::door::{self, Door};
use crate::guard::{Facts, Limits, Watched};
use crate::plain;
use crate::shared::Shared;
use crate::worker::{Worker, Workers};

/// First bytes of HTTP/2.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What is read at first, to see which protocol it is.
const FIRST_BYTES: usize = 4 * 1_024;
/// Resets that a peer may have outstanding before the connection is ended (rapid reset).
const RESETS_MAX: usize = 20;
/// How long to wait when no connection can be accepted, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the proxy stops; then takes those that wait already, and no more.
pub(crate) async fn accept(shared: Arc<Shared>, workers: Arc<Workers>, listener: TcpListener, is_test: bool) {
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = shared.stop.rung() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                number += 1;
                begin(&shared, &workers, number, stream, peer, is_test);
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn begin(shared: &Arc<Shared>, workers: &Workers, number: usize, stream: TcpStream, peer: SocketAddr, is_test: bool) {
    let (place, open) = shared.connections.open();
    if open >= shared.options.limits.connections_max {
        // As many bytes as fit, without waiting for somebody who may be there to make us wait.
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _gone = stream.try_write(answer.as_bytes());
        return;
    }
    // Its runtime waits for its bytes from now on, not the one that accepted it.
    let Ok(stream) = stream.into_std() else { return };
    let (runtime, worker) = workers.of(number);
    let worker = Arc::clone(worker);
    shared.tasks.spawn_on(
        async move {
            let _place = place;
            tokio::select! {
                biased;
                ended = converse(&worker, stream, peer, is_test) => {
                    // Clients go away in many ways; none of them is news.
                    if let Err(error) = ended { tracing::debug!(%peer, %error, "connection ended"); }
                }
                () = worker.shared.cut.rung() => tracing::warn!(%peer, "connection cut: the time to stop is over"),
            }
        },
        runtime,
    );
}

async fn converse(
    worker: &Arc<Worker>,
    stream: std::net::TcpStream,
    peer: SocketAddr,
    is_test: bool,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let shared = &worker.shared;
    let mut stream = TcpStream::from_std(stream)?;
    // Answers are small; waiting to fill a packet only costs time.
    stream.set_nodelay(true)?;
    let times = &shared.options.times;
    let sniffed = tokio::select! {
        biased;
        sniffed = tokio::time::timeout(times.head, sniff(&mut stream)) => sniffed,
        // It may have been accepted in the last moment, and what it asks be on its way.
        () = async { shared.lingered.rung().await; tokio::time::sleep(times.linger).await } => return Ok(()),
    };
    let (first, is_http2) = sniffed.map_err(|_| "nothing was asked")??;
    let address = HeaderValue::try_from(peer.ip().to_canonical().to_string())?;
    let (stream, first) = if shared.options.short_way && !is_http2 {
        let Some(unusual) = plain::converse(worker, stream, first, address.clone(), is_test).await? else {
            return Ok(());
        };
        unusual
    } else {
        (stream, first.freeze())
    };
    // Few connections get here, and those that do not need not have the room for it.
    Box::pin(through_hyper(worker, stream, first, is_http2, address, is_test)).await
}

/// A connection that is not plain, or not any more.
async fn through_hyper(
    worker: &Arc<Worker>,
    stream: TcpStream,
    first: Bytes,
    is_http2: bool,
    address: HeaderValue,
    is_test: bool,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let shared = &worker.shared;
    let times = &shared.options.times;
    let facts = Arc::new(Facts::default());
    let io = TokioIo::new(Watched::new(stream, first, is_http2, &facts, Limits { head: times.head, idle: times.idle }));
    let door = Arc::new(Door { worker: Arc::clone(worker), peer: address, is_test, facts });
    let service = service_fn(move |request| door::answer(Arc::clone(&door), request));
    let limits = &shared.options.limits;
    if is_http2 {
        let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_pending_accept_reset_streams(RESETS_MAX)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .keep_alive_interval(times.idle / 3)
            .keep_alive_timeout(times.head);
        let mut connection = std::pin::pin!(http.serve_connection(io, service));
        tokio::select! {
            biased;
            ended = connection.as_mut() => return Ok(ended?),
            // Its GOAWAY loses no request, so there is nothing to wait for.
            () = shared.stop.rung() => connection.as_mut().graceful_shutdown(),
        }
        return Ok(connection.await?);
    }
    let mut http = hyper::server::conn::http1::Builder::new();
    // hyper's own limit of a hundred headers stands: another one would cost an allocation for each request. Answers are put
    // together and written in one piece; most are smaller than what gathering them would cost.
    http.timer(TokioTimer::new())
        .header_read_timeout(None)
        .writev(false)
        .max_header_size(limits.head_bytes_max)
        .max_buf_size(2 * limits.head_bytes_max.max(64 * 1_024));
    let mut connection = std::pin::pin!(http.serve_connection(io, service).with_upgrades());
    tokio::select! {
        biased;
        ended = connection.as_mut() => return Ok(ended?),
        // Until then each answer says `Connection: close`: to end an idle connection could meet its next request.
        () = shared.lingered.rung() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

/// Reads until it is known which protocol it is.
async fn sniff(stream: &mut TcpStream) -> io::Result<(BytesMut, bool)> {
    let mut first = BytesMut::with_capacity(FIRST_BYTES);
    while first.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&first) {
        if stream.read_buf(&mut first).await? == 0 {
            break;
        }
    }
    let is_http2 = first.starts_with(HTTP2_PREFACE);
    Ok((first, is_http2))
}
