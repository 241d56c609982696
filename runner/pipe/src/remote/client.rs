//! Requests to the API: over HTTP to a server, or without one to the same routes on a database of this machine.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, Uri, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tower::ServiceExt as _;
use web::api::LocalAccess;
use workflow::secret::Secret;

use crate::exit::{Exit, Failure};

/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long an answer may take to begin.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Longest answer that is read whole.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

type Https = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Who answers.
#[derive(Debug)]
enum Answers {
    Server(Box<Server>),
    Here(Router),
}

/// A server, by its address or by the folder that it runs in.
#[derive(Debug)]
struct Server {
    base: String,
    /// Where address and token are read again for each request: another process may serve it by then.
    folder: Option<PathBuf>,
    https: Https,
}

/// Asks the API.
#[derive(Debug)]
pub struct Client {
    answers: Answers,
    token: Secret,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// The server cannot be reached, or went away; it may come back.
    Gone(String),
    /// It refused.
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// What it said.
        detail: String,
    },
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Gone(reason) => Self::environment(reason),
            Unanswered::Refused { status, detail } => {
                let exit = match status.as_u16() {
                    409 => Exit::Failure,
                    400 | 404 | 405 | 413 | 415 | 422 => Exit::Usage,
                    _ => Exit::Environment,
                };
                Self::new(exit, detail)
            }
        }
    }
}

impl Client {
    /// Of a server. TLS by the certificates of this machine.
    ///
    /// # Errors
    /// The address is none.
    pub fn of_server(url: &str, token: Secret) -> Result<Self, Failure> {
        let base = url.trim_end_matches('/').to_owned();
        let uri: Option<Uri> = base.parse().ok();
        let is_address = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|host| !host.as_str().contains('@'))
        });
        if !is_address {
            let message = format!("`{url}` is no address of a server");
            return Err(Failure::usage(message).help("such as https://ci.example.com or http://127.0.0.1:8080"));
        }
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIME));
        http.set_nodelay(true);
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::environment(format!("TLS cannot be used: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let https: Https =
            hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https.wrap_connector(http));
        Ok(Self { answers: Answers::Server(Box::new(Server { base, folder: None, https })), token })
    }

    /// Of the server that runs in a folder of this machine.
    ///
    /// # Errors
    /// It left a wrong address.
    pub fn of_running(folder: &Path, url: &str, token: Secret) -> Result<Self, Failure> {
        let mut client = Self::of_server(url, token)?;
        if let Answers::Server(server) = &mut client.answers {
            server.folder = Some(folder.to_owned());
        }
        Ok(client)
    }

    /// Address and token for a request.
    fn place(&self) -> Result<(String, Secret), Unanswered> {
        match &self.answers {
            Answers::Here(_) => Ok((String::new(), self.token.clone())),
            Answers::Server(server) => match &server.folder {
                None => Ok((server.base.clone(), self.token.clone())),
                Some(folder) => LocalAccess::find(folder)
                    .ok_or_else(|| Unanswered::Gone(format!("no server runs in {}", folder.display()))),
            },
        }
    }

    /// Of routes in this process.
    pub fn here(routes: Router, token: Secret) -> Self {
        Self { answers: Answers::Here(routes), token }
    }

    /// Asks; the answer's body may go on for long.
    ///
    /// # Errors
    /// There is no answer, or a refusal.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        headers: &[(&str, &str)],
    ) -> Result<Response, Unanswered> {
        let (base, token) = self.place()?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{base}/api/v1{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(header::USER_AGENT, concat!("pipe/", env!("CARGO_PKG_VERSION")));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = Bytes::from(body.map(Json::to_string).unwrap_or_default());
        let request =
            request.body(Full::new(bytes)).map_err(|error| Unanswered::Gone(format!("cannot ask: {error}")))?;
        let response = match &self.answers {
            Answers::Server(server) => {
                let gone = |reason: String| Unanswered::Gone(format!("the server {base} cannot be reached: {reason}"));
                let answer = tokio::time::timeout(ANSWER_TIME, server.https.request(request)).await;
                let answer = answer.map_err(|_| gone("it does not answer".to_owned()))?;
                answer.map_err(|error| gone(causes(&error)))?.map(Body::new)
            }
            Answers::Here(routes) => match routes.clone().oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
        };
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn json(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json, Unanswered> {
        let response = self.send(method, path, body, &[]).await?;
        let bytes = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let bytes = bytes.map_err(|error| Unanswered::Gone(format!("the answer ended early: {error}")))?.to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| Unanswered::Gone(format!("the answer is no JSON: {error}")))
    }

    /// Asks for JSON without sending any.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn get(&self, path: &str) -> Result<Json, Unanswered> {
        self.json(Method::GET, path, None).await
    }
}

async fn refusal(response: Response) -> Unanswered {
    let status = response.status();
    let bytes = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = bytes.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let problem: Json = serde_json::from_slice(&bytes).unwrap_or_default();
    let detail = problem["detail"].as_str().map_or_else(|| format!("the server answers {status}"), str::to_owned);
    Unanswered::Refused { status, detail }
}

/// An error with its causes, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A name or value as part of a path or query.
/// Follows <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>.
pub fn escaped(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let escape = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

/// A query of those values that are there.
pub fn query(values: &[(&str, Option<&str>)]) -> String {
    let given = values.iter().filter_map(|(name, value)| value.map(|value| format!("{name}={}", escaped(value))));
    let given: Vec<_> = given.collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped("a/b c(0)&ü"), "a%2Fb%20c%280%29%26%C3%BC");
        assert_eq!(query(&[("a", Some("x y")), ("b", None), ("c", Some("1"))]), "?a=x%20y&c=1");
        assert_eq!(query(&[("a", None)]), "");
    }

    #[test]
    fn addresses_are_checked() {
        for (url, fine) in [
            ("https://ci.example.com/", true),
            ("http://127.0.0.1:8080", true),
            ("ci.example.com", false),
            ("ftp://x", false),
            ("https://user:password@x", false),
            ("", false),
        ] {
            assert_eq!(Client::of_server(url, Secret::new("x")).is_ok(), fine, "{url}");
        }
    }
}
