//! What every request gets, whatever its route: an id, the client's address, a log line, and the checks that belong to
//! HTTP itself.
//!
//! Log lines have method, path, status and time; never a query, a header or a body.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use proxy::guard::{Busy, Facts};
use tracing::Instrument as _;

use super::places::Network;
use crate::Problem;

/// The client, behind trusted proxies; in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Name of a request in logs and in the answer's `X-Request-Id`; in the extensions of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

#[derive(Debug, Clone)]
pub(super) struct Requests {
    router: Router,
    proxies: Arc<[Network]>,
    /// Ids of two starts of the server differ by this.
    start: u64,
    count: Arc<AtomicU64>,
}

impl Requests {
    pub(super) fn new(router: Router, proxies: Vec<Network>) -> Self {
        let start = jiff::Timestamp::now().as_millisecond().unsigned_abs();
        Self { router, proxies: proxies.into(), start, count: Arc::default() }
    }

    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(address))
    }

    /// The service of one connection.
    pub(super) fn of(&self, peer: SocketAddr, facts: Arc<Facts>) -> OfConnection {
        OfConnection { requests: self.clone(), peer: peer.ip().to_canonical(), facts }
    }

    /// The last address in `X-Forwarded-For` that no trusted proxy has.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        let all = headers.get_all("x-forwarded-for").iter().rev();
        let mut hops = all.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        while self.is_proxy(client) {
            let Some(Ok(next)) = hops.next().map(|hop| hop.trim().parse::<IpAddr>()) else { break };
            client = next.to_canonical();
        }
        client
    }
}

#[derive(Debug)]
pub(super) struct OfConnection {
    requests: Requests,
    peer: IpAddr,
    facts: Arc<Facts>,
}

impl Service<Request<Incoming>> for OfConnection {
    type Response = Response;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let busy = Busy::new(&self.facts);
        let count = self.requests.count.fetch_add(1, Ordering::Relaxed);
        let id: Arc<str> = format!("{:x}-{count:x}", self.requests.start).into();
        let client = self.requests.client(self.peer, request.headers());
        let span = tracing::info_span!("request", %id, %client);
        let refused = check(&request, &self.facts);
        let router = TowerToHyperService::new(self.requests.router.clone());
        let answer = async move {
            let _busy = busy;
            let begun = Instant::now();
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let ends = request.headers().contains_key(header::TRANSFER_ENCODING);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ClientAddress(client));
            request.extensions_mut().insert(RequestId(Arc::clone(&id)));
            let mut response = match refused {
                Some(problem) => problem.into_response(),
                None => router.call(request).await?,
            };
            let headers = response.headers_mut();
            if let Ok(id) = HeaderValue::from_str(&id) {
                headers.insert("x-request-id", id);
            }
            crate::headers::set(headers);
            if ends {
                // What follows a body without a length is not looked at for a second framing.
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            let milliseconds = begun.elapsed().as_secs_f64() * 1_000.0;
            tracing::info!(%method, path, status = response.status().as_u16(), milliseconds, "answered");
            Ok(response)
        };
        Box::pin(answer.instrument(span))
    }
}

fn check(request: &Request<Incoming>, facts: &Facts) -> Option<Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "framing", detail).closing();
    if facts.is_bad() {
        return Some(bad("the length of the request is told in two ways, or not in digits"));
    }
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 {
        return Some(bad("a request has one Host header"));
    }
    None
}
