//! What forms send. Fields that a page does not know are passed over, as browsers and extensions add some.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::Problem;
use crate::access::read_form;
use crate::api::answer::bad;
use crate::site::Site;

/// A form as `application/x-www-form-urlencoded`.
#[derive(Debug)]
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _site: &Arc<Site>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_form(&parts.headers, body).await?;
        // What it holds may be a secret, so the reason is not told.
        let read = serde_urlencoded::from_bytes(&bytes);
        read.map(Self).map_err(|_| bad("form", "a field is not as expected".to_owned()))
    }
}
