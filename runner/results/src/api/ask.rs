//! Requests and answers in the form that GitHub's API has.

use std::collections::BTreeMap;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderName, HeaderValue, LINK, LOCATION};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value as Json, json};

use crate::answer::{Answer, empty, json as answer_json, whole};
use crate::job::Job;

/// Bytes of a body.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Entries of a page, as GitHub has them.
const PER_PAGE: usize = 30;
const PER_PAGE_MAX: usize = 100;

/// A request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// Below the prefix, as it was sent.
    pub(super) path: String,
    decoded: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    /// Null where there is none.
    pub(super) body: Json,
    /// Whether the file itself is wanted, not what is known of it.
    pub(super) raw: bool,
}

impl Ask {
    pub(super) async fn of(request: Request<Incoming>, prefix: &str) -> Result<Self, Refusal> {
        let invalid = |words: String| Refusal::new(StatusCode::BAD_REQUEST, words);
        let path = request.uri().path().strip_prefix(prefix).unwrap_or_default().to_owned();
        let decoded = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let query = request.uri().query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let raw = accept.contains(".raw");
        // What is asked for with HEAD is what GET gives, of which the connection sends the head alone.
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| invalid(format!("the body: {error}")))?.to_bytes();
        let body = match &body[..] {
            [] => Json::Null,
            bytes => {
                serde_json::from_slice(bytes).map_err(|error| invalid(format!("Problems parsing JSON: {error}")))?
            }
        };
        Ok(Self { method, path, decoded, query, body, raw })
    }

    /// The parts of the path.
    pub(super) fn parts(&self) -> Vec<&str> {
        self.decoded.iter().map(String::as_str).collect()
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A text of the body that must be there.
    pub(super) fn need(&self, name: &str) -> Result<&str, Refusal> {
        let found = self.body.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
        found.ok_or_else(|| Refusal::invalid(format!("Invalid request.\n\n\"{name}\" wasn't supplied.")))
    }

    /// Which entries of a list are asked for: how many before them, and how many.
    pub(super) fn window(&self) -> (usize, usize) {
        let number = |name: &str| self.query(name).and_then(|value| value.parse::<usize>().ok()).filter(|n| *n > 0);
        let size = number("per_page").unwrap_or(PER_PAGE).min(PER_PAGE_MAX);
        (number("page").unwrap_or(1).saturating_sub(1).saturating_mul(size), size)
    }
}

fn decode(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut at = 0;
    while let Some(&byte) = part.as_bytes().get(at) {
        let escaped = if byte == b'%' { part.get(at + 1..at + 3) } else { None };
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    body: Body,
    /// Whether there are more behind this page.
    more: bool,
}

#[derive(Debug)]
enum Body {
    Json(Json),
    Raw(Vec<u8>),
    /// At another address.
    Elsewhere(String),
    None,
}

impl Reply {
    pub(super) const fn json(value: Json) -> Self {
        Self { status: StatusCode::OK, body: Body::Json(value), more: false }
    }

    pub(super) const fn created(value: Json) -> Self {
        Self { status: StatusCode::CREATED, body: Body::Json(value), more: false }
    }

    pub(super) const fn raw(bytes: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, body: Body::Raw(bytes), more: false }
    }

    pub(super) const fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Body::None, more: false }
    }

    pub(super) const fn elsewhere(address: String) -> Self {
        Self { status: StatusCode::FOUND, body: Body::Elsewhere(address), more: false }
    }

    /// The page of a list that is asked for.
    pub(super) fn page(all: impl IntoIterator<Item = Json>, ask: &Ask) -> Self {
        let (before, size) = ask.window();
        let mut rest = all.into_iter().skip(before);
        let page: Vec<Json> = rest.by_ref().take(size).collect();
        Self { more: rest.next().is_some(), ..Self::json(Json::Array(page)) }
    }

    /// With the list under a name, and how many there are, as some lists have it.
    pub(super) fn counted(all: Vec<Json>, name: &str, ask: &Ask) -> Self {
        let count = all.len();
        let page = Self::page(all, ask);
        let Body::Json(list) = page.body else { return page };
        Self { body: Body::Json(json!({ "total_count": count, name: list })), ..page }
    }

    /// The same, where what is shown of an entry has to be found out.
    pub(super) fn counted_by<T>(
        all: &[T],
        name: &str,
        ask: &Ask,
        show: impl FnMut(&T) -> Result<Json, Refusal>,
    ) -> Result<Self, Refusal> {
        let (before, size) = ask.window();
        let page = all.iter().skip(before).take(size).map(show).collect::<Result<Vec<_>, _>>()?;
        let more = all.len() > before.saturating_add(page.len());
        Ok(Self { more, ..Self::json(json!({ "total_count": all.len(), name: page })) })
    }

    pub(super) fn answer(self, ask: &Ask, job: &Job) -> Answer {
        let mut answer = match self.body {
            Body::Json(value) => answer_json(self.status, &value),
            Body::Raw(bytes) => whole(self.status, "application/octet-stream", bytes),
            Body::Elsewhere(address) => {
                let mut answer = empty(self.status);
                if let Ok(address) = HeaderValue::from_str(&address) {
                    answer.headers_mut().insert(LOCATION, address);
                }
                answer
            }
            Body::None => empty(self.status),
        };
        if self.more {
            let page = ask.query("page").and_then(|page| page.parse::<usize>().ok()).unwrap_or(1);
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(ask.query.iter().filter(|(name, _)| *name != "page"));
            query.append_pair("page", &(page + 1).to_string());
            let next = format!("<{}{}{}?{}>; rel=\"next\"", job.facts.origin, super::PREFIX, ask.path, query.finish());
            if let Ok(next) = HeaderValue::from_str(&next) {
                answer.headers_mut().insert(LINK, next);
            }
        }
        answer
    }
}

/// Why there is no answer, as GitHub says it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    /// Which permission it takes.
    accepted: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), accepted: None }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// Of the API, but not of this part of it.
    pub(super) fn not_here(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!(
                "Not Found: {what} is not in the part of GitHub's API that is served where a run has no token of GitHub; \
                 `-s GITHUB_TOKEN=…` gives the job one"
            ),
        )
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(super) fn broken(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    /// The job's `permissions:` do not say so, or it is a run of a fork.
    pub(super) fn forbidden(scope: &str, level: &str, why: &str) -> Self {
        let message = format!("Resource not accessible by integration: {why}");
        Self { accepted: Some(format!("{scope}={level}")), ..Self::new(StatusCode::FORBIDDEN, message) }
    }

    pub(super) fn answer(&self) -> Answer {
        let body = json!({
            "message": self.message, "documentation_url": "https://docs.github.com/rest",
            "status": self.status.as_u16().to_string(),
        });
        let mut answer = answer_json(self.status, &body);
        if let Some(accepted) = self.accepted.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            answer.headers_mut().insert(HeaderName::from_static("x-accepted-github-permissions"), accepted);
        }
        answer
    }
}
