//! Requests to a forge's API: one host, a time limit each, answers within bounds, no redirect to anywhere else.
//!
//! Octocrab builds the requests; the connection below it is ours (hyper, rustls with `ring`), so that nothing is
//! followed or retried behind our back and the headers of refusals are seen.
//! Follows <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use serde_json::Value as Json;
use workflow::secret::Secret;

use super::app::Credentials;
use crate::outbound::{self, OutboundError, chain_of};

/// How long a request may take, its answer included.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Redirects that are followed, on the same host: a repository that was renamed.
const REDIRECTS_MAX: usize = 3;

/// What a target is configured with.
#[derive(Debug)]
pub struct ApiSettings {
    /// Such as `https://api.github.com`, `https://HOST/api/v3`, `https://HOST/api/v1`, without a slash at the end.
    pub url: String,
    /// What requests are authorised with.
    pub credentials: Credentials,
    /// How long a request may take; ten seconds where absent.
    pub time_max: Option<Duration>,
}

/// The client of one API.
#[derive(Debug)]
pub(super) struct Client {
    crab: Octocrab,
    base: Uri,
    credentials: Credentials,
    time_max: Duration,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// `null` where it is no JSON.
    pub(super) body: Json,
}

/// Why there is no answer. The request may have arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The connection, or time.
    Unreachable(String),
    /// We could not authorise ourselves: the answer to the attempt.
    Unauthorised { status: Option<StatusCode>, after: Option<Duration>, problem: String },
}

impl Client {
    pub(super) fn new(settings: ApiSettings) -> Result<Self, OutboundError> {
        let base = outbound::address(settings.url.trim_end_matches('/'))?;
        let service = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(outbound::connector()?);
        let Ok(crab) = OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build();
        let time_max = settings.time_max.unwrap_or(REQUEST_TIME_MAX);
        Ok(Self { crab, base, credentials: settings.credentials, time_max })
    }

    /// Sends a request about a repository. `path` begins behind the base URL and is percent-encoded.
    pub(super) async fn request(
        &self,
        method: Method,
        owner: &str,
        repository: &str,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Answer, NoAnswer> {
        let token = self.authorise(owner, repository).await?;
        let answer = self.send(method, path, body, &token).await?;
        if let (StatusCode::UNAUTHORIZED, Credentials::App(app)) = (answer.status, &self.credentials) {
            app.forget(owner).await;
        }
        Ok(answer)
    }

    async fn authorise(&self, owner: &str, repository: &str) -> Result<Secret, NoAnswer> {
        let app = match &self.credentials {
            Credentials::Token(token) => return Ok(token.clone()),
            Credentials::App(app) => app,
        };
        let now = Timestamp::now();
        if let Some(token) = app.token(owner, now).await {
            return Ok(token);
        }
        let unauthorised = |what: &str, answer: Option<&Answer>| NoAnswer::Unauthorised {
            status: answer.map(|answer| answer.status),
            after: answer.and_then(|answer| answer.asked_delay(now)),
            problem: format!("{what}: {}", answer.map(Answer::problem).unwrap_or_default()),
        };
        let jwt = app.jwt(now).ok_or_else(|| unauthorised("sign as the app", None))?;
        let path = format!("/repos/{owner}/{repository}/installation");
        let found = self.send(Method::GET, &path, None, &jwt).await?;
        let id = found.body["id"].as_u64().filter(|_| found.status.is_success());
        let id = id.ok_or_else(|| unauthorised("find the app's installation at the repository", Some(&found)))?;
        let path = format!("/app/installations/{id}/access_tokens");
        let made = self.send(Method::POST, &path, Some(&serde_json::json!({})), &jwt).await?;
        let token = made.body["token"].as_str().filter(|_| made.status.is_success()).map(Secret::new);
        let expires_at = made.body["expires_at"].as_str().and_then(|at| at.parse().ok());
        let (Some(token), Some(expires_at)) = (token, expires_at) else {
            return Err(unauthorised("get a token for the app's installation", Some(&made)));
        };
        app.keep(owner, token.clone(), expires_at).await;
        Ok(token)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Json>, token: &Secret) -> Result<Answer, NoAnswer> {
        let whole = async {
            let mut uri = format!("{}{path}", self.base.to_string().trim_end_matches('/'));
            for _ in 0..=REDIRECTS_MAX {
                let answer = self.exchange(&method, &uri, body, token).await?;
                match answer.redirect().and_then(|to| self.on_this_host(to)) {
                    Some(to) => uri = to,
                    None => return Ok(answer),
                }
            }
            Err(NoAnswer::Unreachable("it redirects in circles".to_owned()))
        };
        let late = |_| NoAnswer::Unreachable(format!("no answer within {} s", self.time_max.as_secs_f32()));
        tokio::time::timeout(self.time_max, whole).await.map_err(late)?
    }

    async fn exchange(
        &self,
        method: &Method,
        uri: &str,
        body: Option<&Json>,
        token: &Secret,
    ) -> Result<Answer, NoAnswer> {
        let failed = |error: &dyn std::error::Error| NoAnswer::Unreachable(chain_of(error));
        let request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("pipe/", env!("CARGO_PKG_VERSION")));
        let request = self.crab.build_request(request, body).map_err(|error| failed(&error))?;
        let response = self.crab.send(request).await.map_err(|error| failed(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body: Bytes = body.map_err(|error| failed(&*error))?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Json::Null);
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    fn on_this_host(&self, to: &str) -> Option<String> {
        if to.starts_with('/') && !to.starts_with("//") {
            return Some(format!("{}://{}{to}", self.base.scheme_str()?, self.base.authority()?));
        }
        let uri: Uri = to.parse().ok()?;
        (uri.scheme() == self.base.scheme() && uri.authority() == self.base.authority()).then(|| to.to_owned())
    }
}

impl Answer {
    fn redirect(&self) -> Option<&str> {
        if !matches!(self.status.as_u16(), 301 | 302 | 307 | 308) {
            return None;
        }
        self.headers.get(header::LOCATION)?.to_str().ok()
    }

    /// What it says is wrong, in one line.
    pub(super) fn problem(&self) -> String {
        let message = self.body["message"].as_str().unwrap_or_default();
        let errors = self.body["errors"].as_array().filter(|errors| !errors.is_empty());
        let errors = errors.map(|errors| format!(" {}", Json::from(errors.clone()))).unwrap_or_default();
        format!("{} {message}{errors}", self.status.as_u16()).trim_end().to_owned()
    }

    /// How long the server asks to be left alone: `Retry-After`, or the end of the rate limit's window.
    pub(super) fn asked_delay(&self, now: Timestamp) -> Option<Duration> {
        let header = |name: &str| self.headers.get(name)?.to_str().ok().map(str::trim);
        if self.headers.contains_key(header::RETRY_AFTER) {
            return outbound::retry_after(&self.headers, now);
        }
        if header("x-ratelimit-remaining") != Some("0") {
            return None;
        }
        let reset = Timestamp::from_second(header("x-ratelimit-reset")?.parse().ok()?).ok()?;
        Some(Duration::try_from(reset.duration_since(now)).unwrap_or_default())
    }
}
