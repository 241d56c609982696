//! The proxy's own words: short texts for whoever reads an error, and nothing about what is behind it.

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use crate::answering::AnswerBody;

/// Headers of all of them.
const OF_ALL: &str = "content-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n";

/// Why the proxy answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The length is told in two ways.
    Framing,
    /// A request of HTTP/1.1 has one `Host`.
    Hosts,
    /// It is no proxy for other places.
    Connect,
    /// The path is too long.
    Target,
    /// The client did not send all of it.
    Unfinished,
    /// No service has this path.
    NoRoute,
    /// The service has no colour for tests, or not the one that was asked for.
    NoColour,
    /// All weights are 0.
    NoTraffic,
    /// No backend could be reached.
    Unreached,
    /// The backend went away before it answered.
    Broken,
    /// It did not answer in time.
    TimedOut,
}

impl Refusal {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Framing | Self::Hosts => StatusCode::BAD_REQUEST,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::Target => StatusCode::URI_TOO_LONG,
            Self::Unfinished => StatusCode::REQUEST_TIMEOUT,
            Self::NoRoute | Self::NoColour => StatusCode::NOT_FOUND,
            Self::NoTraffic | Self::Unreached => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// For whoever reads it.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Framing => "the length of the request is told in two ways, or not in digits\n",
            Self::Hosts => "a request has one Host header\n",
            Self::Connect => "CONNECT goes nowhere from here\n",
            Self::Target => "the path is too long\n",
            Self::Unfinished => "the request did not come to its end in time\n",
            Self::NoRoute => "no service has this path\n",
            Self::NoColour => "this service has no such colour\n",
            Self::NoTraffic => "this service takes no requests now\n",
            Self::Unreached => "this service cannot be reached now\n",
            Self::Broken => "this service went away before it answered\n",
            Self::TimedOut => "this service did not answer in time\n",
        }
    }

    /// Whether whatever follows on the connection may be part of the same request.
    pub(crate) const fn is_last(self) -> bool {
        matches!(self, Self::Framing | Self::Unfinished)
    }

    /// The first lines of an answer of HTTP/1.1: all but length and what every answer has.
    pub(crate) fn write_status(self, to: &mut Vec<u8>) {
        let status = self.status();
        for part in ["HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or_default(), "\r\n", OF_ALL] {
            to.extend_from_slice(part.as_bytes());
        }
    }

    pub(crate) fn response(self) -> Response<AnswerBody> {
        let mut response = text(self.status(), Bytes::from_static(self.text().as_bytes()));
        if self.is_last() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// An answer of ours.
pub(crate) fn text(status: StatusCode, text: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(Some(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
