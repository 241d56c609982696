//! Connections that go on with another protocol, such as WebSocket: bytes both ways until one side ends.
//!
//! Over HTTP/1.1 only; the extended CONNECT of HTTP/2 (RFC 8441) is not offered.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;

use crate::guard::Busy;
use crate::shared::Shared;
use crate::ticket::Ticket;

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
