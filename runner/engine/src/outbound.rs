//! Requests of the server to others: TLS with the certificates of this machine, a time limit, bounded answers, nothing
//! followed and nothing tried again.
//!
//! Addresses come from the server's configuration only; nothing that a repository or a run says becomes a host.

mod asker;
mod getter;
mod proxied;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, Request, StatusCode, Uri, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;

pub use asker::{Answered, Asker};
pub use getter::{Getter, Got};
pub use proxied::{Proxies, ProxyError};

use self::proxied::Way;
use crate::reporting::{Outcome, Scope};

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a request may take, its answer included.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why an address or TLS cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The address.
    #[error("use the address {0}: it must be http:// or https:// with a host, without a name or password in it")]
    Address(String),
    /// It is not over TLS.
    #[error("use an address without TLS: it must be https://, or http:// on this machine (127.0.0.1, localhost)")]
    Plain,
    /// The certificates of this machine.
    #[error("use TLS: {0}")]
    Certificates(String),
}

/// An address out of the configuration.
///
/// # Errors
/// It is none that requests can go to.
pub(crate) fn address(text: &str) -> Result<Uri, OutboundError> {
    let wrong = || OutboundError::Address(text.to_owned());
    let address: Uri = text.parse().map_err(|_| wrong())?;
    let host = address.authority().ok_or_else(wrong)?;
    let known = matches!(address.scheme_str(), Some("http" | "https"));
    if known && !host.as_str().contains('@') { Ok(address) } else { Err(wrong()) }
}

/// An address that people configured for news: over TLS, or on this machine.
///
/// # Errors
/// It is none that requests can go to.
pub(crate) fn safe_address(text: &str) -> Result<Uri, OutboundError> {
    let address = address(text)?;
    let is_safe = address.scheme_str() == Some("https") || address.host().is_some_and(is_this_machine);
    if is_safe { Ok(address) } else { Err(OutboundError::Plain) }
}

/// Whether a host is the machine itself, by its name.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// TLS with the certificates of this machine. Plain HTTP goes where the configured address says so.
pub(crate) fn connector() -> Result<HttpsConnector<HttpConnector>, OutboundError> {
    wrapped(|http| http)
}

/// The same by way of proxies.
fn proxied(proxies: Proxies) -> Result<HttpsConnector<Way>, OutboundError> {
    wrapped(|http| Way::new(http, proxies))
}

fn wrapped<C>(way: impl FnOnce(HttpConnector) -> C) -> Result<HttpsConnector<C>, OutboundError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT_TIME_MAX));
    http.set_nodelay(true);
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OutboundError::Certificates(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    Ok(builder.wrap_connector(way(http)))
}

/// Posts JSON to configured addresses. A redirect is an answer as any other: it is not followed.
#[derive(Debug, Clone)]
pub(crate) struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    time_max: Duration,
}

/// What another server said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `None` where it broke off.
    pub(crate) body: Option<Bytes>,
}

impl Poster {
    pub(crate) fn new() -> Result<Self, OutboundError> {
        Self::within(REQUEST_TIME_MAX)
    }

    /// With another limit of the time of a request.
    pub(crate) fn within(time_max: Duration) -> Result<Self, OutboundError> {
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector()?), time_max })
    }

    /// One attempt. What was sent twice must do no harm: whether an attempt arrived cannot be asked.
    pub(crate) async fn post(&self, address: &Uri, headers: &[(String, String)], body: String) -> Outcome {
        match self.exchange(address, headers, body).await {
            Ok(said) => meaning(said.status, &said.headers),
            Err(outcome) => outcome,
        }
    }

    /// One attempt, with what was said. `Err`: nothing was.
    pub(crate) async fn exchange(
        &self,
        address: &Uri,
        headers: &[(String, String)],
        body: String,
    ) -> Result<Said, Outcome> {
        let later = |problem| Outcome::Later { problem, after: None, scope: Scope::Lane, uncertain: true };
        let mut request = Request::post(address.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("pipe/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = match request.body(Full::new(Bytes::from(body))) {
            Ok(request) => request,
            Err(error) => return Err(Outcome::Refused { problem: error.to_string(), for_now: false }),
        };
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| chain_of(&error))?;
            let (head, body) = response.into_parts();
            // The whole answer is taken, so that the connection can be used again.
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            Ok::<_, String>(Said {
                status: head.status,
                headers: head.headers,
                body: body.ok().map(|body| body.to_bytes()),
            })
        };
        match tokio::time::timeout(self.time_max, exchange).await {
            Err(_) => Err(later(format!("no answer within {} s", self.time_max.as_secs()))),
            Ok(Err(problem)) => Err(later(problem)),
            Ok(Ok(said)) => Ok(said),
        }
    }
}

/// What a status means for a message.
pub(crate) fn meaning(status: StatusCode, headers: &HeaderMap) -> Outcome {
    if status.is_success() {
        return Outcome::Arrived { remote: None };
    }
    let problem = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let after = retry_after(headers, Timestamp::now());
    if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        return Outcome::Later { problem, after, scope: Scope::Lane, uncertain: false };
    }
    Outcome::Refused { problem, for_now: matches!(status.as_u16(), 401 | 403 | 404) }
}

/// `Retry-After` as seconds or as a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let after = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(after).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// An error with its causes, in one line.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_delays_read() {
        for (text, fine) in [
            ("https://otel.example:4318", true),
            ("http://127.0.0.1/x", true),
            ("https://user:pass@host", false),
            ("ftp://host", false),
            ("host", false),
            ("/path", false),
        ] {
            assert_eq!(address(text).is_ok(), fine, "{text}");
        }
        let now = Timestamp::from_second(784_111_777).unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("x", None),
        ] {
            let headers: HeaderMap = [(header::RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
