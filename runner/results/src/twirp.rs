//! Calls and errors as Twirp has them: JSON in, JSON out, also where something is wrong. See <https://twitchtv.github.io/twirp/docs/spec_v7.html>.

use hyper::StatusCode;
use serde_json::{Value as Json, json};

use crate::answer::{Answer, json as answer};

/// An error that a client shows.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Fault {
    const fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, code, message }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_argument", message.into())
    }

    pub(crate) fn unauthenticated() -> Self {
        let message = "this is not the token of a job that goes on: ACTIONS_RUNTIME_TOKEN ends with its job";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message.to_owned())
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_denied", message.into())
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message.into())
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "already_exists", message.into())
    }

    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn answer(&self) -> Answer {
        answer(self.status, &json!({ "code": self.code, "msg": self.message }))
    }
}

/// A text of a request; empty where it is left out, as protobuf has it.
pub(crate) fn text<'a>(request: &'a Json, name: &str) -> Result<&'a str, Fault> {
    match request.get(name) {
        None | Some(Json::Null) => Ok(""),
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(Fault::invalid(format!("`{name}` must be a text"))),
    }
}

/// A number, which JSON of protobuf writes as a text.
pub(crate) fn number(request: &Json, name: &str) -> Result<Option<u64>, Fault> {
    let wrong = || Fault::invalid(format!("`{name}` must be a number that is not below 0"));
    match request.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
        Some(Json::Number(number)) => number.as_u64().map(Some).ok_or_else(wrong),
        Some(_) => Err(wrong()),
    }
}

/// Runs what reads and writes files.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
}
