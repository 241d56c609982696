//! Requests to the provider: JSON back, within bounds, nothing followed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode, Uri, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;
use workflow::secret::Secret;

use super::OidcError;
use crate::outbound::{self, chain_of};

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 512 * 1_024;

/// Asks the provider.
#[derive(Debug)]
pub(super) struct Asker {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    time_max: Duration,
}

impl Asker {
    pub(super) fn new(time_max: Duration) -> Result<Self, OidcError> {
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(outbound::connector()?), time_max })
    }

    pub(super) async fn get(&self, address: &str) -> Result<Json, OidcError> {
        let request = Request::get(address).body(Full::default());
        let (status, answer) = self.exchange(request).await?;
        if status == StatusCode::OK {
            return Ok(answer);
        }
        Err(OidcError::Unreachable(format!("{address} answers {}", status.as_u16())))
    }

    pub(super) async fn post(
        &self,
        address: &str,
        form: String,
        basic: Option<(&str, &Secret)>,
    ) -> Result<(StatusCode, Json), OidcError> {
        let mut request = Request::post(address).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some((name, secret)) = basic {
            // Both are encoded as in a form first: RFC 6749 section 2.3.1.
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(name), encoded(secret.expose()));
            request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
        }
        self.exchange(request.body(Full::new(Bytes::from(form)))).await
    }

    async fn exchange(
        &self,
        request: hyper::http::Result<Request<Full<Bytes>>>,
    ) -> Result<(StatusCode, Json), OidcError> {
        let failed = |text: String| OidcError::Unreachable(text);
        let mut request = request.map_err(|error| failed(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
        headers
            .insert(header::USER_AGENT, header::HeaderValue::from_static(concat!("pipe/", env!("CARGO_PKG_VERSION"))));
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| failed(chain_of(&error)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| failed(chain_of(&*error)))?.to_bytes();
            Ok((head.status, serde_json::from_slice(&body).unwrap_or(Json::Null)))
        };
        let late = |_| failed(format!("no answer within {} s", self.time_max.as_secs()));
        tokio::time::timeout(self.time_max, exchange).await.map_err(late)?
    }
}

/// An address of the provider: https; plain http only on this machine, where the provider itself is.
pub(super) fn check_address(text: &str, issuer: &str) -> Result<(), OidcError> {
    let address: Uri = outbound::address(text)?;
    let is_here = |address: &Uri| {
        let host = address.host().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|host: std::net::IpAddr| host.is_loopback())
    };
    let issuer: Uri = outbound::address(issuer)?;
    if address.scheme_str() == Some("https") || (is_here(&address) && is_here(&issuer)) {
        return Ok(());
    }
    Err(OidcError::Settings(format!("`{text}` of the OpenID provider must begin with https://")))
}
