//! Connections that go on with another protocol, such as WebSocket: bytes both ways until one side ends.
//!
//! Over HTTP/1.1 only; the extended CONNECT of HTTP/2 (RFC 8441) is not offered.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use crate::backend::Backend;
use crate::body::SendBody;
use crate::forward::{Attempt, Forward};
use crate::guard::Busy;
use crate::shared::Shared;
use crate::ticket::Ticket;
use crate::upstream;

/// Asks a backend for another protocol, on a connection of its own.
pub(crate) async fn attempt(
    forward: &Forward<'_>,
    backend: &Backend,
    mut request: Request<SendBody>,
    protocol: &HeaderValue,
) -> Attempt {
    let shared = &forward.way.worker.shared;
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
    match forward.in_time(sender.try_send_request(request)).await {
        None => Attempt::TimedOut,
        Some(Ok(answer)) => Attempt::Answered(answer, None),
        Some(Err(mut error)) => match error.take_message() {
            Some(request) => Attempt::Unsent(request),
            None => Attempt::Lost { has_heard: true },
        },
    }
}

/// Whether the backend goes on with it.
pub(crate) fn is_switched(answer: &Response<Incoming>) -> bool {
    answer.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// Carries bytes both ways. The request is in flight as long as it does.
pub(crate) fn tunnel(
    shared: &Arc<Shared>,
    of_client: OnUpgrade,
    answer: &mut Response<Incoming>,
    ticket: Ticket,
    busy: Busy,
) {
    let of_backend = hyper::upgrade::on(answer);
    let all = Arc::clone(shared);
    shared.tasks.spawn(async move {
        let _in_flight = (ticket, busy);
        let carried = async {
            let (client, backend) = tokio::try_join!(of_client, of_backend).map_err(std::io::Error::other)?;
            tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(backend)).await
        };
        tokio::select! {
            ended = carried => match ended {
                Ok((sent, received)) => tracing::debug!(sent, received, "tunnel ended"),
                Err(error) => tracing::debug!(%error, "tunnel ended"),
            },
            () = all.cut.rung() => {}
        }
    });
}
