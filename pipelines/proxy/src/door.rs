//! One request from a client, from its head to the head of its answer.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};

use crate::answering::{AnswerBody, Through};
use crate::answers::{self, Refusal};
use crate::forward::Forward;
use crate::guard::{Busy, Facts};
use crate::worker::Worker;
use crate::{headers, metrics, upgrade};

/// Where requests of one connection come in.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) worker: Arc<Worker>,
    /// The client's address, as text.
    pub(crate) peer: HeaderValue,
    /// Whether tests come in here.
    pub(crate) is_test: bool,
    pub(crate) facts: Arc<Facts>,
}

/// Answers a request.
pub(crate) async fn answer(
    door: Arc<Door>,
    mut request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let shared = &door.worker.shared;
    let busy = Busy::new(&door.facts);
    let version = request.version();
    // What follows a body without a length is not looked at for a second framing.
    let is_last = request.headers().contains_key(header::TRANSFER_ENCODING);
    let id = headers::request_id(request.headers_mut(), || shared.request_id());
    let mut response = match check(&door, &request) {
        Err(refusal) => refusal.response(),
        Ok(()) if is_metrics(&door, &request) => {
            answers::text(StatusCode::OK, Bytes::from(metrics::text(&shared.stats())))
        }
        Ok(()) => forward(&door, request, busy).await.unwrap_or_else(Refusal::response),
    };
    let headers = response.headers_mut();
    if let Some(id) = id {
        headers.insert(headers::REQUEST_ID, id);
    }
    if version == Version::HTTP_2 {
        headers.remove(header::CONNECTION);
    } else if (is_last || shared.stop.is_rung()) && !headers.contains_key(header::UPGRADE) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn check(door: &Door, request: &Request<Incoming>) -> Result<(), Refusal> {
    if door.facts.is_bad() {
        return Err(Refusal::Framing);
    }
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 || hosts > 1 {
        return Err(Refusal::Hosts);
    }
    if request.method() == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > door.worker.shared.options.limits.target_bytes_max {
        return Err(Refusal::Target);
    }
    Ok(())
}

fn is_metrics(door: &Door, request: &Request<Incoming>) -> bool {
    door.is_test && door.worker.shared.options.metrics_on_test_port && request.uri().path() == "/metrics"
}

async fn forward(door: &Door, mut request: Request<Incoming>, busy: Busy) -> Result<Response<AnswerBody>, Refusal> {
    let mut forward = Forward::choose(&door.worker, &request, door.is_test)?;
    let protocol = headers::upgrade(&request);
    let of_client = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
    let request = forward.prepare(request, &door.peer).await?;
    let (mut answer, upstream) = forward.send(request, protocol.as_ref()).await?;
    let (colour, is_test) = (forward.way.colour(), forward.way.ticket.is_test());
    let (colour, revision) = (colour.name.clone(), Arc::clone(&colour.tally.revision));
    let is_whole = forward.is_whole();
    let ticket = forward.way.ticket;
    if upgrade::is_switched(&answer)
        && let Some(of_client) = of_client
    {
        let protocol = answer.headers().get(header::UPGRADE).cloned();
        upgrade::tunnel(&door.worker.shared, of_client, &mut answer, ticket, busy);
        headers::take_out_hops(answer.headers_mut());
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(protocol) = protocol {
            answer.headers_mut().insert(header::UPGRADE, protocol);
        }
        return Ok(answer.map(|_| AnswerBody::Whole(None)));
    }
    if answer.headers().contains_key(header::TRANSFER_ENCODING) {
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
    headers::take_out_hops(answer.headers_mut());
    if !is_whole {
        // It is answered before all of it has come. The rest is not waited for, and the client has to know.
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    *answer.version_mut() = Version::HTTP_11;
    if is_test {
        for (name, value) in [(headers::COLOUR, &*colour), (headers::REVISION, &*revision)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.headers_mut().insert(name, value);
            }
        }
    }
    let worker = &door.worker;
    Ok(answer.map(|incoming| AnswerBody::Through(Through::new(incoming, upstream, Arc::clone(worker), ticket))))
}
