//! One question over HTTP/1.1. Follows no redirects: a redirect is an answer too.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use engine::outbound::Getter;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What is read of a body.
const BODY_BYTES_MAX: usize = 1 << 20;
/// What is shown of a body.
const SHOWN_CHARACTERS_MAX: usize = 200;

const AGENT: &str = "pipe-health-check";

/// Where to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) is_tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// With the query.
    pub(crate) path: String,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri: hyper::Uri = text.parse().map_err(|error| format!("`url: {text}`: {error}"))?;
        let (is_tls, port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            Some(_) | None => return Err(format!("`url: {text}` must begin with http:// or https://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| format!("`url: {text}` names no host"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port: uri.port_u16().unwrap_or(port), path, is_tls })
    }

    /// A path of this address, without TLS.
    pub(crate) fn plain(address: SocketAddr, path: &str) -> Self {
        Self { is_tls: false, host: address.ip().to_string(), port: address.port(), path: path.to_owned() }
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Url {
    /// `http://host:port`
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The start of the body, on one line.
    pub(crate) fn start(&self) -> String {
        let line = self.body.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() { "no body".to_owned() } else { line.chars().take(SHOWN_CHARACTERS_MAX).collect() }
    }
}

/// Asks once.
pub(crate) async fn ask(url: &Url, limit: Duration) -> Result<Answer, String> {
    let exchange = async { if url.is_tls { exchange_by_tls(url).await } else { exchange(url).await } };
    tokio::time::timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {:.1} s", limit.as_secs_f64())))
}

/// Over TLS; what this machine trusts is trusted.
async fn exchange_by_tls(url: &Url) -> Result<Answer, String> {
    // Reading the certificates of the machine takes longer than asking.
    static GETTER: OnceLock<Result<Getter, String>> = OnceLock::new();
    let getter = GETTER.get_or_init(|| Getter::new().map_err(|error| format!("cannot {error}"))).as_ref()?;
    let headers = [("User-Agent", AGENT.to_owned()), ("Connection", "close".to_owned())];
    let mut got = getter.once(&url.to_string(), &headers).await?;
    let mut body = Vec::new();
    while let Some(piece) = got.piece().await {
        let unread = |error: &str| format!("HTTP {}, but its body cannot be read: {error}", got.status);
        body.extend_from_slice(&piece.map_err(|error| unread(&error))?);
        if body.len() > BODY_BYTES_MAX {
            return Err(unread("it is too long"));
        }
    }
    Ok(Answer { status: got.status, body: String::from_utf8_lossy(&body).into_owned() })
}

async fn exchange(url: &Url) -> Result<Answer, String> {
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(|error| error.to_string())?;
    let failed = |error: hyper::Error| {
        if error.is_incomplete_message() {
            "the connection was closed without an answer".to_owned()
        } else {
            error.to_string()
        }
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let request = hyper::Request::get(&url.path)
        .header("Host", url.authority())
        .header("User-Agent", AGENT)
        .header("Connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| format!("HTTP {status}, but its body cannot be read: {error}"))?.to_bytes();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    };
    tokio::pin!(asked);
    // The connection does the work; it may be over before its answer is taken.
    tokio::select! {
        answer = &mut asked => answer,
        _over = connection => asked.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |text: &str, expect: &str| {
            let got = Url::parse(text).map_or_else(|error| error, |url| url.to_string());
            assert!(got.contains(expect), "{text}: {got}");
        };
        check("http://localhost:8080/health?x=1", "http://localhost:8080/health?x=1");
        check("http://host", "http://host:80/");
        check("http://[::1]:81/a", "http://[::1]:81/a");
        check("https://host/", "https://host:443/");
        check("https://[::1]:81/a", "https://[::1]:81/a");
        check("host:80", "");
        check("/health", "must begin with http://");
    }
}
