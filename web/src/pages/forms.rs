//! What forms send. Fields that a page does not know are passed over, as browsers and extensions add some.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::Problem;
use crate::api::answer::bad;
use crate::site::Site;

/// Longest form: the inputs of a dispatch, written with escapes.
const FORM_BYTES_MAX: usize = 512 * 1_024;
/// How long it may take to come.
const FORM_TIME: Duration = Duration::from_secs(30);

/// A form as `application/x-www-form-urlencoded`.
#[derive(Debug)]
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _site: &Arc<Site>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
            let detail = "send a form, as `application/x-www-form-urlencoded`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "body", detail));
        }
        let read = tokio::time::timeout(FORM_TIME, Limited::new(body, FORM_BYTES_MAX).collect()).await;
        let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body", "the form takes too long").closing();
        let bytes = read.map_err(late)?.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let detail = format!("a form has at most {FORM_BYTES_MAX} bytes");
                return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", detail).closing();
            }
            bad("form", "it ended early".to_owned())
        })?;
        // What it holds may be a secret, so the reason is not told.
        let read = serde_urlencoded::from_bytes(&bytes.to_bytes());
        read.map(Self).map_err(|_| bad("form", "a field is not as expected".to_owned()))
    }
}
