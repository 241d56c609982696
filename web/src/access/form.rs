//! Forms of our pages: that a form was in a page of this session is proven before any handler is reached.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use engine::store::people::csrf_of;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::{Allowed, Needs, Refusal, is_same, presented};
use crate::Problem;
use crate::site::Site;

/// Longest form: the inputs of a dispatch or a secret, written with escapes.
const FORM_BYTES_MAX: usize = 512 * 1_024;
/// How long one may take.
const FORM_TIME_MAX: Duration = Duration::from_secs(30);
/// The field of every form that holds the session's token.
const CSRF_FIELD: &str = "csrf";

/// A form with the token of its session. In the extensions of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proven;

/// A layer around all pages: reads forms that come with a session's cookie and looks for its token. [`Allowed`] refuses
/// those without, so that a handler cannot forget to ask.
pub(crate) async fn prove(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let csrf = presented(headers).map(csrf_of).filter(|_| changes && is_form(headers));
    let Some(csrf) = csrf else { return next.run(request).await };
    let (mut parts, body) = request.into_parts();
    let bytes = match read(body).await {
        Ok(bytes) => bytes,
        Err(problem) => return problem.into_response(),
    };
    let mut given = form_urlencoded::parse(&bytes).filter(|(name, _)| name == CSRF_FIELD);
    if given.next().is_some_and(|(_, given)| is_same(given.as_bytes(), &csrf)) {
        parts.extensions.insert(Proven);
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

/// A form of somebody who may send it.
#[derive(Debug)]
pub(crate) struct Submitted<N> {
    pub(crate) allowed: Allowed<N>,
    pub(crate) fields: Fields,
}

/// The fields of a form, in order; names may come several times.
#[derive(Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secret.
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    /// A field without the white space around it; what is not there is empty.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.exact(name).trim()
    }

    /// A field as it was typed, such as a password.
    pub(crate) fn exact(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// All of one name that are not empty.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, value)| own == name && !value.trim().is_empty()).map(|(_, value)| value.trim())
    }
}

impl<N: Needs> FromRequest<Arc<Site>> for Submitted<N> {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let allowed = Allowed::from_request_parts(&mut parts, site).await?;
        Ok(Self { allowed, fields: read_fields(&parts.headers, body).await? })
    }
}

/// The fields of a form.
pub(crate) async fn read_fields(headers: &HeaderMap, body: Body) -> Result<Fields, Problem> {
    Ok(Fields(form_urlencoded::parse(&read_form(headers, body).await?).into_owned().collect()))
}

/// A form as it came. Nothing but the one kind of body that is a form's is taken for one.
pub(crate) async fn read_form(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    if !is_form(headers) {
        let detail = "send a form, as application/x-www-form-urlencoded";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "body", detail));
    }
    read(body).await
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(FORM_TIME_MAX, Limited::new(body, FORM_BYTES_MAX).collect()).await;
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body", "the form takes too long").closing();
    let read = read.map_err(late)?.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail = format!("a form has at most {FORM_BYTES_MAX} bytes");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", detail).closing();
        }
        Problem::new(StatusCode::BAD_REQUEST, "request", "the form ended early")
    });
    Ok(read?.to_bytes())
}
