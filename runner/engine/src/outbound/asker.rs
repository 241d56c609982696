//! Requests of any kind with bounded answers, to addresses that a person named: registries, services that are looked at.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
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
    bounds: Bounds,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    time: Duration,
    bytes: usize,
    /// Whether a longer answer is an answer, without its end.
    cuts: bool,
    /// Whether other machines are asked without TLS.
    plain: bool,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    headers: HeaderMap,
    /// Its body, at most 16 MiB.
    pub body: Bytes,
    /// Whether the body goes on; never but for one that was [visited](Asker::visiting).
    pub is_cut: bool,
}

impl Asker {
    /// One that goes by these proxies.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn by(proxies: Proxies) -> Result<Self, OutboundError> {
        let bounds = Bounds { time: TIME_MAX, bytes: ANSWER_BYTES_MAX, cuts: false, plain: false };
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(proxied(proxies)?), bounds })
    }

    /// One that looks at services that somebody has the care of, with or without TLS and past all proxies. Of a longer answer than
    /// `bytes` the beginning is taken.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn visiting(time: Duration, bytes: usize) -> Result<Self, OutboundError> {
        let bounds = Bounds { time, bytes, cuts: true, plain: true };
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(proxied(Proxies::default())?), bounds })
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
        let bounds = self.bounds;
        if !bounds.plain && to.scheme_str() != Some("https") && !to.host().is_some_and(is_this_machine) {
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
            let (head, mut body) = answer.into_parts();
            let (mut read, mut is_cut) = (BytesMut::new(), false);
            while !is_cut && let Some(frame) = body.frame().await {
                let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() else { continue };
                let room = bounds.bytes - read.len();
                is_cut = data.len() > room;
                if is_cut && !bounds.cuts {
                    return Err(format!("the answer is longer than {} bytes", bounds.bytes));
                }
                read.extend_from_slice(&data[..data.len().min(room)]);
            }
            Ok(Answered { status: head.status.as_u16(), headers: head.headers, body: read.freeze(), is_cut })
        };
        let late = |_| Err(format!("no answer within {} s", bounds.time.as_secs_f64()));
        tokio::time::timeout(bounds.time, asked).await.unwrap_or_else(late)
    }
}

impl Answered {
    /// A header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers in their order, names in small letters; what is no UTF-8 has marks in its place.
    pub fn headers(&self) -> impl Iterator<Item = (&str, String)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    }
}
