//! One signed request to a server.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sha2::Sha256;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1_024;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is on the server's disk.
    Arrived,
    /// The server does not want it, and why; sending it again is of no use.
    Refused(String),
    /// It may arrive later, and why not now.
    Later(String),
}

/// Where pushes are sent.
///
/// # Errors
/// The server's address or the repository's name cannot be used; a sentence.
pub fn address(server: &str, repository: &str) -> Result<Uri, String> {
    let wrong = || format!("`{server}` is no address of a server, such as https://ci.example.org");
    let address: Uri = format!("{server}/webhooks/push").parse().map_err(|_| wrong())?;
    let host = address.authority().ok_or_else(wrong)?;
    if !matches!(address.scheme_str(), Some("http" | "https")) || host.as_str().contains('@') {
        return Err(wrong());
    }
    let is_name = repository.contains('/') && !repository.contains(|letter: char| letter.is_whitespace());
    if is_name { Ok(address) } else { Err(format!("`{repository}` is no name of a repository, such as owner/name")) }
}

/// Sends requests.
#[derive(Debug, Clone)]
pub struct Poster(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Poster {
    /// # Errors
    /// TLS cannot be used; a sentence.
    pub fn new() -> Result<Self, String> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector.wrap_connector(http))))
    }

    /// One try.
    pub async fn post(&self, address: &Uri, id: &str, secret: &str, body: &str, time_max: Duration) -> Sent {
        let request = Request::post(address)
            .header("content-type", "application/json")
            .header("user-agent", concat!("pipe-hook/", env!("CARGO_PKG_VERSION")))
            .header("x-pipe-event", "push")
            .header("x-pipe-delivery", id)
            .header("x-pipe-signature-256", signature(secret, body))
            .body(Full::new(Bytes::from(body.to_owned())));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Sent::Refused(error.to_string()),
        };
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| chain(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
            Ok::<_, String>((status, text))
        };
        match tokio::time::timeout(time_max, exchange).await {
            Err(_) => Sent::Later(format!("no answer within {} s", time_max.as_secs())),
            Ok(Err(problem)) => Sent::Later(problem),
            Ok(Ok((status, text))) => meaning(status, &text),
        }
    }
}

fn meaning(status: StatusCode, text: &str) -> Sent {
    if status.is_success() {
        return Sent::Arrived;
    }
    let told: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let detail = ["detail", "title"].iter().find_map(|key| told[*key].as_str()).unwrap_or_default();
    let problem = format!("{} {detail}", status.as_u16());
    let later = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    if later { Sent::Later(problem) } else { Sent::Refused(problem) }
}

/// As the front door expects it: over the bytes that are sent.
pub fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.iter().fold("sha256=".to_owned(), |mut text, byte| {
        use std::fmt::Write as _;
        let _cannot_fail = write!(text, "{byte:02x}");
        text
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
