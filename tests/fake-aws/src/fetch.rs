//! Small requests over plain HTTP: keys of token issuers, health checks.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::value::Input as _;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How long an issuer may take.
const ISSUER_TIME: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Refused,
    TimedOut,
}

/// Status and body.
pub(crate) async fn get(host: &str, path: &str, limit: Duration, agent: &str) -> Result<(u16, Vec<u8>), Failure> {
    let asked = async {
        let stream = TcpStream::connect(host).await.map_err(|_| Failure::Refused)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Refused)?;
        let carried = tokio::spawn(connection);
        let request = Request::get(path)
            .header("host", host)
            .header("user-agent", agent)
            .header("connection", "close")
            .body(Empty::<bytes::Bytes>::new())
            .map_err(|_| Failure::Refused)?;
        let response = sender.send_request(request).await.map_err(|_| Failure::Refused)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        carried.abort();
        Ok((status, body.map(|body| body.to_bytes().to_vec()).unwrap_or_default()))
    };
    tokio::time::timeout(limit, asked).await.unwrap_or(Err(Failure::TimedOut))
}

/// What an issuer publishes as its keys. AWS asks over TLS only; here issuers are on this machine.
pub(crate) async fn keys(issuer: &str) -> Option<Value> {
    let (host, path) = plain(issuer)?;
    let discovery = get(
        &host,
        &format!("{}/.well-known/openid-configuration", path.trim_end_matches('/')),
        ISSUER_TIME,
        "fake-aws",
    )
    .await
    .ok()?;
    let discovery: Value = serde_json::from_slice(&discovery.1).ok()?;
    let (host, path) = plain(discovery.text("jwks_uri")?)?;
    let (status, body) = get(&host, &path, ISSUER_TIME, "fake-aws").await.ok()?;
    if status == 200 { serde_json::from_slice(&body).ok() } else { None }
}

/// Host with port, and path.
fn plain(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    Some((host, if path.is_empty() { "/".to_owned() } else { path }))
}
