//! Refusals as pages, for who asked for one; programs get `application/problem+json` as everywhere.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use minijinja::context;

use super::render::bare;
use crate::api::not_found;
use crate::{Problem, RequestId};

pub(super) async fn nothing_there() -> Problem {
    not_found("there is no such page")
}

/// The address of a form, opened again, say.
pub(super) async fn another_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "nothing is shown at this address, something is sent to it")
}

/// Whether a browser asks.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted: Vec<_> = accepted.flat_map(|value| value.split(',')).map(str::trim).collect();
    let takes = |kind: &str| accepted.iter().any(|one| one.starts_with(kind));
    // What asks for a stream is a page already, and would follow to another one without showing it.
    takes("text/html") && !takes("text/event-stream")
}

/// A layer: a [`Problem`] becomes a page, with its status and its headers.
pub(super) async fn as_pages(request: Request, next: Next) -> Response {
    let is_page = wants_page(request.headers());
    let id = request.extensions().get::<RequestId>().map(|id| id.0.to_string());
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Problem>().filter(|_| is_page) else { return response };
    let status = response.status();
    let heading = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::UNAUTHORIZED => "Sign in first",
        _ if status.is_server_error() => "Something went wrong here",
        _ => "This cannot be done",
    };
    let shown = context! {
        title => heading, status => status.as_u16(), detail => problem.detail(), request => id.unwrap_or_default(),
        is_ours => status.is_server_error(),
    };
    let Ok(page) = bare("error.html", shown) else { return response };
    let (mut parts, _) = response.into_parts();
    let (page, body) = page.into_parts();
    parts.headers.extend(page.headers);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body)
}
