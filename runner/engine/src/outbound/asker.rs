//! Requests of any kind with bounded answers, to addresses that a person named: registries.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, Method, Request, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::proxied::Way;
use super::{OutboundError, Proxies, address, chain_of, is_this_machine, proxied};

/// How long a request may take, its answer included.
const TIME_MAX: Duration = Duration::from_secs(120);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Asks servers. Nothing is followed and nothing tried again.
#[derive(Debug, Clone)]
pub struct Asker {
    client: Client<HttpsConnector<Way>, Full<Bytes>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    headers: HeaderMap,
    /// Its body, at most 16 MiB.
    pub body: Bytes,
}

impl Asker {
    /// One that goes by these proxies.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn by(proxies: Proxies) -> Result<Self, OutboundError> {
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(proxied(proxies)?) })
    }

    /// Asks once. What is secret in `headers` goes over TLS or stays on this machine.
    ///
    /// # Errors
    /// The address is none that may be asked, or there is no answer; a sentence for a person.
    pub async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Answered, String> {
        let to = address(url).map_err(|error| format!("cannot {error}"))?;
        if to.scheme_str() != Some("https") && !to.host().is_some_and(is_this_machine) {
            return Err(format!("cannot {}", OutboundError::Plain));
        }
        let mut request = Request::builder().method(method).uri(to);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
        let agent = header::HeaderValue::from_static(concat!("pipe/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let asked = async {
            let answer = self.client.request(request).await.map_err(|error| chain_of(&error))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
            Ok(Answered { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
        };
        let late = |_| Err(format!("no answer within {} s", TIME_MAX.as_secs()));
        tokio::time::timeout(TIME_MAX, asked).await.unwrap_or_else(late)
    }
}

impl Answered {
    /// A header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
